/*
 * openssl_certificate.h - what a certificate says, in words.
 */
#ifndef RP_TLS_OPENSSL_CERTIFICATE_H
#define RP_TLS_OPENSSL_CERTIFICATE_H

#include <openssl/x509.h>

#include "ringport/tls.h"

typedef struct rp_openssl_certificate {
    rp_tls_certificate told; /* all that it points to is the struct's */
    char **names;
} rp_openssl_certificate;

/* Reads a certificate. -ENOMEM, or -EINVAL: it is malformed. */
int rp_openssl_certificate_new(X509 *x509, rp_openssl_certificate **certificate);

/* NULL is ignored. */
void rp_openssl_certificate_free(rp_openssl_certificate *certificate);

#endif
