/*
 * stream.c - streams: their life, their protocol and their end.
 *
 * A call that waits puts its coroutine into the stream's slot (reader), or into one of its lists (writers, closers).
 * The protocol's callbacks take it out and wake it, and so does a cancellation. A coroutine that is awake is in none of
 * them. Reading is in stream_read.c, writing in stream_write.c.
 */
#include "stream/stream.h"

#include <string.h>

#include "base/memory.h"
#include "loop/resource.h"

enum {
    DEFAULT_LIMIT = 64 * 1024,
    STREAK = 32, /* calls in one turn that need not suspend, before one yields */
};

/* ---- life ---- */

static void free_stream(rp_stream *stream)
{
    rp_resource_remove(&stream->resource);
    rp_free(stream->ahead.data);
    rp_free(stream->name);
    rp_free_lines(stream);
}

void rp_stream_free_if_done(rp_stream *stream)
{
    if (!stream->released || stream->reading || stream->uses > 0 || stream->transport)
        return;
    if (!stream->kept) {
        free_stream(stream);
        return;
    }
    rp_free(stream->ahead.data);
    stream->ahead = (rp_bytes){0};
}

static void reap(rp_resource *resource)
{
    free_stream(rp_container_of(resource, rp_stream, resource));
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

rp_stream *rp_stream_new(rp_loop *loop)
{
    rp_stream *stream = rp_calloc_lines(sizeof *stream);

    if (!stream)
        return NULL;
    stream->loop = loop;
    stream->limit = DEFAULT_LIMIT;
    rp_list_init(&stream->writers);
    rp_list_init(&stream->closers);
    rp_resource_add(loop, &stream->resource, &resource_type);
    return stream;
}

void rp_stream_discard(rp_stream *stream)
{
    free_stream(stream);
}

/* ---- waiting ---- */

int rp_stream_give_way(rp_co *co, rp_stream *stream)
{
    if (stream->turn != stream->loop->stats.turns) {
        stream->turn = stream->loop->stats.turns;
        stream->streak = 0;
    }
    return ++stream->streak < STREAK ? 0 : rp_sleep(co, 0);
}

int rp_stream_wait(rp_co *co, rp_co **slot, const rp_waiting *waiting, rp_stream *stream)
{
    assert(!*slot);
    *slot = co;
    return rp_co_suspend(co, waiting, stream) ? rp_co_cancelled(co) : 0;
}

void rp_stream_wake(rp_co **slot)
{
    rp_co *co = *slot;

    *slot = NULL;
    if (co)
        rp_co_wake(co);
}

/* One of several that wait for the same. */
typedef struct waiter {
    rp_node link;
    rp_co *co;
} waiter;

static void wake_all(rp_node *waiters)
{
    rp_node *node;

    while ((node = rp_list_pop(waiters)))
        rp_co_wake(rp_container_of(node, waiter, link)->co);
}

static void interrupt_waiter(rp_co *co, void *arg)
{
    waiter *entry = arg;

    rp_list_remove(&entry->link);
    rp_co_wake(co);
}

int rp_stream_wait_in(rp_co *co, rp_node *waiters)
{
    static const rp_waiting waiting = {interrupt_waiter, NULL, "a stream to be flushed"};
    waiter entry = {.co = co};

    rp_list_push(waiters, &entry.link);
    return rp_co_suspend(co, &waiting, &entry) ? rp_co_cancelled(co) : 0;
}

/* ---- the protocol ---- */

/* Debug mode: what reports call it by, also when its connection is gone. Without memory it has no name. */
static void note_name(rp_stream *stream)
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

static void connection_made(void *self, rp_transport *transport)
{
    rp_stream *stream = self;

    stream->transport = transport;
    rp_transport_pause_reading(transport);
    if (stream->loop->debug)
        note_name(stream);
    if (stream->connected)
        stream->connected(stream);
}

static void receivable(void *self)
{
    rp_stream *stream = self;

    rp_stream_wake(&stream->reader);
}

static void pause_writing(void *self)
{
    rp_stream *stream = self;

    stream->writing_paused = true;
}

static void resume_writing(void *self)
{
    rp_stream *stream = self;

    stream->writing_paused = false;
    wake_all(&stream->writers);
}

/* The answer that may have come before is still to be read. */
static void write_failed(void *self, int error)
{
    rp_stream *stream = self;

    stream->writing_paused = true;
    stream->error = error;
    wake_all(&stream->writers);
}

static void connection_lost(void *self, int error)
{
    rp_stream *stream = self;

    stream->transport = NULL;
    stream->writing_paused = true;
    stream->lost = true;
    stream->error = error;
    rp_stream_wake(&stream->reader);
    wake_all(&stream->writers);
    wake_all(&stream->closers);
    rp_stream_free_if_done(stream);
}

const rp_protocol rp_stream_protocol = {
    .connection_made = connection_made,
    .receivable = receivable,
    .pause_writing = pause_writing,
    .resume_writing = resume_writing,
    .write_failed = write_failed,
    .connection_lost = connection_lost,
};

/* ---- ending ---- */

/* Ends what the stream has: its transport, or a handshake; or what a handshake has made, and its task not yet taken. */
static void end_transport(rp_stream *stream, void (*end)(rp_transport *transport))
{
    rp_future *securing = stream->securing;

    stream->closed = true;
    if (stream->transport)
        end(stream->transport);
    else if (securing && !rp_future_done(securing))
        rp_future_cancel(securing);
    else if (securing && !stream->lost && rp_future_value(securing))
        end(rp_future_value(securing));
    rp_stream_wake(&stream->reader);
}

void rp_stream_close(rp_stream *stream)
{
    if (rp_stream_freed(stream, __func__))
        return;
    end_transport(stream, rp_transport_close);
}

void rp_stream_abort(rp_stream *stream)
{
    if (rp_stream_freed(stream, __func__))
        return;
    end_transport(stream, rp_transport_abort);
}

int rp_stream_wait_closed(rp_co *co, rp_stream *stream)
{
    int rc;

    RP_TRY(rp_co_here(co));
    if (rp_stream_freed(stream, __func__))
        return -EBADF;
    if (stream->lost)
        return stream->error;
    RP_TRY(rp_co_check(co));
    rp_stream_enter(stream);
    rc = rp_stream_wait_in(co, &stream->closers);
    if (rc == 0)
        rc = stream->error;
    rp_stream_leave(stream);
    return rc;
}

void rp_stream_free(rp_stream *stream)
{
    if (!stream || rp_stream_freed(stream, __func__))
        return;
    rp_stream_close(stream);
    stream->released = true;
    if (stream->loop->debug && !stream->name)
        note_name(stream);
    stream->kept = stream->loop->debug; /* from now on each use is reported */
    rp_stream_free_if_done(stream);
}

bool rp_stream_is_closing(const rp_stream *stream)
{
    if (rp_stream_freed(stream, __func__))
        return true;
    if (stream->securing)
        return stream->closed;
    return !stream->transport || rp_transport_is_closing(stream->transport);
}

/* ---- what it stands on ---- */

/* rp_transport_peername() or rp_transport_sockname() */
typedef int ask_name(const rp_transport *transport, struct sockaddr *address, uint32_t *length);

static int format_name(const rp_stream *stream, ask_name *ask, char *text, size_t size)
{
    struct sockaddr_storage address;
    uint32_t length = sizeof address;

    if (!stream->transport)
        return -ENOTCONN;
    RP_TRY(ask(stream->transport, (struct sockaddr *)&address, &length));
    return rp_sockaddr_format((struct sockaddr *)&address, length, text, size);
}

int rp_stream_peername(const rp_stream *stream, char *text, size_t size)
{
    if (rp_stream_freed(stream, __func__))
        return -EBADF;
    return format_name(stream, rp_transport_peername, text, size);
}

int rp_stream_sockname(const rp_stream *stream, char *text, size_t size)
{
    if (rp_stream_freed(stream, __func__))
        return -EBADF;
    return format_name(stream, rp_transport_sockname, text, size);
}

rp_transport *rp_stream_transport(const rp_stream *stream)
{
    return rp_stream_freed(stream, __func__) ? NULL : stream->transport;
}
