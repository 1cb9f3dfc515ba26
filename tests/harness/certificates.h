/*
 * certificates.h - certificates that are made when a test needs them, so that none ever expires.
 */
#ifndef RP_TESTS_CERTIFICATES_H
#define RP_TESTS_CERTIFICATES_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>

#include "ringport/tls.h"

struct test_identity;

/* What a certificate is to be like. Zeroed, but for the name: self-signed, P-256, from yesterday on, for a month. */
typedef struct test_issue {
    const char *name;                   /* the subject's common name */
    const char *names;                  /* "DNS:localhost,IP:127.0.0.1"; NULL: it has no other names */
    const struct test_identity *issuer; /* NULL: it signs itself */
    bool authority;                     /* it may issue others */
    int rsa;                            /* bits of an RSA key; 0: it is P-256 */
    int from, until;                    /* in days from now; both 0: -1 and 30 */
    const char *password;               /* of the key's PEM; NULL: it is not encrypted */
} test_issue;

/* A certificate and its key. */
typedef struct test_identity {
    X509 *x509;
    EVP_PKEY *pkey;
    char *certificate; /* in PEM, and behind it what leads to the root, without that */
    char *key;         /* in PEM */
} test_identity;

/* Makes one; a test fails if that fails. */
test_identity *test_identity_new(const test_issue *issue);
void test_identity_free(test_identity *identity);

/* A root, and the usual certificate of a server by it: for localhost, 127.0.0.1 and ::1. */
test_identity *test_root_new(void);
test_identity *test_server_identity_new(const test_identity *root);

/* A revocation list in PEM, of the issuer's, with one certificate in it, or none (NULL). free() frees it. */
char *test_crl(const test_identity *issuer, const test_identity *revoked);

/* Writes a text, or bytes, to a file. */
void test_write_file(const char *path, const void *data, size_t length);

/* Contexts of a server that shows a certificate, and of a client that trusts a root; the caller's. */
rp_tls_context *test_tls_server(const test_identity *identity);
rp_tls_context *test_tls_client(const test_identity *root);

#endif
