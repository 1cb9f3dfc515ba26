/* test_filter_limits.c - how long the filter of TLS waits for a peer, in time that passes by being waited for. */
#include <stdlib.h>

#include "harness/record.h"
#include "harness/toy_engine.h"
#include "net/transport.h"

typedef struct pair {
    rp_transport *below[2];
    rp_transport *filter;
    int done, error;
    record r;
    toy_factory factory;
} pair;

static void keep(void *self, rp_transport *transport)
{
    *(rp_transport **)self = transport;
}

static void on_done(void *arg, rp_transport *filter, int error)
{
    pair *p = arg;

    p->done++;
    p->error = error;
}

static int64_t seconds_since(rp_loop *loop, int64_t start)
{
    return (rp_loop_time(loop) - start) / RP_SEC(1);
}

TEST(a_handshake_may_take_a_minute_unless_something_else_was_said)
{
    static const rp_protocol silent = {.connection_made = keep};
    static const int64_t limits[][2] = {{0, 60}, {RP_SEC(5), 5}};

    for (int i = 0; i < 2; i++) {
        rp_tls_filter_options options = {.handshake_timeout = limits[i][0]};
        rp_loop *loop = wire_loop();
        pair p = {.r = {0}};
        int64_t start;

        toy_factory_init(&p.factory);
        start_memory(loop, &silent, (void *[]){&p.below[0], &p.below[1]});
        wire_settle(loop);
        start = rp_loop_time(loop);
        CHECK_INT(rp_tls_filter_new(p.below[0], &p.factory.base, &options, on_done, &p, &p.filter), ==, 0);
        RUN_UNTIL(loop, p.done);
        CHECK_INT(p.error, ==, -ETIMEDOUT);
        CHECK_INT(seconds_since(loop, start), ==, limits[i][1]);
        rp_loop_free(loop);
        CHECK_INT(p.factory.freed, ==, 1);
    }
}

static const rp_protocol plain = {.connection_made = record_made,
                                  .data_received = record_data,
                                  .eof_received = record_eof,
                                  .connection_lost = record_lost};

static void start_tls_memory(rp_loop *loop, record ends[2])
{
    start_toys(loop, start_memory, &plain, (void *[]){&ends[0], &ends[1]});
}

/* The other side does not read at all. */
TEST(a_close_waits_half_a_minute_for_a_peer_that_takes_nothing)
{
    static char much[200000];

    for (size_t length = 0; length <= sizeof much; length += sizeof much) {
        rp_loop *loop = wire_loop();
        record ends[2] = {{0}, {0}};
        int64_t start;

        start_tls_memory(loop, ends);
        rp_transport_pause_reading(ends[1].transport);
        CHECK_INT(rp_transport_write(ends[0].transport, much, length), ==, 0);
        wire_settle(loop);
        start = rp_loop_time(loop);
        rp_transport_close(ends[0].transport);
        RUN_UNTIL(loop, ends[0].lost);
        CHECK_INT(ends[0].error, ==, -ETIMEDOUT);
        CHECK_INT(seconds_since(loop, start), ==, 30);
        rp_loop_free(loop);
    }
}

static void pause_again(record *r)
{
    rp_transport_pause_reading(r->transport);
}

/* It takes twenty minutes, and each of its steps twenty seconds. */
TEST(a_close_waits_for_a_peer_that_reads_slowly)
{
    static char much[1000000];
    rp_loop *loop = wire_loop();
    record ends[2] = {{0}, {.on_data = pause_again}};
    int64_t start;

    start_tls_memory(loop, ends);
    wire_fill(much, sizeof much, 0);
    CHECK_INT(rp_transport_write(ends[0].transport, much, sizeof much), ==, 0);
    rp_transport_close(ends[0].transport);
    start = rp_loop_time(loop);
    while (ends[1].length < sizeof much) {
        wire_run(loop, RP_SEC(20));
        CHECK_INT(ends[0].lost, ==, 0);
        rp_transport_resume_reading(ends[1].transport);
    }
    RUN_UNTIL(loop, ends[0].lost && ends[1].lost);
    CHECK_INT(ends[0].error, ==, 0);
    CHECK_INT(ends[1].error, ==, 0);
    CHECK(wire_same(ends[1].data, sizeof much, 0));
    CHECK_INT(seconds_since(loop, start), >, 1000);
    free(ends[1].data);
    rp_loop_free(loop);
}
