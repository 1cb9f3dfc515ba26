/*
 * tls_memory.h - an echo under TLS through two memory BIOs, as asyncio, uvloop and most programs on libuv have it: what
 * has arrived is put into one, and what is to be sent is taken out of the other.
 */
#ifndef BENCH_TLS_MEMORY_H
#define BENCH_TLS_MEMORY_H

#include "tls.h"

enum { BENCH_TLS_ROOM = 160 * 1024 }; /* for the records of as much as a server reads at once */

typedef struct bench_tls {
    SSL *ssl;
    BIO *arrived, *leaving; /* the SSL's */
} bench_tls;

static inline void bench_tls_begin(bench_tls *tls, SSL_CTX *context)
{
    tls->ssl = SSL_new(context);
    tls->arrived = BIO_new(BIO_s_mem());
    tls->leaving = BIO_new(BIO_s_mem());
    if (!tls->ssl || !tls->arrived || !tls->leaving)
        bench_die("no memory");
    SSL_set_bio(tls->ssl, tls->arrived, tls->leaving);
    SSL_set_accept_state(tls->ssl);
}

static inline void bench_tls_end(bench_tls *tls)
{
    SSL_free(tls->ssl);
}

/* Takes what has arrived, and echoes what that was. Whether the connection goes on. */
static inline int bench_tls_echo(bench_tls *tls, const void *data, size_t length)
{
    static char plain[128 * 1024];
    int n;

    if (BIO_write(tls->arrived, data, (int)length) != (int)length)
        bench_die("no memory");
    for (;;) {
        ERR_clear_error();
        n = SSL_read(tls->ssl, plain, sizeof plain);
        if (n <= 0)
            break;
        if (SSL_write(tls->ssl, plain, n) != n)
            bench_die("SSL_write failed");
    }
    n = SSL_get_error(tls->ssl, n);
    if (n == SSL_ERROR_ZERO_RETURN)
        SSL_shutdown(tls->ssl);
    return n == SSL_ERROR_WANT_READ;
}

/* What is to be sent, all of it: its length. */
static inline size_t bench_tls_leaving(bench_tls *tls, char records[BENCH_TLS_ROOM])
{
    int n = BIO_read(tls->leaving, records, BENCH_TLS_ROOM);

    if (BIO_pending(tls->leaving) > 0)
        bench_die("there is more to send than fits");
    return n > 0 ? (size_t)n : 0;
}

#endif
