/*
 * tls_ours.h - the context of a server of ringport's own that is measured, if it is compiled with BENCH_TLS.
 */
#ifndef BENCH_TLS_OURS_H
#define BENCH_TLS_OURS_H

#ifdef BENCH_TLS

#include <ringport/tls.h>

enum { BENCH_ARGUMENTS = 3 };

static inline rp_tls_context *bench_tls_ours(const char *certificate)
{
    rp_tls_context *context;

    bench_check(rp_tls_context_new(RP_TLS_SERVER, &context), "rp_tls_context_new");
    bench_check(rp_tls_context_load_cert_chain(context, certificate, NULL, NULL, NULL), certificate);
    return context;
}

#else

enum { BENCH_ARGUMENTS = 2 };

static inline struct rp_tls_context *bench_tls_ours(const char *certificate)
{
    (void)certificate;
    return NULL;
}

#endif

#endif
