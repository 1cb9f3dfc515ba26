/*
 * test_executor.c - jobs on threads: results, limits, cancellation, shutdown, and loops that end before their jobs.
 * What threads that are left behind hold is to go with them: the harness waits for that.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "base/thread.h"
#include "loop/executor.h"
#include "ringport/future.h"
#include "harness/support.h"
#include "harness/turns.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool gate_open;
static int running, most_running, finished;
enum { MAX_THREADS = 64 };
static uint64_t threads_seen[MAX_THREADS];
static int thread_count;

static int answer(void *arg)
{
    return (int)(intptr_t)arg;
}

/* Notes its thread, and waits at the gate. */
static int wait_at_gate(void *arg)
{
    pthread_mutex_lock(&mutex);
    uint64_t me = rp_thread_id();
    int i = 0;
    while (i < thread_count && threads_seen[i] != me)
        i++;
    if (i == thread_count && i < MAX_THREADS)
        threads_seen[thread_count++] = me;
    if (++running > most_running)
        most_running = running;
    pthread_cond_broadcast(&changed);
    while (!gate_open)
        pthread_cond_wait(&changed, &mutex);
    running--;
    finished++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    return (int)(intptr_t)arg;
}

static void open_gate(void)
{
    pthread_mutex_lock(&mutex);
    gate_open = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void await_count(const int *value, int least)
{
    pthread_mutex_lock(&mutex);
    while (*value < least)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

static rp_future *start(rp_executor *executor, rp_blocking *function, int arg)
{
    rp_future *future;

    CHECK_INT(rp_run_in_executor(loop, executor, function, (void *)(intptr_t)arg, &future), ==, 0);
    return future;
}

static int result_of(rp_future *future)
{
    int rc = rp_run_until_complete(loop, future);

    rp_future_unref(future);
    return rc;
}

static void end_loop(void)
{
    CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0);
    rp_loop_free(loop);
}

TEST(results)
{
    make_loop();
    CHECK_INT(result_of(start(NULL, answer, 42)), ==, 42);
    CHECK_INT(result_of(start(NULL, answer, 0)), ==, 0);
    CHECK_INT(result_of(start(NULL, answer, -EIO)), ==, -EIO);
    rp_future *future;
    CHECK_INT(rp_run_in_executor(loop, NULL, NULL, NULL, &future), ==, -EINVAL);
    CHECK(future == NULL);
    future = start(NULL, answer, 7);
    CHECK_INT(rp_future_set_result(future, NULL), ==, -EINVAL); /* its result is the function's */
    CHECK_INT(rp_future_set_error(future, -EIO), ==, -EINVAL);
    CHECK_INT(result_of(future), ==, 7);
    end_loop();
}

TEST(own_executor)
{
    rp_executor *executor;

    make_loop();
    CHECK_INT(rp_executor_new(2, &executor), ==, 0);
    for (int i = 0; i < 50; i++)
        CHECK_INT(result_of(start(executor, answer, i)), ==, i);
    CHECK_INT(rp_executor_shutdown(executor, RP_NEVER), ==, 0);
    CHECK_INT(rp_executor_shutdown(executor, 0), ==, 0);
    rp_future *future;
    CHECK_INT(rp_run_in_executor(loop, executor, answer, NULL, &future), ==, RP_ESHUTDOWN);
    CHECK(future == NULL);
    rp_executor_free(executor);
    rp_executor_free(NULL);
    CHECK_INT(rp_shutdown_default_executor(loop, 0), ==, 0); /* there never was one */
    rp_loop_free(loop);
}

TEST(thread_limit)
{
    enum { JOBS = 10, LIMIT = 3 };
    rp_executor *executor;
    rp_future *futures[JOBS];

    make_loop();
    CHECK_INT(rp_executor_new(LIMIT, &executor), ==, 0);
    for (int i = 0; i < JOBS; i++)
        futures[i] = start(executor, wait_at_gate, i);
    await_count(&running, LIMIT);
    open_gate();
    for (int i = 0; i < JOBS; i++)
        CHECK_INT(result_of(futures[i]), ==, i);
    CHECK_INT(most_running, ==, LIMIT);
    CHECK_INT(thread_count, ==, LIMIT);
    CHECK_INT(rp_executor_shutdown(executor, RP_NEVER), ==, 0);
    rp_executor_free(executor);
    rp_loop_free(loop);
}

TEST(cancelled_in_queue)
{
    rp_executor *executor;

    make_loop();
    CHECK_INT(rp_executor_new(1, &executor), ==, 0);
    rp_future *first = start(executor, wait_at_gate, 1), *second = start(executor, wait_at_gate, 2);
    rp_future *third = start(executor, wait_at_gate, 3);
    await_count(&running, 1);
    CHECK(rp_future_cancel(second));
    CHECK(rp_future_done(second));
    CHECK(!rp_future_cancel(second));
    CHECK_INT(result_of(second), ==, RP_EFUTCANCELED);
    CHECK(!rp_future_cancel(first)); /* it runs: its result comes */
    CHECK(!rp_future_done(first));
    open_gate();
    CHECK_INT(result_of(first), ==, 1);
    CHECK_INT(result_of(third), ==, 3);
    CHECK_INT(finished, ==, 2);
    CHECK_INT(rp_executor_shutdown(executor, RP_NEVER), ==, 0);
    rp_executor_free(executor);
    rp_loop_free(loop);
}

TEST(shutdown_runs_the_queue)
{
    rp_executor *executor;
    rp_future *futures[5], *late;

    make_loop();
    CHECK_INT(rp_executor_new(1, &executor), ==, 0);
    for (int i = 0; i < 5; i++)
        futures[i] = start(executor, wait_at_gate, i);
    CHECK_INT(rp_executor_shutdown(executor, RP_MSEC(1)), ==, -ETIMEDOUT);
    CHECK_INT(rp_run_in_executor(loop, executor, answer, NULL, &late), ==, RP_ESHUTDOWN);
    open_gate();
    CHECK_INT(rp_executor_shutdown(executor, RP_NEVER), ==, 0);
    CHECK_INT(finished, ==, 5);
    for (int i = 0; i < 5; i++)
        CHECK_INT(result_of(futures[i]), ==, i);
    rp_executor_free(executor);
    rp_loop_free(loop);
}

/* Freed at once: what was accepted still runs, and its futures end. */
TEST(executor_freed_first)
{
    rp_executor *executor;
    rp_future *futures[5];

    make_loop();
    CHECK_INT(rp_executor_new(2, &executor), ==, 0);
    for (int i = 0; i < 5; i++)
        futures[i] = start(executor, wait_at_gate, i);
    rp_executor_free(executor);
    open_gate();
    for (int i = 0; i < 5; i++)
        CHECK_INT(result_of(futures[i]), ==, i);
    rp_loop_free(loop);
}

TEST(default_executor_shut_down)
{
    rp_future *late;

    make_loop();
    rp_future *job = start(NULL, wait_at_gate, 5);
    await_count(&running, 1);
    CHECK_INT(rp_shutdown_default_executor(loop, RP_MSEC(2)), ==, -ETIMEDOUT);
    CHECK_INT(rp_run_in_executor(loop, NULL, answer, NULL, &late), ==, RP_ESHUTDOWN);
    open_gate();
    CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0);
    CHECK(rp_future_done(job)); /* the loop ran meanwhile */
    CHECK_INT(result_of(job), ==, 5);
    CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0); /* again */
    rp_loop_free(loop);
}

TEST(default_executor_replaced)
{
    rp_executor *executor;

    make_loop();
    CHECK_INT(rp_set_default_executor(loop, NULL), ==, -EINVAL);
    CHECK_INT(rp_executor_new(1, &executor), ==, 0);
    CHECK_INT(rp_set_default_executor(loop, executor), ==, 0);
    CHECK_INT(rp_set_default_executor(loop, executor), ==, 0); /* it is that one already */
    rp_future *first = start(NULL, wait_at_gate, 1), *second = start(NULL, wait_at_gate, 2);
    await_count(&running, 1);
    CHECK_INT(rp_executor_new(1, &executor), ==, 0);
    CHECK_INT(rp_set_default_executor(loop, executor), ==, 0); /* the old one finishes its work */
    CHECK_INT(result_of(start(NULL, answer, 3)), ==, 3);
    CHECK_INT(most_running, ==, 1);
    open_gate();
    CHECK_INT(result_of(first), ==, 1);
    CHECK_INT(result_of(second), ==, 2);
    end_loop();
    CHECK_INT(most_running, ==, 1);
}

TEST(one_executor_is_the_default_of_one_loop)
{
    rp_executor *executor, *others;
    rp_loop *other;

    make_loop();
    CHECK_INT(rp_loop_new(NULL, &other), ==, 0);
    CHECK_INT(rp_executor_new(1, &executor), ==, 0);
    CHECK_INT(rp_executor_new(1, &others), ==, 0);
    CHECK_INT(rp_set_default_executor(loop, executor), ==, 0);
    CHECK_INT(rp_set_default_executor(other, executor), ==, -EINVAL);
    CHECK_INT(rp_set_default_executor(other, others), ==, 0);
    CHECK_INT(rp_set_default_executor(other, executor), ==, -EINVAL); /* and it keeps its own */
    CHECK_INT(result_of(start(NULL, answer, 3)), ==, 3);
    rp_loop_free(other);
    CHECK_INT(result_of(start(NULL, answer, 4)), ==, 4);
    end_loop();
}

/* ---- loops that end before their jobs ---- */

TEST(loop_closed_while_job_runs)
{
    make_loop();
    rp_future *job = start(NULL, wait_at_gate, 1), *queued[40];
    for (int i = 0; i < 40; i++)
        queued[i] = start(NULL, wait_at_gate, 2);
    await_count(&running, 1);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK(rp_future_cancelled(job));
    CHECK(!rp_future_cancel(job));
    CHECK_INT(rp_future_result(job), ==, RP_EFUTCANCELED);
    open_gate();
    await_count(&finished, 41); /* what was accepted runs: nobody waits for it */
    rp_future_unref(job);
    for (int i = 0; i < 40; i++)
        rp_future_unref(queued[i]);
    rp_loop_free(loop);
}

TEST(loop_freed_before_job_ends)
{
    make_loop();
    for (int i = 0; i < 5; i++)
        rp_future_unref(start(NULL, wait_at_gate, i));
    await_count(&running, 1);
    rp_loop_free(loop);
    open_gate();
    await_count(&finished, 5);
}

/* The job has ended, its end is posted, and the loop is closed before it takes the post. */
TEST(loop_freed_with_end_posted)
{
    make_loop();
    gate_open = true;
    rp_future *job = start(NULL, wait_at_gate, 1);
    while (!atomic_load(&loop->posts_waiting))
        usleep(100);
    rp_loop_free(loop);
    CHECK(rp_future_cancelled(job));
    rp_future_unref(job);
}

TEST(loops_come_and_go)
{
    gate_open = true;
    for (int i = 0; i < 50; i++) {
        make_loop();
        for (int j = 0; j < 4; j++)
            rp_future_unref(start(NULL, j % 2 ? answer : wait_at_gate, j));
        if (i % 2) {
            rp_loop_stop(loop);
            CHECK_INT(rp_run_forever(loop), ==, 0);
        }
        rp_loop_free(loop);
    }
    await_count(&finished, 100);
}

/* References that nobody holds: the job goes on and an error is reported as unread. */
static int reports;

static void report(rp_loop *owner, const rp_exception_context *context, void *arg)
{
    (void)owner;
    (void)arg;
    CHECK_INT(context->error, ==, -EIO);
    reports++;
}

TEST(unread_error)
{
    make_loop();
    rp_set_exception_handler(loop, report, NULL);
    rp_future_unref(start(NULL, answer, -EIO));
    while (reports == 0) {
        rp_loop_stop(loop);
        CHECK_INT(rp_run_forever(loop), ==, 0);
        usleep(100);
    }
    end_loop();
    CHECK_INT(reports, ==, 1);
}

static int use_loop(void *arg)
{
    return rp_call_soon_threadsafe(loop, NULL, stop, arg);
}

TEST(job_may_call_the_loop)
{
    make_loop();
    rp_future *job = start(NULL, use_loop, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(result_of(job), ==, 0);
    end_loop();
}

TEST(no_memory)
{
    bool failed = true;

    for (uint64_t nth = 1; failed; nth++) {
        rp_future *job;

        make_loop();
        test_fail_allocation(nth);
        int rc = rp_run_in_executor(loop, NULL, answer, (void *)9, &job);
        failed = test_allocation_failed();
        test_fail_allocation(0);
        CHECK_INT(rc, ==, failed ? -ENOMEM : 0);
        if (rc == 0)
            CHECK_INT(result_of(job), ==, 9);
        end_loop();
    }
}
