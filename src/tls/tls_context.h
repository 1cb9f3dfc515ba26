/*
 * tls_context.h - a context of libringport-tls: OpenSSL's, and what connections need besides.
 *
 * One thread sets it up, and from then on it is only read, by all threads that have connections of it.
 */
#ifndef RP_TLS_TLS_CONTEXT_H
#define RP_TLS_TLS_CONTEXT_H

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "ringport/tls.h"
#include "tls/engine.h"

/* Of a server: whose certificate the client gets if it asks for that name. */
typedef struct rp_tls_server_name_entry {
    char *name; /* in lower case */
    rp_tls_context *context;
} rp_tls_server_name_entry;

struct rp_tls_context {
    rp_tls_factory factory; /* the first: the core knows no more of it */
    atomic_size_t references;
    SSL_CTX *ssl;
    BIO_METHOD *bio_method;
    int role; /* RP_TLS_CLIENT or RP_TLS_SERVER */
    int verify_mode;
    bool check_hostname;
    bool system_roots;          /* are trusted, as long as no others are loaded */
    atomic_bool system_is_here; /* and they are loaded themselves */
    CRYPTO_RWLOCK *lock;        /* of what connections change: these roots, and the file of keys */
    const char *text;           /* of the last error: OpenSSL's, and constant; or NULL */

    rp_tls_server_name_entry *names; /* sorted */
    size_t names_count;
    rp_tls_sni_callback *sni_callback;
    void *sni_arg;

    unsigned char *protocols; /* as ALPN writes them: each behind its length */
    size_t protocols_length;

    uint64_t id; /* of it and of what it demands of peers: sessions of another id are none of its own */
    rp_tls_session *session;

    BIO *keylog;
};

/* Empties OpenSSL's queue of errors, so that what it has afterwards is about the call that follows. */
void rp_tls_context_begin(rp_tls_context *context);

/* Keeps the text of OpenSSL's first error, and returns `error`, or what the system or a lack of memory says. */
int rp_tls_context_failed(rp_tls_context *context, int error);

/* It demands something else of peers now: those of earlier sessions were not verified so. 0 or -ENOMEM. */
int rp_tls_context_renew(rp_tls_context *context);

/* A context without anything in it but its role, which has one reference; NULL: there is no memory. */
rp_tls_context *rp_tls_context_make(int role);

#endif
