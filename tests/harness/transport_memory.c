/*
 * transport_memory.c - a transport in memory is one end of a pair: each end has an inbox of a few bytes, and the other
 * one puts into it what there is room for.
 */
#include "base/list.h"
#include "harness/kinds.h"
#include "harness/wire.h"
#include "net/transport_read.h"
#include "net/transport_write.h"

enum { INBOX = 1000 };

typedef struct memory memory;
struct memory {
    rp_transport base;
    memory *peer; /* NULL: it is gone */
    char inbox[INBOX];
    size_t filled;
    bool ended;       /* nothing more comes into the inbox */
    bool reset;       /* because the peer has aborted */
    bool aborts;      /* so will this one */
    rp_handle news;   /* something has come into the inbox, or the end */
    const void *data; /* that is being sent, or NULL */
    size_t length;
    bool cancelled; /* and so to be given back */
    rp_handle room; /* there may be room in the peer's inbox, or sending was cancelled */
};

static memory *memory_of(rp_transport *transport)
{
    return rp_container_of(transport, memory, base);
}

static void call(memory *self, rp_handle *handle, rp_callback *callback)
{
    if (rp_handle_scheduled(handle))
        return;
    rp_handle_prepare(handle, self->base.loop, callback, self);
    rp_loop_ready(self->base.loop, handle);
}

static void tell_news(void *arg)
{
    memory *self = arg;

    if (self->base.receiving)
        rp_transport_arrived(&self->base);
}

static int memory_start(rp_transport *transport)
{
    memory *self = memory_of(transport);

    if (self->filled > 0 || self->ended)
        call(self, &self->news, tell_news);
    return 0;
}

static void memory_stop(rp_transport *transport)
{
    rp_transport_stopped(transport, 0);
}

static int64_t put(memory *self, const void *data, size_t length)
{
    memory *peer = self->peer;
    size_t room;

    if (!peer)
        return self->reset ? -ECONNRESET : -EPIPE;
    room = INBOX - peer->filled < length ? INBOX - peer->filled : length;
    if (room == 0)
        return length == 0 ? 0 : -EAGAIN;
    memcpy(peer->inbox + peer->filled, data, room);
    peer->filled += room;
    call(peer, &peer->news, tell_news);
    return (int64_t)room;
}

static void try_to_send(void *arg)
{
    memory *self = arg;
    int64_t sent;

    if (!self->data)
        return;
    sent = self->cancelled ? -ECANCELED : put(self, self->data, self->length);
    if (sent == -EAGAIN)
        return;
    self->data = NULL;
    rp_transport_sent(&self->base, sent);
}

static int64_t memory_receive(rp_transport *transport, void *buffer, size_t length)
{
    memory *self = memory_of(transport);

    if (self->filled == 0 && self->ended)
        return self->reset ? -ECONNRESET : 0;
    if (length > self->filled)
        length = self->filled;
    memcpy(buffer, self->inbox, length);
    self->filled -= length;
    memmove(self->inbox, self->inbox + length, self->filled);
    transport->readable = self->filled > 0 || self->ended;
    if (self->peer)
        call(self->peer, &self->peer->room, try_to_send);
    return length > 0 ? (int64_t)length : -EAGAIN;
}

static int64_t memory_writev(rp_transport *transport, const struct iovec *vector, int count)
{
    int64_t sent, total = 0;

    for (int i = 0; i < count; i++) {
        sent = put(memory_of(transport), vector[i].iov_base, vector[i].iov_len);
        if (sent < 0)
            return total > 0 ? total : sent;
        total += sent;
        if ((size_t)sent < vector[i].iov_len)
            break;
    }
    return total;
}

static int memory_send(rp_transport *transport, const void *data, size_t length)
{
    memory *self = memory_of(transport);

    CHECK(!self->data);
    self->data = data;
    self->length = length;
    self->cancelled = false;
    call(self, &self->room, try_to_send);
    return 0;
}

static void memory_cancel(rp_transport *transport)
{
    memory_of(transport)->cancelled = true;
    call(memory_of(transport), &memory_of(transport)->room, try_to_send);
}

static int memory_write_eof(rp_transport *transport)
{
    memory *peer = memory_of(transport)->peer;

    if (!peer)
        return -EPIPE;
    peer->ended = true;
    call(peer, &peer->news, tell_news);
    return 0;
}

static void memory_finish(rp_transport *transport)
{
    rp_transport_lose(transport, 0);
}

static void memory_reset(rp_transport *transport)
{
    memory_of(transport)->aborts = true;
}

static void memory_release(rp_transport *transport)
{
    memory *self = memory_of(transport), *peer = self->peer;

    rp_handle_cancel(&self->news);
    rp_handle_cancel(&self->room);
    if (!peer)
        return;
    peer->peer = NULL;
    peer->ended = true;
    peer->reset = self->aborts;
    if (rp_loop_is_closed(transport->loop))
        return;
    call(peer, &peer->news, tell_news);
    call(peer, &peer->room, try_to_send);
}

static rp_fd no_descriptor(const rp_transport *transport)
{
    return -1;
}

static const rp_transport_kind memory_kind = {
    .size = sizeof(memory),
    .start = memory_start,
    .stop = memory_stop,
    .receive = memory_receive,
    .writev = memory_writev,
    .send = memory_send,
    .cancel = memory_cancel,
    .write_eof = memory_write_eof,
    .finish = memory_finish,
    .reset = memory_reset,
    .release = memory_release,
    .fd = no_descriptor,
};

void start_memory(rp_loop *loop, const rp_protocol *protocol, void *const selves[2])
{
    rp_transport *ends[2] = {rp_transport_new(loop, &memory_kind), rp_transport_new(loop, &memory_kind)};

    CHECK(ends[0] && ends[1]);
    memory_of(ends[0])->peer = memory_of(ends[1]);
    memory_of(ends[1])->peer = memory_of(ends[0]);
    rp_transport_start(ends[0], protocol, selves[0]);
    rp_transport_start(ends[1], protocol, selves[1]);
}
