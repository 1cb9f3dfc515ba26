/*
 * streams.h - what the tests of streams share: a stream with a plain socket at its other end, and tasks that read from
 * it and write to it.
 */
#ifndef RP_TESTS_STREAMS_H
#define RP_TESTS_STREAMS_H

#include <stdlib.h>

#include "harness/wire.h"

static inline rp_stream *stream_of(rp_co *co, int fd)
{
    rp_stream *stream;

    CHECK_INT(rp_stream_from_fd(co, &stream, fd), ==, 0);
    return stream;
}

static inline rp_stream *open_stream(rp_co *co, int *there)
{
    int here;

    wire_pair(&here, there);
    return stream_of(co, here);
}

static inline void say(int fd, const char *text)
{
    CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), ==, strlen(text));
}

/* Reads at the other end, while the loop runs, until `total` bytes have come or the stream ends. */
static inline uint64_t swallow(rp_co *co, int fd, uint64_t total)
{
    static char bytes[65536];
    uint64_t got = 0;
    ssize_t n;

    while (got < total && (n = wire_await_in(co, fd, bytes, sizeof bytes)) > 0) {
        CHECK(wire_same(bytes, (size_t)n, got));
        got += (uint64_t)n;
    }
    return got;
}

/* ---- tasks ---- */

/* One that reads once, in one of four ways. */
typedef struct reader {
    rp_stream *stream;
    size_t length;
    ssize_t result;
    char *buffer;
    enum { SOMETHING, EXACTLY, UNTIL, LINE } how;
} reader;

static inline int read_in_task(rp_co *co, void *arg)
{
    reader *r = arg;

    switch (r->how) {
    case SOMETHING:
        r->result = rp_stream_read(co, r->stream, r->buffer, r->length);
        break;
    case EXACTLY:
        r->result = rp_stream_read_exactly(co, r->stream, r->buffer, r->length);
        break;
    case UNTIL:
        r->result = rp_stream_read_until(co, r->stream, r->buffer, r->length, "@@", 2);
        break;
    case LINE:
        r->result = rp_stream_read_line(co, r->stream, r->buffer, r->length);
        break;
    }
    return r->result < 0 ? (int)r->result : 0;
}

/* One that writes so many bytes, from that place of the stream on. */
typedef struct writer {
    rp_stream *stream;
    size_t length;
    uint64_t at;
    int result;
} writer;

static inline int write_in_task(rp_co *co, void *arg)
{
    writer *w = arg;
    char *bytes = malloc(w->length);

    wire_fill(bytes, w->length, w->at);
    w->result = rp_stream_write(co, w->stream, bytes, w->length);
    free(bytes);
    return w->result;
}

#endif
