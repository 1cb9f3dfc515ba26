/*
 * stream_freed.h - debug mode: streams that are used after they were freed.
 */
#ifndef RP_STREAM_STREAM_FREED_H
#define RP_STREAM_STREAM_FREED_H

#include "stream/stream_state.h"

/* Reports the use of a stream that is kept. */
void rp_stream_report_use(const rp_stream *stream, const char *function);

/* Whether it is one that was freed, in which case its use by `function` is reported. */
static inline bool rp_stream_freed(const rp_stream *stream, const char *function)
{
    if (!stream->kept)
        return false;
    rp_stream_report_use(stream, function);
    return true;
}

/* What `function` fails with on a stream that is closed. */
static inline int rp_stream_closed(const rp_stream *stream, const char *function)
{
    return rp_stream_freed(stream, function) ? -EBADF : -EPIPE;
}

#endif
