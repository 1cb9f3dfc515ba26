/*
 * test_stream_exact.c - reading up to a length, a line's end or a separator.
 */
#include <stdlib.h>

#include "harness/streams.h"
#include "stream/stream_state.h"

/* ---- reading exactly ---- */

typedef struct pieces {
    int fd;
    size_t length, piece;
} pieces;

static int send_pieces(rp_co *co, void *arg)
{
    pieces *p = arg;
    char *bytes = malloc(p->piece);

    for (size_t sent = 0; sent < p->length; sent += p->piece) {
        size_t n = p->length - sent < p->piece ? p->length - sent : p->piece;

        wire_fill(bytes, n, sent);
        CHECK_INT(send(p->fd, bytes, n, 0), ==, n);
        wire_settle_in(co);
    }
    free(bytes);
    return 0;
}

CO_TEST(read_exactly_reads_that_many)
{
    static const size_t lengths[] = {0, 1, 100, 4096, 4097, 60000};
    static char bytes[60000];
    int there;
    rp_stream *stream = open_stream(co, &there);
    rp_task *task;

    for (int i = 0; i < 6; i++) {
        pieces p = {there, 2 * lengths[i], lengths[i] / 5 + 1};

        CHECK_INT(rp_create_task(&task, send_pieces, &p), ==, 0);
        for (size_t half = 0; half < 2; half++) {
            CHECK_INT(rp_stream_read_exactly(co, stream, bytes, lengths[i]), ==, lengths[i]);
            CHECK(wire_same(bytes, lengths[i], half * lengths[i]));
        }
        CHECK_INT(rp_join(co, task), ==, 0);
    }
    CHECK_INT(rp_stream_read_exactly(co, stream, bytes, SIZE_MAX), ==, -EINVAL);
    close(there);
    rp_stream_free(stream);
}

CO_TEST(read_exactly_of_a_stream_that_ends_before_delivers_the_part)
{
    static char bytes[60000];

    for (int i = 0; i < 4; i++) {
        int there;
        rp_stream *stream = open_stream(co, &there);
        char line[3];

        say(there, "ab\ncdefg");
        close(there);
        if (i % 2)
            CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==,
                      RP_ELIMIT); /* reads ahead, and skips */
        CHECK_INT(rp_stream_read_exactly(co, stream, bytes, i < 2 ? 100 : sizeof bytes), ==, RP_EOF);
        CHECK_INT(rp_stream_partial(stream), ==, i % 2 ? 5 : 8);
        CHECK(memcmp(bytes, i % 2 ? "cdefg" : "ab\ncdefg", rp_stream_partial(stream)) == 0);
        CHECK(rp_stream_at_eof(stream));
        rp_stream_free(stream);
    }
}

/* Readers are cancelled all the time, at any moment; what they read in between is the whole stream. */
CO_TEST(cancelled_readers_lose_no_byte)
{
    enum { TOTAL = 400000 };
    static char bytes[20000], source[TOTAL];
    int there, cancelled = 0;
    rp_stream *stream = open_stream(co, &there);
    uint64_t got = 0, sent = 0;
    rp_task *task;

    rp_stream_set_limit(stream, sizeof bytes);
    wire_fill(source, sizeof source, 0);
    for (int i = 0; got < TOTAL; i++) {
        reader r = {.stream = stream, .buffer = bytes, .how = i % 3};
        size_t n = (size_t)rand() % 3000;

        r.length = 1 + (size_t)rand() % (r.how == UNTIL ? sizeof bytes : i % 2 ? 3000 : 12000);
        if (r.how == EXACTLY && r.length > TOTAL - got)
            r.length = TOTAL - got;
        CHECK_INT(rp_create_task(&task, read_in_task, &r), ==, 0);
        if (i % 5 > 0)
            CHECK_INT(rp_sleep(co, 0), ==, 0);
        n = n < TOTAL - sent ? n : TOTAL - sent;
        if (n > 0 && sent < got + 4000)
            sent += (uint64_t)send(there, source + sent, n, MSG_DONTWAIT);
        for (int turns = rand() % 4; turns > 0; turns--)
            CHECK_INT(rp_sleep(co, 0), ==, 0);
        rp_task_cancel(task);
        rp_join(co, task);
        cancelled += r.result == -ECANCELED;
        if (r.result > 0) {
            CHECK(wire_same(bytes, (size_t)r.result, got));
            got += (uint64_t)r.result;
        } else {
            CHECK(r.result == -ECANCELED || r.result == RP_ELIMIT);
        }
    }
    CHECK_INT(cancelled, >, 50);
    close(there);
    CHECK_INT(rp_stream_read(co, stream, bytes, 1), ==, 0);
    rp_stream_free(stream);
}

CO_TEST(a_cancelled_read_exactly_puts_back_what_it_had)
{
    static char bytes[50000];
    int there;
    rp_stream *stream = open_stream(co, &there);
    reader r = {.stream = stream, .buffer = bytes, .how = EXACTLY, .length = sizeof bytes};
    rp_task *task;
    char text[8];

    for (int i = 0; i < 2; i++) {
        CHECK_INT(rp_create_task(&task, read_in_task, &r), ==, 0);
        for (int j = 0; j < 3; j++) {
            say(there, "xyz");
            wire_settle_in(co);
        }
        CHECK(rp_task_cancel(task));
        CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
        r.length = 20; /* few: read ahead; there are 9 bytes already */
    }
    CHECK_INT(rp_stream_read(co, stream, text, 2), ==, 2);
    CHECK(memcmp(text, "xy", 2) == 0);
    CHECK_INT(rp_stream_read_exactly(co, stream, bytes, 16), ==, 16);
    CHECK(memcmp(bytes, "zxyzxyzxyzxyzxyz", 16) == 0);
    close(there);
    rp_stream_free(stream);
}

/* ---- lines and separators ---- */

CO_TEST(lines_end_at_their_newline_and_the_last_may_lack_it)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    char line[16];

    say(there, "one\n\nthree\r\nrest");
    CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, 4);
    CHECK_STR(line, "one\n");
    CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, 1);
    CHECK_STR(line, "\n");
    CHECK_INT(rp_stream_read_line(co, stream, line, 8), ==, 7);
    CHECK_STR(line, "three\r\n");
    CHECK_INT(rp_stream_read_line(co, stream, line, 0), ==, -EINVAL);
    close(there);
    CHECK_INT(rp_stream_read_line(co, stream, line, 5), ==, 4); /* just fits */
    CHECK_STR(line, "rest");
    CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, 0);
    CHECK_STR(line, "");
    CHECK(rp_stream_at_eof(stream));
    rp_stream_free(stream);
}

CO_TEST(a_line_that_is_too_long_is_skipped)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    char line[64];

    CHECK_INT(rp_stream_set_limit(stream, 0), ==, -EINVAL);
    CHECK_INT(rp_stream_set_limit(stream, 10), ==, 0);
    say(there, "0123456789\n0123456789a\nok\n");
    CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, 11); /* the limit is without the separator */
    CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, RP_ELIMIT);
    CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, 3);
    CHECK_STR(line, "ok\n");
    say(there, "0123456789abcdef"); /* too long, and no end in sight */
    CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, RP_ELIMIT);
    say(there, "end\nnext\n");
    CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, 4);
    CHECK_STR(line, "end\n");
    CHECK_INT(rp_stream_read_line(co, stream, line, 5), ==, RP_ELIMIT); /* does not fit */
    say(there, "fits\n");
    CHECK_INT(rp_stream_read_line(co, stream, line, 6), ==, 5);
    close(there);
    rp_stream_free(stream);
}

CO_TEST(a_line_as_long_as_the_limit_may_end_later)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    char line[64];
    reader r = {.stream = stream, .buffer = line, .length = sizeof line, .how = LINE};
    rp_task *task;

    CHECK_INT(rp_stream_set_limit(stream, 10), ==, 0);
    say(there, "0123456789");
    CHECK_INT(rp_create_task(&task, read_in_task, &r), ==, 0);
    while (rp_stream_buffered(stream) < 10 && !rp_future_done(task))
        CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK(!rp_future_done(task));
    say(there, "\n");
    CHECK_INT(rp_join(co, task), ==, 0);
    CHECK_STR(line, "0123456789\n");
    close(there);
    rp_stream_free(stream);
}

CO_TEST(a_call_that_is_cancelled_has_delivered_nothing)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    char text[8];

    say(there, "abc");
    CHECK_INT(rp_stream_read_exactly(co, stream, text, 3), ==, 3);
    CHECK_INT(rp_stream_partial(stream), ==, 3);
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_stream_read_exactly(co, stream, text, 3), ==, -ECANCELED);
    CHECK_INT(rp_stream_partial(stream), ==, 0);
    close(there);
    rp_stream_free(stream);
}

CO_TEST(read_until_a_separator)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    pieces p;
    rp_task *task;
    char text[64];

    CHECK_INT(rp_stream_read_until(co, stream, text, sizeof text, "", 0), ==, -EINVAL);
    say(there, "a-b--c---");
    CHECK_INT(rp_stream_read_until(co, stream, text, sizeof text, "--", 2), ==, 5);
    CHECK(memcmp(text, "a-b--", 5) == 0);
    CHECK_INT(rp_stream_read_until(co, stream, text, 3, "---", 3), ==, RP_ELIMIT);
    CHECK_INT(rp_stream_read_until(co, stream, text, 4, "---", 3), ==, 4);
    CHECK_INT(rp_stream_set_limit(stream, 4), ==, 0);
    say(there, "12345--");
    CHECK_INT(rp_stream_read_until(co, stream, text, sizeof text, "--", 2), ==, RP_ELIMIT);
    CHECK_INT(rp_stream_read_exactly(co, stream, text, 7), ==, 7); /* nothing was consumed */
    say(there, "1234--");
    CHECK_INT(rp_stream_read_until(co, stream, text, sizeof text, "--", 2), ==, 6);
    CHECK_INT(rp_stream_set_limit(stream, 100), ==, 0);
    /* A separator that comes byte by byte. */
    p = (pieces){there, 20, 1};
    CHECK_INT(rp_create_task(&task, send_pieces, &p), ==, 0);
    wire_fill(text + 32, 20, 0);
    CHECK_INT(rp_stream_read_until(co, stream, text, 32, text + 32 + 12, 8), ==, 20);
    CHECK(wire_same(text, 20, 0));
    CHECK_INT(rp_join(co, task), ==, 0);
    say(there, "no end-");
    close(there);
    CHECK_INT(rp_stream_read_until(co, stream, text, sizeof text, "--", 2), ==, RP_EOF);
    CHECK_INT(rp_stream_partial(stream), ==, 7);
    CHECK(memcmp(text, "no end-", 7) == 0);
    CHECK_INT(rp_stream_read_until(co, stream, text, sizeof text, "--", 2), ==, RP_EOF);
    CHECK_INT(rp_stream_partial(stream), ==, 0);
    rp_stream_free(stream);
}

/* What was read ahead moves to the front of its memory, which need not grow for that. */
CO_TEST(a_stream_that_never_runs_empty_takes_no_more_memory)
{
    static char chunk[3000];
    char line[100];
    int there;
    rp_stream *stream = open_stream(co, &there);

    memset(chunk, 'x', sizeof chunk);
    for (size_t i = 29; i < sizeof chunk; i += 60)
        chunk[i] = '\n';
    CHECK_INT(send(there, chunk + 30, 30, 0), ==, 30);
    for (int i = 0; i < 50; i++) {
        CHECK_INT(send(there, chunk, sizeof chunk, 0), ==, sizeof chunk);
        for (size_t j = 0; j < sizeof chunk / 60; j++)
            CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, 60);
        CHECK_INT(stream->ahead.capacity, <=, 8192);
    }
    close(there);
    rp_stream_free(stream);
}

CO_TEST(what_was_read_ahead_in_bulk_gives_its_memory_back)
{
    enum { BULK = 200000 };
    static char bytes[BULK];
    int there;
    rp_stream *stream = open_stream(co, &there);
    pieces p = {there, BULK, 10000};
    rp_task *task;

    CHECK_INT(rp_stream_set_limit(stream, BULK), ==, 0);
    CHECK_INT(rp_create_task(&task, send_pieces, &p), ==, 0);
    CHECK_INT(rp_stream_peek(co, stream, bytes, BULK), ==, BULK);
    CHECK_INT(stream->ahead.capacity, >=, BULK);
    CHECK_INT(rp_stream_read_exactly(co, stream, bytes, BULK), ==, BULK);
    CHECK(wire_same(bytes, BULK, 0));
    CHECK_INT(stream->ahead.capacity, ==, 0);
    CHECK_INT(rp_join(co, task), ==, 0);
    close(there);
    rp_stream_free(stream);
}
