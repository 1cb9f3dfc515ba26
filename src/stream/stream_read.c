/*
 * stream_read.c - reading from streams: what there is, so many bytes, a line, up to a separator.
 *
 * All of it stands on receive(), which suspends until something is there, and then takes it from the kernel straight
 * into the given buffer. Calls that must not lose what they took when they are cancelled either receive into `ahead`,
 * or make room there for putting it back before they begin.
 */
#include <limits.h>
#include <string.h>

#include "base/memory.h"
#include "base/rare.h"
#include "base/search.h"
#include "net/transport_read.h"
#include "stream/stream.h"

enum {
    CHUNK = 4096,     /* what is asked for at least when reading ahead */
    KEPT = 64 * 1024, /* `ahead` keeps up to this much memory while it is empty */
};

/* ---- bytes that were read ahead ---- */

static size_t buffered(const rp_stream *stream)
{
    return stream->ahead.end - stream->ahead.start;
}

/* One look tells: consume() and make_room() begin anew when nothing is left. */
static bool is_empty(const rp_stream *stream)
{
    return stream->ahead.end == 0;
}

static const char *first(const rp_stream *stream)
{
    return stream->ahead.data + stream->ahead.start;
}

static size_t at_most(size_t length, size_t limit)
{
    return length < limit ? length : limit;
}

static void copy_out(const rp_stream *stream, void *buffer, size_t length)
{
    if (length > 0)
        memcpy(buffer, first(stream), length);
}

static void consume(rp_stream *stream, size_t length)
{
    rp_bytes *ahead = &stream->ahead;

    assert(length <= buffered(stream));
    ahead->start += length;
    if (ahead->start < ahead->end)
        return;
    ahead->start = ahead->end = 0;
    if (ahead->capacity > KEPT) {
        rp_free(ahead->data);
        *ahead = (rp_bytes){0};
    }
}

static ssize_t take(rp_stream *stream, void *buffer, size_t length)
{
    copy_out(stream, buffer, length);
    consume(stream, length);
    return (ssize_t)length;
}

/* Makes room for `length` more bytes. -ENOMEM. */
static int make_room(rp_stream *stream, size_t length)
{
    rp_bytes *ahead = &stream->ahead;
    size_t used = buffered(stream), capacity = 2 * ahead->capacity;
    char *data;

    if (length > SIZE_MAX / 2 - used)
        return -ENOMEM;
    if (ahead->end + length <= ahead->capacity)
        return 0;
    if (used > 0)
        memmove(ahead->data, first(stream), used);
    ahead->start = 0;
    ahead->end = used;
    if (used + length <= ahead->capacity)
        return 0;
    if (capacity < used + length)
        capacity = (used + length + CHUNK - 1) / CHUNK * CHUNK;
    data = rp_realloc(ahead->data, capacity);
    if (!data)
        return -ENOMEM;
    ahead->data = data;
    ahead->capacity = capacity;
    return 0;
}

/* ---- receiving ---- */

static void interrupt_reader(rp_co *co, void *arg)
{
    rp_stream *stream = arg;

    (void)co;
    rp_transport_pause_reading(stream->transport);
    rp_stream_wake(&stream->reader);
}

static int wait_for_bytes(rp_co *co, rp_stream *stream)
{
    static const rp_waiting waiting = {interrupt_reader, NULL, "a stream to be readable"};

    RP_TRY(rp_co_pending(co));
    rp_transport_resume_reading(stream->transport);
    return rp_stream_wait(co, &stream->reader, &waiting, stream);
}

/* What a call returns when there is nothing more to take. */
static ssize_t receive_nothing(const rp_stream *stream)
{
    if (stream->closed)
        return -EPIPE;
    return stream->eof ? 0 : rp_stream_error(stream);
}

/*
 * Bytes, 0 at the end of the stream, or an error. It does not suspend after it has touched the buffer, which holds for
 * rp_stream_read() too. A call that need not wait begins with rp_stream_give_way(), which may yield.
 */
static RP_INLINED ssize_t receive(rp_co *co, rp_stream *stream, void *buffer, size_t length)
{
    bool waited = false;

    for (;;) {
        if (stream->closed || stream->eof || !stream->transport)
            return receive_nothing(stream);
        if (rp_transport_must_wait(stream->transport)) {
            RP_TRY(wait_for_bytes(co, stream));
        } else if (!waited) {
            RP_TRY(rp_stream_give_way(co, stream));
        } else {
            ssize_t n = (ssize_t)rp_transport_take(stream->transport, buffer, length);

            if (n > 0)
                return n;
            if (n != -EAGAIN) {
                stream->eof = n == 0;
                return n;
            }
            RP_TRY(wait_for_bytes(co, stream));
        }
        waited = true;
    }
}

/*
 * Reads ahead until `length` bytes are there: returns how many are, fewer only at the end of the stream; or an error,
 * and what has come stays.
 */
static ssize_t fill(rp_co *co, rp_stream *stream, size_t length)
{
    rp_bytes *ahead = &stream->ahead;
    ssize_t n = 1;

    while (buffered(stream) < length && n > 0) {
        RP_TRY(make_room(stream, CHUNK));
        n = receive(co, stream, ahead->data + ahead->end, ahead->capacity - ahead->end);
        if (n < 0)
            return n;
        ahead->end += (size_t)n;
    }
    return (ssize_t)buffered(stream);
}

/* Brackets of every reading call: there is one at a time. After end() the stream may be gone. */
static inline int begin(rp_co *co, rp_stream *stream, const char *function)
{
    RP_TRY(rp_co_here(co));
    if (stream->closed)
        return rp_stream_closed(stream, function);
    if (stream->reading)
        return -EBUSY;
    stream->reading = true;
    return 0;
}

static inline ssize_t end(rp_stream *stream, ssize_t result)
{
    assert(stream->reading);
    stream->reading = false;
    if (stream->released)
        rp_stream_free_if_done(stream);
    return result;
}

/* ---- what there is ---- */

ssize_t rp_stream_read(rp_co *co, rp_stream *stream, void *buffer, size_t length)
{
    if (length == 0) {
        RP_TRY(rp_co_here(co));
        return rp_stream_freed(stream, __func__) ? -EBADF : 0;
    }
    RP_TRY(begin(co, stream, __func__));
    if (is_empty(stream))
        return end(stream, receive(co, stream, buffer, length));
    return end(stream, take(stream, buffer, at_most(length, buffered(stream))));
}

ssize_t rp_stream_peek(rp_co *co, rp_stream *stream, void *buffer, size_t length)
{
    ssize_t n;

    RP_TRY(begin(co, stream, __func__));
    if (length > stream->limit)
        return end(stream, RP_ELIMIT);
    n = fill(co, stream, length);
    if (n < 0)
        return end(stream, n);
    length = at_most(length, (size_t)n);
    copy_out(stream, buffer, length);
    return end(stream, (ssize_t)length);
}

size_t rp_stream_buffered(const rp_stream *stream)
{
    if (rp_stream_freed(stream, __func__))
        return 0;
    return buffered(stream);
}

/* ---- exactly so much ---- */

/* Few bytes: read ahead, since one receive may well bring several such pieces. */
static ssize_t read_small(rp_co *co, rp_stream *stream, void *buffer, size_t length)
{
    ssize_t n = fill(co, stream, length);

    if (n < 0)
        return n;
    stream->partial = (size_t)take(stream, buffer, at_most(length, (size_t)n));
    return stream->partial < length ? RP_EOF : (ssize_t)length;
}

/* Many: straight into the caller's buffer. */
static ssize_t read_large(rp_co *co, rp_stream *stream, void *buffer, size_t length)
{
    size_t ahead = at_most(buffered(stream), length);
    size_t done = ahead;
    char *bytes = buffer;
    ssize_t n = 1;

    RP_TRY(make_room(stream, length - ahead));
    copy_out(stream, bytes, ahead);
    while (done < length && n > 0) {
        n = receive(co, stream, bytes + done, length - done);
        done += n > 0 ? (size_t)n : 0;
    }
    if (n < 0) { /* back with what came besides */
        memcpy(stream->ahead.data + stream->ahead.end, bytes + ahead, done - ahead);
        stream->ahead.end += done - ahead;
        return n;
    }
    consume(stream, ahead);
    stream->partial = done;
    return done < length ? RP_EOF : (ssize_t)length;
}

ssize_t rp_stream_read_exactly(rp_co *co, rp_stream *stream, void *buffer, size_t length)
{
    RP_TRY(begin(co, stream, __func__));
    if (length > SSIZE_MAX)
        return end(stream, -EINVAL);
    stream->partial = 0;
    return end(stream, (length <= CHUNK ? read_small : read_large)(co, stream, buffer, length));
}

/* ---- up to a separator ---- */

/*
 * Reads ahead until a separator is there, and returns the length up to and with it; nothing is consumed. RP_ELIMIT if
 * more than the stream's limit comes before it, or it does not end within `size`; RP_EOF.
 */
static ssize_t find(rp_co *co, rp_stream *stream, size_t size, const void *separator, size_t separator_length)
{
    size_t from = 0; /* no separator begins before */

    for (;;) {
        size_t there = buffered(stream);
        const char *found = NULL;
        ssize_t n;

        if (there - from >= separator_length)
            found = rp_search(first(stream) + from, there - from, separator, separator_length);
        if (found) {
            from = (size_t)(found - first(stream));
            if (from > stream->limit || from + separator_length > size)
                return RP_ELIMIT;
            return (ssize_t)(from + separator_length);
        }
        if (there >= separator_length)
            from = there - separator_length + 1;
        if (from > stream->limit || there > size)
            return RP_ELIMIT;
        n = fill(co, stream, there + 1);
        if (n < 0)
            return n;
        if ((size_t)n == there)
            return RP_EOF;
    }
}

ssize_t rp_stream_read_until(rp_co *co, rp_stream *stream, void *buffer, size_t size, const void *separator,
                             size_t separator_length)
{
    ssize_t n;

    RP_TRY(begin(co, stream, __func__));
    if (separator_length == 0)
        return end(stream, -EINVAL);
    n = find(co, stream, size, separator, separator_length);
    stream->partial = n > 0 ? (size_t)n : n == RP_EOF ? buffered(stream) : 0;
    take(stream, buffer, stream->partial);
    return end(stream, n);
}

/* The line is too long: it is dropped, up to its end or as far as it has arrived. */
static void skip_line(rp_stream *stream)
{
    const char *newline = memchr(first(stream), '\n', buffered(stream));

    consume(stream, newline ? (size_t)(newline - first(stream)) + 1 : buffered(stream));
}

ssize_t rp_stream_read_line(rp_co *co, rp_stream *stream, char *line, size_t size)
{
    ssize_t n;

    RP_TRY(begin(co, stream, __func__));
    if (size == 0)
        return end(stream, -EINVAL);
    line[0] = '\0';
    n = find(co, stream, size - 1, "\n", 1);
    if (n == RP_EOF)
        n = (ssize_t)buffered(stream);
    stream->partial = n > 0 ? (size_t)n : 0;
    if (n == RP_ELIMIT)
        skip_line(stream);
    if (n > 0) {
        take(stream, line, (size_t)n);
        line[n] = '\0';
    }
    return end(stream, n);
}

size_t rp_stream_partial(const rp_stream *stream)
{
    return rp_stream_freed(stream, __func__) ? 0 : stream->partial;
}

int rp_stream_set_limit(rp_stream *stream, size_t limit)
{
    if (rp_stream_freed(stream, __func__))
        return -EBADF;
    if (limit == 0)
        return -EINVAL;
    stream->limit = limit;
    return 0;
}

bool rp_stream_at_eof(const rp_stream *stream)
{
    if (rp_stream_freed(stream, __func__))
        return true;
    return stream->eof && buffered(stream) == 0;
}
