/*
 * test_stream.c - streams: each reading call, writing under back-pressure, cancellation without loss, every end.
 */
#include <stdio.h>
#include <stdlib.h>

#include "harness/reports.h"
#include "harness/wire.h"

/* A stream, and the plain socket at its other end. */
static rp_stream *open_stream(rp_co *co, int *there)
{
    rp_stream *stream;
    int here;

    wire_pair(&here, there);
    CHECK_INT(rp_stream_from_fd(co, &stream, here), ==, 0);
    return stream;
}

static void say(int fd, const char *text)
{
    CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), ==, strlen(text));
}

/* ---- reading what there is ---- */

static int sender(rp_co *co, void *arg)
{
    CHECK_INT(rp_sleep(co, RP_MSEC(5)), ==, 0);
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
        CHECK_INT(rp_sleep(co, n > 0 ? 0 : RP_MSEC(20)), ==, 0);
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
    CHECK_INT(rp_sleep(co, RP_MSEC(20)), ==, 0);
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
        CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
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

typedef struct reader {
    rp_stream *stream;
    size_t length;
    ssize_t result;
    char *buffer;
    int how;
} reader;

static int read_in_task(rp_co *co, void *arg)
{
    reader *r = arg;

    switch (r->how) {
    case 0:
        r->result = rp_stream_read(co, r->stream, r->buffer, r->length);
        break;
    case 1:
        r->result = rp_stream_read_exactly(co, r->stream, r->buffer, r->length);
        break;
    case 2:
        r->result = rp_stream_read_until(co, r->stream, r->buffer, r->length, "@@", 2);
        break;
    default:
        r->result = rp_stream_read_line(co, r->stream, r->buffer, r->length);
    }
    return r->result < 0 ? (int)r->result : 0;
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

        r.length = 1 + (size_t)rand() % (r.how == 2 ? sizeof bytes : i % 2 ? 3000 : 12000);
        if (r.how == 1 && r.length > TOTAL - got)
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
    reader r = {.stream = stream, .buffer = bytes, .how = 1, .length = sizeof bytes};
    rp_task *task;
    char text[8];

    for (int i = 0; i < 2; i++) {
        CHECK_INT(rp_create_task(&task, read_in_task, &r), ==, 0);
        for (int j = 0; j < 3; j++) {
            say(there, "xyz");
            CHECK_INT(rp_sleep(co, RP_MSEC(5)), ==, 0);
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

/* ---- writing ---- */

typedef struct writer {
    rp_stream *stream;
    size_t length;
    uint64_t at;
    int result;
} writer;

static int write_in_task(rp_co *co, void *arg)
{
    writer *w = arg;
    char *bytes = malloc(w->length);

    wire_fill(bytes, w->length, w->at);
    w->result = rp_stream_write(co, w->stream, bytes, w->length);
    free(bytes);
    return w->result;
}

/* Reads at the other end, while the loop runs, until `total` bytes have come or the stream ends. */
static uint64_t swallow(rp_co *co, int fd, uint64_t total)
{
    static char bytes[65536];
    uint64_t got = 0;

    while (got < total) {
        ssize_t n = wire_read(fd, bytes, sizeof bytes);

        if (n == -EAGAIN) {
            CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
            continue;
        }
        if (n <= 0)
            break;
        CHECK(wire_same(bytes, (size_t)n, got));
        got += (uint64_t)n;
    }
    return got;
}

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
    CHECK_INT(rp_sleep(co, RP_MSEC(20)), ==, 0);
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
        CHECK_INT(rp_sleep(co, RP_MSEC(2)), ==, 0);
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

/* ---- ends ---- */

CO_TEST(after_a_reset_what_came_before_is_read_then_the_error)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    char text[16];

    say(there, "first\nsecond");
    CHECK_INT(rp_stream_read_line(co, stream, text, sizeof text), ==, 6);
    close_with_reset(there);
    CHECK_INT(rp_sleep(co, RP_MSEC(20)), ==, 0);
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

CO_TEST(who_waits_is_told_of_a_reset)
{
    char text[8];

    for (int i = 0; i < 2; i++) {
        int there;
        rp_stream *stream = open_stream(co, &there);
        reader r = {.stream = stream, .buffer = text, .length = sizeof text};
        writer w = {.stream = stream, .length = 20000000};
        rp_task *task;

        CHECK_INT(rp_create_task(&task, i ? write_in_task : read_in_task, i ? (void *)&w : (void *)&r), ==, 0);
        CHECK_INT(rp_sleep(co, RP_MSEC(10)), ==, 0);
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

CO_TEST(close_ends_reading_and_wakes_all_who_wait)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    char text[8];
    reader r = {.stream = stream, .buffer = text, .length = sizeof text};
    rp_task *task, *waiting[3];

    CHECK_INT(rp_create_task(&task, read_in_task, &r), ==, 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_create_task(&waiting[i], wait_in_task, stream), ==, 0);
    CHECK_INT(rp_sleep(co, RP_MSEC(5)), ==, 0);
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

CO_TEST(abort_ends_a_writer_and_drops_what_is_buffered)
{
    int there;
    rp_stream *stream = open_stream(co, &there);
    writer w = {.stream = stream, .length = 20000000};
    rp_task *task;

    CHECK_INT(rp_create_task(&task, write_in_task, &w), ==, 0);
    CHECK_INT(rp_sleep(co, RP_MSEC(10)), ==, 0);
    rp_stream_abort(stream);
    CHECK_INT(rp_join(co, task), ==, -EPIPE);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    CHECK_INT(swallow(co, there, UINT64_MAX), <, w.length);
    rp_stream_free(stream);
    close(there);
}

/* ---- a loop that is closed ---- */

static int wait_forever(rp_co *co, void *arg)
{
    int there[4];
    rp_stream *streams[4];
    static char bytes[20000000];
    char text[8];
    int what = *(int *)arg;

    for (int i = 0; i < 4; i++)
        streams[i] = open_stream(co, &there[i]);
    if (what == 0)
        return (int)rp_stream_read(co, streams[0], text, sizeof text);
    if (what == 1)
        return rp_stream_wait_closed(co, streams[1]);
    if (what == 2)
        return rp_stream_write(co, streams[2], bytes, sizeof bytes);
    return (int)rp_stream_read_exactly(co, streams[3], bytes, 100000);
}

static int before_fds, after_fds;

static int open_descriptors(void)
{
    int count = 0;

    for (int fd = 3; fd < 200; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

TEST(a_loop_that_is_closed_frees_streams_whatever_is_waited_for)
{
    for (int round = 0; round < 5; round++) {
        int what = round % 4;
        rp_loop *loop;
        rp_task *task;

        before_fds = open_descriptors();
        loop = wire_loop();
        rp_set_exception_handler(loop, be_quiet, NULL);
        CHECK_INT(rp_loop_create_task(loop, &task, wait_forever, &what), ==, 0);
        wire_run(loop, RP_MSEC(5));
        CHECK(!rp_future_done(task));
        rp_loop_free(loop);
        rp_future_unref(task);
        for (int fd = 3, left = 4; fd < 200 && left > 0; fd++) { /* the other ends */
            struct sockaddr_storage name;
            socklen_t length = sizeof name;

            if (getsockname(fd, (struct sockaddr *)&name, &length) == 0 && close(fd) == 0)
                left--;
        }
        after_fds = open_descriptors();
        if (round > 0) /* at its first use Windows opens things of its own, which it keeps */
            CHECK_INT(after_fds, ==, before_fds);
    }
}

/* ---- connecting ---- */

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

CO_TEST(connections_are_opened_refused_and_given_up)
{
    int port, listener = wire_listen(&port), there;
    rp_stream *stream;
    char text[64], expected[64];
    rp_timeout timeout;
    int rc;

    CHECK_INT(rp_open_connection(co, &stream, "localhost", port, &(rp_connect_options){.family = AF_INET}), ==, 0);
    there = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    snprintf(expected, sizeof expected, "127.0.0.1:%d", port);
    CHECK_INT(rp_stream_peername(stream, text, sizeof text), ==, 0);
    CHECK_STR(text, expected);
    CHECK_INT(rp_stream_sockname(stream, text, sizeof text), ==, 0);
    CHECK_INT(rp_stream_sockname(stream, text, 5), ==, -ENOSPC);
    CHECK_INT(rp_stream_write(co, stream, "hello", 5), ==, 0);
    CHECK_INT(recv(there, text, 5, MSG_WAITALL), ==, 5);
    rp_stream_free(stream);
    close(there);
    close(listener);
    CHECK_INT(rp_open_connection(co, &stream, "127.0.0.1", port, NULL), ==, -ECONNREFUSED);
    CHECK_INT(rp_open_connection(co, &stream, "127.0.0.1", 65536, NULL), ==, -EINVAL);
    rc = rp_open_unix_connection(co, &stream, "/nowhere/at/all");
    CHECK(rc == -ENOENT || rc == -EAFNOSUPPORT);
    CHECK_INT(rp_open_unix_connection(co, &stream, ""), ==, -EINVAL);

    listener = wire_listen(&port);
    CHECK_INT(listen(listener, 0), ==, 0);
    there = wire_connect(port);
    rp_timeout_begin(co, &timeout, RP_MSEC(20));
    rc = rp_open_connection(co, &stream, "127.0.0.1", port, NULL);
    CHECK_INT(rp_timeout_end(co, &timeout, rc), ==, -ETIMEDOUT);
    close(there);
    close(listener);
}

CO_TEST(names_are_looked_up)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET}, *list = NULL;
    rp_timeout timeout;
    int rc;

    CHECK_INT(rp_getaddrinfo(co, &list, "localhost", "80", &hints), ==, 0);
    CHECK_INT(list->ai_family, ==, AF_INET);
    freeaddrinfo(list);
    hints.ai_flags = AI_NUMERICHOST;
    CHECK_INT(rp_getaddrinfo(co, &list, "localhost", "80", &hints), ==, RP_EAI_NONAME);
    rp_timeout_begin(co, &timeout, 0);
    rc = rp_getaddrinfo(co, &list, "localhost", "81", NULL);
    if (rc == 0)
        freeaddrinfo(list);
    CHECK_INT(rp_timeout_end(co, &timeout, rc), ==, rc == 0 ? 0 : -ETIMEDOUT);
}

static int open_in_task(rp_co *co, void *arg)
{
    rp_stream *stream;

    return rp_open_connection(co, &stream, "127.0.0.1", *(int *)arg, NULL);
}

TEST(a_loop_that_is_closed_leaves_no_opening_behind)
{
    rp_loop *loop = wire_loop();
    int port, listener = wire_listen(&port), filler;
    rp_task *task;

    CHECK_INT(listen(listener, 0), ==, 0);
    filler = wire_connect(port);
    rp_set_exception_handler(loop, be_quiet, NULL);
    CHECK_INT(rp_loop_create_task(loop, &task, open_in_task, &port), ==, 0);
    wire_run(loop, RP_MSEC(10));
    CHECK(!rp_future_done(task));
    rp_loop_free(loop);
    rp_future_unref(task);
    close(filler);
    close(listener);
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
    rp_stream_abort(stream);
}

CO_TEST(a_child_of_fork_leaves_the_parents_connection_alone)
{
    int there, status;
    rp_stream *stream = open_stream(co, &there);
    char text[64];

    say(there, "for the parent");
    CHECK_INT(rp_sleep(co, RP_MSEC(5)), ==, 0);
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
