/*
 * stream_freed.c - debug mode: streams that are used after they were freed.
 *
 * rp_stream_free() keeps the memory until the loop closes. Such a stream is closed. Reading and writing look for that
 * anyway, and so see what it is without a further branch.
 */
#include "stream/stream_freed.h"

#include "base/leave.h"
#include "loop/exception.h"

static void has_told(rp_stream **stream)
{
    (*stream)->telling = false;
}

/* What the handler itself does with the stream is not reported: it would never end. */
void rp_stream_report_use(const rp_stream *used, const char *function)
{
    if (used->telling)
        return;
    rp_stream *stream RP_ON_LEAVE(has_told) = (rp_stream *)(uintptr_t)used;

    stream->telling = true;
    rp_loop_report(stream->loop, &(rp_report){.where = RP_WHERE_FREED_STREAM,
                                              .name = stream->name,
                                              .future = rp_current_task(),
                                              .function = function});
}
