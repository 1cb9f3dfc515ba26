/*
 * test_face_buffer.c - the buffers that a face lends to its transport: filled or given back, and how often in a row it
 * is asked for one.
 */
#include "harness/face.h"
#include "loop/running.h"
#include "loop/turn.h"
#include "net/transport_read.h"

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
    close_with_reset(there);
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

static void interrupt_it(face *f)
{
    f->at_get = NULL;
    rp_turn_interrupt(rp_transport_get_loop(f->transport));
}

TEST(get_buffer_may_interrupt_the_run)
{
    face f = {.at_get = interrupt_it};
    int there = attach(&f, &buffered);

    say(there, "x");
    CHECK_INT(rp_run_forever(the_loop), ==, -EINTR);
    CHECK_STR(f.log, "MGN");
    RUN_UNTIL(the_loop, has(&f, 'U'));
    CHECK_STR(f.log, "MGNGU");
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

    f->at_get = f->at_unused = NULL;
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

TEST(in_a_child_of_fork_the_end_is_not_told)
{
    face f = {.at_unused = fork_it};
    int there = attach(&f, &buffered);

    CHECK_INT(shutdown(there, SHUT_WR), ==, 0);
    CHECK_INT(rp_call_later(the_loop, NULL, RP_SEC(60), wire_stop, the_loop), ==, 0);
    while (!has(&f, 'E')) {
        rp_loop_stop(the_loop);
        int rc = rp_run_forever(the_loop);
        if (child == 0 && rc == RP_EFORK)
            _exit(strcmp(f.log, "MGN") == 0 ? 0 : 1);
        CHECK_INT(rc, ==, 0);
    }
    CHECK(strncmp(f.log, "MGNE", 4) == 0);
    finish(there);
}
#else
TEST_ABSENT(in_a_child_of_fork_the_end_is_not_told, "Windows has no fork()");
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
        CHECK_INT(f.turns[2 * i + 1], ==, f.turns[1] + i / in_a_row);
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

static void point(void *arg)
{
    note(arg, '.');
}

static void run_turn_of_a_face(void)
{
    CHECK_INT(rp_loop_enter(the_loop), ==, 0);
    CHECK_INT(rp_turn_wait(the_loop, rp_turn_deadline(the_loop)), ==, 0);
    rp_turn_collect(the_loop);
    CHECK_INT(rp_turn_run(the_loop), ==, 0);
    CHECK_INT(rp_turn_deliver(the_loop), ==, 0);
    CHECK_INT(rp_turn_timers(the_loop), ==, 0);
    rp_loop_leave(the_loop);
}

TEST(receiving_goes_on_where_events_are_delivered)
{
    face f = {.at_get = pause_it};
    int there = attach(&f, &one_by_one);

    say(there, "x");
    while (!has(&f, 'N'))
        run_turn_of_a_face();
    rp_transport_resume_reading(f.transport);
    CHECK_INT(rp_call_soon(the_loop, NULL, point, &f), ==, 0);
    run_turn_of_a_face();
    CHECK_STR(f.log, "MGN.GU");
    finish(there);
}

static void resume_for_the_next_turn(void *arg)
{
    face *f = arg;

    rp_transport_resume_reading(f->transport);
    rp_transport_pull_next_turn(f->transport);
    CHECK_INT(rp_call_soon(the_loop, NULL, point, f), ==, 0);
}

TEST(what_a_turn_has_taken_is_received_by_the_next_one_if_the_face_wants_so)
{
    face f = {0};
    int there = attach(&f, &one_by_one);

    rp_transport_pause_reading(f.transport);
    say(there, "x");
    CHECK_INT(rp_call_soon(the_loop, NULL, resume_for_the_next_turn, &f), ==, 0);
    run_turn_of_a_face();
    run_turn_of_a_face();
    CHECK_STR(f.log, "M.GU");
    finish(there);
}

static void want_less_after_five(face *f)
{
    if (f->length == 1 + 2 * 5)
        rp_transport_set_protocol(f->transport, &one_by_one, f);
}

TEST(a_protocol_that_wants_less_often_is_not_overrun_by_what_the_one_before_has_had)
{
    face f = {.at_data = want_less_after_five};
    int there = attach(&f, &buffered);
    char much[39] = "";

    f.room = 1;
    CHECK_INT(send(there, much, sizeof much, 0), ==, sizeof much);
    RUN_UNTIL(the_loop, f.length >= 1 + 2 * sizeof much);
    for (size_t i = 5; i < sizeof much; i++) /* a turn for each */
        CHECK_INT(f.turns[2 * i + 1], ==, f.turns[1] + (i - 4));
    finish(there);
}
