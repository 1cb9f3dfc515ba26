/*
 * openssl_error.h - which of ringport's errors OpenSSL's stand for.
 */
#ifndef RP_TLS_OPENSSL_ERROR_H
#define RP_TLS_OPENSSL_ERROR_H

#include <openssl/ssl.h>

/* What went wrong. The text is OpenSSL's own, and constant. */
typedef struct rp_openssl_error {
    int error;
    int alert;        /* that has come; -1: none */
    const char *text; /* or NULL */
} rp_openssl_error;

/* Why a connection has failed, by OpenSSL's queue of errors, which is empty afterwards. */
rp_openssl_error rp_openssl_error_take(const SSL *ssl);

#endif
