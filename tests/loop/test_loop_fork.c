/*
 * test_loop_fork.c - a child of fork() cannot use its copy of a loop, but free it, wherever the fork happened.
 */
#include <pthread.h>

#include "base/thread.h"
#include "loop/handle.h"
#include "loop/loop.h"
#include "ringport/future.h"
#include "harness/support.h"
#include "harness/turns.h"

#ifndef _WIN32
static void fork_in_callback(void *arg)
{
    rp_loop *other;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        CHECK(rp_get_running_loop() == NULL);
        CHECK_INT(rp_call_soon(loop, NULL, note, "x"), ==, RP_EFORK);
        CHECK_INT(rp_run_forever(loop), ==, RP_EFORK);
        CHECK_INT(rp_loop_close(loop), ==, RP_EFORK);
        CHECK_INT(rp_loop_new(NULL, &other), ==, 0);
        rp_loop_stop(other);
        CHECK_INT(rp_run_forever(other), ==, 0);
        rp_loop_free(other);
        _exit(42);
    }
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    stop(arg);
}

TEST(fork_refused)
{
    rp_future *future, *waiting;
    rp_handle handle = {0};
    char byte;
    int fds[2], status;
    rp_op op, nop;

    make_loop();
    unix_pair(fds);
    CHECK_INT(rp_add_reader(loop, fds[0], note_ready, "r"), ==, 0);
    rp_op_poll(&op, fds[0], RP_POLL_IN, NULL, NULL);
    CHECK_INT(rp_submit(loop, &op), ==, 0);
    CHECK_INT(rp_future_new(loop, &waiting), ==, 0);
    run_turns(2);
    pid_t pid = fork();
    if (pid == 0) {
        rp_op_nop(&nop, NULL, NULL);
        CHECK_INT(rp_submit(loop, &nop), ==, RP_EFORK);
        rp_cancel(loop, &op);
        CHECK_INT(rp_call_soon(loop, &handle, note, "x"), ==, RP_EFORK);
        CHECK_INT(rp_call_soon_threadsafe(loop, NULL, note, "x"), ==, RP_EFORK);
        CHECK_INT(rp_call_later(loop, NULL, 0, note, "x"), ==, RP_EFORK);
        CHECK_INT(rp_add_reader(loop, fds[0], note_ready, "x"), ==, RP_EFORK);
        CHECK_INT(rp_remove_reader(loop, fds[0]), ==, RP_EFORK);
        CHECK_INT(rp_future_new(loop, &future), ==, RP_EFORK);
        CHECK_INT(rp_run_forever(loop), ==, RP_EFORK);
        CHECK_INT(rp_run_until_complete(loop, waiting), ==, RP_EFORK);
        rp_future_unref(waiting);
        CHECK_INT(rp_loop_close(loop), ==, 0);
        rp_loop_free(loop);
        _exit(42);
    }
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    CHECK_INT(rp_call_soon(loop, NULL, fork_in_callback, NULL), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(stats().operations_in_flight, ==, 2); /* the children have harmed nothing */
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    while (strchr(trace, 'r') == NULL)
        run_turns(1);
    CHECK_INT(read(fds[0], &byte, 1), ==, 1);
    rp_future_unref(waiting);
    rp_loop_free(loop);
    close_pair(fds);
}

static int exit_status(pid_t pid)
{
    int status;

    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Whoever held the loop's lock when the process was forked does not keep the child from its copies. */
TEST(a_child_takes_its_copy_of_what_was_posted_back)
{
    rp_handle handle = {0};
    int status;

    test_need_locks_after_fork();
    make_loop();
    CHECK_INT(rp_call_soon_threadsafe(loop, &handle, note, "p"), ==, 0);
    rp_mutex_lock(&loop->mutex);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        CHECK(rp_handle_cancel(&handle));
        CHECK(!rp_handle_scheduled(&handle));
        rp_loop_free(loop);
        _exit(42);
    }
    rp_mutex_unlock(&loop->mutex);
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), ==, 42);
    run_turns(1);
    CHECK_STR(trace, "p");
    rp_loop_free(loop);
}

static pid_t child;
static bool with_loop_of_its_own;

static void free_in_child(void *arg)
{
    rp_loop *own;

    child = fork();
    if (child != 0) {
        rp_loop_stop(loop);
        return;
    }
    CHECK_INT(rp_loop_close(loop), ==, RP_EFORK);
    rp_loop_free(loop);
    if (with_loop_of_its_own) {
        CHECK_INT(rp_loop_new(NULL, &own), ==, 0);
        CHECK_INT(rp_call_soon(own, NULL, note, arg), ==, 0);
        rp_loop_stop(own);
        CHECK_INT(rp_run_forever(own), ==, 0);
        rp_loop_free(own);
    }
    CHECK_INT(rp_call_soon(loop, NULL, note, "x"), ==, RP_EFORK); /* it is there yet */
}

/* The child ends with its heap looked over: the copy of the loop is freed once, and wholly. */
TEST(a_child_frees_the_loop_in_the_callback_that_forked)
{
    for (int i = 0; i < 2; i++) {
        with_loop_of_its_own = i == 1;
        make_loop();
        CHECK_INT(rp_call_soon(loop, NULL, free_in_child, "c"), ==, 0);
        CHECK_INT(rp_call_soon(loop, NULL, note, "p"), ==, 0);
        int rc = rp_run_forever(loop);
        if (child == 0) {
            CHECK_INT(rc, ==, RP_EFORK);
            CHECK_STR(trace, with_loop_of_its_own ? "c" : "");
            CHECK_INT(test_live_allocations(), ==, 0);
            _exit(42);
        }
        CHECK_INT(rc, ==, 0);
        CHECK_INT(exit_status(child), ==, 42);
        rp_loop_free(loop);
    }
}

static rp_op together[3];

static void free_in_child_on_completion(rp_op *op)
{
    if (op != &together[0])
        return;
    child = fork();
    if (child != 0) {
        rp_loop_stop(loop);
        return;
    }
    memset(&together[1], 0x5a, 2 * sizeof(rp_op));
    rp_loop_free(loop);
}

/* Operations are their owner's memory, who may use it for something else in the child. */
TEST(a_child_that_frees_the_loop_leaves_operations_alone)
{
    make_loop();
    for (int i = 0; i < 3; i++) {
        rp_op_nop(&together[i], free_in_child_on_completion, NULL);
        CHECK_INT(rp_submit(loop, &together[i]), ==, 0);
    }
    int rc = rp_run_forever(loop);
    if (child == 0) {
        CHECK_INT(rc, ==, RP_EFORK);
        for (size_t i = 0; i < 2 * sizeof(rp_op); i++)
            CHECK_INT(((unsigned char *)&together[1])[i], ==, 0x5a);
        _exit(42);
    }
    CHECK_INT(rc, ==, 0);
    CHECK_INT(exit_status(child), ==, 42);
    rp_loop_free(loop);
}

static void *fork_elsewhere(void *arg)
{
    (void)arg;
    child = fork();
    if (child == 0) {
        rp_loop_free(loop);
        CHECK_INT(test_live_allocations(), ==, 0);
        _exit(42);
    }
    rp_call_soon_threadsafe(loop, NULL, stop, NULL);
    return NULL;
}

/* The run is on the stack of a thread that the child does not have. */
TEST(a_child_of_another_thread_frees_the_loop)
{
    pthread_t thread;

    make_loop();
    CHECK_INT(pthread_create(&thread, NULL, fork_elsewhere, NULL), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    CHECK_INT(exit_status(child), ==, 42);
    rp_loop_free(loop);
}
#else
TEST_ABSENT(a_child_takes_its_copy_of_what_was_posted_back, "Windows has no fork()");
TEST_ABSENT(a_child_frees_the_loop_in_the_callback_that_forked, "Windows has no fork()");
TEST_ABSENT(a_child_that_frees_the_loop_leaves_operations_alone, "Windows has no fork()");
TEST_ABSENT(a_child_of_another_thread_frees_the_loop, "Windows has no fork()");
TEST_ABSENT(fork_refused, "Windows has no fork()");
#endif
