/*
 * datagram_transport.c - transports of datagrams: what arrives is received many at a time, and told one by one.
 *
 * A multishot poll is in flight all the time, and tells changes. So datagrams stay in the kernel until they are wanted,
 * and are received until there are no more, but not more of them in one event than a batch has: others get their turn.
 *
 * Each callback may replace the protocol, pause, close or abort, fork, interrupt the run or throw. So the transport is
 * looked at anew after each of them, and what of a batch has not been told by then stays with the transport.
 */
#include "net/datagram_transport.h"

#include <assert.h>
#include <string.h>

#include "base/leave.h"
#include "net/transport_read.h"
#include "proactor/proactor.h"

enum {
    ROOM = 64 * 1024,         /* of what is received at most, in bytes */
    LARGER_ROOM = 256 * 1024, /* where there may be longer ones than UDP's */
    ERRORS = 64,              /* in a row, and then the next change is waited for */
};

static rp_datagram_transport *of(rp_transport *transport)
{
    return rp_container_of(transport, rp_datagram_transport, base);
}

bool rp_datagram_tell_error(rp_datagram_transport *self, int error)
{
    if (self->protocol->error_received)
        self->protocol->error_received(self->self, error);
    return rp_loop_may_go_on(self->base.loop);
}

/* ---- receiving ---- */

static bool is_wanted(const rp_datagram_transport *self)
{
    return self->base.receiving && !self->base.reading_paused && !self->base.closing;
}

static bool may_have_some(const rp_datagram_transport *self)
{
    return self->base.readable || (self->batch && rp_datagram_batch_has_rest(self->batch));
}

static void pull(void *arg);

static void pull_next_turn(rp_datagram_transport *self)
{
    if (self->base.pulled_soon || !is_wanted(self) || !may_have_some(self))
        return;
    self->base.pulled_soon = true;
    rp_loop_arrive_call(self->base.loop, &self->base.reading, pull, self);
}

/*
 * Receives anew. Whether there is something to tell. An error may stand in the way of datagrams, so the next turn goes
 * on; but one that stays is not asked for again and again.
 */
static bool fill(rp_datagram_transport *self)
{
    rp_loop *loop = self->base.loop;
    bool full;
    int rc;

    if (!self->batch)
        self->batch = rp_datagram_batch_take(loop);
    rc = self->batch ? rp_datagram_batch_receive(self->batch, loop, self->fd, self->receive_size, self->gro, &full)
                     : -ENOMEM;
    if (rc < 0 && rc != -EAGAIN) {
        self->base.readable = ++self->errors < ERRORS;
        rp_datagram_tell_error(self, rc);
        return false;
    }
    self->errors = 0;
    self->base.readable = rc == 0 && full;
    self->batched = rc == 0 && rp_datagram_batch_has_several(self->batch);
    return rc == 0;
}

static void tell_next(rp_datagram_transport *self)
{
    const rp_datagram_protocol *protocol = self->protocol;
    rp_datagram datagram = rp_datagram_batch_next(self->batch);

    if (protocol->datagram_received)
        protocol->datagram_received(self->self, datagram.data, datagram.length, datagram.address,
                                    datagram.address_length, datagram.truncated ? RP_DATAGRAM_TRUNCATED : 0);
}

static void drop_batch(rp_datagram_transport *self)
{
    rp_datagram_batch *batch = self->batch;

    self->batch = NULL;
    if (batch)
        rp_datagram_batch_give_back(self->base.loop, batch);
}

/* The rest comes after others had their turn. What is left when it is closed goes nowhere. */
static void end_event(rp_datagram_transport **place)
{
    rp_datagram_transport *self = *place;

    self->batched = false;
    if (rp_loop_is_forked(self->base.loop))
        return;
    if (self->batch && (self->base.closing || !rp_datagram_batch_has_rest(self->batch)))
        drop_batch(self);
    pull_next_turn(self);
}

static void receive(rp_datagram_transport *received)
{
    rp_datagram_transport *self RP_ON_LEAVE(end_event) = received;
    unsigned rounds = self->protocol->receives ? self->protocol->receives : 1;

    while (is_wanted(self) && rp_loop_may_go_on(self->base.loop)) {
        if (self->batch && rp_datagram_batch_has_rest(self->batch))
            tell_next(self);
        else if (!self->base.readable || rounds-- == 0 || !fill(self))
            return;
    }
}

static void pull(void *arg)
{
    rp_datagram_transport *self = arg;

    self->base.pulled_soon = false;
    receive(self);
}

static void on_event(rp_op *op)
{
    rp_datagram_transport *self = rp_container_of(op, rp_datagram_transport, poll);

    if (!(op->flags & RP_OP_MORE)) {
        rp_transport_stopped(&self->base, op->result < 0 ? (int)op->result : 0);
        return;
    }
    self->base.readable = true;
    if (!self->base.pulled_soon)
        receive(self);
}

void rp_datagram_pause_reading(rp_datagram_transport *self)
{
    self->base.reading_paused = true;
}

void rp_datagram_resume_reading(rp_datagram_transport *self)
{
    self->base.reading_paused = false;
    if (rp_loop_check(self->base.loop) == 0 && !self->batched)
        pull_next_turn(self);
}

bool rp_datagram_is_reading(const rp_datagram_transport *self)
{
    return rp_transport_is_reading(&self->base);
}

/* ---- as a kind of transport ---- */

static int start(rp_transport *transport)
{
    rp_datagram_transport *self = of(transport);

    rp_op_poll_multi(&self->poll, self->fd, RP_POLL_IN, on_event, NULL);
    self->poll.u.poll.hint = true;
    return rp_submit(transport->loop, &self->poll);
}

static void stop(rp_transport *transport)
{
    rp_cancel(transport->loop, &of(transport)->poll);
}

static void cancel(rp_transport *transport)
{
    rp_cancel(transport->loop, &of(transport)->room);
}

/* A stream's reading and writing are not asked of it: rp_transport_write() finds nothing to write to. */
static int64_t receive_bytes(rp_transport *transport, void *buffer, size_t length)
{
    return -EAGAIN;
}

static int64_t send_bytes(rp_transport *transport, const struct iovec *vector, int count)
{
    return -EDESTADDRREQ;
}

static int send_later(rp_transport *transport, const void *data, size_t length)
{
    return -EDESTADDRREQ;
}

static int write_eof(rp_transport *transport)
{
    return 0;
}

static void finish(rp_transport *transport)
{
    rp_transport_lose(transport, 0);
}

static void release(rp_transport *transport)
{
    rp_datagram_transport *self = of(transport);

    rp_handle_cancel(&self->flush);
    rp_timer_cancel(&self->retry);
    rp_datagram_queue_fini(&self->queue);
    rp_datagram_batch_free(self->batch);
    self->batch = NULL;
    rp_loop_close_socket(transport->loop, self->fd);
}

static rp_fd descriptor(const rp_transport *transport)
{
    return rp_container_of(transport, const rp_datagram_transport, base)->fd;
}

static const rp_transport_kind kind = {
    .size = sizeof(rp_datagram_transport),
    .start = start,
    .stop = stop,
    .receive = receive_bytes,
    .writev = send_bytes,
    .send = send_later,
    .cancel = cancel,
    .write_eof = write_eof,
    .finish = finish,
    .release = release,
    .fd = descriptor,
};

rp_datagram_transport *rp_datagram_of(rp_transport *base)
{
    return base->kind == &kind ? of(base) : NULL;
}

/* ---- the protocol ---- */

static void connection_made(void *arg, rp_transport *base)
{
    rp_datagram_transport *self = arg;

    if (self->protocol->connection_made)
        self->protocol->connection_made(self->self, self);
}

static void connection_lost(void *arg, int error)
{
    rp_datagram_transport *self = arg;

    if (self->protocol->connection_lost)
        self->protocol->connection_lost(self->self, error);
}

/* The base's life knows a protocol of its own kind: it leads to the true one. */
static const rp_protocol begins_now = {.connection_made = connection_made, .connection_lost = connection_lost};
static const rp_protocol begins_soon = {
    .connection_made = connection_made, .connection_lost = connection_lost, .begins_soon = true};

void rp_datagram_set_protocol(rp_datagram_transport *self, const rp_datagram_protocol *protocol,
                              void *protocol_self)
{
    self->protocol = protocol;
    self->self = protocol_self;
}

const rp_datagram_protocol *rp_datagram_get_protocol(const rp_datagram_transport *self, void **protocol_self)
{
    if (protocol_self)
        *protocol_self = self->self;
    return self->protocol;
}

/* ---- the beginning ---- */

static int set_options(rp_datagram_transport *self, const rp_datagram_options *options)
{
    const rp_kernel *kernel = self->base.loop->kernel;
    uint32_t length = sizeof self->peer;
    struct sockaddr_storage name = {0};

    if (options && options->receive_size > RP_BATCH_LARGEST)
        return -EINVAL;
    if (options && options->gro)
        RP_TRY(rp_kernel_join_received(kernel, self->fd));
    if (options && options->gso)
        RP_TRY(rp_kernel_can_cut(kernel, self->fd));
    RP_TRY(rp_kernel_set_nonblocking(kernel, self->fd));
    self->gro = options && options->gro;
    self->gso = options && options->gso;
    self->connected = rp_kernel_peer(kernel, self->fd, (struct sockaddr *)&self->peer, &length) == 0 && length > 0;
    self->peer_length = self->connected ? length : 0;
    length = sizeof name;
    rp_kernel_name(kernel, self->fd, (struct sockaddr *)&name, &length);
    self->receive_size = options ? options->receive_size : 0;
    if (self->receive_size == 0)
        self->receive_size = name.ss_family == AF_INET || name.ss_family == AF_INET6 ? ROOM : LARGER_ROOM;
    if (self->gro && self->receive_size < ROOM)
        self->receive_size = ROOM;
    return 0;
}

int rp_datagram_transport_new(rp_loop *loop, rp_fd fd, const rp_datagram_options *options,
                              rp_datagram_transport **transport)
{
    int type = rp_kernel_type(loop->kernel, fd), rc;
    rp_transport *base;

    RP_TRY(rp_loop_check(loop));
    RP_TRY(type);
    if (type != SOCK_DGRAM && type != SOCK_RAW)
        return -EINVAL;
    base = rp_transport_new(loop, &kind);
    if (!base)
        return -ENOMEM;
    *transport = of(base);
    (*transport)->fd = fd;
    rc = set_options(*transport, options);
    if (rc < 0)
        rp_transport_discard(base);
    return rc;
}

void rp_datagram_transport_start(rp_datagram_transport *self, const rp_datagram_protocol *protocol,
                                 void *protocol_self)
{
    self->protocol = protocol;
    self->self = protocol_self;
    rp_transport_start(&self->base, protocol->begins_soon ? &begins_soon : &begins_now, self);
}

int rp_create_datagram_endpoint_fd(rp_loop *loop, rp_fd fd, const rp_datagram_protocol *protocol, void *self,
                                   const rp_datagram_options *options, rp_datagram_transport **transport)
{
    RP_TRY(rp_datagram_transport_new(loop, fd, options, transport));
    rp_datagram_transport_start(*transport, protocol, self);
    return 0;
}

/* ---- who refers to it ---- */

bool rp_datagram_is_closing(const rp_datagram_transport *self)
{
    return self->base.closing;
}

rp_datagram_transport *rp_datagram_ref(rp_datagram_transport *self)
{
    rp_transport_ref(&self->base);
    return self;
}

void rp_datagram_unref(rp_datagram_transport *self)
{
    if (self)
        rp_transport_unref(&self->base);
}

/* ---- what it stands on ---- */

rp_fd rp_datagram_fd(const rp_datagram_transport *self)
{
    return rp_transport_fd(&self->base);
}

rp_loop *rp_datagram_get_loop(const rp_datagram_transport *self)
{
    return self->base.loop;
}

int rp_datagram_peername(const rp_datagram_transport *self, struct sockaddr *address, uint32_t *length)
{
    return rp_transport_peername(&self->base, address, length);
}

int rp_datagram_sockname(const rp_datagram_transport *self, struct sockaddr *address, uint32_t *length)
{
    return rp_transport_sockname(&self->base, address, length);
}

int rp_datagram_setsockopt(rp_datagram_transport *self, int level, int option, const void *value, uint32_t length)
{
    return rp_transport_setsockopt(&self->base, level, option, value, length);
}

int rp_datagram_getsockopt(rp_datagram_transport *self, int level, int option, void *value, uint32_t *length)
{
    return rp_transport_getsockopt(&self->base, level, option, value, length);
}
