/*
 * test_stream_pipe.c - streams of pipes and terminals: each call on them, what the other direction is refused, and
 * cancellation wherever they wait.
 */
#include "harness/streams.h"
#include "harness/toy_engine.h"

#include <fcntl.h>
#include <stdio.h>

static void open_reader(rp_co *co, rp_stream **stream, int *input)
{
    int fds[2];

    CHECK_INT(pipe2(fds, O_CLOEXEC), ==, 0);
    CHECK_INT(rp_stream_from_read_pipe(co, stream, fds[0]), ==, 0);
    *input = fds[1];
}

static void open_writer(rp_co *co, rp_stream **stream, int *output)
{
    int fds[2];

    CHECK_INT(pipe2(fds, O_CLOEXEC), ==, 0);
    CHECK_INT(rp_stream_from_write_pipe(co, stream, fds[1]), ==, 0);
    *output = fds[0];
}

static void put(int fd, const char *text)
{
    CHECK_INT(write(fd, text, strlen(text)), ==, strlen(text));
}

/* ---- reading ---- */

CO_TEST(reads_by_every_call)
{
    rp_stream *stream;
    char buffer[64];
    int input;

    open_reader(co, &stream, &input);
    put(input, "a line\nexactly until@@");
    CHECK_INT(rp_stream_peek(co, stream, buffer, 3), ==, 3);
    CHECK(memcmp(buffer, "a l", 3) == 0);
    CHECK_INT(rp_stream_buffered(stream), >, 0);
    CHECK_INT(rp_stream_read_line(co, stream, buffer, sizeof buffer), ==, 7);
    CHECK_STR(buffer, "a line\n");
    CHECK_INT(rp_stream_read_exactly(co, stream, buffer, 8), ==, 8);
    CHECK(memcmp(buffer, "exactly ", 8) == 0);
    CHECK_INT(rp_stream_read_until(co, stream, buffer, sizeof buffer, "@@", 2), ==, 7);
    put(input, "last");
    CHECK_INT(rp_stream_read(co, stream, buffer, 2), ==, 2);
    CHECK(!rp_stream_at_eof(stream));
    close(input);
    CHECK_INT(rp_stream_read_exactly(co, stream, buffer, 8), ==, RP_EOF);
    CHECK_INT(rp_stream_partial(stream), ==, 2);
    CHECK_INT(rp_stream_read(co, stream, buffer, 8), ==, 0);
    CHECK_INT(rp_stream_read_line(co, stream, buffer, sizeof buffer), ==, 0);
    CHECK(rp_stream_at_eof(stream));
    CHECK(!rp_stream_is_closing(stream));
    rp_stream_close(stream);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    CHECK_INT(rp_stream_read(co, stream, buffer, 8), ==, -EPIPE);
    rp_stream_free(stream);
}

/* The writer comes later than the reader, line by line and in pieces. */
CO_TEST(waits_for_lines)
{
    char buffer[64];
    reader r = {.buffer = buffer, .length = sizeof buffer, .how = LINE};
    rp_task *task;
    int input;

    open_reader(co, &r.stream, &input);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(rp_create_task(&task, read_in_task, &r), ==, 0);
        wire_settle_in(co);
        put(input, "some");
        wire_settle_in(co);
        CHECK(!rp_future_done(task));
        CHECK_INT(rp_stream_read(co, r.stream, buffer, 1), ==, -EBUSY);
        put(input, "thing\n");
        CHECK_INT(rp_join(co, task), ==, 0);
        CHECK_STR(buffer, "something\n");
    }
    close(input);
    rp_stream_free(r.stream);
}

CO_TEST(a_cancelled_read_loses_nothing)
{
    static const int ways[] = {SOMETHING, EXACTLY, UNTIL, LINE};

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char buffer[64];
        reader r = {.buffer = buffer, .length = 10, .how = ways[i]};
        rp_task *task;
        int input;

        open_reader(co, &r.stream, &input);
        CHECK_INT(rp_create_task(&task, read_in_task, &r), ==, 0);
        wire_settle_in(co);
        if (r.how != SOMETHING)
            put(input, "abc");
        wire_settle_in(co);
        rp_task_cancel(task);
        CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
        put(input, "def");
        close(input);
        CHECK_INT(rp_stream_read_exactly(co, r.stream, buffer, r.how != SOMETHING ? 6 : 3), >, 0);
        CHECK(memcmp(buffer, r.how != SOMETHING ? "abcdef" : "def", r.how != SOMETHING ? 6 : 3) == 0);
        rp_stream_free(r.stream);
    }
}

/* ---- writing ---- */

CO_TEST(writes_by_every_call)
{
    struct iovec pieces[2] = {{.iov_base = (char[]){"two "}, .iov_len = 4},
                              {.iov_base = (char[]){"three "}, .iov_len = 6}};
    rp_stream *stream;
    char text[64] = "";
    int there;

    open_writer(co, &stream, &there);
    CHECK_INT(rp_stream_write(co, stream, "one ", 4), ==, 0);
    CHECK_INT(rp_stream_writev(co, stream, pieces, 2), ==, 0);
    CHECK_INT(rp_stream_drain(co, stream), ==, 0);
    rp_stream_cork(stream);
    CHECK_INT(rp_stream_write(co, stream, "four ", 5), ==, 0);
    CHECK_INT(read(there, text, sizeof text), ==, 14);
    CHECK_INT(rp_stream_uncork(stream), ==, 0);
    CHECK_INT(read(there, text + 14, 32), ==, 5);
    CHECK_STR(text, "one two three four ");
    CHECK_INT(rp_stream_write_eof(stream), ==, 0);
    CHECK_INT(rp_stream_write_eof(stream), ==, 0);
    CHECK_INT(rp_stream_write(co, stream, "x", 1), ==, -EPIPE);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    CHECK_INT(read(there, text, sizeof text), ==, 0);
    close(there);
    rp_stream_free(stream);
}

/* What is buffered goes out before the close. */
CO_TEST(a_writer_is_held_back_and_goes_on)
{
    enum { LENGTH = 300000 };
    writer w = {.length = LENGTH};
    char *got = malloc(LENGTH + 1);
    rp_stream *stream;
    rp_task *task;
    int there;

    open_writer(co, &w.stream, &there);
    CHECK_INT(rp_create_task(&task, write_in_task, &w), ==, 0);
    wire_settle_in(co);
    CHECK(!rp_future_done(task));
    CHECK_INT(rp_stream_from_read_pipe(co, &stream, there), ==, 0);
    CHECK_INT(rp_stream_read_exactly(co, stream, got, LENGTH), ==, LENGTH);
    CHECK(wire_same(got, LENGTH, 0));
    CHECK_INT(rp_join(co, task), ==, 0);
    rp_stream_free(w.stream);
    CHECK_INT(rp_stream_read(co, stream, got, 1), ==, 0);
    rp_stream_free(stream);
    free(got);
}

CO_TEST(a_cancelled_write_has_taken_the_bytes)
{
    enum { LENGTH = 300000 };
    writer w = {.length = LENGTH};
    char *got = malloc(LENGTH);
    rp_stream *stream;
    rp_task *task;
    int there;

    open_writer(co, &w.stream, &there);
    CHECK_INT(rp_create_task(&task, write_in_task, &w), ==, 0);
    wire_settle_in(co);
    rp_task_cancel(task);
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
    rp_stream_close(w.stream);
    CHECK_INT(rp_stream_from_read_pipe(co, &stream, there), ==, 0);
    CHECK_INT(rp_stream_read_exactly(co, stream, got, LENGTH), ==, LENGTH);
    CHECK(wire_same(got, LENGTH, 0));
    CHECK_INT(rp_stream_wait_closed(co, w.stream), ==, 0);
    rp_stream_free(w.stream);
    rp_stream_free(stream);
    free(got);
}

static int wait_closed_in_task(rp_co *co, void *arg)
{
    return rp_stream_wait_closed(co, arg);
}

static int drain_in_task(rp_co *co, void *arg)
{
    return rp_stream_drain(co, arg);
}

/* Whoever waits for room, or for the end, may be cancelled: the stream goes on. */
CO_TEST(waiting_for_a_pipe_can_be_cancelled)
{
    enum { LENGTH = 300000 };
    static rp_coro *const waits[] = {drain_in_task, wait_closed_in_task};

    for (int i = 0; i < 2; i++) {
        writer w = {.length = LENGTH};
        char *got = malloc(LENGTH);
        rp_task *writing, *waiting;
        rp_stream *stream;
        int there;

        open_writer(co, &w.stream, &there);
        CHECK_INT(rp_create_task(&writing, write_in_task, &w), ==, 0);
        wire_settle_in(co);
        CHECK_INT(rp_create_task(&waiting, waits[i], w.stream), ==, 0);
        wire_settle_in(co);
        CHECK(!rp_future_done(waiting));
        rp_task_cancel(waiting);
        CHECK_INT(rp_join(co, waiting), ==, RP_EFUTCANCELED);
        CHECK(!rp_future_done(writing));
        CHECK_INT(rp_stream_from_read_pipe(co, &stream, there), ==, 0);
        CHECK_INT(rp_stream_read_exactly(co, stream, got, LENGTH), ==, LENGTH);
        CHECK_INT(rp_join(co, writing), ==, 0);
        rp_stream_close(w.stream);
        CHECK_INT(rp_stream_wait_closed(co, w.stream), ==, 0);
        rp_stream_free(w.stream);
        rp_stream_free(stream);
        free(got);
    }
}

/* A task that waits for room, and one that waits for the end, learn that nobody reads. */
CO_TEST(writers_learn_that_nobody_reads)
{
    writer w = {.length = 300000};
    rp_task *writing, *waiting;
    int there;

    open_writer(co, &w.stream, &there);
    CHECK_INT(rp_create_task(&writing, write_in_task, &w), ==, 0);
    CHECK_INT(rp_create_task(&waiting, wait_closed_in_task, w.stream), ==, 0);
    wire_settle_in(co);
    CHECK(!rp_future_done(writing) && !rp_future_done(waiting));
    close(there);
    CHECK_INT(rp_join(co, writing), ==, -EPIPE);
    CHECK_INT(rp_join(co, waiting), ==, -EPIPE);
    CHECK(rp_stream_is_closing(w.stream));
    CHECK_INT(rp_stream_write(co, w.stream, "x", 1), ==, -EPIPE);
    rp_stream_free(w.stream);
}

CO_TEST(an_idle_writer_learns_that_nobody_reads)
{
    rp_stream *stream;
    int there;

    open_writer(co, &stream, &there);
    close(there);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, -EPIPE);
    rp_stream_free(stream);
}

/* ---- what one way cannot do ---- */

CO_TEST(the_other_direction_is_refused)
{
    rp_stream *reads, *writes;
    int output, input;
    char buffer[8], text[8];

    open_reader(co, &reads, &input);
    open_writer(co, &writes, &output);
    CHECK_INT(rp_stream_write(co, reads, "x", 1), ==, -ENOTSUP);
    CHECK_INT(rp_stream_writev(co, reads, &(struct iovec){buffer, 1}, 1), ==, -ENOTSUP);
    CHECK_INT(rp_stream_write_eof(reads), ==, -ENOTSUP);
    CHECK_INT(rp_stream_drain(co, reads), ==, 0);
    CHECK_INT(rp_stream_read(co, writes, buffer, 8), ==, -ENOTSUP);
    CHECK_INT(rp_stream_read_exactly(co, writes, buffer, 8), ==, -ENOTSUP);
    CHECK_INT(rp_stream_read_exactly(co, writes, buffer, 0), ==, 0);
    CHECK_INT(rp_stream_read_until(co, writes, buffer, 8, "@@", 2), ==, -ENOTSUP);
    CHECK_INT(rp_stream_read_line(co, writes, buffer, 8), ==, -ENOTSUP);
    CHECK_INT(rp_stream_peek(co, writes, buffer, 8), ==, -ENOTSUP);
    CHECK(!rp_stream_at_eof(writes));
    CHECK_INT(rp_stream_peername(reads, text, sizeof text), ==, -ENOTSOCK);
    CHECK_INT(rp_stream_sockname(writes, text, sizeof text), ==, -ENOTSOCK);
    CHECK(!rp_stream_is_closing(reads) && !rp_stream_is_closing(writes));
    put(input, "fine");
    CHECK_INT(rp_stream_read(co, reads, buffer, 8), ==, 4);
    CHECK_INT(rp_stream_write(co, writes, "fine", 4), ==, 0);
    CHECK_INT(read(output, buffer, 8), ==, 4);
    close(input);
    close(output);
    rp_stream_free(reads);
    rp_stream_free(writes);
}

CO_TEST(files_are_refused)
{
    FILE *file = tmpfile();
    rp_stream *stream;

    CHECK_INT(rp_stream_from_read_pipe(co, &stream, fileno(file)), ==, -EINVAL);
    CHECK_INT(rp_stream_from_write_pipe(co, &stream, fileno(file)), ==, -EINVAL);
    CHECK_INT(rp_stream_from_read_pipe(co, &stream, -1), ==, -EBADF);
    CHECK_INT(rp_stream_from_read_pipe(NULL, &stream, 0), ==, RP_ENOTASK);
    fclose(file);
}

/* ---- standard input ---- */

static void use_as_stdin(int fd)
{
    CHECK_INT(dup2(fd, 0), ==, 0);
    close(fd);
}

CO_TEST(lines_of_standard_input)
{
    rp_stream *stream;
    char line[64];
    int fds[2], saved = fcntl(0, F_DUPFD_CLOEXEC, 3);

    CHECK_INT(pipe2(fds, O_CLOEXEC), ==, 0);
    use_as_stdin(fds[0]);
    CHECK_INT(rp_stream_from_read_pipe(co, &stream, 0), ==, 0);
    put(fds[1], "first\nsecond\nlast");
    close(fds[1]);
    CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, 6);
    CHECK_STR(line, "first\n");
    CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, 7);
    CHECK_STR(line, "second\n");
    CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, 4);
    CHECK_STR(line, "last");
    CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, 0);
    rp_stream_close(stream);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    rp_stream_free(stream);
    wire_settle_in(co);
    CHECK_INT(dup2(saved, 0), ==, 0);
    close(saved);
}

/* A pipe goes one way. */
CO_TEST(a_pipe_has_no_tls)
{
    rp_tls_options options = {.server_side = true};
    rp_stream *streams[2];
    int fds[2];

    CHECK_INT(pipe2(fds, O_CLOEXEC), ==, 0);
    CHECK_INT(rp_stream_from_read_pipe(co, &streams[0], fds[0]), ==, 0);
    CHECK_INT(rp_stream_from_write_pipe(co, &streams[1], fds[1]), ==, 0);
    for (int i = 0; i < 2; i++)
        CHECK_INT(rp_start_tls(co, streams[i], toy_context(), &options), ==, -ENOTSUP);
    for (int i = 0; i < 2; i++)
        rp_stream_free(streams[i]);
}
