/*
 * test_loop.c - a loop's life: made, run, stopped, nested and foreign runs refused, closed with everything scheduled.
 */
#include <pthread.h>

#include "base/thread.h"
#include "loop/handle.h"
#include "loop/loop.h"
#include "proactor/proactor.h"
#include "ringport/future.h"
#include "harness/support.h"
#include "harness/turns.h"

TEST(made_and_closed)
{
    make_loop();
    CHECK(!rp_loop_is_running(loop));
    CHECK(!rp_loop_is_closed(loop));
    CHECK_STR(rp_loop_backend_name(loop), test_backend());
    CHECK(rp_loop_proactor(loop) != NULL);
    int64_t before = rp_monotonic(), now = rp_loop_time(loop);
    CHECK(before <= now && now <= rp_monotonic());
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK(rp_loop_is_closed(loop));
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, RP_ECLOSED);
    CHECK_INT(rp_call_soon(loop, NULL, note, "x"), ==, RP_ECLOSED);
    CHECK_INT(rp_call_soon_threadsafe(loop, NULL, note, "x"), ==, RP_ECLOSED);
    CHECK_INT(rp_call_later(loop, NULL, 0, note, "x"), ==, RP_ECLOSED);
    CHECK_INT(rp_call_at(loop, NULL, 0, note, "x"), ==, RP_ECLOSED);
    rp_op op;
    rp_op_nop(&op, NULL, NULL);
    CHECK_INT(rp_submit(loop, &op), ==, RP_ECLOSED);
    rp_cancel(loop, &op);
    CHECK_INT(rp_add_reader(loop, 0, note_ready, "x"), ==, RP_ECLOSED);
    CHECK_INT(rp_remove_writer(loop, 0), ==, RP_ECLOSED);
    rp_future *future;
    CHECK_INT(rp_future_new(loop, &future), ==, RP_ECLOSED);
    CHECK(future == NULL);
    CHECK_INT(rp_shutdown_asyncgens(loop), ==, RP_ECLOSED);
    CHECK_INT(stats().operations_in_flight, ==, 0);
    rp_loop_free(loop);
    rp_loop_free(NULL);
}

#ifdef _WIN32
#define ELSEWHERE "epoll" /* another platform's backend */
#else
#define ELSEWHERE "iocp"
#endif

TEST(wrong_options_are_refused)
{
    rp_loop_options bad = {.backend = "no_such"}, both = {.backend = test_backend()};
    rp_proactor *port = open_port();

    CHECK_INT(rp_loop_new(&bad, &loop), ==, -EINVAL);
    CHECK(loop == NULL);
    bad.backend = ELSEWHERE;
    CHECK_INT(rp_loop_new(&bad, &loop), ==, -ENOTSUP);
    both.proactor = port;
    CHECK_INT(rp_loop_new(&both, &loop), ==, -EINVAL);
    rp_loop_options busy = {.proactor = port};
    rp_op op;
    rp_op_nop(&op, NULL, NULL);
    submit(port, &op);
    CHECK_INT(rp_loop_new(&busy, &loop), ==, -EINVAL); /* its completions would be nobody's */
    CHECK_INT(finish(port, &op), ==, 0);
    rp_proactor_close(port);
}

TEST(a_loop_takes_over_a_proactor_that_is_idle)
{
    rp_loop_options options = {.proactor = open_port()};
    rp_op op;

    rp_op_nop(&op, NULL, NULL);
    CHECK_INT(perform(options.proactor, &op), ==, 0); /* used before by itself */
    CHECK_INT(rp_loop_new(&options, &loop), ==, 0);
    CHECK(rp_loop_proactor(loop) == options.proactor);
    trace[0] = '\0';
    CHECK_INT(rp_call_soon(loop, NULL, note, "a"), ==, 0);
    run_turns(1);
    CHECK_STR(trace, "a");
    rp_loop_free(loop); /* and the proactor with it */
}

/* ---- stopping and running ---- */

TEST(stop_before_run)
{
    make_loop();
    CHECK_INT(rp_call_soon(loop, NULL, note, "a"), ==, 0);
    rp_loop_stop(loop);
    rp_loop_stop(loop);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_STR(trace, "a");
    CHECK_INT(stats().turns, ==, 1);
    rp_loop_free(loop);
}

static void run_nested(void *arg)
{
    rp_loop *other = arg;
    rp_future *future;

    CHECK(rp_get_running_loop() == loop);
    CHECK(rp_loop_is_running(loop));
    CHECK_INT(rp_run_forever(loop), ==, RP_ERUNNING);
    CHECK_INT(rp_run_forever(other), ==, RP_ERUNNING);
    CHECK(!rp_loop_is_running(other));
    CHECK_INT(rp_loop_close(loop), ==, RP_ERUNNING);
    CHECK_INT(rp_future_new(loop, &future), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, RP_ERUNNING);
    rp_future_unref(future);
    CHECK_INT(rp_future_new(other, &future), ==, 0);
    CHECK_INT(rp_run_until_complete(other, future), ==, RP_ERUNNING);
    rp_future_unref(future);
    CHECK_INT(rp_shutdown_default_executor(loop, 0), ==, RP_ERUNNING);
    note("n");
    stop(NULL);
}

TEST(nested_runs_refused)
{
    rp_loop *other;

    make_loop();
    CHECK_INT(rp_loop_new(NULL, &other), ==, 0);
    CHECK(rp_get_running_loop() == NULL);
    CHECK_INT(rp_call_soon(loop, NULL, run_nested, other), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_STR(trace, "n");
    CHECK(rp_get_running_loop() == NULL);
    CHECK(!rp_loop_is_running(loop));
    rp_loop_free(other);
    rp_loop_free(loop);
}

static void *run_in_thread(void *arg)
{
    *(int *)arg = rp_run_forever(loop);
    return NULL;
}

static void start_second_run(void *arg)
{
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, run_in_thread, arg), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    stop(NULL);
}

TEST(second_thread_refused)
{
    int rc = 0;

    make_loop();
    CHECK_INT(rp_call_soon(loop, NULL, start_second_run, &rc), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(rc, ==, RP_ERUNNING);
    rp_loop_free(loop);
}

static rp_op thread_op;

/* Made here, run there, then elsewhere, then here, and closed in yet another place. */
static void *run_a_while(void *arg)
{
    CHECK_INT(rp_call_soon(loop, NULL, note, arg), ==, 0);
    rp_op_nop(&thread_op, NULL, NULL);
    CHECK_INT(rp_submit(loop, &thread_op), ==, 0);
    uint64_t before = stats().completions;
    while (stats().completions == before)
        run_turns(1);
    return NULL;
}

static void *free_loop(void *arg)
{
    rp_loop_free(loop);
    return arg;
}

static void in_thread(void *function(void *), void *arg)
{
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, function, arg), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
}

TEST(thread_after_thread)
{
    make_loop();
    in_thread(run_a_while, "a");
    in_thread(run_a_while, "b");
    run_a_while("c");
    CHECK_INT(rp_call_soon(loop, NULL, note, "d"), ==, 0);
    in_thread(run_a_while, "e");
    CHECK_STR(trace, "abcde");
    in_thread(free_loop, NULL);
}

static int thread_fds[2];

static void *leave_operations(void *arg)
{
    static char byte;

    CHECK_INT(rp_add_reader(loop, thread_fds[0], note_ready, "x"), ==, 0);
    rp_op_recv(&thread_op, thread_fds[0], &byte, 1, 0, NULL, NULL);
    CHECK_INT(rp_submit(loop, &thread_op), ==, 0);
    run_turns(3);
    return arg;
}

TEST(closed_by_another_thread_with_operations)
{
    char byte;

    make_loop();
    unix_pair(thread_fds);
    in_thread(leave_operations, NULL);
    rp_loop_free(loop);
    close(thread_fds[0]);
    CHECK_INT(recv(thread_fds[1], &byte, 1, MSG_DONTWAIT), ==, 0);
    close(thread_fds[1]);
}

/* ---- until complete ---- */

static void finish_future(void *arg)
{
    CHECK_INT(rp_future_set_result(arg, trace), ==, 0);
}

static void fail_future(void *arg)
{
    CHECK_INT(rp_future_set_error(arg, -EPROTO), ==, 0);
}

static void cancel_future(void *arg)
{
    CHECK(rp_future_cancel(arg));
}

TEST(run_until_complete)
{
    rp_callback *ends[] = {finish_future, fail_future, cancel_future};
    int results[] = {0, -EPROTO, RP_EFUTCANCELED};
    rp_future *future;
    rp_loop *other;

    make_loop();
    for (int i = 0; i < 3; i++) {
        CHECK_INT(rp_future_new(loop, &future), ==, 0);
        CHECK_INT(rp_call_later(loop, NULL, RP_USEC(100), ends[i], future), ==, 0);
        CHECK_INT(rp_run_until_complete(loop, future), ==, results[i]);
        uint64_t turns = stats().turns;
        CHECK_INT(rp_run_until_complete(loop, future), ==, results[i]); /* it is done already */
        CHECK_INT(stats().turns, ==, turns + 1);
        rp_future_unref(future);
    }
    CHECK_INT(rp_future_new(loop, &future), ==, 0);
    CHECK_INT(rp_call_soon(loop, NULL, stop, NULL), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, RP_ESTOPPED);
    /* It was not stopped by that future's later end. */
    CHECK_INT(rp_future_set_result(future, NULL), ==, 0);
    rp_future_unref(future);

    CHECK_INT(rp_run_until_complete(loop, NULL), ==, -EINVAL);
    CHECK_INT(rp_loop_new(NULL, &other), ==, 0);
    CHECK_INT(rp_future_new(other, &future), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, -EINVAL);
    CHECK_INT(rp_loop_close(other), ==, 0);
    CHECK_INT(rp_run_until_complete(other, future), ==, RP_ECLOSED);
    rp_future_unref(future);
    rp_loop_free(other);
    rp_loop_free(loop);
}

/* ---- close ---- */

static void must_not_run(void *arg)
{
    (void)arg;
    CHECK(false);
}

static void must_not_be_ready(rp_fd fd, void *arg)
{
    (void)fd;
    must_not_run(arg);
}

static void must_not_complete(rp_op *op)
{
    (void)op;
    CHECK(false);
}

TEST(close_with_everything_scheduled)
{
    static char byte;
    rp_handle handle = {0}, from_thread = {0};
    rp_timer timer = {0}, never = {0};
    rp_future *future;
    rp_done_callback done = {0};
    int fds[2];
    rp_op ops[2];

    make_loop();
    rp_set_debug(loop, true);
    unix_pair(fds);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(rp_call_soon(loop, i ? &handle : NULL, must_not_run, NULL), ==, 0);
        CHECK_INT(rp_call_soon_threadsafe(loop, i ? &from_thread : NULL, must_not_run, NULL), ==, 0);
        CHECK_INT(rp_call_later(loop, i ? &timer : NULL, 0, must_not_run, NULL), ==, 0);
        CHECK_INT(rp_call_at(loop, i ? &never : NULL, RP_NEVER, must_not_run, NULL), ==, 0);
    }
    rp_op_recv(&ops[0], fds[0], &byte, 1, 0, must_not_complete, NULL);
    rp_op_nop(&ops[1], must_not_complete, NULL);
    CHECK_INT(rp_submit(loop, &ops[0]), ==, 0);
    CHECK_INT(rp_submit(loop, &ops[1]), ==, 0);
    CHECK_INT(rp_add_reader(loop, fds[0], must_not_be_ready, NULL), ==, 0);
    CHECK_INT(rp_future_new(loop, &future), ==, 0);
    CHECK_INT(rp_future_set_result(future, NULL), ==, 0);
    CHECK_INT(rp_future_add_done_callback(future, &done, (rp_future_callback *)(void *)must_not_run, NULL), ==, 0);
    rp_future_unref(future);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK(!rp_handle_scheduled(&handle));
    CHECK(!rp_handle_scheduled(&from_thread));
    CHECK(!rp_timer_scheduled(&timer));
    CHECK(!rp_timer_scheduled(&never));
    CHECK(!rp_handle_cancel(&handle));
    rp_loop_free(loop);
    close_pair(fds);
}

/* ---- freeing ---- */

static void count_reports(rp_loop *owner, const rp_exception_context *context, void *arg)
{
    CHECK(owner == loop);
    CHECK_INT(context->error, ==, RP_ERUNNING);
    ++*(int *)arg;
}

static void *free_elsewhere(void *arg)
{
    rp_loop_free(arg);
    return NULL;
}

/* The handler is called on the loop's thread, and so is not told of another thread's attempt. */
static void free_running(void *arg)
{
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, free_elsewhere, loop), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    CHECK_INT(*(int *)arg, ==, 0);
    rp_loop_free(loop);
    CHECK(!rp_loop_is_closed(loop));
    CHECK_INT(rp_call_soon(loop, NULL, stop, NULL), ==, 0);
}

TEST(a_running_loop_is_not_freed)
{
    int reports = 0;

    make_loop();
    rp_set_exception_handler(loop, count_reports, &reports);
    CHECK_INT(rp_call_soon(loop, NULL, free_running, &reports), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(reports, ==, 1);
    rp_loop_free(loop);
}

/* ---- memory ---- */

/* What a backend finds missing when it watches is told later. */
static void note_error(rp_loop *owner, const rp_exception_context *context, void *arg)
{
    (void)owner;
    *(int *)arg = context->error;
}

TEST(allocations_fail)
{
    bool failed = true;
    int fds[2];

    unix_pair(fds);
    for (uint64_t nth = 1; failed; nth++) {
        test_fail_allocation(nth);
        int rc = rp_loop_new(NULL, &loop);
        if (rc == 0) {
            rp_set_exception_handler(loop, note_error, &rc);
            rc = rp_call_soon(loop, NULL, note, "");
            if (rc == 0)
                rc = rp_call_later(loop, NULL, 0, note, "");
            if (rc == 0)
                rc = rp_call_soon_threadsafe(loop, NULL, note, "");
            if (rc == 0)
                rc = rp_add_reader(loop, fds[0], note_ready, "");
            if (rc == 0)
                run_turns(1);
            rp_loop_free(loop);
        }
        failed = test_allocation_failed();
        CHECK_INT(rc, ==, failed ? -ENOMEM : 0);
        test_fail_allocation(0);
    }
    close_pair(fds);
}
