/*
 * stream_freed.c - debug mode: streams that are used after they were freed.
 *
 * rp_stream_free() keeps the memory until the loop closes. Such a stream is closed. Reading and writing look for that
 * anyway, and so see what it is without a further branch.
 */
#include "stream/stream_freed.h"

#include <string.h>

#include "base/leave.h"
#include "base/memory.h"
#include "loop/exception.h"

void rp_stream_note_name(rp_stream *stream)
{
    char text[128] = "";
    size_t size;

    if (rp_stream_peername(stream, text, sizeof text) < 0 || text[0] == '\0')
        rp_stream_sockname(stream, text, sizeof text); /* the peer is an unnamed Unix socket */
    size = strlen(text) + 1;
    if (size == 1)
        return;
    stream->name = rp_malloc(size);
    if (stream->name)
        memcpy(stream->name, text, size);
}

void rp_stream_keep(rp_stream *stream)
{
    if (!stream->name)
        rp_stream_note_name(stream);
    stream->kept = true;
}

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
