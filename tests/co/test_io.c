/* test_io.c - system calls that suspend: what they return, and what becomes of them when their task is cancelled. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "harness/platform.h"
#include "harness/tasks.h"

static char path[64];

/* The name of a file that is not there. */
static void new_path(void)
{
    snprintf(path, sizeof path, TEST_TMP "/ringport-test-XXXXXX");
    close(mkstemp(path));
    unlink(path);
}

CO_TEST(files)
{
    struct statx status;
    char bytes[16];
    rp_fd fd;

    new_path();
    CHECK_INT(rp_open(co, path, O_RDWR, 0), ==, -ENOENT);
    fd = rp_open(co, path, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(rp_write(co, fd, "0123456789", 10, -1), ==, 10);
    CHECK_INT(rp_write(co, fd, "ab", 2, 4), ==, 2);
    CHECK_INT(rp_read(co, fd, bytes, 4, 3), ==, 4);
    CHECK(memcmp(bytes, "3ab6", 4) == 0);
    CHECK_INT(rp_read(co, fd, bytes, sizeof bytes, -1), ==, 0); /* behind what was written */
    CHECK_INT(rp_fsync(co, fd, false), ==, 0);
    CHECK_INT(rp_fsync(co, fd, true), ==, 0);
    CHECK_INT(rp_statx(co, AT_FDCWD, path, 0, STATX_SIZE, &status), ==, 0);
    CHECK_INT(status.stx_size, ==, 10);
    CHECK_INT(rp_statx(co, fd, "", AT_EMPTY_PATH, STATX_SIZE, &status), ==, 0);
    CHECK_INT(status.stx_size, ==, 10);
    CHECK_INT(rp_close(co, fd), ==, 0);
    CHECK_INT(rp_close(co, -1), ==, -EBADF);
    CHECK_INT(rp_read(co, -1, bytes, 1, 0), ==, -EBADF);
    CHECK_INT(unlink(path), ==, 0);
    CHECK_INT(rp_statx(co, AT_FDCWD, path, 0, STATX_SIZE, &status), ==, -ENOENT);
}

static int reads_one(rp_co *co, void *arg)
{
    char c = 0;
    ssize_t n = rp_read(co, *(int *)arg, &c, 1, -1);

    return n == 1 ? c : (int)n;
}

CO_TEST(pipes)
{
    rp_task *task;
    int fds[2];

    CHECK_INT(pipe(fds), ==, 0);
    task = spawn(reads_one, &fds[0]);
    settle(co);
    CHECK_INT(rp_write(co, fds[1], "x", 1, -1), ==, 1);
    CHECK_INT(rp_join(co, task), ==, 'x');

    task = spawn(reads_one, &fds[0]);
    settle(co);
    cancel_and_join(co, task);
    CHECK_INT(rp_write(co, fds[1], "y", 1, -1), ==, 1);
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(reads_one(co, &fds[0]), ==, -ECANCELED); /* nothing was begun */
    CHECK_INT(reads_one(co, &fds[0]), ==, 'y');
    close(fds[1]);
    CHECK_INT(reads_one(co, &fds[0]), ==, 0);
    close(fds[0]);
}

/* ---- descriptors are neither lost nor left open ---- */

static int opens(rp_co *co, void *arg)
{
    rp_fd fd = rp_open(co, TEST_NULL, O_RDONLY, 0);

    if (fd < 0)
        return (int)fd;
    CHECK_INT(rp_sleep(co, 0), ==, -ECANCELED); /* it was quicker than the cancellation */
    CHECK_INT(rp_close(co, fd), ==, 0);
    return 0;
}

CO_TEST(a_descriptor_that_arrives_is_not_lost)
{
    for (int turns = 0; turns < 20; turns++) {
        rp_task *task = spawn(opens, NULL);
        int rc;

        CHECK_INT(rp_sleep(co, 0), ==, 0); /* it has begun */
        rp_task_cancel(task);
        rc = rp_join(co, task);
        CHECK(rc == 0 || rc == RP_EFUTCANCELED);
    }
}

static int closes(rp_co *co, void *arg)
{
    rp_fd fd = rp_open(co, TEST_NULL, O_RDONLY, 0);

    CHECK_INT(fd, >=, 0);
    note('(');
    CHECK_INT(rp_close(co, fd), ==, 0);
    note(')');
    CHECK_INT(rp_sleep(co, RP_SEC(100)), ==, -ECANCELED);
    return 0;
}

/* That they are closed the harness sees. */
CO_TEST(a_descriptor_is_closed_whatever_happens)
{
    rp_task *task = spawn(closes, NULL);
    rp_fd fd = rp_open(co, TEST_NULL, O_RDONLY, 0);

    CHECK_INT(fd, >=, 0);
    rp_task_cancel(rp_co_task(co)); /* pending */
    CHECK_INT(rp_close(co, fd), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, -ECANCELED);

    while (events[0] == '\0')
        CHECK_INT(rp_sleep(co, 0), ==, 0);
    rp_task_cancel(task); /* under way, or just done */
    CHECK_INT(rp_join(co, task), ==, 0);
    CHECK_EVENTS("()");
}

/* ---- readiness, sockets, children ---- */

static int polls_for_input(rp_co *co, void *arg)
{
    return rp_poll_fd(co, *(int *)arg, RP_POLL_IN);
}

CO_TEST(readiness)
{
    rp_task *task;
    int fds[2];

    CHECK_INT(pipe(fds), ==, 0);
    CHECK_INT(rp_poll_fd(co, fds[1], RP_POLL_OUT), ==, RP_POLL_OUT);
    task = spawn(polls_for_input, &fds[0]);
    settle(co);
    CHECK(!rp_future_done(task));
    CHECK_INT(rp_write(co, fds[1], "x", 1, -1), ==, 1);
    CHECK_INT(rp_join(co, task) & RP_POLL_IN, ==, RP_POLL_IN);
    CHECK_INT(reads_one(co, &fds[0]), ==, 'x');
    task = spawn(polls_for_input, &fds[0]);
    settle(co);
    cancel_and_join(co, task);
    CHECK_INT(rp_poll_fd(co, -1, RP_POLL_IN), ==, -EBADF);
    close(fds[0]);
    close(fds[1]);
}

static int udp_socket(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_INT(fd, >=, 0);
    CHECK_INT(bind(fd, (struct sockaddr *)address, sizeof *address), ==, 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)address, &length), ==, 0);
    return fd;
}

static int receives(rp_co *co, void *arg)
{
    char byte;

    return (int)rp_recvfrom(co, *(int *)arg, &byte, 1, 0, NULL, NULL);
}

CO_TEST(datagrams)
{
    struct sockaddr_in here, there, sender = {0};
    int fds[2] = {udp_socket(&here), udp_socket(&there)};
    uint32_t length = sizeof sender;
    char bytes[16];
    rp_task *task;

    CHECK_INT(rp_sendto(co, fds[0], "hello", 5, 0, (struct sockaddr *)&there, sizeof there), ==, 5);
    CHECK_INT(rp_recvfrom(co, fds[1], bytes, sizeof bytes, 0, (struct sockaddr *)&sender, &length), ==, 5);
    CHECK(memcmp(bytes, "hello", 5) == 0);
    CHECK_INT(length, ==, sizeof sender);
    CHECK_INT(sender.sin_port, ==, here.sin_port);

    CHECK_INT(connect(fds[1], (struct sockaddr *)&here, sizeof here), ==, 0);
    CHECK_INT(rp_sendto(co, fds[1], "back", 4, 0, NULL, 0), ==, 4);
    CHECK_INT(rp_recvfrom(co, fds[0], bytes, sizeof bytes, 0, NULL, NULL), ==, 4);
    CHECK_INT(rp_recvfrom(co, fds[0], bytes, sizeof bytes, 0, (struct sockaddr *)&sender, NULL), ==, -EINVAL);

    task = spawn(receives, &fds[0]);
    settle(co);
    cancel_and_join(co, task);
    close(fds[0]);
    close(fds[1]);
}

static int waits_for_child(rp_co *co, void *arg)
{
    return (int)rp_wait_child(co, *(int64_t *)arg);
}

CO_TEST(children)
{
    int64_t pid = test_start_child(7), status = rp_wait_child(co, pid);
    rp_task *task;

    CHECK_INT(status, >=, 0);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), ==, 7);
    CHECK_INT(rp_wait_child(co, 0), ==, -EINVAL);

    pid = test_start_child(-1);
    task = spawn(waits_for_child, &pid);
    settle(co);
    cancel_and_join(co, task);
    test_end_child(pid); /* it is still to be reaped */
}

/* ---- signals ---- */

static int waits_for_term(rp_co *co, void *arg)
{
    return rp_wait_signal(co, SIGTERM);
}

static void old_handler(int number)
{
    (void)number;
}

CO_TEST(signals)
{
    rp_task *tasks[3];

    CHECK_INT(rp_wait_signal(co, 0), ==, -EINVAL);
    CHECK_INT(rp_wait_signal(co, 1000), ==, -EINVAL);
    signal(SIGTERM, old_handler);
    for (int i = 0; i < 3; i++)
        tasks[i] = spawn(waits_for_term, NULL);
    settle(co);
    cancel_and_join(co, tasks[1]);
    CHECK(test_disposition(SIGTERM) != old_handler); /* others wait still */
    raise(SIGTERM);
    CHECK_INT(rp_join(co, tasks[0]), ==, 0);
    CHECK_INT(rp_join(co, tasks[2]), ==, 0);

    for (int i = 0; i < 3; i++) { /* between two waits none is missed */
        raise(SIGTERM);
        raise(SIGTERM);
        CHECK_INT(rp_wait_signal(co, SIGTERM), ==, 0);
    }
    tasks[0] = spawn(waits_for_term, NULL);
    settle(co);
    CHECK(!rp_future_done(tasks[0]));
    cancel_and_join(co, tasks[0]);
    CHECK(test_disposition(SIGTERM) == old_handler);

    tasks[0] = spawn(waits_for_term, NULL);
    settle(co);
    raise(SIGTERM);
    CHECK_INT(rp_join(co, tasks[0]), ==, 0);
    CHECK(test_disposition(SIGTERM) != old_handler);
    CHECK_INT(rp_remove_signal_handler(rp_co_loop(co), SIGTERM), ==, 0); /* there is none, but it is given back */
    CHECK(test_disposition(SIGTERM) == old_handler);
}

static void count(void *arg)
{
    ++*(int *)arg;
}

static int beside_a_handler(rp_co *co, void *arg)
{
    rp_loop *loop = rp_co_loop(co);
    rp_task *task;
    int calls = 0;

    CHECK_INT(rp_add_signal_handler(loop, SIGTERM, count, &calls), ==, 0);
    task = spawn(waits_for_term, NULL);
    settle(co);
    raise(SIGTERM);
    CHECK_INT(rp_join(co, task), ==, 0);
    CHECK_INT(calls, ==, 0);
    raise(SIGTERM);
    while (calls == 0)
        CHECK_INT(rp_sleep(co, 0), ==, 0);

    task = spawn(waits_for_term, NULL);
    settle(co);
    CHECK_INT(rp_remove_signal_handler(loop, SIGTERM), ==, 1); /* which the wait outlasts */
    CHECK_INT(rp_remove_signal_handler(loop, SIGTERM), ==, 0);
    raise(SIGTERM);
    CHECK_INT(rp_join(co, task), ==, 0);

    task = spawn(waits_for_term, NULL);
    settle(co);
    CHECK_INT(rp_add_signal_handler(loop, SIGTERM, count, &calls), ==, 0);
    cancel_and_join(co, task);
    raise(SIGTERM);
    while (calls == 1)
        CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(calls, ==, 2);
    return 0;
}

TEST(a_wait_goes_before_a_handler)
{
    CHECK_INT(rp_run(beside_a_handler, NULL), ==, 0);
    CHECK(test_disposition(SIGTERM) == SIG_DFL);
}

static int waits_for_interrupt(rp_co *co, void *arg)
{
    CHECK_INT(rp_wait_signal(co, SIGINT), ==, 0);
    note('i');
    return 0;
}

static int interrupted(rp_co *co, void *arg)
{
    for (int i = 0; i < 3; i++) {
        rp_task *task = spawn(waits_for_interrupt, NULL);

        settle(co);
        raise(SIGINT);
        CHECK_INT(rp_join(co, task), ==, 0); /* and the main task is not cancelled */
    }
    CHECK_EVENTS("iii");
    raise(SIGINT); /* it is, where nobody waits */
    return rp_sleep(co, RP_SEC(100));
}

TEST(interrupts_are_the_waiting_tasks_and_then_the_runners)
{
    CHECK_INT(rp_run(interrupted, NULL), ==, -EINTR);
    CHECK(test_disposition(SIGINT) == SIG_DFL);
}

/* In another thread than this one. */
static void run_abroad(void *(*function)(void *))
{
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, function, NULL), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
}

#ifndef _WIN32
static void *run_refused(void *arg)
{
    CHECK_INT(rp_run(waits_for_term, NULL), ==, RP_ETHREAD);
    return arg;
}

TEST(signals_are_the_main_threads)
{
    run_abroad(run_refused);
}
#else
TEST_ABSENT(signals_are_the_main_threads, "any thread may wait for signals on Windows");

static int waits_while_it_is_raised(rp_co *co, void *arg)
{
    rp_task *task = spawn(waits_for_term, NULL);

    CHECK_INT(rp_sleep(co, 0), ==, 0);
    raise(SIGTERM);
    return rp_join(co, task);
}

static void *run_permitted(void *arg)
{
    CHECK_INT(rp_run(waits_while_it_is_raised, NULL), ==, 0);
    CHECK_INT(rp_run(interrupted, NULL), ==, -EINTR);
    CHECK(test_disposition(SIGTERM) == SIG_DFL && test_disposition(SIGINT) == SIG_DFL);
    return arg;
}

TEST(signals_are_any_threads)
{
    run_abroad(run_permitted);
}
#endif

static void no_report(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    note('r');
}

TEST(the_loop_is_closed_under_a_wait_for_a_signal)
{
    rp_loop *loop;

    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    rp_set_exception_handler(loop, no_report, NULL);
    CHECK_INT(rp_loop_create_task(loop, NULL, waits_for_term, NULL), ==, 0);
    rp_loop_stop(loop);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK(test_disposition(SIGTERM) != SIG_DFL);
    rp_loop_free(loop);
    CHECK(test_disposition(SIGTERM) == SIG_DFL);
    CHECK_EVENTS("r");
}
