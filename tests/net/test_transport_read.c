/*
 * test_transport_read.c - the reading side of transports: whatever a callback does in the middle of what arrives, each
 * byte goes once, in order, to the protocol that is set when its turn comes.
 */
#include "base/list.h"
#include "harness/reader.h"

/* ---- the protocol is replaced ---- */

static shape next_shape;

static void hand_over(reader *r)
{
    r->next->transport = r->transport;
    rp_transport_set_protocol(r->transport, &protocols[next_shape], r->next);
}

TEST(bytes_go_to_the_protocol_that_is_set_when_they_are_taken)
{
    for (shape from = 0; from < SHAPES; from++)
        for (next_shape = 0; next_shape < SHAPES; next_shape++)
            for (event what = 0; what < EVENTS; what++) {
                reader second = {0}, first = {.next = &second, .event = what, .action = hand_over};
                line l;

                if (!sees(from, what))
                    continue;
                begin(&l, from, &first);
                run_until_end(&l, &second);
                CHECK_INT(first.got, <=, what == ON_DATA ? 128 * 1024 : 0);
                CHECK_INT(first.ends + first.lost, ==, 0);
                finish(&l, &second);
            }
}

/* Each read is the last one of its protocol. */
static reader relay[2];
static shape relay_shapes[2];

static void pass_on(reader *r)
{
    reader *other = r == &relay[0] ? &relay[1] : &relay[0];

    other->transport = r->transport;
    other->action = pass_on;
    rp_transport_set_protocol(r->transport, &protocols[relay_shapes[other - relay]], other);
}

TEST(two_protocols_may_take_turns)
{
    for (shape one = 0; one < SHAPES; one++)
        for (shape other = 0; other < SHAPES; other++) {
            line l;

            relay_shapes[0] = one;
            relay_shapes[1] = other;
            memset(relay, 0, sizeof relay);
            relay[0] = relay[1] = (reader){.event = ON_DATA};
            relay[0].action = pass_on;
            begin(&l, one, &relay[0]);
            while (relay[0].ends + relay[1].ends == 0) {
                feed(&l);
                wire_run(l.loop, RP_MSEC(1));
            }
            CHECK_INT(arrived, ==, TOTAL);
            CHECK(relay[0].got > 0 && relay[1].got > 0);
            rp_transport_abort(relay[0].transport);
            RUN_UNTIL(l.loop, relay[0].lost + relay[1].lost == 1);
            close(l.there);
            rp_loop_free(l.loop);
        }
}

TEST(the_end_is_told_once_except_to_a_reader_that_takes_it_itself)
{
    for (shape from = 0; from < SHAPES; from++)
        for (next_shape = 0; next_shape < SHAPES; next_shape++) {
            reader second = {0}, first = {.next = &second, .event = ON_EOF, .action = hand_over};
            line l;

            begin(&l, from, &first);
            run_until_end(&l, &first);
            if (from == RECEIVABLE)
                rp_transport_resume_reading(second.transport);
            if (next_shape == RECEIVABLE)
                RUN_UNTIL(l.loop, second.ends == 1);
            wire_run(l.loop, RP_MSEC(2));
            CHECK_INT(first.ends, ==, 1);
            CHECK_INT(second.ends, ==, next_shape == RECEIVABLE);
            finish(&l, &second);
        }
}

/* What is written meanwhile pauses and resumes the writer. */
TEST(a_protocol_may_be_replaced_while_its_writing_is_paused_or_resumed)
{
    static char zeros[20000000];

    for (shape from = 0; from < SHAPES; from++)
        for (next_shape = 0; next_shape < SHAPES; next_shape++)
            for (event what = ON_PAUSE; what <= ON_RESUME; what++) {
                reader second = {0}, first = {.next = &second, .event = what, .action = hand_over};
                line l;

                begin(&l, from, &first);
                CHECK_INT(rp_transport_write(first.transport, zeros, sizeof zeros), ==, 0);
                while (first.action != NULL) {
                    swallow(&l);
                    wire_run(l.loop, RP_MSEC(1));
                }
                if (first.ends == 0)
                    run_until_end(&l, &second);
                CHECK_INT(first.lost, ==, 0);
                finish(&l, &second);
            }
}

/* ---- reading is paused, the connection closed ---- */

static void pause_reading(reader *r)
{
    rp_transport_pause_reading(r->transport);
}

static void pause_and_resume(reader *r)
{
    rp_transport_pause_reading(r->transport);
    rp_transport_resume_reading(r->transport);
}

TEST(a_pause_in_any_callback_holds_at_once_and_loses_nothing)
{
    for (shape one = 0; one < SHAPES; one++)
        for (event what = 0; what < EVENTS; what++) {
            reader r = {.event = what, .action = pause_reading};
            uint64_t before;
            line l;

            if (!sees(one, what))
                continue;
            begin(&l, one, &r);
            run_until_done(&l, &r);
            before = arrived;
            CHECK_INT(before, <=, what == ON_DATA ? 128 * 1024 : 0);
            wire_run(l.loop, RP_MSEC(2));
            CHECK_INT(arrived, ==, before);
            rp_transport_resume_reading(r.transport);
            run_until_end(&l, &r);
            finish(&l, &r);
        }
}

TEST(a_pause_that_is_lifted_in_the_same_callback_changes_nothing)
{
    for (shape one = 0; one < SHAPES; one++)
        for (event what = 0; what < EVENTS; what++) {
            reader r = {.event = what, .action = pause_and_resume};
            line l;

            if (!sees(one, what))
                continue;
            begin(&l, one, &r);
            run_until_end(&l, &r);
            finish(&l, &r);
        }
}

static void close_it(reader *r)
{
    rp_transport_close(r->transport);
}

static void abort_it(reader *r)
{
    rp_transport_abort(r->transport);
}

static void close_and_hand_over(reader *r)
{
    rp_transport_close(r->transport);
    hand_over(r);
}

TEST(after_a_close_in_any_callback_nothing_is_handed_over)
{
    static void (*const actions[])(reader * r) = {close_it, abort_it, close_and_hand_over};

    for (shape one = 0; one < SHAPES; one++)
        for (event what = 0; what <= ON_EOF; what++)
            for (size_t i = 0; i < 3; i++) {
                reader second = {0}, r = {.next = &second, .event = what, .action = actions[i]};
                uint64_t before;
                line l;

                if (!sees(one, what) && what != ON_EOF)
                    continue;
                next_shape = (one + 1) % SHAPES;
                begin(&l, one, &r);
                run_until_done(&l, &r);
                before = arrived;
                RUN_UNTIL(l.loop, r.lost + second.lost == 1);
                wire_run(l.loop, RP_MSEC(2));
                CHECK_INT(arrived, ==, before);
                CHECK_INT(r.lost + second.lost, ==, 1);
                CHECK_INT(second.lost, ==, i == 2);
                close(l.there);
                rp_loop_free(l.loop);
            }
}

/* A callback ends as its caller expects, whatever it does to the server that the connection came by. */
typedef struct host {
    rp_server *server;
    reader r;
} host;

static void free_server(reader *r)
{
    host *h = rp_container_of(r, host, r);

    rp_server_abort_clients(h->server);
    rp_server_free(h->server);
    h->server = NULL;
}

static shape host_shape;

static int factory(void *arg, const rp_protocol **protocol, void **self)
{
    host *h = arg;

    *protocol = &protocols[host_shape];
    *self = &h->r;
    return 0;
}

TEST(the_server_may_be_freed_in_any_callback_of_a_connection)
{
    for (host_shape = 0; host_shape < SHAPES; host_shape++)
        for (event what = 0; what <= ON_EOF; what++) {
            rp_loop *loop = wire_loop();
            host h = {.r = {.event = what, .action = free_server}};
            rp_future *future;
            int there;

            if (!sees(host_shape, what) && what != ON_EOF) {
                rp_loop_free(loop);
                continue;
            }
            arrived = 0;
            CHECK_INT(rp_create_server(loop, factory, &h, "127.0.0.1", 0, NULL, &future), ==, 0);
            CHECK_INT(rp_run_until_complete(loop, future), ==, 0);
            h.server = rp_future_value(future);
            rp_future_unref(future);
            there = wire_connect(rp_server_port(h.server));
            wire_fill(line_bytes, 5000, 0);
            CHECK_INT(send(there, line_bytes, 5000, 0), ==, 5000);
            CHECK_INT(shutdown(there, SHUT_WR), ==, 0);
            RUN_UNTIL(loop, h.r.lost == 1);
            CHECK(h.server == NULL);
            close(there);
            rp_loop_free(loop);
        }
}
