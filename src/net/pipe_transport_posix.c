/*
 * pipe_transport_posix.c - transports that move bytes one way: a pipe's end, a FIFO, a terminal or the like.
 *
 * What there is to read is announced, and stays in the kernel until somebody takes it. What cannot be written at once
 * waits for room, and is tried again. While the writing end is open it watches for the other one's: a pipe that nobody
 * reads is lost, even if nothing is written to it.
 */
#include "net/pipe_transport.h"

#include "base/list.h"
#include "net/transport_read.h"
#include "net/transport_write.h"
#include "proactor/proactor.h"

enum { ENDS = RP_POLL_RDHUP | RP_POLL_HUP | RP_POLL_ERR };

typedef struct pipe_transport {
    rp_transport base;
    rp_pipe pipe;
    rp_op watch; /* for what arrives, or for the reader's end; from start to end */
    rp_op room;  /* what the buffer's front waits for */
    struct iovec front;
    bool unused; /* nothing was left to write when the reader had gone */
    bool lent;   /* somebody else closes the descriptor */
} pipe_transport;

static pipe_transport *pipe_of(rp_transport *transport)
{
    return rp_container_of(transport, pipe_transport, base);
}

/* ---- reading ---- */

static void on_readable(rp_op *op)
{
    pipe_transport *self = rp_container_of(op, pipe_transport, watch);

    if (op->flags & RP_OP_MORE)
        rp_transport_arrived(&self->base);
    else
        rp_transport_stopped(&self->base, op->result < 0 ? (int)op->result : 0);
}

/* A receive stream tells with less effort, but not of messages, nor of what is always ready. */
static int start_reading(rp_transport *transport)
{
    pipe_transport *self = pipe_of(transport);

    if (self->pipe.streams)
        rp_op_recv_stream(&self->watch, self->pipe.fd, on_readable, NULL);
    else
        rp_op_poll_multi(&self->watch, self->pipe.fd, RP_POLL_IN | RP_POLL_RDHUP, on_readable, NULL);
    return rp_submit(transport->loop, &self->watch);
}

static void stop_reading(rp_transport *transport)
{
    rp_cancel(transport->loop, &pipe_of(transport)->watch);
}

static int64_t receive(rp_transport *transport, void *buffer, size_t length)
{
    pipe_transport *self = pipe_of(transport);
    int64_t received;

    if (self->pipe.way == RP_PIPE_SOCKET && self->pipe.streams) {
        received = rp_proactor_receive(&self->watch, buffer, length);
        transport->readable = rp_op_receivable(&self->watch);
        return received;
    }
    return rp_kernel_read_pipe(transport->loop->kernel, &self->pipe, buffer, length, &transport->readable);
}

/* ---- writing ---- */

static void on_end(rp_op *op)
{
    pipe_transport *self = rp_container_of(op, pipe_transport, watch);
    rp_transport *transport = &self->base;

    if (!(op->flags & RP_OP_MORE)) {
        rp_transport_stopped(transport, op->result < 0 ? (int)op->result : 0);
    } else if (op->result & ENDS && !transport->lost) {
        self->unused = rp_buffer_size(&transport->buffer) == 0;
        rp_transport_fail(transport, -EPIPE, RP_WHERE_WRITE);
    }
}

/* A device has no other end. */
static int start_watching(rp_transport *transport)
{
    pipe_transport *self = pipe_of(transport);

    if (!self->pipe.tells_end)
        return 0;
    rp_op_poll_multi(&self->watch, self->pipe.fd, RP_POLL_RDHUP, on_end, NULL);
    return rp_submit(transport->loop, &self->watch);
}

/* While something is left to be written, the reader may still go. */
static void stop_watching(rp_transport *transport)
{
    if (!transport->lost)
        return;
    if (pipe_of(transport)->pipe.tells_end)
        rp_cancel(transport->loop, &pipe_of(transport)->watch);
    else
        rp_transport_stopped(transport, 0);
}

static int64_t write_now(rp_transport *transport, const struct iovec *vector, int count)
{
    return rp_kernel_write_pipe(transport->loop->kernel, &pipe_of(transport)->pipe, vector, count);
}

static int await_room(pipe_transport *self);

static void on_room(rp_op *op)
{
    pipe_transport *self = rp_container_of(op, pipe_transport, room);
    int64_t result = op->result;

    if (result >= 0 && !self->base.lost)
        result = write_now(&self->base, &self->front, 1);
    if (result == -EAGAIN) {
        int rc = await_room(self);

        if (rc == 0)
            return;
        result = rc;
    }
    rp_transport_sent(&self->base, result);
}

static int await_room(pipe_transport *self)
{
    rp_op_poll(&self->room, self->pipe.fd, RP_POLL_OUT, on_room, NULL);
    return rp_submit(self->base.loop, &self->room);
}

static int send_soon(rp_transport *transport, const void *data, size_t length)
{
    pipe_transport *self = pipe_of(transport);

    self->front = (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = length};
    return await_room(self);
}

static void cancel(rp_transport *transport)
{
    rp_cancel(transport->loop, &pipe_of(transport)->room);
}

/* ---- the end ---- */

static void finish(rp_transport *transport)
{
    rp_transport_lose(transport, 0);
}

static void release(rp_transport *transport)
{
    const pipe_transport *self = pipe_of(transport);

    rp_kernel_close_pipe(transport->loop->kernel, &self->pipe);
    if (!self->lent)
        rp_loop_close_file(transport->loop, self->pipe.fd);
}

static rp_fd descriptor(const rp_transport *transport)
{
    return rp_container_of(transport, const pipe_transport, base)->pipe.fd;
}

bool rp_pipe_transport_was_unused(const rp_transport *transport)
{
    return rp_container_of(transport, const pipe_transport, base)->unused;
}

bool rp_pipe_transport_is_hung_up(const rp_transport *transport)
{
    return rp_container_of(transport, const pipe_transport, base)->pipe.hung_up;
}

/* ---- the beginning ---- */

static const rp_transport_kind reading = {
    .size = sizeof(pipe_transport),
    .start = start_reading,
    .stop = stop_reading,
    .receive = receive,
    .finish = finish,
    .release = release,
    .fd = descriptor,
};

static const rp_transport_kind writing = {
    .size = sizeof(pipe_transport),
    .start = start_watching,
    .stop = stop_watching,
    .writev = write_now,
    .send = send_soon,
    .cancel = cancel,
    .finish = finish,
    .release = release,
    .fd = descriptor,
};

int rp_pipe_transport_new(rp_loop *loop, rp_fd fd, bool writes, rp_transport **transport)
{
    rp_transport *made;
    int rc;

    RP_TRY(rp_loop_check(loop));
    made = rp_transport_new(loop, writes ? &writing : &reading);
    if (!made)
        return -ENOMEM;
    rc = rp_kernel_open_pipe(loop->kernel, &pipe_of(made)->pipe, fd, writes);
    if (rc < 0) {
        rp_transport_discard(made);
        return rc;
    }
    made->eof_wanted = !writes; /* nothing may be written */
    *transport = made;
    return 0;
}

void rp_pipe_transport_discard(rp_transport *transport)
{
    rp_kernel_close_pipe(transport->loop->kernel, &pipe_of(transport)->pipe);
    rp_transport_discard(transport);
}

void rp_pipe_transport_lend(rp_transport *transport)
{
    pipe_of(transport)->lent = true;
}

int rp_connect_read_pipe(rp_loop *loop, rp_fd fd, const rp_protocol *protocol, void *self,
                         rp_transport **transport)
{
    RP_TRY(rp_pipe_transport_new(loop, fd, false, transport));
    rp_transport_start(*transport, protocol, self);
    return 0;
}

int rp_connect_write_pipe(rp_loop *loop, rp_fd fd, const rp_protocol *protocol, void *self,
                          rp_transport **transport)
{
    RP_TRY(rp_pipe_transport_new(loop, fd, true, transport));
    rp_transport_start(*transport, protocol, self);
    return 0;
}
