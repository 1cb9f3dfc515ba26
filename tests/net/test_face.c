/*
 * test_face.c - what a second face of the library asks of transports, besides what C programs see: asyncio's order of
 * calls to the turn, references that outlive a loop, buffers that are lent and given back.
 *
 * A small protocol plays the face, and writes down what it is told, a letter for each call:
 *   M connection_made   D data_received    E eof_received    L connection_lost   . another callback of the loop
 *   G get_buffer        U buffer_updated   N buffer_unused (nothing came)
 */
#include "harness/wire.h"

typedef struct face {
    rp_transport *transport;
    char log[256];
    size_t length;
    uint64_t turns[256]; /* in which each was written */
    int error;           /* connection_lost's */
    void (*at_made)(struct face *f);
    void (*at_data)(struct face *f); /* or buffer_updated */
    void (*at_get)(struct face *f);
    void (*at_unused)(struct face *f);
    void *buffer;
    size_t room;
    char bytes[64];
} face;

static rp_loop *the_loop;

static uint64_t turn(void)
{
    rp_loop_stats stats;

    rp_loop_get_stats(the_loop, &stats);
    return stats.turns;
}

static void note(face *f, char what)
{
    CHECK(f->length + 1 < sizeof f->log);
    f->turns[f->length] = turn();
    f->log[f->length++] = what;
}

static bool has(const face *f, char what)
{
    return strchr(f->log, what);
}

static void made(void *self, rp_transport *transport)
{
    face *f = self;

    note(f, 'M');
    f->transport = transport;
    if (f->at_made)
        f->at_made(f);
}

static void received(void *self, const void *data, size_t length)
{
    face *f = self;

    note(f, 'D');
    if (f->at_data)
        f->at_data(f);
}

static bool ended(void *self)
{
    note(self, 'E');
    return false;
}

static void lost(void *self, int error)
{
    face *f = self;

    note(f, 'L');
    f->error = error;
}

static void get(void *self, size_t hint, void **buffer, size_t *length)
{
    face *f = self;

    note(f, 'G');
    *buffer = f->buffer;
    *length = f->room;
    if (f->at_get)
        f->at_get(f);
}

static void updated(void *self, size_t length)
{
    face *f = self;

    CHECK(length > 0 && length <= f->room);
    note(f, 'U');
    if (f->at_data)
        f->at_data(f);
}

static void unused(void *self)
{
    face *f = self;

    note(f, 'N');
    if (f->at_unused)
        f->at_unused(f);
}

#define EACH_HAS .connection_made = made, .eof_received = ended, .connection_lost = lost

static const rp_protocol plain = {EACH_HAS, .data_received = received};
static const rp_protocol soon = {EACH_HAS, .data_received = received, .begins_soon = true};
static const rp_protocol buffered = {EACH_HAS, .get_buffer = get, .buffer_updated = updated,
                                     .buffer_unused = unused};
static const rp_protocol one_by_one = {EACH_HAS, .get_buffer = get, .buffer_updated = updated,
                                       .buffer_unused = unused, .receives = 1};

/* A transport of one end of a TCP connection; the other end is returned. */
static int attach(face *f, const rp_protocol *protocol)
{
    int here, there;

    the_loop = wire_loop();
    f->buffer = f->bytes;
    f->room = sizeof f->bytes;
    wire_pair(&here, &there);
    CHECK_INT(rp_connect_accepted_socket(the_loop, here, protocol, f, &f->transport), ==, 0);
    return there;
}

static void finish(int there)
{
    close(there);
    rp_loop_free(the_loop);
}

/* One turn: what was ready is run, and what has completed by now is delivered. */
static void run_turn(void)
{
    rp_loop_stop(the_loop);
    CHECK_INT(rp_run_forever(the_loop), ==, 0);
}

static void say(int fd, const char *text)
{
    CHECK_INT(send(fd, text, strlen(text), 0), ==, strlen(text));
}

/* ---- a connection that is lost is told in the next turn ---- */

static void note_call(void *arg)
{
    note(arg, '.');
}

static void close_between_two(face *f)
{
    CHECK_INT(rp_call_soon(the_loop, NULL, note_call, f), ==, 0);
    rp_transport_close(f->transport);
    CHECK_INT(rp_call_soon(the_loop, NULL, note_call, f), ==, 0);
}

static void abort_between_two(face *f)
{
    CHECK_INT(rp_call_soon(the_loop, NULL, note_call, f), ==, 0);
    rp_transport_abort(f->transport);
    CHECK_INT(rp_call_soon(the_loop, NULL, note_call, f), ==, 0);
}

static void close_by_callback(void *arg)
{
    face *f = arg;

    note(f, 'D');
    close_between_two(f);
}

static void abort_by_callback(void *arg)
{
    face *f = arg;

    note(f, 'D');
    abort_between_two(f);
}

TEST(what_a_callback_closes_is_told_in_the_next_turn_where_it_was_closed)
{
    rp_callback *const ways[] = {close_by_callback, abort_by_callback};

    for (int i = 0; i < 2; i++) {
        face f = {0};
        int there = attach(&f, &plain);

        CHECK_INT(rp_call_soon(the_loop, NULL, ways[i], &f), ==, 0);
        RUN_UNTIL(the_loop, has(&f, 'L') && f.length == 5);
        CHECK_STR(f.log, "MD.L.");
        for (int k = 2; k < 5; k++)
            CHECK_INT(f.turns[k], ==, f.turns[1] + 1);
        CHECK_INT(f.error, ==, 0);
        finish(there);
    }
}

TEST(what_is_closed_while_data_is_received_is_told_in_the_next_turn)
{
    void (*const ways[])(face * f) = {close_between_two, abort_between_two};

    for (int i = 0; i < 2; i++) {
        face f = {.at_data = ways[i]};
        int there = attach(&f, &plain);

        say(there, "x");
        RUN_UNTIL(the_loop, has(&f, 'L'));
        CHECK_STR(f.log, "MD..L");
        CHECK_INT(f.turns[4], ==, f.turns[1] + 1);
        finish(there);
    }
}

TEST(what_is_closed_outside_of_a_run_is_told_in_its_first_turn)
{
    face f = {0};
    int there = attach(&f, &plain);

    close_between_two(&f);
    CHECK_STR(f.log, "M");
    run_turn();
    CHECK_STR(f.log, "M.L.");
    finish(there);
}

static void reset(int fd)
{
    struct linger linger = {1, 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, (const void *)&linger, sizeof linger);
    close(fd);
}

TEST(a_connection_that_a_write_has_lost_is_told_in_the_next_turn)
{
    face f = {0};
    int there = attach(&f, &plain);

    run_turn();
    reset(there);
    CHECK_INT(rp_call_soon(the_loop, NULL, note_call, &f), ==, 0);
    CHECK_INT(rp_transport_write(f.transport, "x", 1), <, 0);
    CHECK_INT(rp_call_soon(the_loop, NULL, note_call, &f), ==, 0);
    run_turn();
    CHECK_STR(f.log, "M.L.");
    CHECK(f.error == -ECONNRESET || f.error == -EPIPE);
    rp_loop_free(the_loop);
}

/* The kernel takes its time to let go of what it was asked to give up. */
static struct {
    bool holds;
    rp_loop *loop;
    rp_op *op;
} kernel;

void __real_rp_cancel(rp_loop *loop, rp_op *op);
void __wrap_rp_cancel(rp_loop *loop, rp_op *op);

void __wrap_rp_cancel(rp_loop *loop, rp_op *op)
{
    if (!kernel.holds) {
        __real_rp_cancel(loop, op);
        return;
    }
    kernel.loop = loop;
    kernel.op = op;
}

TEST(connection_lost_does_not_wait_for_the_kernel_and_the_descriptor_does)
{
    for (int aborts = 0; aborts < 2; aborts++) {
        face f = {0};
        int there = attach(&f, &plain);
        char byte;

        run_turn();
        kernel.holds = true;
        if (aborts)
            abort_between_two(&f);
        else
            close_between_two(&f);
        run_turn();
        CHECK_STR(f.log, "M.L.");
        CHECK_INT(wire_read(there, &byte, 1), ==, -EAGAIN);
        for (int i = 0; i < 5; i++)
            run_turn();
        CHECK_INT(wire_read(there, &byte, 1), ==, -EAGAIN);
        kernel.holds = false;
        rp_cancel(kernel.loop, kernel.op);
        CHECK_INT(wire_await(the_loop, there, &byte, 1), ==, aborts ? wire_reset() : 0);
        CHECK_STR(f.log, "M.L.");
        finish(there);
    }
}

TEST(a_loop_may_be_closed_before_the_kernel_has_let_go)
{
    face f = {0};
    int there = attach(&f, &plain);
    char byte;

    run_turn();
    kernel.holds = true;
    rp_transport_close(f.transport);
    run_turn();
    CHECK_STR(f.log, "ML");
    rp_loop_close(the_loop);
    while (wire_read(there, &byte, 1) == -EAGAIN)
        usleep(1000);
    finish(there);
}

/* ---- a transport that is referred to ---- */

static void check_closed(rp_transport *transport, int error)
{
    struct sockaddr_in address;
    uint32_t length = sizeof address;
    size_t high, low;
    char byte;

    CHECK(rp_transport_is_closing(transport));
    CHECK(!rp_transport_is_reading(transport));
    CHECK_INT(rp_transport_write(transport, "x", 1), ==, error);
    CHECK_INT(rp_transport_try_read(transport, &byte, 1), ==, error);
    CHECK_INT(rp_transport_write_eof(transport), ==, error == -EPIPE ? 0 : error);
    rp_transport_cork(transport);
    CHECK_INT(rp_transport_uncork(transport), ==, error);
    rp_transport_pause_reading(transport);
    rp_transport_resume_reading(transport);
    rp_transport_close(transport);
    rp_transport_abort(transport);
    CHECK_INT(rp_transport_set_write_buffer_limits(transport, 10, 5), ==, 0);
    rp_transport_get_write_buffer_limits(transport, &high, &low);
    CHECK(high == 10 && low == 5);
    CHECK_INT(rp_transport_get_write_buffer_size(transport), ==, 0);
    CHECK_INT(rp_transport_fd(transport), ==, -1);
    CHECK_INT(rp_transport_peername(transport, (struct sockaddr *)&address, &length), ==, -EBADF);
    CHECK_INT(rp_transport_sockname(transport, (struct sockaddr *)&address, &length), ==, -EBADF);
    CHECK_INT(rp_transport_setsockopt(transport, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int)), <, 0);
    rp_transport_set_protocol(transport, &plain, NULL);
    CHECK(rp_transport_get_protocol(transport, NULL) == &plain);
}

TEST(a_transport_that_is_referred_to_outlives_its_connection)
{
    face f = {0};
    int there = attach(&f, &plain);

    CHECK(rp_transport_ref(f.transport) == f.transport);
    rp_transport_ref(f.transport);
    rp_transport_abort(f.transport);
    RUN_UNTIL(the_loop, has(&f, 'L'));
    rp_transport_unref(f.transport);
    check_closed(f.transport, -EPIPE);
    CHECK(rp_transport_get_loop(f.transport) == the_loop);
    rp_transport_unref(f.transport);
    rp_transport_unref(NULL);
    CHECK_STR(f.log, "ML");
    finish(there);
}

TEST(a_transport_that_is_referred_to_outlives_its_loop)
{
    static char zeros[8000000];

    for (int full = 0; full < 2; full++) {
        face f = {0};
        int there = attach(&f, &plain);
        rp_transport *transport = rp_transport_ref(f.transport);

        if (full)
            CHECK_INT(rp_transport_write(transport, zeros, sizeof zeros), ==, 0);
        run_turn();
        rp_loop_free(the_loop);
        check_closed(transport, RP_ECLOSED);
        CHECK(rp_loop_is_closed(rp_transport_get_loop(transport)));
        rp_transport_unref(transport);
        CHECK_STR(f.log, "M");
        close(there);
    }
}

static int make_face(void *arg, const rp_protocol **protocol, void **self)
{
    *protocol = ((face *)arg)->room ? &soon : &plain;
    *self = arg;
    return 0;
}

static rp_server *serve(face *f)
{
    rp_server *server;
    rp_future *future;

    CHECK_INT(rp_create_server(the_loop, make_face, f, "127.0.0.1", 0, NULL, &future), ==, 0);
    CHECK_INT(rp_run_until_complete(the_loop, future), ==, 0);
    server = rp_future_value(future);
    rp_future_unref(future);
    return server;
}

TEST(a_served_connection_that_is_referred_to_outlives_server_and_loop)
{
    face f = {0};
    rp_transport *transport;

    the_loop = wire_loop();
    rp_server *server = serve(&f);
    int there = wire_connect(rp_server_port(server));
    RUN_UNTIL(the_loop, has(&f, 'M'));
    transport = rp_transport_ref(f.transport);
    rp_server_close(server);
    rp_loop_free(the_loop);
    check_closed(transport, RP_ECLOSED);
    rp_transport_unref(transport);
    close(there);
}

/* ---- a connection that begins soon ---- */

TEST(connection_made_comes_when_it_is_scheduled_and_before_whoever_waits)
{
    face f = {0};

    the_loop = wire_loop();
    CHECK_INT(rp_call_soon(the_loop, NULL, note_call, &f), ==, 0);
    rp_loop *loop = the_loop;
    int here, there;

    wire_pair(&here, &there);
    say(there, "x");
    CHECK_INT(rp_connect_accepted_socket(loop, here, &soon, &f, &f.transport), ==, 0);
    CHECK_INT(rp_call_soon(loop, NULL, note_call, &f), ==, 0);
    CHECK_STR(f.log, "");
    run_turn();
    CHECK_STR(f.log, ".M.");
    RUN_UNTIL(loop, has(&f, 'D'));
    CHECK_STR(f.log, ".M.D");
    CHECK_INT(f.turns[3], >, f.turns[2]);
    finish(there);
}

TEST(nothing_is_received_by_a_connection_that_is_closed_as_it_begins)
{
    face f = {.at_made = close_between_two};
    int there = attach(&f, &soon);

    say(there, "x");
    RUN_UNTIL(the_loop, has(&f, 'L'));
    CHECK_STR(f.log, "M.L.");
    finish(there);
}

TEST(a_connection_that_is_given_up_before_it_begins_is_made_and_lost)
{
    void (*const ways[])(rp_transport * transport) = {rp_transport_close, rp_transport_abort};

    for (int i = 0; i < 2; i++) {
        face f = {0};
        int there = attach(&f, &soon);

        ways[i](f.transport);
        CHECK_STR(f.log, "");
        run_turn();
        CHECK_STR(f.log, "ML");
        finish(there);
    }
}

TEST(a_connection_can_be_written_to_before_it_begins)
{
    face f = {0};
    int there = attach(&f, &soon);
    char byte;

    CHECK_INT(rp_transport_write(f.transport, "y", 1), ==, 0);
    CHECK_INT(wire_await(the_loop, there, &byte, 1), ==, 1);
    say(there, "x");
    RUN_UNTIL(the_loop, has(&f, 'D'));
    CHECK_STR(f.log, "MD");
    finish(there);
}

TEST(a_loop_that_is_closed_before_a_connection_begins_tells_nothing)
{
    face f = {0};
    int there = attach(&f, &soon);

    rp_transport_ref(f.transport);
    rp_loop_close(the_loop);
    check_closed(f.transport, RP_ECLOSED);
    rp_transport_unref(f.transport);
    CHECK_STR(f.log, "");
    finish(there);
}

static void connection_is_there(rp_future *future, void *arg)
{
    note(arg, '.');
    CHECK_INT(rp_future_result(future), ==, 0);
}

TEST(whoever_awaits_a_connection_goes_on_after_it_has_begun)
{
    face client = {.room = 1}, served = {.room = 1};
    rp_done_callback done = {0};
    rp_future *future;

    the_loop = wire_loop();
    rp_server *server = serve(&served);
    CHECK_INT(
        rp_create_connection(the_loop, make_face, &client, "127.0.0.1", rp_server_port(server), NULL, &future), ==,
        0);
    CHECK_INT(rp_future_add_done_callback(future, &done, connection_is_there, &client), ==, 0);
    RUN_UNTIL(the_loop, has(&client, '.') && has(&served, 'M'));
    CHECK_STR(client.log, "M.");
    rp_future_unref(future);
    rp_transport_close(client.transport);
    RUN_UNTIL(the_loop, has(&client, 'L') && has(&served, 'L'));
    CHECK_STR(served.log, "MEL");
    rp_server_free(server);
    rp_loop_free(the_loop);
}

/* ---- buffers are lent and given back ---- */

TEST(a_buffer_that_is_filled_is_told_how_far)
{
    face f = {0};
    int there = attach(&f, &buffered);

    say(there, "abc");
    RUN_UNTIL(the_loop, has(&f, 'U'));
    CHECK_STR(f.log, "MGU");
    CHECK(memcmp(f.bytes, "abc", 3) == 0);
    finish(there);
}

TEST(a_buffer_is_given_back_before_the_end_of_the_stream)
{
    face f = {0};
    int there = attach(&f, &buffered);

    CHECK_INT(shutdown(there, SHUT_WR), ==, 0);
    RUN_UNTIL(the_loop, has(&f, 'L'));
    CHECK_STR(f.log, "MGNEL");
    CHECK_INT(f.error, ==, 0);
    finish(there);
}

TEST(a_buffer_is_given_back_before_an_error_is_told)
{
    face f = {0};
    int there = attach(&f, &buffered);

    run_turn();
    reset(there);
    RUN_UNTIL(the_loop, has(&f, 'L'));
    CHECK_STR(f.log, test_under_wine() && f.error == 0 ? "MGNEL" : "MGNL");
    CHECK(f.error == -ECONNRESET || test_under_wine());
    rp_loop_free(the_loop);
}

/* Takes what has arrived away under the transport. */
static void steal(face *f)
{
    char byte;

    CHECK_INT(recv(rp_transport_fd(f->transport), &byte, 1, 0), ==, 1);
    f->at_get = NULL;
}

TEST(a_buffer_is_given_back_when_nothing_was_there_after_all)
{
    face f = {.at_get = steal};
    int there = attach(&f, &buffered);

    say(there, "x");
    RUN_UNTIL(the_loop, has(&f, 'N'));
    CHECK_STR(f.log, "MGN");
    say(there, "y");
    RUN_UNTIL(the_loop, has(&f, 'U'));
    CHECK_STR(f.log, "MGNGU");
    CHECK_INT(f.bytes[0], ==, 'y');
    finish(there);
}

static face other;

static void pause_it(face *f)
{
    rp_transport_pause_reading(f->transport);
    f->at_get = NULL;
}

static void close_it(face *f)
{
    rp_transport_close(f->transport);
}

static void replace_it(face *f)
{
    rp_transport_set_protocol(f->transport, &buffered, &other);
}

TEST(a_buffer_is_given_back_to_the_giver_who_has_changed_things)
{
    face paused = {.at_get = pause_it}, closed = {.at_get = close_it}, replaced = {.at_get = replace_it};
    int there;

    there = attach(&paused, &buffered);
    say(there, "x");
    RUN_UNTIL(the_loop, has(&paused, 'N'));
    run_turn();
    CHECK_STR(paused.log, "MGN");
    rp_transport_resume_reading(paused.transport);
    RUN_UNTIL(the_loop, has(&paused, 'U'));
    CHECK_STR(paused.log, "MGNGU");
    finish(there);

    there = attach(&closed, &buffered);
    say(there, "x");
    RUN_UNTIL(the_loop, has(&closed, 'L'));
    CHECK_STR(closed.log, "MGNL");
    finish(there);

    other = (face){.buffer = other.bytes, .room = sizeof other.bytes};
    there = attach(&replaced, &buffered);
    say(there, "x");
    RUN_UNTIL(the_loop, has(&other, 'U'));
    CHECK_STR(replaced.log, "MGN");
    CHECK_STR(other.log, "GU");
    finish(there);
}

TEST(a_pause_when_the_buffer_is_given_back_keeps_the_end_for_later)
{
    face f = {.at_unused = pause_it};
    int there = attach(&f, &buffered);

    CHECK_INT(shutdown(there, SHUT_WR), ==, 0);
    RUN_UNTIL(the_loop, has(&f, 'N'));
    for (int i = 0; i < 5; i++)
        run_turn();
    CHECK_STR(f.log, "MGN");
    f.at_unused = NULL;
    rp_transport_resume_reading(f.transport);
    RUN_UNTIL(the_loop, has(&f, 'L'));
    CHECK_STR(f.log, "MGNGNEL");
    finish(there);
}

static void count_report(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    ++*(int *)arg;
}

TEST(without_a_buffer_the_connection_is_lost_and_reported)
{
    for (int empty = 0; empty < 2; empty++) {
        face f = {0};
        int reports = 0, there = attach(&f, &buffered);

        rp_set_exception_handler(the_loop, count_report, &reports);
        if (!empty)
            f.buffer = NULL;
        f.room = 0;
        say(there, "x");
        RUN_UNTIL(the_loop, has(&f, 'L'));
        CHECK_STR(f.log, empty ? "MGNL" : "MGL");
        CHECK_INT(f.error, ==, empty ? -EINVAL : -ENOBUFS);
        CHECK_INT(reports, ==, 1);
        finish(there);
    }
}

#ifndef _WIN32
static pid_t child;

static void fork_it(face *f)
{
    int status;

    f->at_get = NULL;
    child = fork();
    if (child == 0)
        return;
    CHECK_INT(waitpid(child, &status, 0), ==, child);
    CHECK_INT(status, ==, 0);
}

TEST(in_a_child_of_fork_the_buffer_is_given_back_and_nothing_else_is_told)
{
    face f = {.at_get = fork_it};
    int there = attach(&f, &buffered);

    say(there, "x");
    CHECK_INT(rp_call_later(the_loop, NULL, RP_SEC(60), wire_stop, the_loop), ==, 0);
    f.at_data = NULL;
    while (!has(&f, 'U')) {
        rp_loop_stop(the_loop);
        int rc = rp_run_forever(the_loop);
        if (child == 0 && rc == RP_EFORK)
            _exit(strcmp(f.log, "MGN") == 0 ? 0 : 1);
        CHECK_INT(rc, ==, 0);
    }
    CHECK_STR(f.log, "MGU");
    finish(there);
}
#else
TEST_ABSENT(in_a_child_of_fork_the_buffer_is_given_back_and_nothing_else_is_told, "Windows has no fork()");
#endif

/* ---- how often in a row ---- */

/* A short read is the last one. */
static void count_in_a_row(const rp_protocol *protocol, size_t in_a_row)
{
    enum { PIECE = 10, PIECES = 40 };
    face f = {0};
    int there = attach(&f, protocol);
    char much[PIECE * PIECES - 1] = "";

    f.room = PIECE;
    CHECK_INT(send(there, much, sizeof much, 0), ==, sizeof much);
    RUN_UNTIL(the_loop, f.length == 1 + 2 * PIECES);
    for (size_t i = 0; i < PIECES; i++) { /* after M, two letters each */
        size_t row = i / in_a_row;

        /* The second row goes on in the turn of the event, but after other events. */
        CHECK_INT(f.turns[2 * i + 1], ==, f.turns[1] + (row > 0 ? row - 1 : 0));
    }
    finish(there);
}

TEST(an_event_has_a_protocol_receive_as_often_as_it_wants_to)
{
    rp_protocol three = buffered;

    three.receives = 3;
    count_in_a_row(&one_by_one, 1);
    count_in_a_row(&three, 3);
    count_in_a_row(&buffered, 8);
}
