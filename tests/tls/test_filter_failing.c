/*
 * test_filter_failing.c - what becomes of a filter of TLS when what is below it writes no more, or has never had room,
 * while the peer is still there. Its engine is a toy.
 */
#include <stdlib.h>

#include "base/list.h"
#include "tls/rig.h"

static int failures;

static void on_failure(void *self, int error)
{
    CHECK_INT(error, ==, -EPIPE);
    failures++;
}

static const rp_protocol persistent = {.connection_made = record_made,
                                       .get_buffer = record_buffer,
                                       .buffer_updated = record_updated,
                                       .eof_received = record_eof,
                                       .connection_lost = record_lost,
                                       .write_failed = on_failure};

static void open_persistent(rig *g)
{
    failures = 0;
    g->protocol = &persistent;
    g->r.buffer_size = 100;
    rig_open(g);
}

/* As when the peer has said that it reads no more, and goes on writing. */
static void fail_below(rig *g)
{
    rp_transport_fail_writing(g->below, -EPIPE, true, RP_WHERE_WRITE);
}

/* ---- the peer is still there ---- */

TEST(a_write_that_fails_below_is_told_once)
{
    rig g = {0};

    open_persistent(&g);
    fail_below(&g);
    RUN_UNTIL(g.loop, failures);
    rig_say(&g, TOY_ASK, "", 0);
    rig_say(&g, TOY_DATA, "abc", 3);
    RUN_UNTIL(g.loop, g.r.length == 3);
    wire_settle(g.loop);
    CHECK_INT(failures, ==, 1);
    CHECK_INT(rp_transport_write(g.filter, "x", 1), ==, -EPIPE);
    CHECK_INT(g.r.lost, ==, 0);
    rig_end(&g);
}

/* It cannot be told of the close, and so will not answer. */
TEST(a_close_behind_a_write_that_has_failed_waits_for_nobody)
{
    rig g = {.options.shutdown_timeout = RP_SEC(3600)};

    open_persistent(&g);
    fail_below(&g);
    RUN_UNTIL(g.loop, failures);
    rp_transport_close(g.filter);
    RUN_UNTIL(g.loop, g.detached);
    CHECK(g.r.lost == 1 && g.r.error == -EPIPE);
    rig_end(&g);
}

TEST(a_half_close_that_cannot_be_told_fails)
{
    rig g = {0};

    open_persistent(&g);
    fail_below(&g);
    CHECK_INT(rp_transport_write_eof(g.filter), ==, -EPIPE);
    rig_end(&g);
}

TEST(a_half_close_that_the_engine_refuses_fails)
{
    rig g = {0};

    open_persistent(&g);
    g.factory.shutdown_error = -ENOMEM;
    CHECK_INT(rp_transport_write_eof(g.filter), ==, -ENOMEM);
    rig_end(&g);
}

/* Before the handshake is done, and before its owner has started it. */
TEST(a_handshake_ends_when_it_cannot_be_answered)
{
    rig g = {.options.handshake_timeout = RP_SEC(3600)};

    rig_begin(&g);
    wire_settle(g.loop);
    fail_below(&g);
    RUN_UNTIL(g.loop, g.done);
    CHECK_INT(g.error, ==, -EPIPE);
    rig_end(&g);
}

/* The failure is known before the peer's last word, which is there already. */
TEST(a_write_that_has_failed_in_the_handshake_is_told_after_it)
{
    rig g = {.protocol = &persistent, .r.buffer_size = 100};

    failures = 0;
    rig_begin(&g);
    rig_say(&g, TOY_HELLO, "", 0);
    rig_expect(&g, TOY_HELLO);
    rig_say(&g, TOY_FINISHED, "", 0);
    fail_below(&g);
    RUN_UNTIL(g.loop, failures);
    CHECK(g.done == 1 && g.error == 0 && g.r.made == 1);
    rig_end(&g);
}

/* ---- below has had no room ---- */

static const char much[1000000];

TEST(an_abort_ends_what_is_waiting_for_room)
{
    rig g = {0};
    int size = 4096;

    rig_open(&g);
    CHECK_INT(rp_transport_setsockopt(g.filter, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), ==, 0);
    for (int i = 0; i < 8; i++)
        CHECK_INT(rp_transport_write(g.filter, much, sizeof much), ==, 0);
    wire_settle(g.loop);
    CHECK_INT(rp_transport_get_write_buffer_size(g.filter), >, 0);
    rp_transport_abort(g.filter);
    RUN_UNTIL(g.loop, g.detached && g.factory.freed);
    CHECK(g.r.lost == 1 && g.r.error == 0);
    rig_end(&g);
}

/* A filter that takes the place of a protocol. */
static void take_place(rig *g, record *before)
{
    int size = 4096;

    g->loop = wire_loop();
    g->options.server = true;
    g->protocol = &record_plain;
    g->self = &g->r;
    toy_factory_init(&g->factory);
    g->peer = record_start(g->loop, &record_plain, before);
    g->below = rp_transport_ref(before->transport);
    CHECK_INT(rp_transport_setsockopt(g->below, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), ==, 0);
}

static void take_over(rig *g)
{
    CHECK_INT(rp_tls_filter_new(g->below, &g->factory.base, &g->options, rig_done, g, &g->filter), ==, 0);
    rp_transport_ref(g->filter);
    rig_say(g, TOY_HELLO, "", 0);
    rig_say(g, TOY_FINISHED, "", 0);
    RUN_UNTIL(g->loop, g->done);
    wire_settle(g->loop);
}

/* What was written before TLS began has filled it, and its owner was told to pause. */
TEST(a_filter_over_a_full_transport_waits_for_room)
{
    record before = {0};
    size_t below;
    rig g = {0};

    take_place(&g, &before);
    for (int i = 0; i < 8; i++)
        CHECK_INT(rp_transport_write(g.below, much, sizeof much), ==, 0);
    CHECK_INT(before.pauses, ==, 1);
    take_over(&g);
    below = rp_transport_get_write_buffer_size(g.below);
    CHECK_INT(rp_transport_write(g.filter, much, 100000), ==, 0);
    wire_settle(g.loop);
    CHECK_INT(rp_transport_get_write_buffer_size(g.filter), ==, 100000);
    CHECK_INT(rp_transport_get_write_buffer_size(g.below), <=, below);
    rig_end(&g);
    free(before.data);
}

/* What is buffered as records is not counted by whoever writes. */
TEST(marks_from_before_are_not_those_of_records)
{
    record before = {0};
    rig g = {0};

    take_place(&g, &before);
    CHECK_INT(rp_transport_set_write_buffer_limits(g.below, 100 * sizeof much, 0), ==, 0);
    take_over(&g);
    for (int i = 0; i < 8; i++)
        CHECK_INT(rp_transport_write(g.filter, much, sizeof much), ==, 0);
    CHECK_INT(rp_transport_get_write_buffer_size(g.below), <, 512 * 1024);
    CHECK_INT(rp_transport_get_write_buffer_size(g.filter), >, sizeof much);
    rig_end(&g);
    free(before.data);
}

/* ---- over a transport in memory, whose other end has gone, and whose last words are still there ---- */

typedef struct pair {
    rp_loop *loop;
    rp_transport *below, *distant, *filter;
    toy_factory factory;
    record r;
} pair;

static void keep(void *self, rp_transport *transport)
{
    *(rp_transport **)self = transport;
}

static void on_done(void *arg, rp_transport *filter, int error)
{
    CHECK_INT(error, ==, 0);
    rp_transport_start(filter, &persistent, &((pair *)arg)->r);
}

static void say(pair *p, int type, const void *data, size_t length)
{
    char bytes[100];

    CHECK_INT(rp_transport_write(p->distant, bytes, toy_record(bytes, type, data, length)), ==, 0);
}

static void open_in_memory(pair *p)
{
    static const rp_protocol silent = {.connection_made = keep};
    rp_tls_filter_options options = {.server = true};

    failures = 0;
    *p = (pair){.loop = wire_loop(), .r.buffer_size = 1};
    toy_factory_init(&p->factory);
    start_memory(p->loop, &silent, (void *[]){&p->below, &p->distant});
    CHECK_INT(rp_tls_filter_new(p->below, &p->factory.base, &options, on_done, p, &p->filter), ==, 0);
    say(p, TOY_HELLO, "", 0);
    say(p, TOY_FINISHED, "", 0);
    RUN_UNTIL(p->loop, p->r.made);
    wire_settle(p->loop);
}

static void end_in_memory(pair *p)
{
    rp_loop_free(p->loop);
    free(p->r.data);
    CHECK_INT(p->factory.made, ==, p->factory.freed);
}

/* Answers that have no room keep the reader from reading; answers that go nowhere do not. */
TEST(a_reader_goes_on_when_the_answers_that_had_no_room_cannot_be_sent)
{
    pair p;

    open_in_memory(&p);
    rp_transport_pause_reading(p.distant);
    CHECK_INT(rp_transport_write(p.filter, much, sizeof much), ==, 0);
    for (int i = 0; i < 3; i++) {
        say(&p, TOY_ASK, "", 0);
        say(&p, TOY_DATA, "x", 1);
    }
    say(&p, TOY_CLOSE, "", 0);
    wire_settle(p.loop);
    CHECK_INT(p.r.length, ==, 1);
    rp_transport_close(p.distant);
    RUN_UNTIL(p.loop, p.r.eofs);
    CHECK_INT(p.r.length, ==, 3);
    end_in_memory(&p);
}

TEST(a_reset_behind_a_close_is_no_error)
{
    pair p;

    open_in_memory(&p);
    rp_transport_close(p.filter);
    wire_settle(p.loop);
    CHECK_INT(p.r.lost, ==, 0);
    rp_transport_abort(p.distant);
    RUN_UNTIL(p.loop, p.r.lost);
    CHECK_INT(p.r.error, ==, 0);
    end_in_memory(&p);
}
