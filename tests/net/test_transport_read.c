/*
 * test_transport_read.c - the reading side of transports: whatever a callback does in the middle of what arrives, each
 * byte goes once, in order, to the protocol that is set when its turn comes.
 *
 * A reader is a protocol in one of the three shapes. At the first of one of its events it does one thing. All bytes and
 * the end of the stream come by one line, whose state is shared by the readers of a connection.
 */
#include "base/list.h"
#include "harness/reports.h"
#include "harness/wire.h"

typedef enum { PLAIN, BUFFERED, RECEIVABLE, SHAPES } shape;
typedef enum { ON_MADE, ON_BUFFER, ON_DATA, ON_EOF, ON_PAUSE, ON_RESUME, EVENTS } event;

typedef struct reader reader;
struct reader {
    rp_transport *transport;
    reader *next; /* takes over at the event */
    event event;
    void (*action)(reader *r);
    size_t got;
    int ends, lost;
    char buffer[1000];
};

static uint64_t arrived; /* on the connection of this test, by all its readers */

static void happens(reader *r, event what)
{
    void (*action)(reader * r) = r->action;

    if (action == NULL || r->event != what)
        return;
    r->action = NULL;
    action(r);
}

static void take(reader *r, const void *data, size_t length)
{
    CHECK_INT(r->lost, ==, 0);
    CHECK(wire_same(data, length, arrived));
    arrived += length;
    r->got += length;
}

static void made(void *self, rp_transport *transport)
{
    reader *r = self;

    r->transport = transport;
    happens(r, ON_MADE);
}

static void received(void *self, const void *data, size_t length)
{
    take(self, data, length);
    happens(self, ON_DATA);
}

static void give_buffer(void *self, size_t hint, void **buffer, size_t *length)
{
    reader *r = self;

    CHECK_INT(hint, >, 0);
    *buffer = r->buffer;
    *length = sizeof r->buffer;
    happens(r, ON_BUFFER);
}

static void updated(void *self, size_t length)
{
    reader *r = self;

    take(r, r->buffer, length);
    happens(r, ON_DATA);
}

static void receivable(void *self)
{
    reader *r = self;
    int64_t n;

    CHECK(!rp_transport_is_reading(r->transport));
    n = rp_transport_try_read(r->transport, r->buffer, sizeof r->buffer);
    if (n > 0)
        take(r, r->buffer, (size_t)n);
    CHECK(n >= 0 || n == -EAGAIN);
    r->ends += n == 0;
    if (n == 0) {
        happens(r, ON_EOF);
    } else {
        rp_transport_resume_reading(r->transport);
        happens(r, ON_DATA);
    }
}

static bool ended(void *self)
{
    reader *r = self;

    r->ends++;
    happens(r, ON_EOF);
    return true;
}

static void lost(void *self, int error)
{
    reader *r = self;

    CHECK_INT(error, ==, 0);
    r->lost++;
}

static void paused(void *self)
{
    happens(self, ON_PAUSE);
}

static void resumed(void *self)
{
    happens(self, ON_RESUME);
}

#define EACH_SHAPE_HAS                                                                                            \
    .connection_made = made, .connection_lost = lost, .pause_writing = paused, .resume_writing = resumed

static const rp_protocol protocols[SHAPES] = {
    [PLAIN] = {EACH_SHAPE_HAS, .data_received = received, .eof_received = ended},
    [BUFFERED] = {EACH_SHAPE_HAS, .get_buffer = give_buffer, .buffer_updated = updated, .eof_received = ended},
    [RECEIVABLE] = {EACH_SHAPE_HAS, .receivable = receivable},
};

/* ---- a connection on which more is waiting than one read takes ---- */

#ifdef _WIN32
enum { TOTAL = 300000 }; /* Wine is slow */
#else
enum { TOTAL = 614400 };
#endif

static char line_bytes[TOTAL];

typedef struct line {
    rp_loop *loop;
    int there;
    size_t sent;
    bool half_closed;
} line;

static void feed(line *l)
{
    while (l->sent < TOTAL) {
        ssize_t n = send(l->there, line_bytes + l->sent, TOTAL - l->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n <= 0)
            return;
        l->sent += (size_t)n;
    }
    if (!l->half_closed)
        CHECK_INT(shutdown(l->there, SHUT_WR), ==, 0);
    l->half_closed = true;
}

static void begin(line *l, shape first, reader *r)
{
    rp_transport *transport;
    int here, room = 1 << 20;

    *l = (line){.loop = wire_loop()};
    arrived = 0;
    wire_fill(line_bytes, TOTAL, 0);
    wire_pair(&here, &l->there);
    setsockopt(here, SOL_SOCKET, SO_RCVBUF, (const void *)&room, sizeof room);
    feed(l);
    CHECK_INT(rp_connect_accepted_socket(l->loop, here, &protocols[first], r, &transport), ==, 0);
}

/* Until the reader has done what it does, or would have by now. */
static void run_until_done(line *l, const reader *r)
{
    while (r->action != NULL) {
        feed(l);
        wire_run(l->loop, RP_MSEC(1));
    }
}

static void run_until_end(line *l, const reader *last)
{
    while (last->ends == 0) {
        feed(l);
        wire_run(l->loop, RP_MSEC(1));
    }
    CHECK_INT(arrived, ==, TOTAL);
}

/* What was written to the peer is of no interest. */
static void swallow(const line *l)
{
    static char sink[65536];

    while (wire_read(l->there, sink, sizeof sink) > 0)
        ;
}

static void finish(line *l, const reader *last)
{
    rp_transport_abort(last->transport);
    while (last->lost == 0) {
        swallow(l);
        wire_run(l->loop, RP_MSEC(1));
    }
    wire_run(l->loop, RP_MSEC(1));
    CHECK_INT(last->lost, ==, 1);
    close(l->there);
    rp_loop_free(l->loop);
}

/* Which events a shape sees, of those that come by reading. */
static bool sees(shape one, event what)
{
    return what == ON_MADE || what == ON_DATA || (what == ON_BUFFER && one == BUFFERED);
}

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

/* ---- a callback forks ---- */

#ifndef _WIN32
static pid_t child;
static uint64_t arrived_before;

static void fork_it(reader *r)
{
    int status;

    arrived_before = arrived;
    child = fork();
    if (child == 0)
        return;
    CHECK_INT(waitpid(child, &status, 0), ==, child);
    CHECK_INT(status, ==, 0);
    rp_loop_stop(rp_transport_get_loop(r->transport));
}

TEST(in_the_child_a_callback_that_forks_is_the_last_and_takes_nothing)
{
    for (shape one = 0; one < SHAPES; one++)
        for (event what = ON_BUFFER; what <= ON_DATA; what++) {
            reader r = {.event = what, .action = fork_it};
            line l;

            if (!sees(one, what))
                continue;
            begin(&l, one, &r);
            int rc = rp_run_forever(l.loop);
            if (child == 0)
                _exit(rc == RP_EFORK && arrived == arrived_before ? 0 : 1);
            CHECK_INT(rc, ==, 0);
            run_until_end(&l, &r);
            finish(&l, &r);
        }
}

/* What was still to be sent is the parent's to send: the child does not even try. */
TEST(in_the_child_a_callback_that_forks_sends_nothing_on)
{
    static char zeros[20000000];
    reader r = {.event = ON_RESUME, .action = fork_it};
    int reports = 0, rc = 0;
    line l;

    begin(&l, PLAIN, &r);
    rp_set_exception_handler(l.loop, count_report, &reports);
    CHECK_INT(rp_transport_set_write_buffer_limits(r.transport, sizeof zeros / 2, sizeof zeros / 2), ==, 0);
    CHECK_INT(rp_transport_write(r.transport, zeros, sizeof zeros), ==, 0);
    while (r.action != NULL) {
        swallow(&l);
        CHECK_INT(rp_call_later(l.loop, NULL, RP_MSEC(1), wire_stop, l.loop), ==, 0);
        rc = rp_run_forever(l.loop);
    }
    if (child == 0)
        _exit(rc == RP_EFORK && reports == 0 ? 0 : 1);
    CHECK_INT(rc, ==, 0);
    CHECK_INT(reports, ==, 0);
    finish(&l, &r);
}

static pid_t forked;

static void fork_when_made(void *self, rp_transport *transport)
{
    int status;

    (void)transport;
    forked = fork();
    if (forked == 0)
        return;
    CHECK_INT(waitpid(forked, &status, 0), ==, forked);
    CHECK_INT(status, ==, 0);
    rp_loop_stop(self);
}

/* Where connection_made comes first and receiving after it: the child does not even try. */
TEST(in_the_child_a_connection_made_that_forks_is_the_last)
{
    static const rp_protocol forks = {.begins_soon = true, .connection_made = fork_when_made};
    rp_loop *loop = wire_loop();
    int reports = 0, here, there;
    rp_transport *transport;

    rp_set_exception_handler(loop, count_report, &reports);
    wire_pair(&here, &there);
    CHECK_INT(rp_connect_accepted_socket(loop, here, &forks, loop, &transport), ==, 0);
    int rc = rp_run_forever(loop);
    if (forked == 0)
        _exit(rc == RP_EFORK && reports == 0 && !rp_transport_is_closing(transport) ? 0 : 1);
    CHECK_INT(rc, ==, 0);
    close(there);
    rp_loop_free(loop);
}
#else
TEST_ABSENT(in_the_child_a_connection_made_that_forks_is_the_last, "Windows has no fork()");
TEST_ABSENT(in_the_child_a_callback_that_forks_is_the_last_and_takes_nothing, "Windows has no fork()");
TEST_ABSENT(in_the_child_a_callback_that_forks_sends_nothing_on, "Windows has no fork()");
#endif

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
