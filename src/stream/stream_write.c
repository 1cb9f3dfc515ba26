/*
 * stream_write.c - writing to streams, and holding back whoever writes more than is sent.
 *
 * What the transport takes is out of the caller's hands: a call waits only after that, and touches the stream again
 * only if it has waited for its transport, in which time the stream counts as used.
 */
#include "stream/stream.h"

/* Writing is held back, or has ended. */
static int wait_for_room(rp_co *co, rp_stream *stream)
{
    int rc;

    if (stream->lost)
        return rp_stream_error(stream);
    if (stream->error < 0)
        return stream->error;
    RP_TRY(rp_co_check(co));
    rp_stream_enter(stream);
    rc = rp_stream_wait_in(co, &stream->writers);
    if (rc == 0)
        rc = stream->lost ? rp_stream_error(stream) : stream->error;
    rp_stream_leave(stream);
    return rc;
}

static inline int drain(rp_co *co, rp_stream *stream)
{
    return stream->writing_paused ? wait_for_room(co, stream) : rp_stream_give_way(co, stream);
}

/* What both do, for `function`. */
static inline int write_vector(rp_co *co, rp_stream *stream, const struct iovec *vector, int count,
                               const char *function)
{
    RP_TRY(rp_co_here(co));
    if (stream->closed)
        return rp_stream_closed(stream, function);
    if (!stream->transport)
        return rp_stream_error(stream);
    RP_TRY(rp_transport_writev(stream->transport, vector, count));
    return drain(co, stream);
}

int rp_stream_writev(rp_co *co, rp_stream *stream, const struct iovec *vector, int count)
{
    return write_vector(co, stream, vector, count, __func__);
}

int rp_stream_write(rp_co *co, rp_stream *stream, const void *data, size_t length)
{
    struct iovec vector = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};

    return write_vector(co, stream, &vector, 1, __func__);
}

int rp_stream_drain(rp_co *co, rp_stream *stream)
{
    RP_TRY(rp_co_here(co));
    if (rp_stream_freed(stream, __func__))
        return -EBADF;
    return drain(co, stream);
}

void rp_stream_cork(rp_stream *stream)
{
    if (!rp_stream_freed(stream, __func__) && stream->transport)
        rp_transport_cork(stream->transport);
}

int rp_stream_uncork(rp_stream *stream)
{
    if (stream->closed)
        return rp_stream_closed(stream, __func__);
    return stream->transport ? rp_transport_uncork(stream->transport) : rp_stream_error(stream);
}

int rp_stream_write_eof(rp_stream *stream)
{
    if (stream->closed)
        return rp_stream_closed(stream, __func__);
    return stream->transport ? rp_transport_write_eof(stream->transport) : rp_stream_error(stream);
}
