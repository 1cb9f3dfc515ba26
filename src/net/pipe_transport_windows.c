/*
 * pipe_transport_windows.c - the kinds of transport that are pipes of Windows: of one direction, or a named pipe's two.
 *
 * Windows tells of no readiness, so that reading is an operation: one that reads into a buffer of the transport's own
 * is in flight, unless there is something in the buffer. So while reading is paused, no more than that is taken. What
 * is written is copied, and one operation at a time carries the buffer's front away: the kernel does not tell how much
 * of a write it has room for. Which operations block a thread, the proactor knows (proactor/iocp_file.c).
 *
 * An end that only writes learns that nobody reads any more by a read as well, if its handle is permitted to: so are
 * those of children's stdin.
 */
#include "net/pipe_transport.h"

#include "base/memory.h"
#include "net/transport_read.h"
#include "net/transport_write.h"
#include "proactor/pipe_handle_windows.h"
#include "proactor/proactor.h"

enum { ROOM = 64 * 1024 }; /* what is read ahead at most */

typedef struct pipe_transport {
    rp_transport base;
    rp_fd fd;
    bool is_socket; /* of which one direction is used */
    bool watches;   /* of one that only writes: it can be read, too */
    bool pending;   /* `read` is in flight */
    bool ended;     /* with `outcome`: nothing more is read */
    int outcome;
    char *bytes; /* that were read and not taken; NULL before start, and of one that only writes */
    size_t start, end;
    char watched;
    rp_op read;
    rp_op write;
} pipe_transport;

static pipe_transport *pipe_of(rp_transport *transport)
{
    return rp_container_of(transport, pipe_transport, base);
}

/* ---- reading ---- */

static void on_read(rp_op *op)
{
    pipe_transport *self = rp_container_of(op, pipe_transport, read);

    self->pending = false;
    if (self->base.closing || op->result < 0) {
        rp_transport_stopped(&self->base, self->base.closing ? 0 : (int)op->result);
        return;
    }
    self->start = 0;
    self->end = (size_t)op->result;
    self->ended = op->result == 0;
    rp_transport_arrived(&self->base);
}

static int read_on(pipe_transport *self)
{
    int rc;

    rp_op_read(&self->read, self->fd, self->bytes, ROOM, -1, on_read, NULL);
    rc = rp_submit(self->base.loop, &self->read);
    self->pending = rc == 0;
    return rc;
}

static int start_reading(rp_transport *transport)
{
    pipe_transport *self = pipe_of(transport);

    self->bytes = rp_malloc(ROOM);
    return self->bytes ? read_on(self) : -ENOMEM;
}

static void stop_reading(rp_transport *transport)
{
    pipe_transport *self = pipe_of(transport);

    if (self->pending)
        rp_cancel(transport->loop, &self->read);
    else
        rp_transport_stopped(transport, 0);
}

static int64_t receive(rp_transport *transport, void *buffer, size_t length)
{
    pipe_transport *self = pipe_of(transport);
    size_t left = self->end - self->start;

    if (left > 0) {
        length = length < left ? length : left;
        memcpy(buffer, self->bytes + self->start, length);
        self->start += length;
        if (self->start < self->end)
            return (int64_t)length;
        self->outcome = read_on(self);
        self->ended = self->outcome < 0;
        transport->readable = self->ended;
        return (int64_t)length;
    }
    if (self->ended)
        return self->outcome;
    transport->readable = false;
    return -EAGAIN;
}

/* ---- writing ---- */

/* What a reader might write is not for anybody. When it has gone, that is the end of what can be read. */
static void on_watched(rp_op *op)
{
    pipe_transport *self = rp_container_of(op, pipe_transport, read);
    rp_transport *transport = &self->base;

    self->pending = false;
    if (transport->lost) {
        rp_transport_stopped(transport, 0);
        return;
    }
    int rc = op->result > 0 ? rp_submit(transport->loop, op) : op->result < 0 ? (int)op->result : -EPIPE;
    self->pending = rc == 0;
    if (rc < 0)
        rp_transport_fail(transport, rc, RP_WHERE_WRITE);
}

static int start_watching(rp_transport *transport)
{
    pipe_transport *self = pipe_of(transport);
    int rc;

    if (!self->watches)
        return 0;
    rp_op_read(&self->read, self->fd, &self->watched, 1, -1, on_watched, NULL);
    rc = rp_submit(transport->loop, &self->read);
    self->pending = rc == 0;
    return rc;
}

/* While something is left to be written, the reader may still go. */
static void stop_watching(rp_transport *transport)
{
    pipe_transport *self = pipe_of(transport);

    if (!transport->lost)
        return;
    if (self->pending)
        rp_cancel(transport->loop, &self->read);
    else
        rp_transport_stopped(transport, 0);
}

/* All of it is for send_soon(). */
static int64_t write_now(rp_transport *transport, const struct iovec *vector, int count)
{
    return -EAGAIN;
}

static void on_written(rp_op *op)
{
    rp_transport_sent(&rp_container_of(op, pipe_transport, write)->base, op->result);
}

static int send_soon(rp_transport *transport, const void *data, size_t length)
{
    pipe_transport *self = pipe_of(transport);

    rp_op_write(&self->write, self->fd, data, length, -1, on_written, NULL);
    return rp_submit(transport->loop, &self->write);
}

static void cancel(rp_transport *transport)
{
    rp_cancel(transport->loop, &pipe_of(transport)->write);
}

/* ---- the end ---- */

static void finish(rp_transport *transport)
{
    rp_transport_lose(transport, 0);
}

static void release(rp_transport *transport)
{
    pipe_transport *self = pipe_of(transport);

    rp_free(self->bytes);
    if (self->is_socket)
        rp_loop_close_socket(transport->loop, self->fd);
    else
        rp_loop_close_file(transport->loop, self->fd);
}

static rp_fd descriptor(const rp_transport *transport)
{
    return rp_container_of(transport, const pipe_transport, base)->fd;
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

static const rp_transport_kind duplex = {
    .size = sizeof(pipe_transport),
    .start = start_reading,
    .stop = stop_reading,
    .receive = receive,
    .writev = write_now,
    .send = send_soon,
    .cancel = cancel,
    .finish = finish,
    .release = release,
    .fd = descriptor,
};

static int make(rp_loop *loop, rp_fd fd, const rp_transport_kind *kind, rp_transport **transport)
{
    bool is_socket, watches;

    RP_TRY(rp_loop_check(loop));
    RP_TRY(rp_pipe_handle_check(loop->kernel, fd, kind == &writing, &is_socket, &watches));
    *transport = rp_transport_new(loop, kind);
    if (!*transport)
        return -ENOMEM;
    pipe_of(*transport)->fd = fd;
    pipe_of(*transport)->is_socket = is_socket;
    pipe_of(*transport)->watches = watches;
    return 0;
}

int rp_connect_read_pipe(rp_loop *loop, rp_fd fd, const rp_protocol *protocol, void *self,
                         rp_transport **transport)
{
    RP_TRY(make(loop, fd, &reading, transport));
    (*transport)->eof_wanted = true; /* nothing may be written */
    rp_transport_start(*transport, protocol, self);
    return 0;
}

int rp_connect_write_pipe(rp_loop *loop, rp_fd fd, const rp_protocol *protocol, void *self,
                          rp_transport **transport)
{
    RP_TRY(make(loop, fd, &writing, transport));
    rp_transport_start(*transport, protocol, self);
    return 0;
}

rp_transport *rp_pipe_transport_new_duplex(rp_loop *loop, rp_fd fd)
{
    rp_transport *transport = rp_transport_new(loop, &duplex);

    if (transport)
        pipe_of(transport)->fd = fd;
    return transport;
}
