/*
 * secure.h - TLS over a connection that is being made: what was asked for, until the handshake begins.
 */
#ifndef RP_CONNECT_SECURE_H
#define RP_CONNECT_SECURE_H

#include "ringport/net.h"
#include "tls/filter.h"

/* Zeroed: there is no TLS. */
typedef struct rp_secure {
    rp_tls_context *context; /* referred to; NULL: there is none */
    rp_tls_options options;  /* its name is a copy */
} rp_secure;

/*
 * Take it from a caller's options. `host` is what a client's server is called if they do not say so; NULL: nothing.
 * -EINVAL: it is not as ringport/net.h says. -ENOMEM.
 */
int rp_secure_take(rp_secure *secure, rp_tls_context *context, const rp_tls_options *options);
int rp_secure_take_client(rp_secure *secure, const rp_connect_options *options, const char *host);
int rp_secure_take_server(rp_secure *secure, const rp_server_options *options);

void rp_secure_drop(rp_secure *secure);

/*
 * Puts TLS on a transport, and begins the handshake: as rp_tls_filter_new(), which says what becomes of `below`, and
 * when `done` is called. `received` are bytes that have come already.
 */
int rp_secure_begin(const rp_secure *secure, rp_transport *below, const void *received, size_t length,
                    rp_tls_filter_done *done, void *arg, rp_transport **filter);

/* The handshake has failed, and `done` is being called: tells whoever wants to know why. */
void rp_secure_explain(const rp_secure *secure, const rp_transport *filter);

#endif
