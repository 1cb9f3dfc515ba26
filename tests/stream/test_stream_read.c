/*
 * test_stream_read.c - reading what there is, and looking at it ahead of time.
 */
#include <stdlib.h>

#include "harness/streams.h"

/* ---- reading what there is ---- */

static int sender(rp_co *co, void *arg)
{
    say(*(int *)arg, "later");
    return 0;
}

CO_TEST(read_takes_what_is_there_or_waits)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    rp_task *task;
    char text[16];

    CHECK_INT(rp_stream_read(co, stream, text, 0), ==, 0);
    CHECK_INT(rp_create_task(&task, sender, &there), ==, 0);
    CHECK_INT(rp_stream_read(co, stream, text, sizeof text), ==, 5);
    CHECK(memcmp(text, "later", 5) == 0);
    CHECK_INT(rp_join(co, task), ==, 0);
    say(there, "abcdef");
    CHECK_INT(rp_stream_read(co, stream, text, 4), ==, 4);
    CHECK_INT(rp_stream_read(co, stream, text, 4), ==, 2);
    CHECK(!rp_stream_at_eof(stream));
    close(there);
    CHECK_INT(rp_stream_read(co, stream, text, 4), ==, 0);
    CHECK(rp_stream_at_eof(stream));
    CHECK_INT(rp_stream_read(co, stream, text, 4), ==, 0);
    rp_stream_free(stream);
}

CO_TEST(while_nobody_reads_the_peer_is_held_back)
{
    static char bytes[1 << 16];
    int there;
    rp_stream *stream = open_stream(co, &there);
    uint64_t sent = 0, got = 0;
    ssize_t n;

    do {
        wire_fill(bytes, sizeof bytes, sent);
        n = send(there, bytes, sizeof bytes, MSG_DONTWAIT);
        sent += n > 0 ? (uint64_t)n : 0;
        wire_settle_in(co);
    } while (n > 0);
    while (got < sent) {
        n = rp_stream_read(co, stream, bytes, 1 + (size_t)rand() % sizeof bytes);
        CHECK_INT(n, >, 0);
        CHECK(wire_same(bytes, (size_t)n, got));
        got += (uint64_t)n;
    }
    close(there);
    CHECK_INT(rp_stream_read(co, stream, bytes, 1), ==, 0);
    rp_stream_free(stream);
}

static int ticks;

static int ticker(rp_co *co, void *arg)
{
    (void)arg;
    for (;;) {
        RP_TRY(rp_sleep(co, 0));
        ticks++;
    }
}

#ifdef _WIN32
enum { GREEDY_BYTES = 10000, GREEDY_ECHOES = 100 }; /* Wine is slow */
#else
enum { GREEDY_BYTES = 100000, GREEDY_ECHOES = 1000 };
#endif

CO_TEST(a_task_that_never_has_to_wait_lets_others_run)
{
    static char bytes[GREEDY_BYTES];
    int there;
    rp_stream *stream = open_stream(co, &there);
    rp_task *task;
    char byte;

    CHECK_INT(rp_create_task(&task, ticker, NULL), ==, 0);
    CHECK_INT(send(there, bytes, sizeof bytes, 0), ==, sizeof bytes);
    wire_settle_in(co);
    ticks = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        CHECK_INT(rp_stream_read(co, stream, &byte, 1), ==, 1);
    CHECK_INT(ticks, >, GREEDY_BYTES / 100);
    ticks = 0;
    for (int i = 0; i < GREEDY_ECHOES; i++) {
        CHECK_INT(rp_stream_write(co, stream, "x", 1), ==, 0);
        CHECK_INT(recv(there, &byte, 1, 0), ==, 1);
    }
    CHECK_INT(ticks, >, GREEDY_ECHOES / 100);
    rp_task_cancel(task);
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
    close(there);
    rp_stream_free(stream);
}

/* A call that need not wait suspends in one case only, and how many there may be before it is the bound of stream.h. */
CO_TEST(of_calls_that_need_not_wait_every_thirty_second_yields)
{
    enum { BOUND = 32, CALLS = 4 * BOUND };
    static char bytes[CALLS + 1];
    int there;
    rp_stream *stream = open_stream(co, &there);
    rp_task *task;
    char byte;

    CHECK_INT(send(there, bytes, sizeof bytes, 0), ==, sizeof bytes);
    CHECK_INT(rp_stream_read(co, stream, &byte, 1), ==, 1); /* they have come */
    CHECK_INT(rp_create_task(&task, ticker, NULL), ==, 0);
    for (int kind = 0; kind < 2; kind++) {
        CHECK_INT(rp_sleep(co, 0), ==, 0);
        ticks = 0;
        for (int i = 0; i < CALLS; i++) {
            CHECK_INT(ticks, ==, i / BOUND);
            if (kind == 0)
                CHECK_INT(rp_stream_read(co, stream, &byte, 1), ==, 1);
            else
                CHECK_INT(rp_stream_write(co, stream, "x", 1), ==, 0);
        }
        CHECK_INT(ticks, ==, CALLS / BOUND);
    }
    rp_task_cancel(task);
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
    close(there);
    rp_stream_free(stream);
}

/* ---- looking ahead ---- */

CO_TEST(peeking_leaves_the_bytes_to_be_read)
{
    static char long_text[70000];
    int there;
    rp_stream *stream = open_stream(co, &there);
    char text[16] = "";
    rp_task *task;

    CHECK_INT(rp_stream_buffered(stream), ==, 0);
    CHECK_INT(rp_stream_peek(co, stream, text, 0), ==, 0);
    say(there, "ab");
    CHECK_INT(rp_stream_peek(co, stream, text, 2), ==, 2);
    CHECK(memcmp(text, "ab", 2) == 0);
    CHECK_INT(rp_stream_buffered(stream), ==, 2);
    CHECK_INT(rp_create_task(&task, sender, &there), ==, 0); /* "later" */
    CHECK_INT(rp_stream_peek(co, stream, text, 7), ==, 7);
    CHECK(memcmp(text, "ablater", 7) == 0);
    CHECK_INT(rp_join(co, task), ==, 0);
    CHECK_INT(rp_stream_read(co, stream, text, 3), ==, 3);
    CHECK(memcmp(text, "abl", 3) == 0);
    CHECK_INT(rp_stream_buffered(stream), ==, 4);
    CHECK_INT(rp_stream_peek(co, stream, long_text, sizeof long_text), ==, RP_ELIMIT);
    CHECK_INT(shutdown(there, SHUT_WR), ==, 0);
    CHECK_INT(rp_stream_peek(co, stream, text, sizeof text), ==, 4);
    CHECK(memcmp(text, "ater", 4) == 0);
    CHECK(!rp_stream_at_eof(stream));
    CHECK_INT(rp_stream_read_exactly(co, stream, text, 4), ==, 4);
    CHECK_INT(rp_stream_peek(co, stream, text, 1), ==, 0);
    CHECK(rp_stream_at_eof(stream));
    CHECK_INT(rp_stream_buffered(stream), ==, 0);
    rp_stream_close(stream);
    CHECK_INT(rp_stream_peek(co, stream, text, 1), ==, -EPIPE);
    close(there);
    rp_stream_free(stream);
}

static int peek_in_task(rp_co *co, void *arg)
{
    char text[8];

    return (int)rp_stream_peek(co, arg, text, sizeof text);
}

CO_TEST(a_cancelled_peek_loses_nothing)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    char text[8];
    rp_task *task;

    say(there, "abc");
    CHECK_INT(rp_create_task(&task, peek_in_task, stream), ==, 0);
    while (rp_stream_buffered(stream) < 3)
        CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_stream_peek(co, stream, text, 1), ==, -EBUSY);
    CHECK(rp_task_cancel(task));
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
    CHECK_INT(rp_stream_read(co, stream, text, sizeof text), ==, 3);
    CHECK(memcmp(text, "abc", 3) == 0);
    close(there);
    rp_stream_free(stream);
}

/* ---- two at a time ---- */

CO_TEST(a_second_reader_is_refused)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    char text[8], mine[8];
    reader r = {.stream = stream, .buffer = text, .length = sizeof text};
    rp_task *task;

    CHECK_INT(rp_create_task(&task, read_in_task, &r), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_stream_read(co, stream, mine, 8), ==, -EBUSY);
    CHECK_INT(rp_stream_read_exactly(co, stream, mine, 8), ==, -EBUSY);
    CHECK_INT(rp_stream_read_line(co, stream, mine, 8), ==, -EBUSY);
    CHECK_INT(rp_stream_read_until(co, stream, mine, 8, "x", 1), ==, -EBUSY);
    CHECK_INT(rp_stream_write(co, stream, "w", 1), ==, 0); /* writing meanwhile is fine */
    say(there, "abc");
    CHECK_INT(rp_join(co, task), ==, 0);
    CHECK_INT(r.result, ==, 3);
    close(there);
    rp_stream_free(stream);
}
