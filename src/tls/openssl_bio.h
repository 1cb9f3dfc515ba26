/*
 * openssl_bio.h - a BIO through which OpenSSL reads an engine's input, and writes to its output.
 */
#ifndef RP_TLS_OPENSSL_BIO_H
#define RP_TLS_OPENSSL_BIO_H

#include <openssl/bio.h>

#include "tls/engine.h"

/* What lies between OpenSSL and an engine. Zeroed, but for the engine and `patience`, it is at the beginning. */
typedef struct rp_openssl_wire {
    rp_tls_engine *engine;
    size_t whole;    /* of the input: what OpenSSL may take */
    size_t patience; /* how many more records OpenSSL may take: 0 is the end of it */
    bool begun;      /* the first record has been taken */
    bool malformed;  /* there are no records any more */
    bool plain;      /* and there has never been one */
} rp_openssl_wire;

/* The method of such BIOs, or NULL: there is no memory. BIO_meth_free() frees it, after all BIOs of it. */
BIO_METHOD *rp_openssl_bio_method(void);

/* A BIO for both directions, or NULL: there is no memory. The wire outlives it. */
BIO *rp_openssl_bio_new(const BIO_METHOD *method, rp_openssl_wire *wire);

/* How many bytes of the input OpenSSL may take now: those of a whole record, or of what is none. */
size_t rp_openssl_wire_whole(rp_openssl_wire *wire);

#endif
