/*
 * filter.h - a transport that speaks TLS over another transport.
 */
#ifndef RP_TLS_FILTER_H
#define RP_TLS_FILTER_H

#include "ringport/loop.h"
#include "tls/engine.h"

/* Zeroed memory is a client without a server's name, with the usual limits. Nothing of it is kept. */
typedef struct rp_tls_filter_options {
    bool server;
    const char *server_name;
    int64_t handshake_timeout; /* nanoseconds; 0: 60 s */
    int64_t shutdown_timeout;  /* the same, of a close whose peer neither reads nor answers; 0: 30 s */
    const void *received;      /* what was taken from below already, and is the first input */
    size_t received_length;
    bool truncation_ends; /* an end without close_notify is the end of the stream, and no error */
} rp_tls_filter_options;

/*
 * The handshake has ended, well or not. It is called once, from the loop, never inside rp_tls_filter_new().
 *
 * 0: inside, the owner calls rp_transport_start() with a protocol; or rp_transport_close() or rp_transport_abort() if
 * it wants no connection after all. If it calls none of them, the filter is aborted.
 *
 * An error: the filter is ending, and so is what is below, after an alert. Inside, addresses can still be asked. It is
 *   the engine's, such as RP_ETLS_UNTRUSTED; rp_tls_filter_engine() tells more
 *   -ETIMEDOUT    the limit was reached: rp_tls_filter_timed_out()
 *   -ECONNRESET   below has ended
 *   -ECANCELED    the owner has closed or aborted the filter
 *   what below was lost by
 */
typedef void rp_tls_filter_done(void *arg, rp_transport *filter, int error);

/*
 * Makes a filter over a transport, and begins the handshake.
 * `below` is a transport that was not started yet, which the filter starts; or one that runs, whose protocol the filter
 * becomes. From then on it is the filter's. On failure it stays the caller's, as it was.
 * The filter is a transport at once: closing or aborting it ends the handshake, `detached` is called when it has ended,
 * and when the loop is closed it is freed with the others, without `done`. It reads and writes when it is started.
 * Errors: those of the factory; -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD; -EPIPE if below is closing; -EBUSY if it has
 * a filter already.
 */
int rp_tls_filter_new(rp_transport *below, rp_tls_factory *factory, const rp_tls_filter_options *options,
                      rp_tls_filter_done *done, void *arg, rp_transport **filter);

/* Its engine, lent until it is freed. NULL: the transport is no filter, or it is freed and only referred to. */
RP_API rp_tls_engine *rp_tls_filter_engine(const rp_transport *transport);

/* What `done` is going to be called with. NULL: it was called, or the transport is no filter. */
void *rp_tls_filter_arg(const rp_transport *transport);

/* ---- of a transport that is a filter ---- */

/* What it stands on, lent. NULL when the filter is freed and only referred to. */
rp_transport *rp_tls_filter_below(const rp_transport *filter);

/* Whether the stream has ended without the peer's close_notify. */
bool rp_tls_filter_truncated(const rp_transport *filter);

/* Whether -ETIMEDOUT is that of the handshake's limit, or of the close's: a socket has such an error of its own. */
bool rp_tls_filter_timed_out(const rp_transport *filter);

#endif
