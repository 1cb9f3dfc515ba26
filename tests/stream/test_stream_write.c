/*
 * test_stream_write.c - writing under back-pressure, in pieces, up to the stream's own end.
 */
#include "harness/streams.h"

static int drain_in_task(rp_co *co, void *arg)
{
    return rp_stream_drain(co, arg);
}

/* Several may write and wait at the same time: each write goes out whole, in order. */
CO_TEST(a_writer_waits_above_the_high_mark)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    writer first = {.stream = stream, .length = 20000000};
    writer second = {.stream = stream, .length = 100000, .at = 20000000};
    rp_task *tasks[3];

    CHECK_INT(rp_create_task(&tasks[0], write_in_task, &first), ==, 0);
    CHECK_INT(rp_create_task(&tasks[1], write_in_task, &second), ==, 0);
    CHECK_INT(rp_create_task(&tasks[2], drain_in_task, stream), ==, 0);
    wire_settle_in(co);
    for (int i = 0; i < 3; i++)
        CHECK(!rp_future_done(tasks[i]));
    CHECK_INT(swallow(co, there, first.length + second.length), ==, first.length + second.length);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_join(co, tasks[i]), ==, 0);
    CHECK_INT(rp_stream_drain(co, stream), ==, 0);
    close(there);
    rp_stream_free(stream);
}

CO_TEST(a_cancelled_write_has_taken_the_bytes)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    uint64_t written = 0;
    rp_task *task;

    for (int i = 0; i < 5; i++) {
        writer w = {.stream = stream, .length = 5000000, .at = written};

        CHECK_INT(rp_create_task(&task, write_in_task, &w), ==, 0);
        wire_settle_in(co);
        rp_task_cancel(task);
        rp_join(co, task);
        CHECK(w.result == -ECANCELED || (i == 0 && w.result == 0));
        written += w.length;
    }
    rp_stream_close(stream);
    CHECK_INT(swallow(co, there, UINT64_MAX), ==, written);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    close(there);
    rp_stream_free(stream);
}

static int cancels_itself_and_writes(rp_co *co, void *arg)
{
    rp_task_cancel(rp_current_task());
    return write_in_task(co, arg);
}

/* Nobody reads: it would wait for ever. */
CO_TEST(a_write_that_would_wait_ends_by_a_cancellation_that_came_before)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    writer w = {.stream = stream, .length = 20000000};
    rp_task *task;

    CHECK_INT(rp_create_task(&task, cancels_itself_and_writes, &w), ==, 0);
    rp_join(co, task);
    CHECK_INT(w.result, ==, -ECANCELED);
    CHECK_INT(swallow(co, there, w.length), ==, w.length);
    close(there);
    rp_stream_free(stream);
}

CO_TEST(writev_and_half_close)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    struct iovec vector[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    char text[8];

    CHECK_INT(rp_stream_writev(co, stream, vector, 3), ==, 0);
    CHECK_INT(recv(there, text, 5, MSG_WAITALL), ==, 5);
    CHECK(memcmp(text, "abcde", 5) == 0);
    CHECK_INT(rp_stream_write_eof(stream), ==, 0);
    CHECK_INT(recv(there, text, 5, 0), ==, 0);
    CHECK_INT(rp_stream_write(co, stream, "x", 1), ==, -EPIPE);
    say(there, "still");
    CHECK_INT(rp_stream_read(co, stream, text, sizeof text), ==, 5);
    close(there);
    rp_stream_free(stream);
}

CO_TEST(reading_and_writing_allocate_nothing)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    uint64_t before = 0;
    char text[64];

    for (int i = 0; i < 200; i++) {
        if (i == 2)
            before = test_allocations();
        say(there, "a line\n12345");
        CHECK_INT(rp_stream_read_line(co, stream, text, sizeof text), ==, 7);
        CHECK_INT(rp_stream_read_exactly(co, stream, text, 5), ==, 5);
        CHECK_INT(rp_stream_write(co, stream, text, 5), ==, 0);
        CHECK_INT(recv(there, text, 5, MSG_WAITALL), ==, 5);
    }
    CHECK_INT(test_allocations(), ==, before);
    close(there);
    rp_stream_free(stream);
}
