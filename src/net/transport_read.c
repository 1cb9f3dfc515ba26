/*
 * transport_read.c - the reading side of a transport: what has arrived goes to the protocol.
 *
 * One receive stream operation is in flight all the time. When it says that there may be something, the transport takes
 * it, straight into the protocol's buffer or else into the loop's. Pausing only sets a flag: what has arrived stays in
 * the kernel, and the peer is held back.
 *
 * Each callback may replace the protocol, pause, close or abort. So the transport is looked at anew after each of them,
 * and no byte leaves the kernel before the protocol that is to have it is known. It may also fork: what is in the
 * kernel is the parent's.
 */
#include "base/leave.h"
#include "base/socket.h"
#include "net/transport.h"

enum { ROUNDS = 8 }; /* receives in a row before others get their turn */

static bool can_pull(const rp_transport *transport)
{
    return transport->receiving && !transport->paused && !transport->eof_received && !transport->closing &&
           rp_op_receivable(&transport->receive);
}

static void pull_soon(rp_transport *transport)
{
    if (can_pull(transport) && !rp_handle_scheduled(&transport->pull))
        rp_loop_ready(transport->loop, &transport->pull);
}

/*
 * A socket tells of a reset once. If a send in the background is told, the reader sees a stream that seems to have
 * ended. A socket that still lets us send has not been reset; with any other one the send completes before long, and
 * says how it ended.
 */
static bool end_is_certain(const rp_transport *transport)
{
    return !transport->sending || !rp_socket_has_ended(transport->fd);
}

/* Bytes, 0 at the end of the stream, -EAGAIN or an error: also the one that a write was told in the reader's place. */
static int64_t take(rp_transport *transport, void *buffer, size_t length)
{
    int64_t received = rp_op_receive(&transport->receive, buffer, length);

    if (received != 0)
        return received;
    if (transport->end_hidden)
        return transport->error;
    return end_is_certain(transport) ? 0 : -EAGAIN;
}

/* When writing has failed there is nothing to keep the transport open for. */
static void receive_eof(rp_transport *transport)
{
    const rp_protocol *protocol = transport->protocol;

    transport->eof_received = true;
    if (!protocol->eof_received || !protocol->eof_received(transport->self) || transport->error < 0)
        rp_transport_close(transport);
}

/* Where the protocol wants the next bytes. False if that is not to be known any more, since it has changed things. */
static bool find_buffer(rp_transport *transport, void **buffer, size_t *length)
{
    const rp_protocol *protocol = transport->protocol;
    void *self = transport->self;

    if (!protocol->get_buffer) {
        *buffer = rp_loop_receive_buffer(transport->loop);
        *length = RP_LOOP_RECEIVE_BUFFER;
        if (!*buffer)
            rp_transport_fail(transport, -ENOMEM, "no memory for the loop's receive buffer");
        return *buffer != NULL;
    }
    protocol->get_buffer(self, RP_LOOP_RECEIVE_BUFFER, buffer, length);
    if (transport->protocol != protocol || transport->self != self || !can_pull(transport) ||
        rp_loop_is_forked(transport->loop))
        return false;
    if (*length == 0)
        rp_transport_fail(transport, -EINVAL, "get_buffer() gave an empty buffer");
    return *length > 0;
}

static void receive_once(rp_transport *transport)
{
    void *buffer = NULL;
    size_t length = 0;
    int64_t received;

    if (!find_buffer(transport, &buffer, &length))
        return;
    const rp_protocol *protocol = transport->protocol;
    received = take(transport, buffer, length);
    if (received == 0)
        receive_eof(transport);
    else if (received < 0 && received != -EAGAIN)
        rp_transport_fail(transport, (int)received, "fatal read error on socket transport");
    else if (received > 0 && protocol->get_buffer && protocol->buffer_updated)
        protocol->buffer_updated(transport->self, (size_t)received);
    else if (received > 0 && !protocol->get_buffer && protocol->data_received)
        protocol->data_received(transport->self, buffer, (size_t)received);
}

static void pull_rest(rp_transport **pulled)
{
    pull_soon(*pulled);
}

void rp_transport_pull(void *arg)
{
    rp_transport *transport RP_ON_LEAVE(pull_rest) = arg;

    for (int i = 0; i < ROUNDS && can_pull(transport); i++) {
        if (transport->protocol->receivable) {
            transport->paused = true;
            transport->protocol->receivable(transport->self);
            return; /* whatever lifts the pause has the next pull scheduled */
        }
        receive_once(transport);
        if (rp_loop_is_forked(transport->loop))
            return;
    }
}

static void on_receivable(rp_op *op)
{
    rp_transport *transport = op->data;

    transport->receiving = op->flags & RP_OP_MORE;
    if (transport->receiving) {
        rp_transport_pull(transport);
        return;
    }
    if (transport->closing)
        rp_transport_settle(transport);
    else if (op->result < 0)
        rp_transport_fail(transport, (int)op->result, "fatal read error on socket transport");
    else
        rp_transport_start_receiving(transport);
}

void rp_transport_start_receiving(rp_transport *transport)
{
    int rc;

    rp_op_recv_stream(&transport->receive, transport->fd, on_receivable, transport);
    rc = rp_submit(transport->loop, &transport->receive);
    transport->receiving = rc == 0;
    if (rc < 0)
        rp_transport_fail(transport, rc, "cannot receive on socket transport");
}

int64_t rp_transport_try_read(rp_transport *transport, void *buffer, size_t length)
{
    int64_t received;

    RP_TRY(rp_loop_check(transport->loop)); /* a child of fork() would take the parent's bytes */
    if (transport->closing)
        return transport->error ? transport->error : -EPIPE;
    if (transport->eof_received)
        return 0;
    if (length == 0)
        return -EINVAL;
    if (!rp_op_receivable(&transport->receive))
        return -EAGAIN;
    received = take(transport, buffer, length);
    if (received == 0)
        transport->eof_received = true;
    if (received == 0 && transport->error < 0)
        rp_transport_lose(transport, 0);
    else if (received < 0 && received != -EAGAIN)
        rp_transport_fail(transport, (int)received, "fatal read error on socket transport");
    return received;
}

void rp_transport_pause_reading(rp_transport *transport)
{
    transport->paused = true;
}

void rp_transport_resume_reading(rp_transport *transport)
{
    transport->paused = false;
    pull_soon(transport);
}

bool rp_transport_is_reading(const rp_transport *transport)
{
    return !transport->paused && !transport->closing;
}

/* One that takes the end for itself is told of it too, even if the one before was: the socket goes on telling. */
void rp_transport_set_protocol(rp_transport *transport, const rp_protocol *protocol, void *self)
{
    transport->protocol = protocol;
    transport->self = self;
    if (protocol->receivable) {
        transport->eof_received = false;
        pull_soon(transport);
    }
}
