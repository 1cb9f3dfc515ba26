/*
 * test_transport_kinds.c - other kinds of transports than sockets. Protocols and streams cannot tell them apart.
 *
 * There are two. A memory transport is one end of a pair: each end has an inbox of a few bytes, and the other one puts
 * into it what there is room for. A filter stands on another transport, and turns each byte over on its way.
 */
#include "base/list.h"
#include "harness/wire.h"
#include "net/transport_read.h"
#include "net/transport_write.h"
#include "stream/stream.h"

/* ---- a transport in memory ---- */

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
    sent = self->base.lost ? -ECANCELED : put(self, self->data, self->length);
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
    call(self, &self->room, try_to_send);
    return 0;
}

static void memory_cancel(rp_transport *transport)
{
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

static void start_memory(rp_loop *loop, const rp_protocol *protocol, void *const selves[2])
{
    rp_transport *ends[2] = {rp_transport_new(loop, &memory_kind), rp_transport_new(loop, &memory_kind)};

    CHECK(ends[0] && ends[1]);
    memory_of(ends[0])->peer = memory_of(ends[1]);
    memory_of(ends[1])->peer = memory_of(ends[0]);
    rp_transport_start(ends[0], protocol, selves[0]);
    rp_transport_start(ends[1], protocol, selves[1]);
}

static void start_sockets(rp_loop *loop, const rp_protocol *protocol, void *const selves[2])
{
    rp_transport *transport;
    int fds[2];

    wire_pair(&fds[0], &fds[1]);
    for (int i = 0; i < 2; i++)
        CHECK_INT(rp_connect_accepted_socket(loop, fds[i], protocol, selves[i], &transport), ==, 0);
}

/* ---- a filter over another transport ---- */

typedef struct filter {
    rp_transport base;
    rp_transport *below; /* referred to */
    bool full;           /* below has paused the writer */
    rp_handle again;
    const void *data; /* that is being sent, or NULL */
    size_t length;
} filter;

static filter *filter_of(rp_transport *transport)
{
    return rp_container_of(transport, filter, base);
}

static void turn_over(char *to, const char *from, size_t length)
{
    for (size_t i = 0; i < length; i++)
        to[i] = (char)~from[i];
}

/* Until there is nothing more below, it says by itself when there is. */
static int64_t filter_receive(rp_transport *transport, void *buffer, size_t length)
{
    filter *self = filter_of(transport);
    int64_t received = rp_transport_try_read(self->below, buffer, length);

    if (received > 0)
        turn_over(buffer, buffer, (size_t)received);
    transport->readable = received != -EAGAIN;
    if (received == -EAGAIN)
        rp_transport_resume_reading(self->below);
    return received;
}

static int64_t filter_writev(rp_transport *transport, const struct iovec *vector, int count)
{
    filter *self = filter_of(transport);
    char piece[4096] = {0};
    int64_t total = 0;

    for (int i = 0; i < count && !self->full; i++) {
        size_t length = vector[i].iov_len < sizeof piece ? vector[i].iov_len : sizeof piece;

        turn_over(piece, vector[i].iov_base, length);
        int rc = rp_transport_write(self->below, piece, length);
        if (rc < 0)
            return rc;
        total += (int64_t)length;
        if (length < vector[i].iov_len)
            break;
    }
    return total > 0 ? total : -EAGAIN;
}

static void send_again(void *arg)
{
    filter *self = arg;
    struct iovec vector = {(void *)(uintptr_t)self->data, self->length};

    if (!self->data || (self->full && !self->base.lost))
        return;
    self->data = NULL;
    rp_transport_sent(&self->base, self->base.lost ? -ECANCELED : filter_writev(&self->base, &vector, 1));
}

static void send_again_soon(filter *self)
{
    if (rp_handle_scheduled(&self->again))
        return;
    rp_handle_prepare(&self->again, self->base.loop, send_again, self);
    rp_loop_ready(self->base.loop, &self->again);
}

static int filter_send(rp_transport *transport, const void *data, size_t length)
{
    filter *self = filter_of(transport);

    self->data = data;
    self->length = length;
    send_again_soon(self);
    return 0;
}

static void filter_cancel(rp_transport *transport)
{
    send_again_soon(filter_of(transport));
}

static int filter_start(rp_transport *transport)
{
    rp_transport_resume_reading(filter_of(transport)->below);
    return 0;
}

/* What is below ends first, which tells of it. */
static void filter_stop(rp_transport *transport)
{
    if (transport->lost)
        rp_transport_abort(filter_of(transport)->below);
}

static int filter_write_eof(rp_transport *transport)
{
    return rp_transport_write_eof(filter_of(transport)->below);
}

static void filter_finish(rp_transport *transport)
{
    rp_transport_close(filter_of(transport)->below);
}

static void filter_release(rp_transport *transport)
{
    filter *self = filter_of(transport);

    rp_handle_cancel(&self->again);
    rp_transport_unref(self->below);
}

static rp_fd filter_descriptor(const rp_transport *transport)
{
    return rp_transport_fd(rp_container_of(transport, const filter, base)->below);
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
    .release = filter_release,
    .fd = filter_descriptor,
};

static void below_made(void *self, rp_transport *transport)
{
    filter *f = self;

    f->below = rp_transport_ref(transport);
    rp_transport_pause_reading(transport);
}

static void below_receivable(void *self)
{
    rp_transport_arrived(&((filter *)self)->base);
}

static void below_full(void *self)
{
    ((filter *)self)->full = true;
}

static void below_has_room(void *self)
{
    ((filter *)self)->full = false;
    send_again_soon(self);
}

static void below_lost(void *self, int error)
{
    filter *f = self;

    rp_transport_lose(&f->base, error);
    rp_transport_stopped(&f->base, error);
}

static const rp_protocol filter_protocol = {
    .connection_made = below_made,
    .receivable = below_receivable,
    .pause_writing = below_full,
    .resume_writing = below_has_room,
    .connection_lost = below_lost,
};

typedef void starter(rp_loop *loop, const rp_protocol *protocol, void *const selves[2]);

static void start_filters(rp_loop *loop, starter *below, const rp_protocol *protocol, void *const selves[2])
{
    rp_transport *ends[2] = {rp_transport_new(loop, &filter_kind), rp_transport_new(loop, &filter_kind)};

    CHECK(ends[0] && ends[1]);
    below(loop, &filter_protocol, (void *const *)ends);
    rp_transport_start(ends[0], protocol, selves[0]);
    rp_transport_start(ends[1], protocol, selves[1]);
}

static void start_filtered_sockets(rp_loop *loop, const rp_protocol *protocol, void *const selves[2])
{
    start_filters(loop, start_sockets, protocol, selves);
}

static void start_filtered_memory(rp_loop *loop, const rp_protocol *protocol, void *const selves[2])
{
    start_filters(loop, start_memory, protocol, selves);
}

static void start_twice_filtered_memory(rp_loop *loop, const rp_protocol *protocol, void *const selves[2])
{
    start_filters(loop, start_filtered_memory, protocol, selves);
}

static starter *const kinds[] = {start_sockets, start_memory, start_filtered_sockets, start_filtered_memory,
                                 start_twice_filtered_memory};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* ---- what a protocol sees ---- */

typedef struct party {
    rp_transport *transport;
    uint64_t written, received;
    size_t to_write;
    int ends, losses, error;
    int pauses, resumes;
    bool stays; /* at the end of the stream */
    char buffer[300];
} party;

static void made(void *self, rp_transport *transport)
{
    ((party *)self)->transport = transport;
}

static void take(party *p, const void *data, size_t length)
{
    CHECK_INT(p->ends + p->losses, ==, 0);
    CHECK(wire_same(data, length, p->received));
    p->received += length;
}

static void received(void *self, const void *data, size_t length)
{
    take(self, data, length);
}

static void get_buffer(void *self, size_t hint, void **buffer, size_t *length)
{
    party *p = self;

    *buffer = p->buffer;
    *length = sizeof p->buffer;
}

static void updated(void *self, size_t length)
{
    party *p = self;

    take(p, p->buffer, length);
}

static bool ended(void *self)
{
    party *p = self;

    p->ends++;
    return p->stays;
}

static void lost(void *self, int error)
{
    party *p = self;

    p->losses++;
    p->error = error;
}

static void write_until_paused(party *p)
{
    char piece[1500];

    while (p->pauses == p->resumes && p->written < p->to_write) {
        size_t length = p->to_write - p->written < sizeof piece ? p->to_write - p->written : sizeof piece;

        wire_fill(piece, length, p->written);
        CHECK_INT(rp_transport_write(p->transport, piece, length), ==, 0);
        p->written += length;
    }
}

static void pause_it(void *self)
{
    ((party *)self)->pauses++;
}

static void resume_it(void *self)
{
    party *p = self;

    p->resumes++;
    CHECK_INT(p->pauses, ==, p->resumes);
    write_until_paused(p);
}

#define EACH_HAS                                                                                                  \
    .connection_made = made, .eof_received = ended, .connection_lost = lost, .pause_writing = pause_it,           \
    .resume_writing = resume_it

static const rp_protocol plain = {EACH_HAS, .data_received = received};
static const rp_protocol buffered = {EACH_HAS, .get_buffer = get_buffer, .buffer_updated = updated};
static const rp_protocol *const protocols[] = {&plain, &buffered};

TEST(bytes_come_over_in_both_directions_under_flow_control)
{
    for (int kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < 2; i++) {
            rp_loop *loop = wire_loop();
            party a = {.to_write = 8000000}, b = {.to_write = 200000};

            kinds[kind](loop, protocols[i], (void *[]){&a, &b});
            rp_transport_set_write_buffer_limits(a.transport, 20000, 5000);
            write_until_paused(&a);
            write_until_paused(&b);
            RUN_UNTIL(loop, a.received == b.to_write && b.received == a.to_write);
            CHECK_INT(a.pauses, >, 0);
            rp_transport_close(a.transport);
            RUN_UNTIL(loop, a.losses == 1 && b.losses == 1);
            CHECK(a.ends == 0 && b.ends == 1 && a.error == 0 && b.error == 0);
            rp_loop_free(loop);
        }
}

TEST(a_reader_that_pauses_holds_the_writer_back)
{
    for (int kind = 0; kind < KINDS; kind++) {
        rp_loop *loop = wire_loop();
        party a = {.to_write = SIZE_MAX}, b = {0};

        kinds[kind](loop, &plain, (void *[]){&a, &b});
        rp_transport_pause_reading(b.transport);
        write_until_paused(&a);
        for (uint64_t before = 0; before != a.written; wire_run(loop, RP_MSEC(5))) {
            before = a.written;
            wire_run(loop, RP_MSEC(5));
        }
        CHECK_INT(b.received, ==, 0);
        a.to_write = a.written;
        rp_transport_resume_reading(b.transport);
        RUN_UNTIL(loop, b.received == a.written);
        rp_loop_free(loop);
    }
}

TEST(what_is_buffered_is_sent_before_a_close_and_a_half_close)
{
    for (int kind = 0; kind < KINDS; kind++)
        for (int half = 0; half < 2; half++) {
            rp_loop *loop = wire_loop();
            party a = {0}, b = {.stays = half};
            static char bytes[5000000];

            kinds[kind](loop, &plain, (void *[]){&a, &b});
            wire_fill(bytes, sizeof bytes, 0);
            rp_transport_cork(a.transport);
            CHECK_INT(rp_transport_write(a.transport, bytes, 100), ==, 0);
            CHECK_INT(rp_transport_write(a.transport, bytes + 100, sizeof bytes - 100), ==, 0);
            CHECK_INT(rp_transport_get_write_buffer_size(a.transport), >, 0);
            if (half)
                CHECK_INT(rp_transport_write_eof(a.transport), ==, 0);
            else
                rp_transport_close(a.transport);
            CHECK_INT(rp_transport_write(a.transport, "x", 1), ==, -EPIPE);
            RUN_UNTIL(loop, b.ends == 1);
            CHECK_INT(b.received, ==, sizeof bytes);
            if (half) {
                b.to_write = 1000;
                write_until_paused(&b);
                RUN_UNTIL(loop, a.received == 1000);
                CHECK_INT(a.losses + b.losses, ==, 0);
                rp_transport_close(b.transport);
            }
            RUN_UNTIL(loop, a.losses == 1 && b.losses == 1);
            CHECK(a.error == 0 && b.error == 0);
            rp_loop_free(loop);
        }
}

TEST(an_abort_drops_what_is_buffered_and_resets_the_peer)
{
    for (int kind = 0; kind < KINDS; kind++) {
        rp_loop *loop = wire_loop();
        party a = {.to_write = SIZE_MAX}, b = {.stays = true};

        kinds[kind](loop, &plain, (void *[]){&a, &b});
        rp_transport_pause_reading(b.transport);
        write_until_paused(&a);
        rp_transport_abort(a.transport);
        CHECK_INT(a.losses, ==, 0);
        CHECK_INT(rp_transport_get_write_buffer_size(a.transport), ==, 0);
        RUN_UNTIL(loop, a.losses == 1);
        CHECK_INT(a.error, ==, 0);
        rp_transport_resume_reading(b.transport);
        RUN_UNTIL(loop, b.losses == 1 || (test_under_wine() && b.ends == 1));
        CHECK(b.error == -ECONNRESET || test_under_wine());
        rp_loop_free(loop);
    }
}

TEST(a_loop_that_is_closed_frees_each_kind_and_what_is_referred_to_stays)
{
    for (int kind = 0; kind < KINDS; kind++)
        for (int moment = 0; moment < 4; moment++) {
            rp_loop *loop = wire_loop();
            party a = {.to_write = SIZE_MAX}, b = {0};
            rp_transport *kept;

            kinds[kind](loop, &plain, (void *[]){&a, &b});
            kept = rp_transport_ref(a.transport);
            rp_transport_pause_reading(b.transport);
            write_until_paused(&a);
            if (moment == 1)
                rp_transport_close(b.transport);
            else if (moment == 2)
                rp_transport_abort(a.transport);
            if (moment == 3)
                wire_run(loop, RP_MSEC(2));
            rp_loop_free(loop);
            CHECK_INT(a.losses + b.losses, ==, 0);
            CHECK(rp_transport_is_closing(kept));
            CHECK_INT(rp_transport_write(kept, "x", 1), ==, RP_ECLOSED);
            CHECK_INT(rp_transport_fd(kept), ==, -1);
            rp_transport_unref(kept);
        }
}

TEST(a_filter_has_the_names_of_what_it_stands_on)
{
    rp_loop *loop = wire_loop();
    party parties[2] = {{0}, {0}};
    struct sockaddr_in names[2];
    uint32_t length = sizeof names[0];

    start_filtered_sockets(loop, &plain, (void *[]){&parties[0], &parties[1]});
    CHECK_INT(rp_transport_peername(parties[0].transport, (struct sockaddr *)&names[0], &length), ==, 0);
    CHECK_INT(rp_transport_sockname(parties[1].transport, (struct sockaddr *)&names[1], &length), ==, 0);
    CHECK_INT(names[0].sin_port, ==, names[1].sin_port);
    rp_loop_free(loop);

    loop = wire_loop();
    start_filtered_memory(loop, &plain, (void *[]){&parties[0], &parties[1]});
    CHECK_INT(rp_transport_fd(parties[0].transport), ==, -1);
    CHECK_INT(rp_transport_peername(parties[0].transport, (struct sockaddr *)&names[0], &length), ==, -EBADF);
    rp_loop_free(loop);
}

/* ---- what a stream sees ---- */

enum { SAID = 300000 };

static int say_much(rp_co *co, void *arg)
{
    static char bytes[SAID];

    wire_fill(bytes, sizeof bytes, 0);
    CHECK_INT(rp_stream_write(co, arg, bytes, sizeof bytes), ==, 0);
    CHECK_INT(rp_stream_write_eof(arg), ==, 0);
    return 0;
}

CO_TEST(a_stream_stands_on_any_kind)
{
    for (int kind = 0; kind < KINDS; kind++) {
        rp_loop *loop = rp_co_loop(co);
        rp_stream *streams[2] = {rp_stream_new(loop), rp_stream_new(loop)};
        static char bytes[SAID];
        rp_task *task;

        CHECK(streams[0] && streams[1]);
        kinds[kind](loop, &rp_stream_protocol, (void *const *)streams);
        CHECK_INT(rp_create_task(&task, say_much, streams[0]), ==, 0);
        CHECK_INT(rp_stream_read_exactly(co, streams[1], bytes, 100), ==, 100);
        CHECK_INT(rp_stream_read_exactly(co, streams[1], bytes + 100, sizeof bytes - 100), ==, sizeof bytes - 100);
        CHECK(wire_same(bytes, sizeof bytes, 0));
        CHECK_INT(rp_stream_read(co, streams[1], bytes, 1), ==, 0);
        CHECK_INT(rp_join(co, task), ==, 0);
        CHECK_INT(rp_stream_write(co, streams[1], "answer", 6), ==, 0);
        rp_stream_close(streams[1]);
        CHECK_INT(rp_stream_wait_closed(co, streams[1]), ==, 0);
        CHECK_INT(rp_stream_read(co, streams[0], bytes, sizeof bytes), ==, 6);
        CHECK_INT(rp_stream_read(co, streams[0], bytes, sizeof bytes), ==, 0);
        rp_stream_free(streams[0]);
        rp_stream_free(streams[1]);
    }
}
