/*
 * test_transport_kinds.c - other kinds of transports than sockets (harness/kinds.h). Protocols and streams cannot tell
 * them apart.
 */
#include "harness/kinds.h"
#include "harness/toy_engine.h"
#include "harness/wire.h"
#include "stream/stream.h"

static void start_sockets(rp_loop *loop, const rp_protocol *protocol, void *const selves[2])
{
    rp_transport *transport;
    int fds[2];

    wire_pair(&fds[0], &fds[1]);
    for (int i = 0; i < 2; i++)
        CHECK_INT(rp_connect_accepted_socket(loop, fds[i], protocol, selves[i], &transport), ==, 0);
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

static void start_tls_sockets(rp_loop *loop, const rp_protocol *protocol, void *const selves[2])
{
    start_toys(loop, start_sockets, protocol, selves);
}

static void start_tls_memory(rp_loop *loop, const rp_protocol *protocol, void *const selves[2])
{
    start_toys(loop, start_memory, protocol, selves);
}

static void start_tls_over_tls(rp_loop *loop, const rp_protocol *protocol, void *const selves[2])
{
    start_toys(loop, start_tls_memory, protocol, selves);
}

static void start_tls_three_times(rp_loop *loop, const rp_protocol *protocol, void *const selves[2])
{
    start_toys(loop, start_tls_over_tls, protocol, selves);
}

static starter *const kinds[] = {start_sockets,
                                 start_memory,
                                 start_filtered_sockets,
                                 start_filtered_memory,
                                 start_twice_filtered_memory,
                                 start_tls_sockets,
                                 start_tls_memory,
                                 start_tls_over_tls,
                                 start_tls_three_times};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* ---- what a protocol sees ---- */

typedef struct party {
    rp_transport *transport;
    uint64_t written, received;
    size_t to_write;
    int ends, losses, error;
    int pauses, resumes;
    bool stays;    /* at the end of the stream */
    bool gives_up; /* as soon as it is made */
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

static void made_and_given_up(void *self, rp_transport *transport)
{
    party *p = self;

    made(self, transport);
    if (p->gives_up)
        rp_transport_abort(transport);
}

/* Nothing was begun that could be stopped, and whatever the transport stands on ends all the same. */
TEST(a_connection_that_is_given_up_before_it_receives_ends_on_both_sides)
{
    static const rp_protocol soon = {.connection_made = made_and_given_up,
                                     .data_received = received,
                                     .eof_received = ended,
                                     .connection_lost = lost,
                                     .begins_soon = true};

    for (int kind = 0; kind < KINDS; kind++) {
        rp_loop *loop = wire_loop();
        party a = {.gives_up = true}, b = {0};

        kinds[kind](loop, &soon, (void *[]){&a, &b});
        RUN_UNTIL(loop, a.losses == 1 && b.losses == 1);
        CHECK_INT(a.error, ==, 0);
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
        while (!rp_stream_transport(streams[0]) || !rp_stream_transport(streams[1]))
            CHECK_INT(rp_sleep(co, 0), ==, 0);
        CHECK_INT(rp_create_task(&task, say_much, streams[0]), ==, 0);
        CHECK_INT(rp_stream_read_exactly(co, streams[1], bytes, 100), ==, 100);
        CHECK_INT(rp_stream_read_exactly(co, streams[1], bytes + 100, sizeof bytes - 100), ==, sizeof bytes - 100);
        CHECK(wire_same(bytes, sizeof bytes, 0));
        CHECK_INT(rp_stream_read(co, streams[1], bytes, 1), ==, 0);
        CHECK_INT(rp_join(co, task), ==, 0);
        CHECK_INT(rp_stream_write(co, streams[1], "answer", 6), ==, 0);
        rp_stream_close(streams[1]);
        CHECK_INT(rp_stream_read(co, streams[0], bytes, sizeof bytes), ==, 6);
        CHECK_INT(rp_stream_read(co, streams[0], bytes, sizeof bytes), ==, 0);
        rp_stream_close(streams[0]);
        for (int i = 0; i < 2; i++)
            CHECK_INT(rp_stream_wait_closed(co, streams[i]), ==, 0);
        rp_stream_free(streams[0]);
        rp_stream_free(streams[1]);
    }
}
