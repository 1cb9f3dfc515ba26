/*
 * stream_sendfile.c - a file is sent by a stream's transport, and awaited.
 */
#include "stream/stream.h"
#include "stream/stream_open.h"

int64_t rp_stream_sendfile(rp_co *co, rp_stream *stream, rp_fd file, int64_t offset, int64_t count, int flags,
                           int64_t *sent)
{
    rp_future *future;
    int64_t total;
    int rc;

    if (sent)
        *sent = 0;
    RP_TRY(rp_co_here(co));
    if (stream->closed)
        return rp_stream_closed(stream, __func__);
    RP_TRY(rp_co_check(co));
    if (!stream->transport)
        return rp_stream_error(stream);
    RP_TRY(rp_transport_sendfile(stream->transport, file, offset, count, flags, &future));
    rp_stream_enter(stream);
    rc = rp_stream_await_request(co, future);
    rp_stream_leave(stream);
    total = rp_sendfile_sent(future);
    if (sent)
        *sent = total;
    rp_future_unref(future);
    return rc < 0 ? rc : total;
}
