/* test_sock_sendfile.c - files that are sent on sockets of the program's own. */
#include "harness/files.h"

enum { LARGE = 6 << 20 };

typedef struct job {
    int here, there, file;
    int64_t offset, count, sent, result;
} job;

static int send_in_task(rp_co *co, void *arg)
{
    job *j = arg;

    j->result = rp_sock_sendfile(co, j->here, j->file, j->offset, j->count, &j->sent);
    return j->result < 0 ? (int)j->result : 0;
}

static char got[LARGE + 100];

static size_t take(rp_co *co, int there, size_t until)
{
    size_t length = 0;
    ssize_t n;

    while (length < until && (n = wire_await_in(co, there, got + length, sizeof got - length)) > 0)
        length += (size_t)n;
    return length;
}

static rp_task *start(job *j)
{
    rp_task *task;

    CHECK_INT(rp_create_task(&task, send_in_task, j), ==, 0);
    return task;
}

CO_TEST(files_and_parts_of_them_on_each_kind_of_socket)
{
    static const struct {
        int64_t offset, count, sent;
    } parts[] = {{0, -1, LARGE},     {0, 0, 0},      {0, 10, 10},  {7, 1000000, 1000000}, {LARGE - 5, 100, 5},
                 {LARGE - 5, -1, 5}, {LARGE, -1, 0}, {-1, 99, 99}, {LARGE + 100, 1, 0}};

    for (int kind = 0; kind < PAIR_KINDS; kind++)
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
            job j = {.file = file_of(LARGE), .offset = parts[i].offset, .count = parts[i].count, .sent = 3};
            int64_t from = j.offset < 0 ? 50 : j.offset;
            rp_task *task;
            int fds[2];

            pair_of_kind(kind, fds);
            j.here = fds[0];
            CHECK_INT(lseek(j.file, 50, SEEK_SET), ==, 50);
            task = start(&j);
            CHECK_INT(take(co, fds[1], (size_t)parts[i].sent), ==, parts[i].sent);
            CHECK_INT(rp_join(co, task), ==, 0);
            CHECK_INT(j.result, ==, parts[i].sent);
            CHECK_INT(j.sent, ==, parts[i].sent);
            CHECK(wire_same(got, (size_t)parts[i].sent, (uint64_t)from));
            CHECK_INT(lseek(j.file, 0, SEEK_CUR), ==, j.offset < 0 ? 50 + j.sent : 50);
            close_pair(fds);
            close(j.file);
        }
}

/* Turn by turn: while it reads, and while it sends. */
CO_TEST(a_cancelled_one_tells_how_far_it_came)
{
    for (int turns = 0; turns < 12; turns++) {
        job j = {.file = file_of(LARGE), .offset = -1, .count = -1, .sent = 7};
        rp_task *task;
        int fds[2];

        tcp_pair(fds);
        j.here = fds[0];
        task = start(&j);
        for (int i = 0; i < turns; i++)
            CHECK_INT(rp_sleep(co, 0), ==, 0);
        CHECK(rp_task_cancel(task));
        CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
        CHECK_INT(j.result, ==, -ECANCELED);
        if (turns > 0)
            CHECK_INT(lseek(j.file, 0, SEEK_CUR), ==, j.sent);
        close(j.file);
        close(fds[0]);
        if (turns > 0) {
            CHECK_INT(take(co, fds[1], SIZE_MAX), ==, j.sent);
            CHECK(wire_same(got, (size_t)j.sent, 0));
        }
        close(fds[1]);
    }
}

CO_TEST(cancelling_while_a_pipe_has_nothing_loses_nothing)
{
    job j = {.offset = -1, .count = -1};
    rp_task *task;
    char byte;
    int fds[2], pipe_[2];

    tcp_pair(fds);
    CHECK_INT(pipe(pipe_), ==, 0);
    j.here = fds[0];
    j.file = pipe_[0];
    task = start(&j);
    CHECK_INT(write(pipe_[1], "abc", 3), ==, 3);
    CHECK_INT(take(co, fds[1], 3), ==, 3);
    wire_settle_in(co);
    CHECK(rp_task_cancel(task));
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
    CHECK_INT(j.sent, ==, 3);
    CHECK_INT(write(pipe_[1], "x", 1), ==, 1);
    CHECK_INT(read(pipe_[0], &byte, 1), ==, 1);
    close_pair(pipe_);
    close_pair(fds);
}

CO_TEST(a_peer_that_goes_midway_is_told)
{
    job j = {.file = file_of(LARGE), .count = -1};
    rp_task *task;
    int fds[2];

    tcp_pair(fds);
    j.here = fds[0];
    task = start(&j);
    CHECK_INT(take(co, fds[1], 100), >=, 100);
    close_with_reset(fds[1]);
    rp_join(co, task);
    CHECK(j.result == -EPIPE || j.result == -ECONNRESET);
    CHECK(j.sent >= 100 && j.sent < LARGE);
    close(fds[0]);
    close(j.file);
}

#ifndef _WIN32
CO_TEST(a_file_that_shrinks_ends_early)
{
    job j = {.file = file_of(LARGE), .count = -1};
    rp_task *task;
    int fds[2];

    tcp_pair(fds);
    j.here = fds[0];
    task = start(&j);
    wire_settle_in(co);
    CHECK_INT(ftruncate(j.file, LARGE - 1), ==, 0);
    CHECK_INT(take(co, fds[1], LARGE - 1), ==, LARGE - 1);
    CHECK_INT(rp_join(co, task), ==, 0);
    CHECK_INT(j.result, ==, LARGE - 1);
    CHECK(wire_same(got, LARGE - 1, 0));
    close_pair(fds);
    close(j.file);
}
#else
TEST_ABSENT(a_file_that_shrinks_ends_early, "a file is not cut short while it is read");
#endif

CO_TEST(what_cannot_be_sent_is_refused)
{
    int64_t sent = 5;
    int fds[2], file = file_of(10), gone = file_of(10);

    tcp_pair(fds);
    close(gone);
    CHECK_INT(rp_sock_sendfile(co, fds[0], gone, 0, -1, &sent), ==, -EBADF);
    CHECK_INT(sent, ==, 0);
    CHECK_INT(rp_sock_sendfile(co, fds[0], file, -2, -1, NULL), ==, -EINVAL);
    CHECK_INT(rp_sock_sendfile(co, fds[0], file, 0, -2, NULL), ==, -EINVAL);
    CHECK_INT(rp_sock_sendfile(co, gone, file, 0, -1, &sent), ==, -EBADF);
    CHECK_INT(rp_sock_sendfile(NULL, fds[0], file, 0, -1, NULL), ==, RP_ENOTASK);
    close_pair(fds);
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
        rp_task *task;
        int fds[2];

        tcp_pair(fds);
        j.here = fds[0];
        CHECK_INT(rp_loop_create_task(loop, &task, send_for_ever, &j), ==, 0);
        for (int i = 0; i < turns; i++) {
            rp_loop_stop(loop);
            CHECK_INT(rp_run_forever(loop), ==, 0);
        }
        rp_future_unref(task);
        rp_loop_free(loop);
        close_pair(fds);
        close(j.file);
    }
}
