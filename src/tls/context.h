/*
 * context.h - a context of libringport-tls: OpenSSL's, and what connections need besides.
 *
 * It is set up by one thread, and from then on only read, by all threads that have connections of it.
 */
#ifndef RP_TLS_CONTEXT_H
#define RP_TLS_CONTEXT_H

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "ringport/tls.h"
#include "tls/engine.h"

enum { RP_TLS_TEXT = 200 };

struct rp_tls_context {
    rp_tls_factory factory; /* the first: the core knows no more of it */
    atomic_size_t references;
    SSL_CTX *ssl;
    int role;               /* RP_TLS_CLIENT or RP_TLS_SERVER */
    char text[RP_TLS_TEXT]; /* of the last error */
};

/* Empties OpenSSL's queue of errors, so that what it has afterwards is about the call that follows. */
void rp_tls_context_begin(rp_tls_context *context);

/* Keeps the text of OpenSSL's last error, and returns `error`, or -ENOMEM if that is the reason. */
int rp_tls_context_failed(rp_tls_context *context, int error);

#endif
