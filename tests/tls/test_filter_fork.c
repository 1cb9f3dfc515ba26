/* test_filter_fork.c - what goes on in a filter of TLS is the parent's: a child of fork() says nothing. */
#include <stdlib.h>

#include "tls/rig.h"

static pid_t child = -1;
static int calls; /* of the user's, since then */

static void fork_once(rp_loop *loop)
{
    int status;

    if (child != -1)
        return;
    child = fork();
    calls = 0;
    if (child == 0)
        return;
    CHECK_INT(waitpid(child, &status, 0), ==, child);
    CHECK_INT(status, ==, 0);
    rp_loop_stop(loop);
}

/* The child's run is over: whatever it does to the filter now, the peer hears nothing of it. */
static void end_child(rig *g, int rc)
{
    if (child != 0)
        return;
    CHECK_INT(rc, ==, RP_EFORK);
    CHECK_INT(calls, ==, 0);
    CHECK_INT(rp_transport_write(g->filter, "of the child", 12), ==, RP_EFORK);
    CHECK_INT(rp_transport_write_eof(g->filter), ==, RP_EFORK);
    rp_transport_close(g->filter);
    rp_transport_abort(g->filter);
    rp_loop_free(g->loop);
    _exit(0);
}

/* Runs the loop until the fork has been. */
static void run(rig *g)
{
    while (child == -1) {
        CHECK_INT(rp_call_later(g->loop, NULL, RP_MSEC(1), wire_stop, g->loop), ==, 0);
        end_child(g, rp_run_forever(g->loop));
    }
}

static void fork_and_start(rig *g)
{
    fork_once(g->loop);
    if (child != 0)
        rp_transport_start(g->filter, g->protocol, g->self);
}

TEST(in_the_child_a_handshake_that_is_done_goes_no_further)
{
    rig g = {.on_done = fork_and_start};

    rig_begin(&g);
    rig_say(&g, TOY_HELLO, "", 0);
    rig_say(&g, TOY_FINISHED, "", 0);
    rig_say(&g, TOY_DATA, "x", 1);
    run(&g);
    rig_expect(&g, TOY_HELLO);
    rig_expect(&g, TOY_TICKET);
    RUN_UNTIL(g.loop, g.r.length == 1);
    rp_transport_close(g.filter);
    rig_expect(&g, TOY_CLOSE);
    rig_end(&g);
}

static void count_done(rig *g)
{
    calls++;
    rp_transport_start(g->filter, g->protocol, g->self);
}

static void fork_inside(void *arg)
{
    fork_once(((rig *)arg)->loop);
}

TEST(in_the_child_a_callback_of_the_engine_is_the_last)
{
    rig g = {.on_done = count_done};

    rig_begin(&g);
    g.factory.called = fork_inside;
    g.factory.arg = &g;
    rig_say(&g, TOY_HELLO, "", 0);
    rig_say(&g, TOY_FINISHED, "", 0);
    run(&g);
    rig_expect(&g, TOY_HELLO);
    rig_expect(&g, TOY_TICKET);
    RUN_UNTIL(g.loop, calls);
    rig_end(&g);
}

static void fork_in_data(record *r)
{
    calls++;
    fork_once(rp_transport_get_loop(r->transport));
}

TEST(in_the_child_nothing_is_read_on)
{
    rig g = {.protocol = &record_buffered, .r = {.on_data = fork_in_data, .buffer_size = 10}};
    char plain[100];

    rig_open(&g);
    wire_fill(plain, sizeof plain, 0);
    rig_say(&g, TOY_DATA, plain, sizeof plain);
    run(&g);
    RUN_UNTIL(g.loop, g.r.length == sizeof plain);
    CHECK(wire_same(g.r.data, g.r.length, 0));
    rig_end(&g);
}

static void fork_in_resume(record *r)
{
    calls++;
    fork_once(rp_transport_get_loop(r->transport));
}

/* What comes to the peer, while the loop runs: the fork may be in that. */
static void hear(rig *g, void *buffer, size_t length)
{
    for (size_t got = 0; got < length;) {
        ssize_t n = wire_read(g->peer, (char *)buffer + got, length - got);

        got += n > 0 ? (size_t)n : 0;
        if (n == -EAGAIN) {
            CHECK_INT(rp_call_later(g->loop, NULL, RP_MSEC(1), wire_stop, g->loop), ==, 0);
            end_child(g, rp_run_forever(g->loop));
        }
    }
}

TEST(in_the_child_nothing_is_sent_on)
{
    static char much[6000000], plain[TOY_PLAIN];
    rig g = {.r = {.on_resume = fork_in_resume}};
    unsigned char header[TOY_HEADER];
    size_t length;

    rig_open(&g);
    wire_fill(much, sizeof much, 0);
    rp_transport_set_write_buffer_limits(g.filter, 5000000, 5000000);
    CHECK_INT(rp_transport_write(g.filter, much, sizeof much), ==, 0);
    CHECK_INT(g.r.pauses, ==, 0);
    wire_fill(much, sizeof much, sizeof much);
    CHECK_INT(rp_transport_write(g.filter, much, sizeof much), ==, 0);
    CHECK_INT(g.r.pauses, ==, 1);
    for (size_t total = 0; total < 2 * sizeof much; total += length) {
        hear(&g, header, sizeof header);
        CHECK_INT(header[0], ==, TOY_DATA);
        length = (size_t)header[1] << 8 | header[2];
        hear(&g, plain, length);
        for (size_t i = 0; i < length; i++)
            plain[i] = (char)~plain[i];
        CHECK(wire_same(plain, length, total));
    }
    CHECK(child > 0);
    rig_end(&g);
}
