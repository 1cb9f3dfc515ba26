/*
 * tls.h - what the servers under TLS have in common that are measured: one context, made the same way for all.
 *
 * TLS 1.3, AES-256-GCM, a certificate and its key from one file, OpenSSL's own two tickets a handshake. An idle
 * connection keeps no buffers for records (SSL_MODE_RELEASE_BUFFERS), as nginx and libringport-tls have it.
 */
#ifndef BENCH_TLS_H
#define BENCH_TLS_H

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "bench.h"

/* For OpenSSL's functions that answer with 1. */
static inline void bench_tls_check(int result, const char *what)
{
    if (result == 1)
        return;
    ERR_print_errors_fp(stderr);
    bench_die("%s failed", what);
}

static inline SSL_CTX *bench_tls_context(const char *certificate)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    bench_tls_check(!!context, "SSL_CTX_new");
    bench_tls_check(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION), "SSL_CTX_set_min_proto_version");
    bench_tls_check(SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384"), "SSL_CTX_set_ciphersuites");
    bench_tls_check(SSL_CTX_use_certificate_chain_file(context, certificate), certificate);
    bench_tls_check(SSL_CTX_use_PrivateKey_file(context, certificate, SSL_FILETYPE_PEM), certificate);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

#endif
