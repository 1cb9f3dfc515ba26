/*
 * datagram_send.c - sending datagrams: a lone one at once, those that follow in the same turn together at its end.
 *
 * What a turn collects, and what the socket has no room for, is one queue: so the order is that of the calls. If the
 * socket has no room, a poll waits for it. A Unix socket tells of room while its peer has none: after a wait for
 * nothing, time passes before the next try.
 *
 * An error belongs to the first datagram of a call. Of several that are sent together, some may have been sent before
 * the one that fails: that one's error is told when it comes first, by the next call.
 */
#include "net/datagram_send.h"

#include <assert.h>
#include <string.h>

#include "base/leave.h"

enum {
    COLLECTED = 2 * RP_MESSAGES_MAX, /* datagrams at most, and then they are sent before the turn ends */
    LONGEST_RETRY = 5,               /* 2 to the power of that, in milliseconds */
};

static void flush(rp_datagram_transport *self);

/* ---- flow control ---- */

static size_t buffered(const rp_datagram_transport *self)
{
    return self->queue.bytes + RP_DATAGRAM_HEADER * self->queue.count;
}

static void pause_protocol_above_high(rp_datagram_transport *self)
{
    if (self->base.writing_paused || buffered(self) <= self->base.high)
        return;
    self->base.writing_paused = true;
    if (self->protocol->pause_writing)
        self->protocol->pause_writing(self->self);
}

static void resume_protocol_at_low(rp_datagram_transport *self)
{
    if (!self->base.writing_paused || buffered(self) > self->base.low)
        return;
    self->base.writing_paused = false;
    if (self->protocol->resume_writing)
        self->protocol->resume_writing(self->self);
}

int rp_datagram_set_write_buffer_limits(rp_datagram_transport *self, size_t high, size_t low)
{
    int rc = rp_transport_set_write_buffer_limits(&self->base, high, low);

    if (rc == 0 && !self->base.lost && rp_loop_check(self->base.loop) == 0)
        pause_protocol_above_high(self);
    return rc;
}

void rp_datagram_get_write_buffer_limits(const rp_datagram_transport *self, size_t *high, size_t *low)
{
    rp_transport_get_write_buffer_limits(&self->base, high, low);
}

size_t rp_datagram_get_write_buffer_size(const rp_datagram_transport *self)
{
    return self->base.lost ? 0 : buffered(self);
}

/* ---- waiting for room ---- */

static void on_room(rp_op *op)
{
    rp_datagram_transport *self = rp_container_of(op, rp_datagram_transport, room);

    self->base.sending = self->waiting = false;
    if (self->base.lost)
        rp_transport_settle(&self->base);
    else if (op->result < 0)
        rp_transport_fail(&self->base, (int)op->result, RP_WHERE_WRITE);
    else
        flush(self);
}

static void on_retry(void *arg)
{
    rp_datagram_transport *self = arg;

    self->waiting = false;
    if (!self->base.lost)
        flush(self);
}

/* The first wait is a poll's. */
static void wait_for_room(rp_datagram_transport *self)
{
    rp_loop *loop = self->base.loop;
    unsigned power = self->futile < LONGEST_RETRY ? self->futile : LONGEST_RETRY;
    int rc;

    assert(!self->waiting);
    if (self->futile++ == 0) {
        rp_op_poll(&self->room, self->fd, RP_POLL_OUT, on_room, NULL);
        rc = rp_submit(loop, &self->room);
        self->base.sending = rc == 0;
    } else {
        rc = rp_call_later(loop, &self->retry, RP_MSEC(1) << power, on_retry, self);
    }
    self->waiting = rc == 0;
    if (rc < 0)
        rp_transport_fail(&self->base, rc, RP_WHERE_WRITE_START);
}

/* ---- sending what is collected ---- */

static void on_turn_end(void *arg)
{
    rp_datagram_transport *self = arg;

    if (!self->base.lost && !self->waiting && self->queue.count > 0)
        flush(self);
}

static void flush_later(rp_datagram_transport *self)
{
    if (!rp_handle_scheduled(&self->flush))
        rp_loop_last_call(self->base.loop, &self->flush, on_turn_end, self);
}

/* Whether an error is one of sending a message in segments, which its datagrams may not have each by itself. */
static bool is_of_segments(int error)
{
    return error == -EIO || error == -EINVAL || error == -EMSGSIZE || error == -EOPNOTSUPP;
}

/* Sends some: 0, -EAGAIN, or the error of the first datagram. *left counts those down that have left the queue. */
static int send_front(rp_datagram_transport *self, size_t *left)
{
    rp_datagram_front front;
    size_t count = 0;
    int n;

    rp_datagram_queue_front(&self->queue, self->gso, self->alone, &front);
    n = rp_kernel_send_messages(self->base.loop->kernel, self->fd, front.messages, front.count);
    if (n == -EAGAIN)
        return n;
    if (n < 0 && front.messages[0].segment > 0 && is_of_segments(n)) {
        self->alone = (size_t)front.datagrams[0];
        return 0;
    }
    for (int i = 0; i < n; i++)
        count += (size_t)front.datagrams[i];
    if (n < 0)
        count = (size_t)front.datagrams[0];
    self->alone -= self->alone < count ? self->alone : count;
    self->futile = 0;
    *left -= *left < count ? *left : count;
    rp_datagram_queue_drop(&self->queue, count);
    return n < 0 ? n : 0;
}

/* An exception may pass, or the run be interrupted: the rest goes when the turn ends. */
static void end_flush(rp_datagram_transport **place)
{
    rp_datagram_transport *self = *place;

    self->flushing = false;
    if (self->base.lost || self->waiting || rp_loop_is_forked(self->base.loop))
        return;
    if (self->queue.count > 0)
        flush_later(self);
    else if (self->base.closing)
        rp_transport_lose(&self->base, 0);
}

static void flush(rp_datagram_transport *flushed)
{
    rp_datagram_transport *self RP_ON_LEAVE(end_flush) = flushed;
    size_t left = self->queue.count; /* what is added meanwhile has its time when the next turn ends */

    assert(!self->flushing && !self->waiting);
    self->flushing = true;
    while (left > 0 && !self->base.lost) {
        int rc = send_front(self, &left);

        if (rc == -EAGAIN) {
            wait_for_room(self);
            break;
        }
        if (rc < 0 && !rp_datagram_tell_error(self, rc))
            return;
    }
    if (!self->base.lost && rp_loop_may_go_on(self->base.loop))
        resume_protocol_at_low(self);
}

void rp_datagram_send_collected(rp_datagram_transport *self)
{
    if (self->queue.count > 0 && !self->base.lost && !self->waiting && !self->flushing)
        flush(self);
}

/* ---- sending ---- */

/* Whether others may follow in this turn, with which it is to go. Between two turns none is sure to come. */
static bool is_to_be_collected(const rp_datagram_transport *self)
{
    const rp_loop *loop = self->base.loop;

    return loop->turn != RP_TURN_ENDED && (self->batched || self->turn == loop->stats.turns + 1);
}

/* Behind others, or because there was no room. */
static int keep(rp_datagram_transport *self, const void *data, size_t length, const struct sockaddr *address,
                uint32_t address_length)
{
    RP_TRY(rp_datagram_queue_add(&self->queue, data, length, address, address_length));
    if (!self->waiting && !self->flushing) {
        if (self->queue.count >= COLLECTED || buffered(self) > self->base.high)
            flush(self);
        else
            flush_later(self);
    }
    if (!self->base.lost && rp_loop_may_go_on(self->base.loop))
        pause_protocol_above_high(self);
    return 0;
}

int rp_datagram_send(rp_datagram_transport *self, const void *data, size_t length, const struct sockaddr *address,
                     uint32_t address_length)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};
    rp_message message = {.vector = &piece,
                          .count = 1,
                          .address = (struct sockaddr *)(uintptr_t)address,
                          .address_length = address_length};
    int rc;

    if (length > UINT32_MAX / 2) {
        rp_datagram_tell_error(self, -EMSGSIZE);
        return 0;
    }
    if (self->queue.count > 0 || is_to_be_collected(self))
        return keep(self, data, length, address, address_length);
    self->turn = self->base.loop->stats.turns + 1;
    rc = rp_kernel_send_messages(self->base.loop->kernel, self->fd, &message, 1);
    if (rc == -EAGAIN) {
        RP_TRY(rp_datagram_queue_add(&self->queue, data, length, address, address_length));
        if (!self->flushing)
            wait_for_room(self);
        if (!self->base.lost)
            pause_protocol_above_high(self);
    } else if (rc < 0) {
        rp_datagram_tell_error(self, rc);
    }
    return 0;
}

/* What two addresses of Internet sockets say; others are compared as they are. */
static bool same_end(const struct sockaddr *a, const struct sockaddr *b, uint32_t length)
{
    if (a->sa_family == AF_INET && b->sa_family == AF_INET) {
        const struct sockaddr_in *x = (const struct sockaddr_in *)a, *y = (const struct sockaddr_in *)b;

        return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
    }
    if (a->sa_family == AF_INET6 && b->sa_family == AF_INET6) {
        const struct sockaddr_in6 *x = (const struct sockaddr_in6 *)a, *y = (const struct sockaddr_in6 *)b;

        return x->sin6_port == y->sin6_port && memcmp(&x->sin6_addr, &y->sin6_addr, sizeof x->sin6_addr) == 0;
    }
    return memcmp(a, b, length) == 0;
}

int rp_datagram_sendto(rp_datagram_transport *self, const void *data, size_t length,
                       const struct sockaddr *address, uint32_t address_length)
{
    RP_TRY(rp_loop_check(self->base.loop));
    if (self->base.closing)
        return -EPIPE;
    if (address_length == 0) /* as that of a sender without a name */
        address = NULL;
    if (!address && !self->connected)
        return -EDESTADDRREQ;
    if (address && (address_length < sizeof address->sa_family || address_length > sizeof self->peer))
        return -EINVAL;
    if (address && self->connected &&
        (address_length != self->peer_length ||
         !same_end(address, (const struct sockaddr *)&self->peer, address_length)))
        return -EISCONN;
    if (self->connected)
        return rp_datagram_send(self, data, length, NULL, 0);
    return rp_datagram_send(self, data, length, address, address_length);
}

/* ---- the end ---- */

/* Both stand here since they send what is left. What flushes goes on to the end by itself. */
void rp_datagram_close(rp_datagram_transport *self)
{
    if (self->base.closing || rp_loop_check(self->base.loop) < 0)
        return;
    self->base.closing = true;
    if (self->flushing)
        return;
    if (self->queue.count == 0)
        rp_transport_lose(&self->base, 0);
    else if (!self->waiting)
        flush(self);
}

/* Whoever has sent before relies on that, collected or not. */
void rp_datagram_abort(rp_datagram_transport *self)
{
    if (self->base.lost || rp_loop_check(self->base.loop) < 0)
        return;
    for (size_t left = self->queue.count; left > 0 && !self->waiting;)
        if (send_front(self, &left) == -EAGAIN)
            break;
    rp_transport_lose(&self->base, 0);
}
