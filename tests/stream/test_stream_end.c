/*
 * test_stream_end.c - every end: resets, close and abort, the close of the loop, a child of fork().
 */
#include "harness/reports.h"
#include "harness/streams.h"

/* ---- ends ---- */

CO_TEST(after_a_reset_what_came_before_is_read_then_the_error)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    char text[16];

    say(there, "first\nsecond");
    CHECK_INT(rp_stream_read_line(co, stream, text, sizeof text), ==, 6);
    close_with_reset(there);
    wire_settle_in(co);
    CHECK_INT(rp_stream_read_line(co, stream, text, sizeof text), ==, -ECONNRESET);
    CHECK_INT(rp_stream_read(co, stream, text, sizeof text), ==, 6); /* what came before it */
    CHECK(memcmp(text, "second", 6) == 0);
    CHECK_INT(rp_stream_read(co, stream, text, sizeof text), ==, -ECONNRESET);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, -ECONNRESET);
    CHECK(rp_stream_is_closing(stream));
    CHECK(rp_stream_transport(stream) == NULL);
    CHECK_INT(rp_stream_write(co, stream, "x", 1), ==, -ECONNRESET);
    CHECK_INT(rp_stream_drain(co, stream), ==, -ECONNRESET);
    CHECK_INT(rp_stream_write_eof(stream), ==, -ECONNRESET);
    CHECK_INT(rp_stream_peername(stream, text, sizeof text), ==, -ENOTCONN);
    rp_stream_free(stream);
}

CO_TEST(a_task_that_waits_is_told_of_a_reset)
{
    char text[8];

    for (int i = 0; i < 2; i++) {
        int there;
        rp_stream *stream = open_stream(co, &there);
        reader r = {.stream = stream, .buffer = text, .length = sizeof text};
        writer w = {.stream = stream, .length = 20000000};
        rp_task *task;

        CHECK_INT(rp_create_task(&task, i ? write_in_task : read_in_task, i ? (void *)&w : (void *)&r), ==, 0);
        wire_settle_in(co);
        CHECK(!rp_future_done(task));
        close_with_reset(there);
        rp_join(co, task);
        if (i == 0)
            CHECK_INT(r.result, ==, -ECONNRESET);
        else
            CHECK(w.result == -ECONNRESET || w.result == -EPIPE);
        rp_stream_free(stream);
    }
}

static int wait_in_task(rp_co *co, void *arg)
{
    return rp_stream_wait_closed(co, arg);
}

/* The connection's end is told before the reader goes on. */
static void free_under_a_reader(rp_co *co)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    char bytes[8];
    reader r = {.stream = stream, .buffer = bytes, .length = sizeof bytes};
    rp_task *task;

    CHECK_INT(rp_create_task(&task, read_in_task, &r), ==, 0);
    wire_settle_in(co);
    rp_transport_abort(rp_stream_transport(stream));
    rp_stream_free(stream);
    rp_join(co, task);
    CHECK_INT(r.result, ==, -EPIPE);
    close(there);
    wire_settle_in(co);
}

/* And no longer: the second time takes no more memory than the first one left. */
CO_TEST(a_stream_that_is_freed_stays_until_its_reader_has_left_it)
{
    rp_set_debug(rp_co_loop(co), false); /* which keeps it, to report its uses */
    free_under_a_reader(co);
    uint64_t live = test_live_allocations();
    free_under_a_reader(co);
    CHECK_INT(test_live_allocations(), ==, live);
}

CO_TEST(close_ends_reading_and_wakes_all_that_wait)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    char text[8];
    reader r = {.stream = stream, .buffer = text, .length = sizeof text};
    rp_task *task, *waiting[3];

    CHECK_INT(rp_create_task(&task, read_in_task, &r), ==, 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_create_task(&waiting[i], wait_in_task, stream), ==, 0);
    wire_settle_in(co);
    CHECK(!rp_stream_is_closing(stream));
    rp_task_cancel(waiting[1]);
    CHECK_INT(rp_join(co, waiting[1]), ==, RP_EFUTCANCELED);
    rp_stream_close(stream);
    rp_stream_close(stream);
    CHECK(rp_stream_is_closing(stream));
    rp_stream_free(stream); /* those inside may still leave it */
    CHECK_INT(rp_join(co, task), ==, -EPIPE);
    CHECK_INT(rp_join(co, waiting[0]), ==, 0);
    CHECK_INT(rp_join(co, waiting[2]), ==, 0);
    CHECK_INT(recv(there, text, sizeof text, 0), ==, 0);
    close(there);
    stream = open_stream(co, &there);
    rp_stream_close(stream);
    CHECK_INT(rp_stream_read(co, stream, text, 1), ==, -EPIPE);
    CHECK_INT(rp_stream_write(co, stream, "x", 1), ==, -EPIPE);
    CHECK_INT(rp_stream_write_eof(stream), ==, -EPIPE);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    rp_stream_free(stream);
    rp_stream_free(NULL);
    close(there);
}

/* The connection is there yet, for as long as the peer does not take the rest. */
CO_TEST(close_ends_reading_while_bytes_are_still_to_be_sent)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    char bytes[8];
    reader r = {.stream = stream, .buffer = bytes, .length = sizeof bytes};
    writer w = {.stream = stream, .length = 20000000};
    rp_task *reading, *writing;

    CHECK_INT(rp_create_task(&reading, read_in_task, &r), ==, 0);
    CHECK_INT(rp_create_task(&writing, write_in_task, &w), ==, 0);
    wire_settle_in(co);
    rp_stream_close(stream);
    CHECK_INT(rp_join(co, reading), ==, -EPIPE);
    CHECK(rp_stream_transport(stream) != NULL);
    CHECK_INT(swallow(co, there, UINT64_MAX), ==, w.length);
    rp_join(co, writing);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    rp_stream_free(stream);
    close(there);
}

CO_TEST(abort_ends_a_writer_and_drops_what_is_buffered)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    writer w = {.stream = stream, .length = 20000000};
    rp_task *task;

    CHECK_INT(rp_create_task(&task, write_in_task, &w), ==, 0);
    wire_settle_in(co);
    rp_stream_abort(stream);
    CHECK_INT(rp_join(co, task), ==, -EPIPE);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    CHECK_INT(swallow(co, there, UINT64_MAX), <, w.length);
    rp_stream_free(stream);
    close(there);
}

/* ---- a loop that is closed ---- */

enum { A_READ, MANY_BYTES, A_WRITE, ITS_CLOSE, WAITS };

/* A task that opens streams, and waits for something of one of them. */
typedef struct waiting {
    int what;
    int there[WAITS];
} waiting;

static int wait_forever(rp_co *co, void *arg)
{
    static char bytes[20000000];
    waiting *w = arg;
    rp_stream *streams[WAITS];

    for (int i = 0; i < WAITS; i++)
        streams[i] = open_stream(co, &w->there[i]);
    switch (w->what) {
    case A_READ:
        return (int)rp_stream_read(co, streams[A_READ], bytes, sizeof bytes);
    case MANY_BYTES:
        return (int)rp_stream_read_exactly(co, streams[MANY_BYTES], bytes, 100000);
    case A_WRITE:
        return rp_stream_write(co, streams[A_WRITE], bytes, sizeof bytes);
    default:
        return rp_stream_wait_closed(co, streams[ITS_CLOSE]);
    }
}

/* All four of them; the harness looks for what is left. */
TEST(a_loop_that_is_closed_frees_streams_whatever_is_waited_for)
{
    for (waiting w = {.what = A_READ}; w.what < WAITS; w.what++) {
        rp_loop *loop = wire_loop();
        rp_task *task;

        rp_set_exception_handler(loop, be_quiet, NULL);
        CHECK_INT(rp_loop_create_task(loop, &task, wait_forever, &w), ==, 0);
        wire_settle(loop);
        CHECK(!rp_future_done(task));
        rp_loop_free(loop);
        rp_future_unref(task);
        for (int i = 0; i < WAITS; i++)
            close(w.there[i]);
    }
}

/* ---- reports at the loop's close ---- */

static rp_stream *left_open[2];
static int left_there[2], left_reports;

static int leave_open(rp_co *co, void *arg)
{
    char byte;

    left_open[(intptr_t)arg] = open_stream(co, &left_there[(intptr_t)arg]);
    return (int)rp_stream_read(co, left_open[(intptr_t)arg], &byte, 1);
}

static void look_at_streams(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    rp_task *tasks[2];

    (void)arg;
    left_reports++;
    CHECK(context->future != NULL || context->transport != NULL);
    for (int i = 0; i < 2; i++) {
        char text[64];

        CHECK_INT(rp_stream_peername(left_open[i], text, sizeof text), ==, 0);
        CHECK(!rp_stream_is_closing(left_open[i]));
    }
    CHECK_INT(rp_all_tasks(loop, tasks, 2), ==, 2);
    for (int i = 0; i < 2; i++)
        CHECK_INT(rp_task_get_state(tasks[i]), ==, RP_TASK_SUSPENDED);
}

TEST(whoever_is_told_of_tasks_and_connections_that_were_left_may_look_at_all)
{
    rp_loop *loop;

    CHECK_INT(rp_loop_new(&(rp_loop_options){.debug = true}, &loop), ==, 0);
    rp_set_exception_handler(loop, look_at_streams, NULL);
    for (intptr_t i = 0; i < 2; i++)
        CHECK_INT(rp_loop_create_task(loop, NULL, leave_open, (void *)i), ==, 0);
    RUN_UNTIL(loop, left_open[0] != NULL && left_open[1] != NULL);
    rp_loop_free(loop);
    CHECK_INT(left_reports, ==, 4);
    close(left_there[0]);
    close(left_there[1]);
}

/* ---- fork ---- */

#ifndef _WIN32
static void use_in_child(rp_co *co, rp_stream *stream)
{
    rp_transport *transport = rp_stream_transport(stream);
    char text[16];

    CHECK_INT(rp_stream_write(co, stream, "child", 5), ==, RP_EFORK);
    CHECK_INT(rp_stream_read(co, stream, text, sizeof text), ==, RP_EFORK);
    CHECK_INT(rp_stream_write_eof(stream), ==, RP_EFORK);
    CHECK_INT(rp_transport_write(transport, "child", 5), ==, RP_EFORK);
    CHECK_INT(rp_transport_try_read(transport, text, sizeof text), ==, RP_EFORK);
    CHECK(!rp_stream_is_closing(stream));
    rp_stream_close(stream);
    CHECK(rp_stream_is_closing(stream));
    rp_stream_abort(stream);
}

CO_TEST(a_child_of_fork_leaves_the_parents_connection_alone)
{
    int there, status;
    rp_stream *stream = open_stream(co, &there);
    char text[64];

    say(there, "for the parent");
    wire_settle_in(co);
    pid_t child = fork();
    if (child == 0) {
        use_in_child(co, stream);
        _exit(0);
    }
    CHECK_INT(waitpid(child, &status, 0), ==, child);
    CHECK_INT(status, ==, 0);
    CHECK_INT(rp_stream_read(co, stream, text, sizeof text), ==, 14);
    CHECK_INT(rp_stream_write(co, stream, "parent", 6), ==, 0);
    rp_stream_close(stream);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    rp_stream_free(stream);
    CHECK_INT(recv(there, text, sizeof text, 0), ==, 6);
    CHECK_INT(recv(there, text, sizeof text, 0), ==, 0);
    close(there);
}
#else
TEST_ABSENT(a_child_of_fork_leaves_the_parents_connection_alone, "Windows has no fork()");
#endif
