/*
 * session.h - what a client remembers of a connection.
 */
#ifndef RP_TLS_SESSION_H
#define RP_TLS_SESSION_H

#include "ringport/tls.h"
#include "tls/openssl_engine.h"

/* Resumes the context's session, if it is of the same server, which was verified as is demanded now. 0 or -ENOMEM. */
int rp_tls_session_offer(rp_openssl_engine *engine);

#endif
