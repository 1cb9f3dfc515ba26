/* test_stream_sendfile.c - files that streams send, and what becomes of them when the task is cancelled. */
#include "harness/files.h"
#include "harness/streams.h"
#include "stream/stream.h"

enum { LARGE = 6 << 20 };

typedef struct job {
    rp_stream *stream;
    int file;
    int64_t offset, count, sent, result;
} job;

static int send_in_task(rp_co *co, void *arg)
{
    job *j = arg;

    j->result = rp_stream_sendfile(co, j->stream, j->file, j->offset, j->count, 0, &j->sent);
    return j->result < 0 ? (int)j->result : 0;
}

static char got[LARGE + 100];

/* All that comes at the other end until it ends, or so many bytes have come. */
static size_t take(rp_co *co, int there, size_t until)
{
    size_t length = 0;
    ssize_t n;

    while (length < until && (n = wire_await_in(co, there, got + length, sizeof got - length)) > 0)
        length += (size_t)n;
    return length;
}

CO_TEST(a_file_is_sent_between_writes)
{
    job j = {.file = file_of(LARGE), .offset = 10, .count = LARGE - 20};
    rp_task *task;
    int there;

    j.stream = open_stream(co, &there);
    CHECK_INT(rp_stream_write(co, j.stream, "before", 6), ==, 0);
    CHECK_INT(rp_create_task(&task, send_in_task, &j), ==, 0);
    wire_settle_in(co);
    CHECK_INT(rp_stream_write(co, j.stream, "after", 5), ==, 0);
    CHECK_INT(take(co, there, LARGE - 9), ==, LARGE - 9);
    CHECK(memcmp(got, "before", 6) == 0 && wire_same(got + 6, LARGE - 20, 10));
    CHECK(memcmp(got + LARGE - 14, "after", 5) == 0);
    CHECK_INT(rp_join(co, task), ==, 0);
    CHECK_INT(j.result, ==, LARGE - 20);
    CHECK_INT(j.sent, ==, LARGE - 20);
    CHECK_INT(rp_stream_sendfile(co, j.stream, j.file, LARGE - 3, 100, 0, NULL), ==, 3);
    rp_stream_free(j.stream);
    close(there);
    close(j.file);
}

/* Turn by turn: whatever it waits for. What *sent says is what has gone. */
CO_TEST(a_cancelled_one_tells_how_far_it_came_and_the_stream_goes_on)
{
    for (int turns = 0; turns < 12; turns++) {
        job j = {.file = file_of(LARGE), .offset = -1, .count = -1, .sent = 7};
        rp_task *task;
        int there;

        j.stream = open_stream(co, &there);
        CHECK_INT(rp_create_task(&task, send_in_task, &j), ==, 0);
        for (int i = 0; i < turns; i++)
            CHECK_INT(rp_sleep(co, 0), ==, 0);
        CHECK(rp_task_cancel(task));
        CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
        CHECK_INT(j.result, ==, -ECANCELED);
        CHECK(j.sent >= 0 && j.sent < LARGE);
        CHECK_INT(lseek(j.file, 0, SEEK_CUR), ==, j.sent);
        close(j.file);
        CHECK_INT(rp_stream_write(co, j.stream, "after", 5), ==, 0);
        CHECK_INT(take(co, there, (size_t)j.sent + 5), ==, j.sent + 5);
        CHECK(wire_same(got, (size_t)j.sent, 0) && memcmp(got + j.sent, "after", 5) == 0);
        rp_stream_free(j.stream);
        close(there);
    }
}

CO_TEST(a_stream_that_is_closed_or_freed_meanwhile_sends_the_file_first)
{
    for (int freed = 0; freed < 2; freed++) {
        job j = {.file = file_of(LARGE), .count = -1};
        rp_task *task;
        int there;

        j.stream = open_stream(co, &there);
        CHECK_INT(rp_create_task(&task, send_in_task, &j), ==, 0);
        wire_settle_in(co);
        if (freed)
            rp_stream_free(j.stream);
        else
            rp_stream_close(j.stream);
        CHECK_INT(take(co, there, SIZE_MAX), ==, LARGE);
        CHECK(wire_same(got, LARGE, 0));
        CHECK_INT(rp_join(co, task), ==, 0);
        CHECK_INT(j.result, ==, LARGE);
        if (!freed) {
            CHECK_INT(rp_stream_sendfile(co, j.stream, j.file, 0, 1, 0, &j.sent), ==, -EPIPE);
            CHECK_INT(j.sent, ==, 0);
            rp_stream_free(j.stream);
        }
        close(there);
        close(j.file);
    }
}

CO_TEST(a_peer_that_goes_midway_is_told)
{
    job j = {.file = file_of(LARGE), .count = -1};
    rp_task *task;
    int there;

    j.stream = open_stream(co, &there);
    CHECK_INT(rp_create_task(&task, send_in_task, &j), ==, 0);
    CHECK_INT(take(co, there, 100), >=, 100);
    close_with_reset(there);
    rp_join(co, task);
    CHECK(j.result == -EPIPE || j.result == -ECONNRESET);
    CHECK(j.sent >= 100 && j.sent < LARGE);
    CHECK_INT(rp_stream_sendfile(co, j.stream, j.file, 0, -1, 0, NULL), ==, j.result);
    rp_stream_free(j.stream);
    close(j.file);
}

CO_TEST(what_cannot_be_read_leaves_the_stream_alone)
{
    int there, file = file_of(10), gone = file_of(10);
    rp_stream *stream = open_stream(co, &there);
    int64_t sent = 5;

    close(gone);
    CHECK_INT(rp_stream_sendfile(co, stream, gone, 0, -1, 0, &sent), ==, -EBADF);
    CHECK_INT(sent, ==, 0);
    CHECK_INT(rp_stream_sendfile(co, stream, file, -5, -1, 0, NULL), ==, -EINVAL);
    CHECK_INT(rp_stream_sendfile(NULL, stream, file, 0, -1, 0, NULL), ==, RP_ENOTASK);
    CHECK_INT(rp_stream_write(co, stream, "x", 1), ==, 0);
    CHECK_INT(take(co, there, 1), ==, 1);
    rp_stream_free(stream);
    close(there);
    close(file);
}

static int send_for_ever(rp_co *co, void *arg)
{
    send_in_task(co, arg);
    CHECK(false);
    return 0;
}

TEST(a_task_that_is_left_in_it_leaves_nothing)
{
    for (int turns = 0; turns < 6; turns++) {
        rp_loop *loop = wire_loop();
        job j = {.file = file_of(LARGE), .count = -1};
        rp_stream *stream;
        rp_task *task;
        int fds[2];

        wire_pair(&fds[0], &fds[1]);
        j.stream = stream = rp_stream_new(loop);
        rp_transport *transport;
        CHECK_INT(rp_connect_accepted_socket(loop, fds[0], &rp_stream_protocol, stream, &transport), ==, 0);
        CHECK_INT(rp_loop_create_task(loop, &task, send_for_ever, &j), ==, 0);
        for (int i = 0; i < turns; i++) {
            rp_loop_stop(loop);
            CHECK_INT(rp_run_forever(loop), ==, 0);
        }
        rp_future_unref(task);
        rp_loop_free(loop);
        close(fds[1]);
        close(j.file);
    }
}
