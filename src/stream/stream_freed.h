/*
 * stream_freed.h - debug mode: streams that are used after they were freed.
 */
#ifndef RP_STREAM_STREAM_FREED_H
#define RP_STREAM_STREAM_FREED_H

#include "stream/stream_state.h"

/* Remembers the peer's name while there is a connection, as far as there is memory. */
void rp_stream_note_name(rp_stream *stream);

/* From now on each use is reported; the memory stays until the loop closes. */
void rp_stream_keep(rp_stream *stream);

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
