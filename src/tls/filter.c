/*
 * filter.c - a filter is a transport that stands on another one, and speaks TLS over it by an engine.
 *
 * It is the protocol of the transport below, which tells it when something has arrived, and a kind of transport for
 * whoever uses it. All that transports have in common, such as buffers, marks and pausing, is transport.c's.
 *
 *   SHAKING   the handshake: the loop knows the transport, but its owner has not started it
 *   OPEN      it moves bytes
 *   CLOSING   all has been written: the peer's close_notify is waited for, and what below has still to send
 *
 * A filter is lost and released at any stage, as every transport is; then what is below ends, too, and the engine is
 * freed: never inside one of its functions.
 */
#include "tls/filter.h"

#include <assert.h>

#include "base/leave.h"
#include "net/transport_read.h"
#include "net/transport_write.h"
#include "tls/records.h"

enum {
    THROWN_AWAY = 2048, /* bytes of plaintext that arrives after the close, at a time */
    IN_A_ROW = 8,       /* so often */
};

typedef enum stage { SHAKING, OPEN, CLOSING } stage;

typedef struct filter {
    rp_transport base;
    rp_tls_records records;
    stage stage;
    bool tolerant;    /* of a truncated stream: it has ended */
    bool late;        /* one of its limits was reached */
    bool cancelled;   /* what is being sent is to be given back */
    const void *data; /* that is being sent, or NULL */
    size_t length;
    rp_handle again; /* sends it */
    rp_handle news;  /* goes on with what does not wait for below */
    rp_timer timer;  /* limits the handshake, then the close */
    int64_t shutdown_timeout;
    size_t unsent;            /* when it began: bytes of plaintext, and of records */
    rp_tls_filter_done *done; /* NULL: it was called */
    void *arg;
} filter;

static filter *filter_of(rp_transport *transport)
{
    return rp_container_of(transport, filter, base);
}

static const filter *const_filter(const rp_transport *transport)
{
    return rp_container_of(transport, const filter, base);
}

static rp_transport *below_of(const filter *self)
{
    return self->records.wire.below;
}

static void call_soon(filter *self, rp_handle *handle, rp_callback *callback)
{
    if (!rp_handle_scheduled(handle))
        rp_loop_ready_call(self->base.loop, handle, callback, self);
}

static void send_again(void *arg);
static void go_on(void *arg);

/* Goes on when there may be more to read: when below tells of input, or of room, or in the next turn. */
static void go_on_later(filter *self)
{
    if (self->records.choked)
        return;
    if (self->records.hungry)
        rp_transport_resume_reading(below_of(self));
    else
        call_soon(self, &self->news, go_on);
}

/* ---- reading ---- */

/* An engine that reads may answer, and what it reads may have been in the way of a write. */
static int64_t take_plain(filter *self, void *buffer, size_t length)
{
    rp_tls_records *records = &self->records;
    bool starving = records->starving;
    int64_t received = rp_tls_records_read(records, buffer, length);

    if (starving || records->wire.error)
        call_soon(self, &self->again, send_again);
    return received == 0 && records->truncated && !self->tolerant ? RP_ETLS_TRUNCATED : received;
}

static int64_t filter_receive(rp_transport *transport, void *buffer, size_t length)
{
    filter *self = filter_of(transport);
    int64_t received = take_plain(self, buffer, length);

    transport->readable = received != -EAGAIN && !rp_tls_records_must_wait(&self->records);
    if (!transport->readable)
        go_on_later(self);
    return received;
}

/* ---- writing ---- */

static int64_t filter_writev(rp_transport *transport, const struct iovec *vector, int count)
{
    filter *self = filter_of(transport);
    int64_t taken;

    if (self->stage == SHAKING || self->records.starving)
        return -EAGAIN;
    taken = rp_tls_records_writev(&self->records, vector, count);
    if (rp_tls_records_may_feed(&self->records))
        rp_transport_resume_reading(below_of(self));
    return taken;
}

/* Below has failed while nobody was writing here, or while the engine answered. */
static void tell_failed_write(filter *self)
{
    int error = self->records.wire.error;

    if (error && self->base.error == 0)
        rp_transport_fail_writing(&self->base, error, true, RP_WHERE_WRITE);
}

static void send_again(void *arg)
{
    filter *self = arg;
    struct iovec vector = {(void *)(uintptr_t)self->data, self->length};
    int64_t sent;

    assert(!self->data == !self->base.sending);
    if (!self->data) {
        tell_failed_write(self);
        return;
    }
    sent = self->cancelled ? -ECANCELED : filter_writev(&self->base, &vector, 1);
    if (sent == -EAGAIN)
        return;
    self->data = NULL;
    rp_transport_sent(&self->base, sent);
}

static int filter_send(rp_transport *transport, const void *data, size_t length)
{
    filter *self = filter_of(transport);

    assert(!self->data && data && length > 0);
    self->data = data;
    self->length = length;
    self->cancelled = false;
    call_soon(self, &self->again, send_again);
    return 0;
}

static void filter_cancel(rp_transport *transport)
{
    filter *self = filter_of(transport);

    self->cancelled = true;
    call_soon(self, &self->again, send_again);
}

static int filter_write_eof(rp_transport *transport)
{
    filter *self = filter_of(transport);

    return self->stage == SHAKING ? -ENOTCONN : rp_tls_records_notify(&self->records);
}

/* ---- the end ---- */

static size_t unsent(const filter *self)
{
    return rp_transport_get_write_buffer_size(&self->base) + rp_transport_get_write_buffer_size(below_of(self));
}

static void limit_close(filter *self);

/* A peer that takes what was written, however slowly, is waited for. */
static void give_up_close(void *arg)
{
    filter *self = arg;

    if (unsent(self) < self->unsent) {
        limit_close(self);
        return;
    }
    self->late = true;
    rp_transport_lose(&self->base, -ETIMEDOUT);
}

static void limit_close(filter *self)
{
    self->unsent = unsent(self);
    rp_timer_cancel(&self->timer);
    rp_call_later(self->base.loop, &self->timer, self->shutdown_timeout, give_up_close, self);
}

static void filter_stop(rp_transport *transport)
{
    filter *self = filter_of(transport);

    if (!transport->lost) {
        limit_close(self);
        return;
    }
    rp_transport_lose(below_of(self), 0);
    rp_transport_stopped(transport, 0);
}

/* All has been said on both sides, but for what below has still to send. */
static void close_below(filter *self)
{
    rp_transport_close(below_of(self));
    if (below_of(self)->lost)
        rp_transport_lose(&self->base, 0);
}

/* Takes what the peer has still sent, up to its close_notify. Its other ways to end are as good, now. */
static void drain(filter *self)
{
    char plain[THROWN_AWAY];
    int64_t received = 1;

    for (int i = 0; i < IN_A_ROW && received > 0; i++)
        received = take_plain(self, plain, sizeof plain);
    if (received > 0)
        call_soon(self, &self->news, go_on);
    else if (received == -EAGAIN)
        go_on_later(self);
    else
        close_below(self);
}

/*
 * A protocol may be looking at the loop's buffers: what arrives is taken later. A peer that cannot be told will not
 * answer.
 */
static void filter_finish(rp_transport *transport)
{
    filter *self = filter_of(transport);

    if (self->stage == SHAKING) {
        rp_transport_lose(transport, 0);
        return;
    }
    self->stage = CLOSING;
    limit_close(self);
    rp_tls_records_notify(&self->records);
    if (self->records.wire.error)
        close_below(self);
    else
        call_soon(self, &self->news, go_on);
}

static void filter_reset(rp_transport *transport)
{
    rp_transport *below = below_of(filter_of(transport));

    if (below->kind->reset && !below->told)
        below->kind->reset(below);
}

/* What the socket has taken still goes out, such as an alert. There is nobody to wait for a peer that does not read. */
static void filter_release(rp_transport *transport)
{
    static const rp_protocol nobody;
    filter *self = filter_of(transport);
    rp_tls_engine *engine = self->records.engine;

    assert(!self->data || rp_loop_is_closed(self->base.loop));
    rp_handle_cancel(&self->again);
    rp_handle_cancel(&self->news);
    rp_timer_cancel(&self->timer);
    rp_transport_set_protocol(below_of(self), &nobody, NULL);
    rp_transport_lose(below_of(self), 0);
    self->records.engine = NULL;
    engine->type->free(engine);
    rp_tls_wire_fini(&self->records.wire);
}

/* ---- the beginning ---- */

static int filter_start(rp_transport *transport)
{
    filter *self = filter_of(transport);

    assert(self->stage == OPEN);
    if (self->data || self->records.wire.error)
        call_soon(self, &self->again, send_again);
    go_on_later(self);
    return 0;
}

static rp_fd filter_descriptor(const rp_transport *transport)
{
    return rp_transport_fd(below_of(const_filter(transport)));
}

static const rp_transport_kind filter_kind = {
    .size = sizeof(filter),
    .start = filter_start,
    .stop = filter_stop,
    .receive = filter_receive,
    .writev = filter_writev,
    .send = filter_send,
    .cancel = filter_cancel,
    .write_eof = filter_write_eof,
    .finish = filter_finish,
    .reset = filter_reset,
    .release = filter_release,
    .fd = filter_descriptor,
};

static bool is_filter(const rp_transport *transport)
{
    return transport->kind == &filter_kind;
}

/* ---- the handshake ---- */

static void tell_done(filter *self, int error)
{
    rp_tls_filter_done *done = self->done;

    self->done = NULL;
    if (done)
        done(self->arg, &self->base, error);
}

/* The protocol of a filter that its owner has not started. */
static void given_up(void *arg, int error)
{
    tell_done(arg, error < 0 ? error : -ECANCELED);
}

static const rp_protocol not_started = {.connection_lost = given_up};

static void fail_handshake(filter *self, int error)
{
    rp_timer_cancel(&self->timer);
    rp_transport_lose(&self->base, error);
    tell_done(self, error);
}

static void give_up_handshake(void *arg)
{
    filter *self = arg;

    self->late = true;
    fail_handshake(self, -ETIMEDOUT);
}

static void abort_unless_started(filter **place)
{
    filter *self = *place;

    if (self->base.protocol == &not_started && !self->base.closing && !rp_loop_is_forked(self->base.loop))
        rp_transport_abort(&self->base);
}

static void end_handshake(filter *self)
{
    filter *begun RP_ON_LEAVE(abort_unless_started) = self;

    assert(begun->stage == SHAKING && begun->done);
    rp_timer_cancel(&begun->timer);
    begun->stage = OPEN;
    tell_done(begun, 0);
}

/*
 * A callback of the engine may have ended the filter, or forked. A write that has failed is the end when nothing is
 * left to read, such as an alert.
 */
static void shake(filter *self)
{
    int rc = rp_tls_records_shake(&self->records);

    if (self->base.lost || rp_loop_is_forked(self->base.loop))
        return;
    if (rc == -EAGAIN && self->records.hungry && self->records.wire.error)
        rc = self->records.wire.error;
    if (rc == 0)
        end_handshake(self);
    else if (rc == -EAGAIN)
        go_on_later(self);
    else
        fail_handshake(self, rc);
}

/* ---- as a protocol: what below tells ---- */

static void go_on(void *arg)
{
    filter *self = arg;

    if (self->base.lost)
        return;
    if (self->stage == SHAKING)
        shake(self);
    else if (self->stage == CLOSING)
        drain(self);
    else if (self->base.receiving)
        rp_transport_arrived(&self->base);
}

static void below_receivable(void *arg)
{
    filter *self = arg;

    if (self->records.starving) {
        rp_tls_records_feed(&self->records);
        call_soon(self, &self->again, send_again);
    }
    go_on(self);
}

static void below_full(void *arg)
{
    ((filter *)arg)->records.wire.full = true;
}

static void listen_again(filter *self)
{
    if (self->records.choked)
        call_soon(self, &self->news, go_on);
    self->records.choked = false;
}

static void below_has_room(void *arg)
{
    filter *self = arg;

    self->records.wire.full = false;
    listen_again(self);
    if (self->data)
        send_again(self);
}

static void below_write_failed(void *arg, int error)
{
    filter *self = arg;

    self->records.wire.error = error;
    listen_again(self);
    if (self->stage == SHAKING)
        call_soon(self, &self->news, go_on);
    else
        call_soon(self, &self->again, send_again);
}

static void below_lost(void *arg, int error)
{
    filter *self = arg;

    if (self->stage != SHAKING)
        rp_transport_lose(&self->base, error);
    else if (!self->base.lost)
        fail_handshake(self, error < 0 ? error : -ECONNRESET);
}

static const rp_protocol below_protocol = {
    .receivable = below_receivable,
    .pause_writing = below_full,
    .resume_writing = below_has_room,
    .write_failed = below_write_failed,
    .connection_lost = below_lost,
};

/* ---- a new one ---- */

/* All that may fail. */
static int prepare(filter *self, rp_transport *below, rp_tls_factory *factory,
                   const rp_tls_filter_options *options)
{
    unsigned depth = is_filter(below) ? filter_of(below)->records.wire.depth + 1 : 0;
    int rc;

    RP_TRY(rp_tls_wire_init(&self->records.wire, below, depth, options->received, options->received_length));
    rc = factory->make(factory, options->server, options->server_name, &self->records.engine);
    if (rc < 0)
        rp_tls_wire_fini(&self->records.wire);
    return rc;
}

/* Its first reading begins when below tells of something, or is begun by us. */
static void take_over(filter *self, rp_transport *below)
{
    below->covered = true;
    if (below->protocol) {
        rp_transport_set_protocol(below, &below_protocol, self);
        rp_transport_set_write_buffer_limits(below, SIZE_MAX, SIZE_MAX);
        rp_transport_uncork(below);
    } else {
        rp_transport_start(below, &below_protocol, self);
    }
}

int rp_tls_filter_new(rp_transport *below, rp_tls_factory *factory, const rp_tls_filter_options *options,
                      rp_tls_filter_done *done, void *arg, rp_transport **transport)
{
    rp_transport *made;
    filter *self;
    int64_t limit;
    int rc;

    RP_TRY(rp_transport_may_write(below));
    if (!below->kind->receive)
        return -ENOTSUP;
    if (below->covered)
        return -EBUSY;
    made = rp_transport_new(below->loop, &filter_kind);
    if (!made)
        return -ENOMEM;
    self = filter_of(made);
    rc = prepare(self, below, factory, options);
    if (rc < 0) {
        rp_transport_discard(made);
        return rc;
    }
    self->records.engine->input = &self->records.wire.input;
    self->records.engine->output = &self->records.wire.output;
    self->tolerant = options->truncation_ends;
    self->shutdown_timeout = options->shutdown_timeout > 0 ? options->shutdown_timeout : RP_SEC(30);
    self->done = done;
    self->arg = arg;
    limit = options->handshake_timeout > 0 ? options->handshake_timeout : RP_SEC(60);
    rp_call_later(made->loop, &self->timer, limit, give_up_handshake, self);
    take_over(self, below);
    rp_transport_enlist(made, &not_started, self);
    call_soon(self, &self->news, go_on);
    *transport = made;
    return 0;
}

rp_tls_engine *rp_tls_filter_engine(const rp_transport *transport)
{
    return is_filter(transport) ? const_filter(transport)->records.engine : NULL;
}

rp_transport *rp_tls_filter_below(const rp_transport *transport)
{
    return below_of(const_filter(transport));
}

bool rp_tls_filter_truncated(const rp_transport *transport)
{
    return const_filter(transport)->records.truncated;
}

bool rp_tls_filter_timed_out(const rp_transport *transport)
{
    return const_filter(transport)->late;
}

void *rp_tls_filter_arg(const rp_transport *transport)
{
    const filter *self = is_filter(transport) ? const_filter(transport) : NULL;

    return self && self->done ? self->arg : NULL;
}
