/*
 * transport_read.c - the reading side of a transport: what has arrived goes to the protocol.
 *
 * When its kind says that there may be something, the transport takes it, straight into the protocol's buffer or else
 * into the loop's. A protocol that takes its bytes itself (`receivable`) is only told, and that pauses the transport.
 * Pausing only sets a flag: what has arrived stays where it is, and the peer is held back.
 *
 * Each callback may replace the protocol, pause, close or abort. So the transport is looked at anew after each of them,
 * and no byte is taken before the protocol that is to have it is known. It may also fork: what has arrived is the
 * parent's.
 */
#include "net/transport_read.h"

#include <assert.h>

#include "base/leave.h"
#include "base/rare.h"

enum { RECEIVES = 8 }; /* in a row, before others get their turn */

/* Whether somebody wants to have what arrives. */
static bool is_wanted(const rp_transport *transport)
{
    return !(transport->reading_paused || transport->eof_received || transport->closing);
}

static bool can_pull(const rp_transport *transport)
{
    return transport->readable && transport->receiving && is_wanted(transport);
}

static void pull(void *arg);

void rp_transport_pull_next_turn(rp_transport *transport)
{
    if (transport->pulled_soon || !transport->receiving) /* its handle is in use before that */
        return;
    transport->pulled_soon = true;
    rp_loop_arrive_call(transport->loop, &transport->reading, pull, transport);
}

static inline void pull_soon(rp_transport *transport)
{
    if (can_pull(transport))
        rp_transport_pull_next_turn(transport);
}

/* When writing has failed, or there is none, there is nothing to keep the transport open for. */
static void receive_eof(rp_transport *transport)
{
    const rp_protocol *protocol = transport->protocol;

    assert(!transport->eof_received && !transport->lost);
    transport->eof_received = true;
    if (!protocol->eof_received || !protocol->eof_received(transport->self) || transport->error < 0 ||
        !transport->kind->writev)
        rp_transport_close(transport);
}

static void fail_reading(rp_transport *transport, int64_t error)
{
    rp_transport_fail(transport, (int)error, RP_WHERE_READ);
}

static void receive_data(rp_transport *transport)
{
    const rp_protocol *protocol = transport->protocol;
    void *buffer = rp_loop_receive_buffer(transport->loop);
    int64_t received;

    if (!buffer) {
        rp_transport_fail(transport, -ENOMEM, RP_WHERE_READ_MEMORY);
        return;
    }
    received = transport->kind->receive(transport, buffer, RP_LOOP_RECEIVE_BUFFER);
    if (received == 0)
        receive_eof(transport);
    else if (received < 0 && received != -EAGAIN)
        fail_reading(transport, received);
    else if (received > 0 && protocol->data_received)
        protocol->data_received(transport->self, buffer, (size_t)received);
}

/* Into the buffer that the protocol gives. By that call it may change things, so that nothing is received. */
static int64_t receive_into(rp_transport *transport, void **buffer)
{
    const rp_protocol *protocol = transport->protocol;
    void *self = transport->self;
    size_t length = 0;
    int64_t received;

    protocol->get_buffer(self, RP_LOOP_RECEIVE_BUFFER, buffer, &length);
    if (transport->protocol != protocol || transport->self != self || !can_pull(transport) ||
        !rp_loop_may_go_on(transport->loop))
        return -EAGAIN;
    received = !*buffer ? -ENOBUFS : length == 0 ? -EINVAL : 0;
    if (received < 0) {
        rp_transport_fail(transport, (int)received, RP_WHERE_GET_BUFFER);
        return received;
    }
    received = transport->kind->receive(transport, *buffer, length);
    if (received < 0 && received != -EAGAIN)
        fail_reading(transport, received);
    return received;
}

/* The buffer is given back to whoever gave it. That may change things again: the end is told if it is still to be. */
static void receive_buffered(rp_transport *transport)
{
    const rp_protocol *protocol = transport->protocol;
    void *self = transport->self, *buffer = NULL;
    int64_t received = receive_into(transport, &buffer);

    if (received > 0 && protocol->buffer_updated)
        protocol->buffer_updated(self, (size_t)received);
    else if (received <= 0 && buffer && protocol->buffer_unused)
        protocol->buffer_unused(self);
    if (received == 0 && can_pull(transport) && !rp_loop_is_forked(transport->loop))
        receive_eof(transport);
}

static void pull_rest(rp_transport **pulled)
{
    pull_soon(*pulled);
}

/* Some pieces of what has arrived; the rest comes after others had their turn. */
static void hand_over(rp_transport *pulled)
{
    rp_transport *transport RP_ON_LEAVE(pull_rest) = pulled;
    const rp_protocol *protocol;
    unsigned count = 0;

    while (can_pull(transport) && !transport->protocol->receivable) {
        protocol = transport->protocol;
        if (count++ >= (protocol->receives ? protocol->receives : RECEIVES)) /* it may have changed */
            return;
        if (protocol->get_buffer)
            receive_buffered(transport);
        else
            receive_data(transport);
        if (!rp_loop_may_go_on(transport->loop))
            return;
    }
}

/* A protocol with `receivable` is told once: rp_transport_resume_reading() lifts the pause, and schedules the next. */
static inline void pull_now(rp_transport *transport)
{
    if (!transport->protocol->receivable) {
        hand_over(transport);
        return;
    }
    transport->reading_paused = true;
    transport->protocol->receivable(transport->self);
}

static void pull(void *arg)
{
    rp_transport *transport = arg;

    transport->pulled_soon = false;
    if (can_pull(transport))
        pull_now(transport);
}

void rp_transport_arrived(rp_transport *transport)
{
    assert(transport->receiving);
    transport->readable = true;
    if (is_wanted(transport) && !transport->pulled_soon)
        pull_now(transport);
}

void rp_transport_stopped(rp_transport *transport, int error)
{
    assert(transport->receiving);
    transport->receiving = false;
    if (transport->closing)
        rp_transport_settle(transport);
    else if (error < 0)
        rp_transport_fail(transport, error, RP_WHERE_READ);
    else
        rp_transport_start_receiving(transport);
}

int64_t rp_transport_take_nothing(const rp_transport *transport, size_t length)
{
    if (!transport->kind->receive)
        return -ENOTSUP;
    if (transport->closing)
        return transport->error ? transport->error : -EPIPE;
    if (transport->eof_received)
        return 0;
    return length == 0 ? -EINVAL : -EAGAIN;
}

/* When writing has failed there is nothing to keep the transport open for. */
void rp_transport_take_end(rp_transport *transport, int64_t received)
{
    assert(!transport->eof_received && !transport->lost);
    transport->eof_received = received == 0;
    if (received < 0)
        fail_reading(transport, received);
    else if (transport->error < 0)
        rp_transport_lose(transport, 0);
}

int64_t rp_transport_try_read(rp_transport *transport, void *buffer, size_t length)
{
    return rp_transport_take(transport, buffer, length);
}

void rp_transport_pause_reading(rp_transport *transport)
{
    transport->reading_paused = true;
}

void rp_transport_resume_reading(rp_transport *transport)
{
    transport->reading_paused = false;
    pull_soon(transport);
}

bool rp_transport_is_reading(const rp_transport *transport)
{
    return !transport->reading_paused && !transport->closing && transport->kind->receive;
}

/* A protocol that takes the end by itself is told of it, even if the one before was: the socket goes on telling it. */
void rp_transport_set_protocol(rp_transport *transport, const rp_protocol *protocol, void *self)
{
    transport->protocol = protocol;
    transport->self = self;
    if (protocol->receivable) {
        transport->eof_received = false;
        pull_soon(transport);
    }
}
