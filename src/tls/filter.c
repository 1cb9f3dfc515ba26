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
#include "tls/wire.h"

enum {
    STEPS = 8,                    /* of one event, before others get their turn */
    AT_ONCE = 1024 * 1024,        /* plaintext of one write */
    BY_ENGINE = 8 * RP_TLS_PLAIN, /* and of one call of the engine's: then there is a look at what is below */
    THROWN_AWAY = 2048,           /* plaintext that arrives after the close, at a time */
};

typedef enum stage { SHAKING, OPEN, CLOSING } stage;

typedef struct filter {
    rp_transport base;
    rp_tls_engine *engine;
    stage stage;
    bool hungry;   /* the engine needs more input before it can give plaintext */
    bool starving; /* and before it can write */
    bool choked;   /* nothing is read, since below is full of the engine's answers */
    bool ended;    /* nothing comes any more */
    bool truncated;
    bool tolerant; /* of a truncated stream: it has ended */
    bool notified; /* the peer, by close_notify */
    bool failed;   /* the engine: it is not to write any more */
    bool cancelled;
    bool late; /* one of its limits was reached */
    int error; /* of the engine's, to be told when what came before has been read */
    rp_tls_wire wire;
    const void *data; /* that is being sent, or NULL */
    size_t length;
    rp_handle again; /* sends it */
    rp_handle news;  /* goes on with what does not wait for below */
    rp_timer timer;  /* limits the handshake, then the close */
    int64_t shutdown_timeout;
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

static void call_soon(filter *self, rp_handle *handle, rp_callback *callback)
{
    if (!rp_handle_scheduled(handle))
        rp_loop_ready_call(self->base.loop, handle, callback, self);
}

static void send_again(void *arg);
static void go_on(void *arg);

/* Whether there is no plaintext until below tells of more. */
static bool must_wait(const filter *self)
{
    return self->hungry && !self->ended && !self->error && rp_transport_must_wait(self->wire.below);
}

static void await_input(filter *self)
{
    rp_transport_resume_reading(self->wire.below);
}

/* ---- the close ---- */

static void give_up_close(void *arg)
{
    filter *self = arg;

    self->late = true;
    rp_transport_lose(&self->base, -ETIMEDOUT);
}

static void limit_close(filter *self)
{
    rp_timer_cancel(&self->timer);
    rp_call_later(self->base.loop, &self->timer, self->shutdown_timeout, give_up_close, self);
}

/* All has been said on both sides, but for what below has still to send. */
static void close_below(filter *self)
{
    rp_transport_close(self->wire.below);
    if (self->wire.below->lost)
        rp_transport_lose(&self->base, 0);
}

/* ---- reading ---- */

static void retry_write(filter *self)
{
    self->starving = false;
    call_soon(self, &self->again, send_again);
}

/* A peer that asks for many answers, and takes none, is not read from. */
static void send_answers(filter *self)
{
    if (!rp_tls_wire_flush(&self->wire))
        return;
    self->choked = self->wire.full && !self->wire.error;
    if (self->wire.error)
        call_soon(self, &self->again, send_again);
}

/* Plaintext of the input: how much. What the engine says besides is kept. */
static size_t decrypt(filter *self, char *buffer, size_t length)
{
    rp_tls_engine *engine = self->engine;
    size_t total = 0;

    while (total < length && !self->hungry && !self->ended && !self->error) {
        size_t room = length - total;
        int64_t taken = engine->type->read(engine, buffer + total, room);

        if (taken > 0) {
            total += (size_t)taken;
            self->hungry =
                self->wire.input.length == 0 && ((size_t)taken < room || engine->type->pending(engine) == 0);
        } else if (taken == 0) {
            self->ended = true;
        } else if (taken == -EAGAIN) {
            self->hungry = true;
        } else {
            self->failed = true;
            self->error = (int)taken;
        }
    }
    send_answers(self);
    if (self->starving)
        retry_write(self);
    return total;
}

/* More input: bytes, -EAGAIN or an error; 0: none will come. */
static int64_t fill(filter *self, size_t wanted)
{
    int64_t received = rp_tls_wire_fill(&self->wire, wanted);

    if (received > 0)
        self->hungry = false;
    else if (received == 0)
        self->ended = self->truncated = true;
    return received;
}

/* Bytes, 0 at the end of the stream, -EAGAIN or an error. */
static int64_t take_plain(filter *self, void *buffer, size_t length)
{
    for (int i = 0; i < STEPS; i++) {
        size_t taken = decrypt(self, buffer, length);

        if (taken > 0)
            return (int64_t)taken;
        if (self->error)
            return self->error;
        if (!self->ended && self->choked)
            return -EAGAIN;
        if (!self->ended)
            RP_TRY(fill(self, length));
        if (self->ended)
            return self->truncated && !self->tolerant ? RP_ETLS_TRUNCATED : 0;
    }
    call_soon(self, &self->news, go_on);
    return -EAGAIN;
}

static int64_t filter_receive(rp_transport *transport, void *buffer, size_t length)
{
    filter *self = filter_of(transport);
    int64_t received = take_plain(self, buffer, length);
    bool waits = received == -EAGAIN || (received > 0 && (self->choked || must_wait(self)));

    transport->readable = !waits;
    if (waits && !self->choked)
        await_input(self);
    return received;
}

/* ---- writing ---- */

/* The engine wants input before it writes. What a reader has still to take may be in its way. */
static void starve(filter *self)
{
    self->starving = true;
    if (self->wire.input.length <= RP_TLS_RECORD)
        await_input(self);
}

static void feed(filter *self)
{
    int64_t received = fill(self, RP_TLS_RECORD);

    if (received == -EAGAIN)
        return;
    if (received <= 0)
        self->wire.error = received < 0 ? (int)received : -EPIPE;
    retry_write(self);
}

/* Makes records of the bytes, as long as below has room: how many, -EAGAIN, or an error before there were any. */
static int64_t encrypt(filter *self, const char *data, size_t length)
{
    rp_tls_engine *engine = self->engine;
    size_t total = 0;

    while (total < length && total < AT_ONCE && !self->wire.full && !self->wire.error) {
        size_t part = length - total < BY_ENGINE ? length - total : BY_ENGINE;
        int64_t taken;

        self->wire.rest = part <= RP_TLS_PLAIN ? part : 0;
        taken = engine->type->write(engine, data + total, part);
        self->wire.rest = 0;
        if (taken == -EAGAIN)
            starve(self);
        else if (taken < 0)
            self->failed = true;
        if (taken <= 0)
            return total > 0 ? (int64_t)total : taken;
        total += (size_t)taken;
    }
    return total > 0 ? (int64_t)total : -EAGAIN;
}

/* What fits into one record, of pieces whose first `skip` bytes are done with. */
static size_t collect(char *plain, const struct iovec *vector, int count, size_t skip)
{
    size_t filled = 0;

    for (int i = 0; i < count && filled < RP_TLS_PLAIN; i++, skip = 0) {
        size_t part = vector[i].iov_len - skip, room = RP_TLS_PLAIN - filled;

        if (part > room)
            part = room;
        if (part > 0)
            memcpy(plain + filled, (const char *)vector[i].iov_base + skip, part);
        filled += part;
    }
    return filled;
}

/* The same as encrypt(), for many pieces: small ones share a record. */
static int64_t encrypt_pieces(filter *self, const struct iovec *vector, int count)
{
    char *plain = rp_tls_wire_take_plain(&self->wire);
    size_t total = 0, skip = 0, length = 0;
    int64_t taken = 0;

    while (count > 0 && (size_t)taken == length && total < AT_ONCE) {
        const char *data = (const char *)vector->iov_base + skip;

        length = vector->iov_len - skip;
        if (plain && length < RP_TLS_PLAIN && count > 1) {
            length = collect(plain, vector, count, skip);
            data = plain;
        }
        taken = length > 0 ? encrypt(self, data, length) : 0;
        if (taken < 0)
            break;
        total += (size_t)taken;
        for (skip += (size_t)taken; count > 0 && skip >= vector->iov_len; vector++, count--)
            skip -= vector->iov_len;
    }
    if (plain)
        rp_tls_wire_give_plain(&self->wire);
    return total > 0 ? (int64_t)total : taken;
}

static int64_t filter_writev(rp_transport *transport, const struct iovec *vector, int count)
{
    filter *self = filter_of(transport);
    int64_t taken;

    if (self->stage == SHAKING || self->starving)
        return -EAGAIN;
    taken = count == 1 ? encrypt(self, vector->iov_base, vector->iov_len) : encrypt_pieces(self, vector, count);
    rp_tls_wire_flush(&self->wire);
    return self->wire.error ? self->wire.error : taken;
}

/* Below has failed while nobody was writing here, or while the engine answered. */
static void tell_failed_write(filter *self)
{
    if (self->wire.error && self->base.error == 0 && !self->base.lost)
        rp_transport_fail_writing(&self->base, self->wire.error, true, RP_WHERE_WRITE);
}

static void send_again(void *arg)
{
    filter *self = arg;
    struct iovec vector = {(void *)(uintptr_t)self->data, self->length};
    int64_t sent;

    if (!self->data) {
        tell_failed_write(self);
        return;
    }
    sent = self->cancelled ? -ECANCELED : filter_writev(&self->base, &vector, 1);
    if (sent == -EAGAIN)
        return;
    self->data = NULL;
    if (self->base.closing && !self->base.lost)
        limit_close(self);
    rp_transport_sent(&self->base, sent);
}

static int filter_send(rp_transport *transport, const void *data, size_t length)
{
    filter *self = filter_of(transport);

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

/* Whatever the engine says: below tells whether the peer can be told at all. */
static int notify(filter *self)
{
    int rc = self->notified || self->failed ? 0 : self->engine->type->shutdown(self->engine);

    self->notified = true;
    rp_tls_wire_flush(&self->wire);
    return rc < 0 ? rc : self->wire.error;
}

static int filter_write_eof(rp_transport *transport)
{
    filter *self = filter_of(transport);

    return self->stage == SHAKING ? -ENOTCONN : notify(self);
}

/* ---- as a transport: the end ---- */

static void filter_stop(rp_transport *transport)
{
    filter *self = filter_of(transport);

    if (!transport->lost) {
        limit_close(self);
        return;
    }
    rp_transport_lose(self->wire.below, 0);
    rp_transport_stopped(transport, 0);
}

/* What the peer has still sent, up to its close_notify. Its other ways to end are as good, now. */
static void drain(filter *self)
{
    char plain[THROWN_AWAY];
    int64_t received = 0;

    for (int i = 0; i < STEPS; i++) {
        received = take_plain(self, plain, sizeof plain);
        if (received <= 0)
            break;
    }
    if (received > 0)
        call_soon(self, &self->news, go_on);
    else if (received != -EAGAIN)
        close_below(self);
    else if (!self->choked)
        await_input(self);
}

/* A protocol may be looking at the loop's buffers: what arrives is taken later. */
static void filter_finish(rp_transport *transport)
{
    filter *self = filter_of(transport);

    if (self->stage == SHAKING) {
        rp_transport_lose(transport, 0);
        return;
    }
    self->stage = CLOSING;
    limit_close(self);
    notify(self);
    if (self->ended || self->error || self->wire.error)
        close_below(self);
    else
        call_soon(self, &self->news, go_on);
}

static void filter_reset(rp_transport *transport)
{
    rp_transport *below = filter_of(transport)->wire.below;

    if (below->kind->reset && !below->told)
        below->kind->reset(below);
}

/* What the socket has taken still goes out, such as an alert. There is nobody to wait for a peer that does not read. */
static void filter_release(rp_transport *transport)
{
    static const rp_protocol nobody;
    filter *self = filter_of(transport);

    rp_handle_cancel(&self->again);
    rp_handle_cancel(&self->news);
    rp_timer_cancel(&self->timer);
    rp_transport_set_protocol(self->wire.below, &nobody, NULL);
    rp_transport_lose(self->wire.below, 0);
    self->engine->type->free(self->engine);
    self->engine = NULL;
    rp_tls_wire_fini(&self->wire);
}

/* ---- as a transport: the beginning ---- */

static int filter_start(rp_transport *transport)
{
    filter *self = filter_of(transport);

    assert(self->stage == OPEN);
    if (self->data || self->wire.error)
        call_soon(self, &self->again, send_again);
    if (must_wait(self))
        await_input(self);
    else
        call_soon(self, &self->news, go_on);
    return 0;
}

static rp_fd filter_descriptor(const rp_transport *transport)
{
    return rp_transport_fd(const_filter(transport)->wire.below);
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

static void abort_unless_started(filter **place)
{
    filter *self = *place;

    if (self->base.protocol == &not_started && !self->base.closing && !rp_loop_is_forked(self->base.loop))
        rp_transport_abort(&self->base);
}

static void end_handshake(filter *self)
{
    filter *begun RP_ON_LEAVE(abort_unless_started) = self;

    rp_timer_cancel(&begun->timer);
    begun->stage = OPEN;
    begun->hungry = begun->wire.input.length == 0 && begun->engine->type->pending(begun->engine) == 0;
    tell_done(begun, 0);
}

/* If a callback of the engine has ended the filter, its owner is told of that. */
static void shake(filter *self)
{
    for (int i = 0; i < STEPS; i++) {
        int64_t rc = self->engine->type->handshake(self->engine);

        rp_tls_wire_flush(&self->wire);
        if (self->base.lost)
            return;
        if (rc == 0) {
            end_handshake(self);
            return;
        }
        if (rc == -EAGAIN)
            rc = rp_tls_wire_fill(&self->wire, RP_TLS_RECORD);
        if (rc == -EAGAIN) {
            await_input(self);
            return;
        }
        if (rc <= 0) {
            fail_handshake(self, rc < 0 ? (int)rc : -ECONNRESET);
            return;
        }
    }
    call_soon(self, &self->news, go_on);
}

static void give_up_handshake(void *arg)
{
    filter *self = arg;

    self->late = true;
    fail_handshake(self, -ETIMEDOUT);
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

    if (self->starving)
        feed(self);
    go_on(self);
}

static void below_full(void *arg)
{
    ((filter *)arg)->wire.full = true;
}

static void listen_again(filter *self)
{
    if (self->choked)
        call_soon(self, &self->news, go_on);
    self->choked = false;
}

static void below_has_room(void *arg)
{
    filter *self = arg;

    self->wire.full = false;
    listen_again(self);
    if (self->data)
        send_again(self);
}

static void below_write_failed(void *arg, int error)
{
    filter *self = arg;

    self->wire.error = error;
    listen_again(self);
    if (self->stage != SHAKING)
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
    int64_t limit = options->handshake_timeout > 0 ? options->handshake_timeout : RP_SEC(60);
    unsigned depth = is_filter(below) ? filter_of(below)->wire.depth + 1 : 0;
    int rc;

    RP_TRY(rp_tls_wire_init(&self->wire, below, depth, options->received, options->received_length));
    rc = factory->make(factory, options->server, options->server_name, &self->engine);
    if (rc == 0)
        rc = rp_call_later(self->base.loop, &self->timer, limit, give_up_handshake, self);
    if (rc == 0)
        return 0;
    if (self->engine)
        self->engine->type->free(self->engine);
    rp_tls_wire_fini(&self->wire);
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
    int rc;

    RP_TRY(rp_transport_may_write(below));
    if (!below->kind->receive)
        return -ENOTSUP;
    made = rp_transport_new(below->loop, &filter_kind);
    if (!made)
        return -ENOMEM;
    self = filter_of(made);
    rc = prepare(self, below, factory, options);
    if (rc < 0) {
        rp_transport_discard(made);
        return rc;
    }
    self->engine->input = &self->wire.input;
    self->engine->output = &self->wire.output;
    self->tolerant = options->truncation_ends;
    self->shutdown_timeout = options->shutdown_timeout > 0 ? options->shutdown_timeout : RP_SEC(30);
    self->done = done;
    self->arg = arg;
    take_over(self, below);
    rp_transport_enlist(made, &not_started, self);
    call_soon(self, &self->news, go_on);
    *transport = made;
    return 0;
}

rp_tls_engine *rp_tls_filter_engine(const rp_transport *transport)
{
    return is_filter(transport) ? const_filter(transport)->engine : NULL;
}

rp_transport *rp_tls_filter_below(const rp_transport *transport)
{
    return const_filter(transport)->wire.below;
}

bool rp_tls_filter_truncated(const rp_transport *transport)
{
    return const_filter(transport)->truncated;
}

bool rp_tls_filter_timed_out(const rp_transport *transport)
{
    return const_filter(transport)->late;
}
