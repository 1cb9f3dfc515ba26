/*
 * socket_transport.c - the kind of transport that is a connected stream socket: TCP's or a Unix one.
 *
 * One receive stream operation is in flight all the time, so what arrives stays in the kernel until somebody takes it.
 * Writing is one send() while the socket has room; after that one send operation at a time carries the buffer's front
 * away.
 */
#include "net/socket_transport.h"

#include "base/list.h"
#include "net/transport_read.h"
#include "net/transport_write.h"
#include "proactor/proactor.h"

typedef struct socket_transport {
    rp_transport base;
    rp_fd fd;
    int family;    /* 0: nobody has told it */
    rp_op receive; /* a receive stream, from start to end */
    rp_op send;    /* sends the buffer's front */
} socket_transport;

#if UINTPTR_MAX > UINT32_MAX && !defined(_WIN32)
_Static_assert(offsetof(socket_transport, receive.u) <= offsetof(rp_transport, buffer.size) / 64 * 64 + 128,
               "what each message touches of a transport lies in two cache lines");
#endif

static socket_transport *socket_of(rp_transport *transport)
{
    return rp_container_of(transport, socket_transport, base);
}

/* ---- reading ---- */

static void on_receivable(rp_op *op)
{
    socket_transport *self = rp_container_of(op, socket_transport, receive);

    if (op->flags & RP_OP_MORE)
        rp_transport_arrived(&self->base);
    else
        rp_transport_stopped(&self->base, op->result < 0 ? (int)op->result : 0);
}

static int start(rp_transport *transport)
{
    socket_transport *self = socket_of(transport);

    rp_op_recv_stream(&self->receive, self->fd, on_receivable, NULL);
    self->receive.u.stream.family = self->family;
    return rp_submit(transport->loop, &self->receive);
}

static void stop(rp_transport *transport)
{
    rp_cancel(transport->loop, &socket_of(transport)->receive);
}

/*
 * A socket tells of a reset once. If a send in the background is told, the reader sees a stream that seems to have
 * ended. A socket that still lets us send has not been reset; with any other one the send completes before long, and
 * says how it ended.
 */
static int64_t receive_end(const socket_transport *self)
{
    if (self->base.end_hidden)
        return self->base.error;
    return self->base.sending && rp_kernel_has_ended(self->base.loop->kernel, self->fd) ? -EAGAIN : 0;
}

static int64_t receive(rp_transport *transport, void *buffer, size_t length)
{
    socket_transport *self = socket_of(transport);
    int64_t received = rp_proactor_receive(&self->receive, buffer, length);

    transport->readable = rp_op_receivable(&self->receive);
    return received != 0 ? received : receive_end(self);
}

/* ---- writing ---- */

static int64_t send_now(rp_transport *transport, const struct iovec *vector, int count)
{
    rp_fd fd = socket_of(transport)->fd;

    if (count == 1)
        return rp_kernel_send(transport->loop->kernel, fd, vector->iov_base, vector->iov_len);
    return rp_kernel_sendv(transport->loop->kernel, fd, vector, count);
}

static void on_sent(rp_op *op)
{
    rp_transport_sent(&rp_container_of(op, socket_transport, send)->base, op->result);
}

/* Not RP_SEND_ALL: an error after a part would be lost, and the socket tells of it once. */
static int send_soon(rp_transport *transport, const void *data, size_t length)
{
    socket_transport *self = socket_of(transport);

    rp_op_send(&self->send, self->fd, data, length, 0, on_sent, NULL);
    self->send.u.buffer.stream = true;
    return rp_submit(transport->loop, &self->send);
}

static int64_t sendfile_now(rp_transport *transport, rp_fd file, int64_t offset, size_t length)
{
    return rp_kernel_sendfile(transport->loop->kernel, socket_of(transport)->fd, file, offset, length);
}

static void on_room(rp_op *op)
{
    rp_transport_sent(&rp_container_of(op, socket_transport, send)->base, op->result < 0 ? op->result : 0);
}

static int await_room(rp_transport *transport)
{
    socket_transport *self = socket_of(transport);

    rp_op_poll(&self->send, self->fd, RP_POLL_OUT, on_room, NULL);
    return rp_submit(transport->loop, &self->send);
}

static void cancel(rp_transport *transport)
{
    rp_cancel(transport->loop, &socket_of(transport)->send);
}

static int write_eof(rp_transport *transport)
{
    int rc = rp_kernel_shutdown(transport->loop->kernel, socket_of(transport)->fd, SHUT_WR);

    return rc == -ENOTCONN ? -ECONNRESET : rc; /* it was connected: the peer has reset it since */
}

/* ---- the end ---- */

static void finish(rp_transport *transport)
{
    rp_transport_lose(transport, 0);
}

static void reset(rp_transport *transport)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    rp_kernel_set(transport->loop->kernel, socket_of(transport)->fd, SOL_SOCKET, SO_LINGER, &linger,
                  sizeof linger);
}

static void release(rp_transport *transport)
{
    rp_loop_close_socket(transport->loop, socket_of(transport)->fd);
}

static rp_fd descriptor(const rp_transport *transport)
{
    return rp_container_of(transport, const socket_transport, base)->fd;
}

/* ---- the beginning ---- */

static const rp_transport_kind kind = {
    .size = sizeof(socket_transport),
    .start = start,
    .stop = stop,
    .receive = receive,
    .writev = send_now,
    .send = send_soon,
    .cancel = cancel,
    .sendfile = sendfile_now,
    .await_room = await_room,
    .write_eof = write_eof,
    .finish = finish,
    .reset = reset,
    .release = release,
    .fd = descriptor,
};

rp_transport *rp_socket_transport_new(rp_loop *loop, rp_fd fd)
{
    rp_transport *transport = rp_transport_new(loop, &kind);

    if (transport)
        socket_of(transport)->fd = fd;
    return transport;
}

void rp_socket_transport_set_family(rp_transport *transport, int family)
{
    socket_of(transport)->family = family;
}

int rp_connect_accepted_socket(rp_loop *loop, rp_fd fd, const rp_protocol *protocol, void *self,
                               rp_transport **transport)
{
    int type = rp_kernel_type(loop->kernel, fd);

    RP_TRY(rp_loop_check(loop));
    RP_TRY(type);
    if (type != SOCK_STREAM || rp_kernel_listens(loop->kernel, fd) != 0)
        return -EINVAL;
    *transport = rp_socket_transport_new(loop, fd);
    if (!*transport)
        return -ENOMEM;
    rp_kernel_set_nonblocking(loop->kernel, fd);
    rp_kernel_set_number(loop->kernel, fd, IPPROTO_TCP, TCP_NODELAY,
                         1); /* a Unix socket refuses, and needs none */
    rp_transport_start(*transport, protocol, self);
    return 0;
}
