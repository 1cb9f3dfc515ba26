/* test_filter_handshake.c - the filter of TLS: its handshake, and all ways in which that ends. Its engine is a toy. */
#include <stdlib.h>

#include "harness/reports.h"
#include "tls/rig.h"

/* ---- that succeed ---- */

TEST(a_server_and_a_client_are_started_when_their_handshakes_are_done)
{
    rig server = {0}, client = {.options.server_name = "example.org"};

    rig_open(&server);
    CHECK(server.factory.server);
    CHECK_STR(server.factory.name, "");
    rig_end(&server);

    CHECK_INT(rig_begin_in(&client, wire_loop()), ==, 0);
    CHECK(!client.factory.server);
    CHECK_STR(client.factory.name, "example.org");
    rig_expect(&client, TOY_HELLO);
    CHECK_INT(client.done, ==, 0);
    rig_say(&client, TOY_HELLO, "hello", 5);
    rig_expect(&client, TOY_FINISHED);
    RUN_UNTIL(client.loop, client.done);
    CHECK(client.error == 0 && client.r.made == 1);
    rig_say(&client, TOY_TICKET, "session", 7);
    rig_say(&client, TOY_DATA, "x", 1);
    RUN_UNTIL(client.loop, client.r.length == 1);
    rig_end(&client);
}

/* Its bytes are received in one turn with the last of the handshake. */
TEST(what_comes_right_behind_the_handshake_is_handed_over)
{
    for (int soon = 0; soon < 2; soon++) {
        rp_protocol protocol = record_plain;
        rig g = {.protocol = &protocol};

        protocol.begins_soon = soon;
        rig_begin(&g);
        rig_say(&g, TOY_HELLO, "", 0);
        rig_say(&g, TOY_FINISHED, "", 0);
        rig_say(&g, TOY_DATA, "abc", 3);
        rig_say(&g, TOY_CLOSE, "", 0);
        RUN_UNTIL(g.loop, g.r.lost);
        CHECK(g.r.length == 3 && g.r.eofs == 1 && g.r.error == 0);
        rig_end(&g);
    }
}

TEST(what_was_received_before_is_the_first_input)
{
    char bytes[200];
    size_t length = toy_record(bytes, TOY_HELLO, "hello", 5);
    rig g = {0};

    length += toy_record(bytes + length, TOY_FINISHED, "", 0);
    length += toy_record(bytes + length, TOY_DATA, "abc", 3);
    for (size_t before = 0; before <= length; before++) {
        rig each = {.options = {.received = bytes, .received_length = before}};

        g = each;
        rig_begin(&g);
        memset(bytes + sizeof bytes - 1, 0, 1);
        if (before < length)
            rig_send(&g, bytes + before, length - before);
        RUN_UNTIL(g.loop, g.r.length == 3);
        rig_end(&g);
    }
}

/* As start_tls does: it has written, is paused or not, and is corked or not. */
TEST(a_transport_that_runs_becomes_what_is_below)
{
    for (int way = 0; way < 4; way++) {
        rig g = {.options.server = true, .protocol = &record_plain};
        record before = {0};
        char text[6];

        g.loop = wire_loop();
        g.self = &g.r;
        toy_factory_init(&g.factory);
        g.peer = record_start(g.loop, &record_plain, &before);
        g.below = rp_transport_ref(before.transport);
        if (way & 1)
            rp_transport_pause_reading(g.below);
        if (way & 2)
            rp_transport_cork(g.below);
        CHECK_INT(rp_transport_write(g.below, "ready\n", 6), ==, 0);
        CHECK_INT(rp_tls_filter_new(g.below, &g.factory.base, &g.options, rig_done, &g, &g.filter), ==, 0);
        rp_transport_ref(g.filter);
        rig_hear_bytes(&g, text, sizeof text);
        CHECK(memcmp(text, "ready\n", 6) == 0);
        rig_shake(&g);
        rig_say(&g, TOY_DATA, "x", 1);
        RUN_UNTIL(g.loop, g.r.length == 1);
        CHECK(before.length == 0 && before.lost == 0);
        rig_end(&g);
        free(before.data);
    }
}

/* More than the buffer that is received into holds. */
TEST(much_may_have_been_received_before)
{
    enum { RECORDS = 20 };
    static char bytes[(RECORDS + 1) * TOY_RECORD], plain[RECORDS * TOY_PLAIN];
    size_t length = toy_record(bytes, TOY_HELLO, "hello", 5);
    rig g = {0};

    wire_fill(plain, sizeof plain, 0);
    length += toy_record(bytes + length, TOY_FINISHED, "", 0);
    for (int i = 0; i < RECORDS; i++)
        length += toy_record(bytes + length, TOY_DATA, plain + i * TOY_PLAIN, TOY_PLAIN);
    g.options = (rp_tls_filter_options){.received = bytes, .received_length = length - 10};
    rig_begin(&g);
    memset(bytes, 0, 1000);
    rig_send(&g, bytes + length - 10, 10);
    RUN_UNTIL(g.loop, g.r.length == sizeof plain);
    CHECK(wire_same(g.r.data, sizeof plain, 0));
    rig_end(&g);
}

TEST(what_is_written_before_the_handshake_is_done_is_sent_after_it)
{
    rig g = {0};

    rig_begin(&g);
    CHECK_INT(rp_transport_write(g.filter, "early", 5), ==, 0);
    CHECK_INT(rp_transport_get_write_buffer_size(g.filter), ==, 5);
    rig_shake(&g);
    rig_expect(&g, TOY_DATA);
    rp_transport_close(g.filter);
    rig_expect(&g, TOY_CLOSE);
    rig_end(&g);
}

/* ---- that fail ---- */

TEST(a_peer_is_told_by_an_alert_why_its_handshake_fails)
{
    rig g = {0};
    char plain[TOY_PLAIN];
    size_t length;

    rig_begin(&g);
    g.factory.refuses = RP_ETLS_NO_CERTIFICATE;
    rig_say(&g, TOY_HELLO, "", 0);
    CHECK_INT(rig_hear(&g, plain, &length), ==, TOY_ALERT);
    CHECK_INT(plain[0], ==, TOY_ALERT_REFUSED);
    rig_expect_end(&g, 0);
    CHECK_INT(g.done, ==, 1);
    CHECK_INT(g.error, ==, RP_ETLS_NO_CERTIFICATE);
    RUN_UNTIL(g.loop, g.detached);
    CHECK_INT(g.r.made + g.r.lost, ==, 0);
    rig_end(&g);
}

static void ask_engine(rig *g)
{
    rp_tls_engine *engine = rp_tls_filter_engine(g->filter);
    struct sockaddr_in address;
    uint32_t length = sizeof address;

    CHECK_INT(engine->type->alert(engine), ==, 42);
    CHECK_STR(engine->type->text(engine), "it is a toy");
    CHECK_INT(rp_transport_peername(g->filter, (struct sockaddr *)&address, &length), ==, 0);
    CHECK(rp_tls_filter_below(g->filter) == g->below);
    CHECK(rp_tls_filter_engine(g->below) == NULL);
    CHECK(rp_transport_is_closing(g->filter));
}

TEST(an_alert_of_the_peers_is_told_with_its_number)
{
    rig g = {.on_done = ask_engine};

    rig_begin(&g);
    rig_say(&g, TOY_ALERT, "\x2a", 1);
    RUN_UNTIL(g.loop, g.done);
    CHECK_INT(g.error, ==, RP_ETLS_ALERT);
    RUN_UNTIL(g.loop, g.detached);
    CHECK(rp_tls_filter_engine(g.filter) == NULL);
    rig_end(&g);
}

TEST(plain_text_in_place_of_a_hello_is_named)
{
    rig g = {0};

    rig_begin(&g);
    rig_send(&g, "GET / HTTP/1.1\r\n\r\n", 18);
    rig_send(&g, "and more, so that it is a whole record of some kind", 51);
    shutdown(g.peer, SHUT_WR);
    RUN_UNTIL(g.loop, g.done);
    CHECK(g.error == RP_ETLS_PLAIN || g.error == RP_ETLS_PROTOCOL);
    rig_end(&g);
}

TEST(a_peer_that_ends_or_resets_in_the_handshake_has_reset_the_connection)
{
    for (int way = 0; way < 6; way++) {
        rig g = {0};

        rig_begin(&g);
        if (way >= 2)
            rig_say(&g, TOY_HELLO, "", 0);
        if (way >= 4) {
            rig_expect(&g, TOY_HELLO);
            rig_send(&g, "\x02", 1);
        }
        if (way & 1)
            close_with_reset(g.peer);
        else
            close(g.peer);
        g.peer = -1;
        RUN_UNTIL(g.loop, g.done);
        CHECK_INT(g.error, ==, -ECONNRESET);
        RUN_UNTIL(g.loop, g.detached);
        rig_end(&g);
    }
}

TEST(a_handshake_that_takes_too_long_ends)
{
    for (int step = 0; step < 2; step++) {
        rig g = {.options.handshake_timeout = RP_MSEC(1)};

        rig_begin(&g);
        if (step)
            rig_say(&g, TOY_HELLO, "", 0);
        RUN_UNTIL(g.loop, g.done);
        CHECK_INT(g.error, ==, -ETIMEDOUT);
        CHECK(rp_tls_filter_timed_out(g.filter));
        RUN_UNTIL(g.loop, g.detached);
        rig_end(&g);
    }
}

/* Such as by a server that drops its connections. */
TEST(a_handshake_ends_when_somebody_else_ends_what_is_below)
{
    for (int way = 0; way < 2; way++) {
        rig g = {0};

        rig_begin(&g);
        rig_say(&g, TOY_HELLO, "", 0);
        rig_expect(&g, TOY_HELLO);
        if (way)
            rp_transport_abort(g.below);
        else
            rp_transport_close(g.below);
        RUN_UNTIL(g.loop, g.detached);
        CHECK(g.done == 1 && g.error == -ECONNRESET);
        rig_end(&g);
    }
}

TEST(an_engine_that_cannot_be_made_leaves_below_with_its_owner)
{
    rig g = {.protocol = &record_plain};
    record before = {0};

    g.loop = wire_loop();
    toy_factory_init(&g.factory);
    g.factory.make_error = -ENOMEM;
    g.peer = record_start(g.loop, &record_plain, &before);
    CHECK_INT(rp_tls_filter_new(before.transport, &g.factory.base, &g.options, rig_done, &g, &g.filter), ==,
              -ENOMEM);
    rig_send(&g, "plain", 5);
    RUN_UNTIL(g.loop, before.length == 5);
    rp_transport_close(before.transport);
    g.factory.make_error = 0;
    CHECK_INT(rp_tls_filter_new(before.transport, &g.factory.base, &g.options, rig_done, &g, &g.filter), ==,
              -EPIPE);
    RUN_UNTIL(g.loop, before.lost);
    CHECK_INT(g.done, ==, 0);
    rig_end(&g);
    free(before.data);
}

/* ---- whoever gives up ---- */

TEST(whoever_closes_or_aborts_in_the_handshake_is_told_so)
{
    for (int way = 0; way < 4; way++) {
        rig g = {0};

        rig_begin(&g);
        if (way & 1) {
            rig_say(&g, TOY_HELLO, "", 0);
            rig_expect(&g, TOY_HELLO);
        }
        if (way & 2)
            rp_transport_abort(g.filter);
        else
            rp_transport_close(g.filter);
        CHECK_INT(g.done, ==, 0);
        RUN_UNTIL(g.loop, g.detached);
        CHECK_INT(g.done, ==, 1);
        CHECK_INT(g.error, ==, -ECANCELED);
        CHECK_INT(g.r.made + g.r.lost, ==, 0);
        rig_expect_end(&g, way & 2 ? wire_reset() : 0);
        rig_end(&g);
    }
}

static void do_nothing(rig *g)
{
}

static void abort_it(rig *g)
{
    rp_transport_abort(g->filter);
}

static void close_it(rig *g)
{
    rp_transport_close(g->filter);
}

TEST(a_filter_that_nobody_starts_is_aborted)
{
    for (int way = 0; way < 2; way++) {
        rig g = {.on_done = way ? abort_it : do_nothing};

        rig_begin(&g);
        rig_shake(&g);
        RUN_UNTIL(g.loop, g.detached);
        CHECK_INT(g.done, ==, 1);
        rig_expect_end(&g, wire_reset());
        rig_end(&g);
    }
}

TEST(a_filter_may_be_closed_instead_of_being_started)
{
    rig g = {.on_done = close_it};

    rig_begin(&g);
    rig_shake(&g);
    rig_expect(&g, TOY_CLOSE);
    CHECK_INT(g.detached, ==, 0);
    rig_say(&g, TOY_CLOSE, "", 0);
    rig_expect_end(&g, 0);
    RUN_UNTIL(g.loop, g.detached);
    CHECK_INT(g.done, ==, 1);
    rig_end(&g);
}

/* ---- code of the user's inside an engine ---- */

static void abort_inside(void *arg)
{
    rig *g = arg;

    g->factory.called = NULL;
    rp_transport_abort(g->filter);
}

static void close_inside(void *arg)
{
    rig *g = arg;

    g->factory.called = NULL;
    rp_transport_close(g->filter);
}

TEST(a_callback_of_the_engine_may_end_the_filter)
{
    for (int way = 0; way < 4; way++) {
        rig g = {0};

        rig_begin(&g);
        if (way & 2)
            rig_shake(&g);
        g.factory.called = way & 1 ? abort_inside : close_inside;
        g.factory.arg = &g;
        rig_say(&g, way & 2 ? TOY_DATA : TOY_HELLO, "abc", 3);
        if (way == 2) {
            rig_expect(&g, TOY_CLOSE);
            rig_say(&g, TOY_CLOSE, "", 0);
        }
        RUN_UNTIL(g.loop, g.detached);
        CHECK_INT(g.done, ==, 1);
        CHECK_INT(g.error, ==, way & 2 ? 0 : -ECANCELED);
        rig_end(&g);
    }
}

/* ---- the loop's end ---- */

static bool told;

static void on_report(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    told = true;
    CHECK(context->transport == ((rig *)arg)->filter);
}

TEST(a_loop_that_is_closed_ends_a_filter_at_any_stage_and_calls_nobody)
{
    for (int stage = 0; stage < 7; stage++) {
        rig g = {.r.keep_open = true};
        rp_loop *loop = wire_loop();
        int done;

        rp_set_debug(loop, true);
        rp_set_exception_handler(loop, on_report, &g);
        g.options.server = true;
        CHECK_INT(rig_begin_in(&g, loop), ==, 0);
        if (stage >= 1)
            rig_say(&g, TOY_HELLO, "", 0);
        if (stage >= 2)
            rig_expect(&g, TOY_HELLO);
        if (stage >= 3) {
            rig_say(&g, TOY_FINISHED, "", 0);
            RUN_UNTIL(loop, g.done);
        }
        if (stage == 4)
            rp_transport_close(g.filter);
        if (stage >= 5) {
            rp_transport_close(g.filter);
            rig_expect(&g, TOY_TICKET);
            rig_expect(&g, TOY_CLOSE);
        }
        if (stage == 6)
            rp_transport_abort(g.filter);
        done = g.done;
        told = false;
        rp_loop_free(loop);
        CHECK_INT(told, ==, stage < 4);
        CHECK(g.done == done && g.r.lost == 0 && g.detached == 0);
        CHECK(rp_transport_is_closing(g.filter));
        CHECK_INT(rp_transport_write(g.filter, "x", 1), ==, RP_ECLOSED);
        CHECK_INT(rp_transport_fd(g.filter), ==, -1);
        CHECK(rp_tls_filter_engine(g.filter) == NULL);
        CHECK_INT(g.factory.freed, ==, 1);
        rp_transport_unref(g.filter);
        rp_transport_unref(g.below);
        close(g.peer);
    }
}
