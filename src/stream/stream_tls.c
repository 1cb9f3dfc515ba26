/*
 * stream_tls.c - TLS begins on a stream that is open: another transport takes the place of its own.
 *
 * Meanwhile the stream has none, and whoever calls is told that it is busy; a close ends the handshake. What the stream
 * has read ahead is the handshake's.
 */
#include "stream/stream.h"
#include "stream/stream_open.h"

/* What was written before has gone, or is on its way; nobody waits for it any more. */
static int drain(rp_co *co, rp_stream *stream)
{
    do
        RP_TRY(rp_stream_drain(co, stream));
    while (stream->writing_paused);
    return 0;
}

static int begin(rp_stream *stream, rp_tls_context *context, const rp_tls_options *options)
{
    rp_tls_options used = options ? *options : (rp_tls_options){0};
    rp_bytes *ahead = &stream->ahead;

    if (stream->closed || !stream->transport)
        return stream->closed ? -EPIPE : rp_stream_error(stream);
    used.server_side |= stream->handler && !used.server_name;
    RP_TRY(rp_transport_start_tls(stream->transport, context, &used, ahead->data + ahead->start,
                                  ahead->end - ahead->start, &rp_stream_protocol, stream, &stream->securing));
    ahead->start = ahead->end = 0;
    stream->transport = NULL;
    return 0;
}

/* The handshake has ended, well or not. The connection may be lost already, and the stream closed. */
static int finish(rp_stream *stream, int rc)
{
    rp_future *securing = stream->securing;

    stream->securing = NULL;
    if (rc < 0) {
        rp_stream_protocol.connection_lost(stream, stream->closed || rc == -ECANCELED ? 0 : rc);
    } else if (!stream->lost) {
        stream->transport = rp_future_value(securing);
        stream->eof = false;
        rp_transport_pause_reading(stream->transport);
    }
    rp_future_unref(securing);
    return stream->closed ? -EPIPE : rc;
}

int rp_start_tls(rp_co *co, rp_stream *stream, rp_tls_context *context, const rp_tls_options *options)
{
    int rc;

    RP_TRY(rp_co_here(co));
    if (stream->closed)
        return rp_stream_closed(stream, __func__);
    if (stream->reading)
        return -EBUSY;
    stream->reading = true;
    rc = drain(co, stream);
    if (rc == 0)
        rc = begin(stream, context, options);
    if (rc == 0)
        rc = finish(stream, rp_stream_await_request(co, stream->securing));
    stream->reading = false;
    rp_stream_free_if_done(stream);
    return rc;
}
