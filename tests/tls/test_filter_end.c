/* test_filter_end.c - the filter of TLS: how it closes, and what each callback may do to it. Its engine is a toy. */
#include <stdlib.h>

#include "base/list.h"
#include "tls/rig.h"

/* ---- closing ---- */

TEST(a_close_says_so_and_waits_for_the_peer_to_say_it)
{
    rig g = {0};

    rig_open(&g);
    rp_transport_close(g.filter);
    CHECK_INT(rp_transport_write(g.filter, "x", 1), ==, -EPIPE);
    rig_expect(&g, TOY_CLOSE);
    rig_say(&g, TOY_DATA, "still under way", 15);
    rig_say(&g, TOY_ASK, "", 0);
    wire_settle(g.loop);
    CHECK_INT(g.r.lost, ==, 0);
    rig_say(&g, TOY_CLOSE, "", 0);
    RUN_UNTIL(g.loop, g.r.lost);
    CHECK(g.r.error == 0 && g.r.length == 0 && g.r.eofs == 0);
    RUN_UNTIL(g.loop, g.detached);
    rig_end(&g);
}

TEST(what_still_comes_after_a_close_is_thrown_away_however_much_it_is)
{
    static const char plain[TOY_PLAIN];
    rig g = {0};

    rig_open(&g);
    rp_transport_close(g.filter);
    rig_expect(&g, TOY_CLOSE);
    for (int i = 0; i < 10; i++) {
        rig_say(&g, TOY_DATA, plain, sizeof plain);
        wire_settle(g.loop);
    }
    CHECK_INT(g.r.lost, ==, 0);
    rig_say(&g, TOY_CLOSE, "", 0);
    rig_expect_end(&g, 0);
    RUN_UNTIL(g.loop, g.r.lost);
    CHECK(g.r.error == 0 && g.r.length == 0);
    rig_end(&g);
}

/* All that a close could wait for has come, or will not come. */
TEST(a_close_ends_in_order_however_the_peer_ends)
{
    for (int way = 0; way < 4; way++) {
        rig g = {0};

        rig_open(&g);
        rp_transport_close(g.filter);
        rig_expect(&g, TOY_CLOSE);
        if (way == 0)
            shutdown(g.peer, SHUT_WR);
        else if (way == 1)
            close_with_reset(g.peer);
        else if (way == 2)
            rig_send(&g, "nonsense, and more of it", 24);
        else
            rig_say(&g, TOY_ALERT, "\x01", 1);
        if (way == 1)
            g.peer = -1;
        RUN_UNTIL(g.loop, g.r.lost);
        CHECK(g.r.error == 0 || (way == 1 && g.r.error == -ECONNRESET));
        rig_end(&g);
    }
}

TEST(a_peer_that_does_not_answer_a_close_is_waited_for_no_longer_than_the_limit)
{
    rig g = {.options.shutdown_timeout = RP_MSEC(1)};

    rig_open(&g);
    rp_transport_close(g.filter);
    RUN_UNTIL(g.loop, g.r.lost);
    CHECK_INT(g.r.error, ==, -ETIMEDOUT);
    CHECK(rp_tls_filter_timed_out(g.filter));
    rig_expect(&g, TOY_CLOSE);
    rig_expect_end(&g, 0);
    rig_end(&g);
}

/* Neither what is buffered here nor what is buffered below keeps the connection for ever. */
TEST(a_peer_that_does_not_read_is_waited_for_no_longer_than_the_limit)
{
    static char much[8000000];
    static const size_t lengths[] = {sizeof much, 3000000, 200000};

    for (int i = 0; i < 3; i++) {
        rig g = {.options.shutdown_timeout = RP_MSEC(1)};
        int size = 4096;

        rig_open(&g);
        CHECK_INT(rp_transport_setsockopt(g.filter, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), ==, 0);
        CHECK_INT(rp_transport_write(g.filter, much, lengths[i]), ==, 0);
        rp_transport_close(g.filter);
        RUN_UNTIL(g.loop, g.r.lost);
        CHECK_INT(g.r.error, ==, -ETIMEDOUT);
        rig_end(&g);
    }
}

TEST(a_half_close_is_a_close_notify_and_reading_goes_on)
{
    rig g = {0};

    rig_open(&g);
    CHECK_INT(rp_transport_write(g.filter, "last", 4), ==, 0);
    CHECK_INT(rp_transport_write_eof(g.filter), ==, 0);
    CHECK_INT(rp_transport_write_eof(g.filter), ==, 0);
    CHECK_INT(rp_transport_write(g.filter, "x", 1), ==, -EPIPE);
    rig_expect(&g, TOY_DATA);
    rig_expect(&g, TOY_CLOSE);
    rig_say(&g, TOY_DATA, "answer", 6);
    RUN_UNTIL(g.loop, g.r.length == 6);
    rig_say(&g, TOY_CLOSE, "", 0);
    rig_expect_end(&g, 0);
    RUN_UNTIL(g.loop, g.r.lost);
    CHECK(g.r.eofs == 1 && g.r.error == 0);
    rig_end(&g);
}

TEST(an_abort_says_nothing_and_resets)
{
    for (int closing = 0; closing < 2; closing++) {
        rig g = {0};

        rig_open(&g);
        if (closing) {
            rp_transport_close(g.filter);
            rig_expect(&g, TOY_CLOSE);
        }
        rp_transport_abort(g.filter);
        RUN_UNTIL(g.loop, g.r.lost);
        CHECK_INT(g.r.error, ==, 0);
        rig_expect_end(&g, wire_reset());
        rig_end(&g);
    }
}

TEST(a_reset_by_the_peer_is_told)
{
    rig g = {0};

    rig_open(&g);
    close_with_reset(g.peer);
    g.peer = -1;
    RUN_UNTIL(g.loop, g.r.lost);
    CHECK_INT(g.r.error, ==, -ECONNRESET);
    rig_end(&g);
}

/* ---- what callbacks do ---- */

enum { IN_MADE, IN_DATA, IN_BUFFER, IN_UPDATED, IN_RECEIVABLE, IN_EOF, IN_PAUSE, IN_RESUME, IN_LOST, EVENTS };
enum { CLOSES, ABORTS, PAUSES, REPLACES, HALF_CLOSES, ACTIONS };

typedef struct actor {
    rp_transport *transport;
    int event, action;
    int acted;
    size_t got;
    int eofs, lost;
    char buffer[100];
} actor;

static const rp_protocol successor;

static void act(actor *a, int event)
{
    if (a->event != event || a->acted++)
        return;
    if (a->action == CLOSES)
        rp_transport_close(a->transport);
    else if (a->action == ABORTS)
        rp_transport_abort(a->transport);
    else if (a->action == PAUSES)
        rp_transport_pause_reading(a->transport);
    else if (a->action == HALF_CLOSES)
        rp_transport_write_eof(a->transport);
    else
        rp_transport_set_protocol(a->transport, &successor, a);
}

static void actor_made(void *self, rp_transport *transport)
{
    actor *a = self;

    a->transport = transport;
    act(a, IN_MADE);
}

static void actor_data(void *self, const void *data, size_t length)
{
    actor *a = self;

    CHECK(wire_same(data, length, a->got));
    a->got += length;
    act(a, IN_DATA);
}

static void actor_buffer(void *self, size_t hint, void **buffer, size_t *length)
{
    actor *a = self;

    *buffer = a->buffer;
    *length = sizeof a->buffer;
    act(a, IN_BUFFER);
}

static void actor_updated(void *self, size_t length)
{
    actor *a = self;

    CHECK(wire_same(a->buffer, length, a->got));
    a->got += length;
    act(a, IN_UPDATED);
}

static void actor_receivable(void *self)
{
    actor *a = self;
    int64_t n = rp_transport_try_read(a->transport, a->buffer, sizeof a->buffer);

    if (n > 0) {
        CHECK(wire_same(a->buffer, (size_t)n, a->got));
        a->got += (size_t)n;
    }
    if (n != 0)
        rp_transport_resume_reading(a->transport);
    else
        rp_transport_close(a->transport);
    act(a, IN_RECEIVABLE);
}

static bool actor_eof(void *self)
{
    actor *a = self;

    a->eofs++;
    act(a, IN_EOF);
    return false;
}

static void actor_paused(void *self)
{
    act(self, IN_PAUSE);
}

static void actor_resumed(void *self)
{
    act(self, IN_RESUME);
}

static void actor_lost(void *self, int error)
{
    actor *a = self;

    a->lost++;
    act(a, IN_LOST);
}

#define ACTOR                                                                                                     \
    .connection_made = actor_made, .eof_received = actor_eof, .pause_writing = actor_paused,                      \
    .resume_writing = actor_resumed, .connection_lost = actor_lost

static const rp_protocol successor = {ACTOR, .data_received = actor_data};
static const rp_protocol shapes[] = {{ACTOR, .data_received = actor_data},
                                     {ACTOR, .get_buffer = actor_buffer, .buffer_updated = actor_updated},
                                     {ACTOR, .receivable = actor_receivable}};

/* The peer reads all, and then says that it closes. Returns whether the connection has ended by then. */
static bool go_through(rig *g, actor *a)
{
    static char much[300000], plain[5000];
    char chunk[4096];

    a->transport = g->filter;
    wire_fill(plain, sizeof plain, 0);
    if (g->r.made == 0 && !rp_transport_is_closing(g->filter))
        rp_transport_write(g->filter, much, sizeof much);
    for (size_t at = 0; at < sizeof plain; at += 1000) {
        char bytes[TOY_RECORD];

        send(g->peer, bytes, toy_record(bytes, TOY_DATA, plain + at, 1000), MSG_NOSIGNAL);
    }
    send(g->peer, "\x05\x00\x00", 3, MSG_NOSIGNAL);
    for (int i = 0; i < 1000 && !a->lost; i++) {
        while (wire_read(g->peer, chunk, sizeof chunk) > 0)
            ;
        wire_run(g->loop, RP_MSEC(1));
        if (a->action == PAUSES && a->acted && i > 5)
            rp_transport_resume_reading(g->filter);
    }
    return a->lost;
}

TEST(each_callback_may_close_abort_pause_half_close_or_replace_the_protocol)
{
    for (int shape = 0; shape < 3; shape++)
        for (int event = 0; event < EVENTS; event++)
            for (int action = 0; action < ACTIONS; action++) {
                rig g = {.protocol = &shapes[shape]};
                actor a = {.event = event, .action = action};
                bool done;

                g.self = &a;
                rig_open(&g);
                rp_transport_set_write_buffer_limits(g.filter, 10000, 1000);
                done = go_through(&g, &a);
                CHECK(done);
                CHECK_INT(a.lost, ==, 1);
                CHECK_INT(a.got, <=, 5000);
                if (action == PAUSES || action == REPLACES || action == HALF_CLOSES)
                    CHECK_INT(a.got, ==, 5000);
                rig_end(&g);
            }
}

/* ---- memory ---- */

/* What a connection keeps of a record that is not whole is its own: others receive in the meantime. */
TEST(parts_of_records_are_kept_apart)
{
    enum { MANY = 10 };
    rp_loop *loop = wire_loop();
    static rig rigs[MANY];
    static char bytes[MANY][TOY_RECORD], plain[3000];
    size_t length = 0;

    for (int i = 0; i < MANY; i++) {
        rigs[i].options.server = true;
        CHECK_INT(rig_begin_in(&rigs[i], loop), ==, 0);
    }
    for (int i = 0; i < MANY; i++) {
        rig_shake(&rigs[i]);
        wire_fill(plain, sizeof plain, 0);
        length = toy_record(bytes[i], TOY_DATA, plain, sizeof plain);
    }
    for (size_t at = 0; at < length; at += 97) {
        for (int i = 0; i < MANY; i++)
            rig_send(&rigs[i], bytes[i] + at, length - at < 97 ? length - at : 97);
        wire_settle(loop);
    }
    for (int i = 0; i < MANY; i++) {
        RUN_UNTIL(loop, rigs[i].r.length == sizeof plain);
        CHECK(wire_same(rigs[i].r.data, sizeof plain, 0));
    }
    rp_loop_free(loop);
    for (int i = 0; i < MANY; i++) {
        rp_transport_unref(rigs[i].filter);
        rp_transport_unref(rigs[i].below);
        close(rigs[i].peer);
        free(rigs[i].r.data);
    }
}
