/*
 * openssl_engine.h - an engine by OpenSSL: one connection of a context's.
 */
#ifndef RP_TLS_OPENSSL_ENGINE_H
#define RP_TLS_OPENSSL_ENGINE_H

#include <openssl/ssl.h>

#include "tls/tls_context.h"
#include "tls/openssl_bio.h"
#include "tls/openssl_certificate.h"
#include "tls/openssl_error.h"

typedef struct rp_openssl_engine {
    rp_tls_engine base;
    SSL *ssl;
    rp_openssl_wire wire;
    rp_tls_context *context;             /* referred to */
    rp_tls_context *chosen;              /* by the name that the client asked for, and referred to; or NULL */
    uint64_t context_id;                 /* the context's, when the connection began */
    char *server_name;                   /* that a client asks for, or a server is asked for; NULL: none */
    rp_openssl_error failure;            /* .error is 0 as long as it works */
    int refused;                         /* the error of the function that was asked about the client's name */
    bool waiting;                        /* the handshake, for a record */
    bool named;                          /* the client's name has been looked at */
    rp_openssl_certificate *certificate; /* of the peer's, once it was asked for */
    char protocol[256];                  /* that ALPN chose, once it was asked for; one has 255 bytes at most */
} rp_openssl_engine;

/* Makes the engine of a connection, which has no name and no session yet. -ENOMEM. */
int rp_openssl_engine_new(rp_tls_context *context, rp_openssl_engine **engine);

/* Whose engine it is; NULL: it is of another type, or none. */
rp_openssl_engine *rp_openssl_engine_of(rp_tls_engine *engine);

/* The engine of a transport; NULL: the transport has none of ours, is gone, or is NULL. */
rp_openssl_engine *rp_openssl_engine_at(const rp_transport *transport);

#endif
