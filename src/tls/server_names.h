/*
 * server_names.h - which certificate a server shows, by the name that a client asks for.
 */
#ifndef RP_TLS_SERVER_NAMES_H
#define RP_TLS_SERVER_NAMES_H

#include "ringport/tls.h"

/* Has a server's context look at the names that clients ask for. */
void rp_tls_server_names_install(rp_tls_context *context);

#endif
