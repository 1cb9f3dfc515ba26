/*
 * session.h - what a client remembers of a connection.
 */
#ifndef RP_TLS_SESSION_H
#define RP_TLS_SESSION_H

#include <openssl/ssl.h>

#include "ringport/tls.h"

/* Lets a connection resume a session, if it is of that server. NULL is ignored. -ENOMEM. */
int rp_tls_session_offer(const rp_tls_session *session, SSL *ssl, const char *server_name);

#endif
