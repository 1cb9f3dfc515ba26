/* test_threadsafe.c - coroutines that foreign threads ask a loop for, and block until they have ended. */
#include <pthread.h>
#include <stdatomic.h>

#include "loop/loop.h"
#include "harness/platform.h"
#include "harness/reports.h"
#include "harness/tasks.h"

/* What a thread asks for, and what it gets. */
typedef struct request {
    rp_loop *loop;
    rp_coro *coro;
    rp_handle handle;
    int arg;
    int result;
} request;

static void stop(void *arg)
{
    rp_loop_stop(arg);
}

static void *ask(void *arg)
{
    request *r = arg;

    r->result = rp_run_coroutine_threadsafe(r->loop, r->coro, r);
    (void)rp_call_soon_threadsafe(r->loop, &r->handle, stop, r->loop);
    return NULL;
}

static pthread_t start(request *r, rp_loop *loop, rp_coro *coro)
{
    pthread_t thread;

    *r = (request){.loop = loop, .coro = coro};
    CHECK_INT(pthread_create(&thread, NULL, ask, r), ==, 0);
    return thread;
}

static void join(pthread_t thread)
{
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
}

static int answers(rp_co *co, void *arg)
{
    request *r = arg;

    CHECK(rp_co_loop(co) == r->loop);
    RP_TRY(rp_sleep(co, 0));
    r->arg++;
    return 42;
}

static int fails(rp_co *co, void *arg)
{
    return -EPROTO;
}

static int is_cancelled(rp_co *co, void *arg)
{
    rp_task_cancel(rp_co_task(co));
    return rp_sleep(co, RP_SEC(100));
}

static void must_not_report(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    CHECK(false);
}

/* The thread begins while the loop does not run. */
TEST(from_a_thread_of_the_program)
{
    rp_coro *coros[] = {answers, fails, is_cancelled};
    int results[] = {42, -EPROTO, RP_EFUTCANCELED};
    rp_loop *loop = new_loop();
    request r;

    rp_set_exception_handler(loop, must_not_report, NULL);
    for (int i = 0; i < 3; i++) {
        pthread_t thread = start(&r, loop, coros[i]);

        CHECK_INT(rp_run_forever(loop), ==, 0);
        join(thread);
        CHECK_INT(r.result, ==, results[i]);
        CHECK_INT(r.arg, ==, i == 0);
    }
    rp_loop_free(loop);
}

static int asks(void *arg)
{
    request *r = arg;

    r->result = rp_run_coroutine_threadsafe(r->loop, r->coro, r);
    return r->result;
}

CO_TEST(from_a_function_on_a_thread)
{
    request r = {.loop = rp_co_loop(co), .coro = answers};

    for (int i = 1; i <= 100; i++) {
        CHECK_INT(rp_to_thread(co, asks, &r), ==, 42);
        CHECK_INT(r.arg, ==, i);
    }
    CHECK_INT(rp_run_coroutine_threadsafe(r.loop, answers, &r), ==, -EDEADLK);
    CHECK_INT(rp_run_coroutine_threadsafe(r.loop, NULL, &r), ==, -EINVAL);
}

/* ---- the loop is closed ---- */

static void wait_for_post(rp_loop *loop)
{
    while (!atomic_load(&loop->posts_waiting))
        usleep(1000);
}

TEST(closed_before_the_coroutine_begins)
{
    rp_loop *loop = new_loop();
    request r;
    pthread_t thread = start(&r, loop, answers);

    wait_for_post(loop);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    join(thread);
    CHECK_INT(r.result, ==, RP_ECLOSED);
    CHECK_INT(r.arg, ==, 0);
    CHECK_INT(rp_run_coroutine_threadsafe(loop, answers, &r), ==, RP_ECLOSED);
    rp_loop_free(loop);
}

static int stops_and_sleeps(rp_co *co, void *arg)
{
    rp_loop_stop(rp_co_loop(co));
    return rp_sleep(co, RP_SEC(1000));
}

TEST(closed_under_the_coroutine)
{
    rp_loop *loop = new_loop();
    int reports = 0;
    request r;
    pthread_t thread = start(&r, loop, stops_and_sleeps);

    rp_set_exception_handler(loop, count_report, &reports);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    join(thread);
    CHECK_INT(r.result, ==, RP_ECLOSED);
    CHECK_INT(reports, ==, 1);
    rp_loop_free(loop);
}

static int asks_on_a_thread(rp_co *co, void *arg)
{
    return rp_to_thread(co, asks, arg);
}

/* The close waits for the function, which waits for the coroutine, which waits for the close. */
TEST(closed_under_a_function_that_waits)
{
    rp_loop *loop = new_loop();
    request r = {.loop = loop, .coro = stops_and_sleeps};
    int reports = 0;

    rp_set_exception_handler(loop, count_report, &reports);
    CHECK_INT(rp_loop_create_task(loop, NULL, asks_on_a_thread, &r), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK_INT(r.result, ==, RP_ECLOSED);
    CHECK_INT(reports, ==, 2);
    rp_loop_free(loop);
}

/* ---- want ---- */

TEST(no_memory)
{
    bool failed = true;

    for (uint64_t nth = 1; failed; nth++) {
        rp_loop *loop = new_loop();
        request r;

        test_fail_allocation(nth);
        pthread_t thread = start(&r, loop, answers);
        CHECK_INT(rp_run_forever(loop), ==, 0);
        join(thread);
        failed = test_allocation_failed();
        test_fail_allocation(0);
        CHECK(r.result == 42 || (failed && r.result == -ENOMEM));
        rp_loop_free(loop);
    }
}

static int makes_no_task(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg, size_t copy_size,
                         void *data)
{
    return rp_future_new(loop, task);
}

TEST(a_task_factory_that_makes_none)
{
    rp_loop *loop = new_loop();
    request r;

    rp_set_task_factory(loop, makes_no_task, NULL);
    pthread_t thread = start(&r, loop, answers);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    join(thread);
    CHECK_INT(r.result, ==, -EINVAL);
    rp_loop_free(loop);
}

static int hands_out_an_old_one(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg, size_t copy_size,
                                void *data)
{
    *task = rp_future_ref(data);
    return 0;
}

static int ends_at_once(rp_co *co, void *arg)
{
    return 0;
}

TEST(a_task_factory_that_hands_out_one_that_has_ended)
{
    rp_loop *loop = new_loop();
    rp_task *old;
    request r;

    CHECK_INT(rp_loop_create_task(loop, &old, ends_at_once, NULL), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, old), ==, 0);
    rp_set_task_factory(loop, hands_out_an_old_one, old);
    pthread_t thread = start(&r, loop, answers);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    join(thread);
    CHECK_INT(r.result, ==, -EINVAL);
    rp_future_unref(old);
    rp_loop_free(loop);
}

#ifndef _WIN32
static pid_t child;

static int forks(rp_co *co, void *arg)
{
    child = fork();
    CHECK_INT(child, >=, 0);
    return 7;
}

/* The child has the loop and the call, but not the thread. */
TEST(forked_under_a_call)
{
    rp_loop *loop = new_loop();
    int status;
    request r;
    pthread_t thread = start(&r, loop, forks);

    test_need_locks_after_fork();
    int rc = rp_run_forever(loop);
    if (child == 0) {
        CHECK_INT(rc, ==, RP_EFORK);
        CHECK_INT(rp_run_coroutine_threadsafe(loop, answers, &r), ==, RP_EFORK);
        rp_loop_free(loop);
        _exit(0);
    }
    CHECK_INT(rc, ==, 0);
    join(thread);
    CHECK_INT(r.result, ==, 7);
    CHECK_INT(waitpid(child, &status, 0), ==, child);
    CHECK_INT(status, ==, 0);
    rp_loop_free(loop);
}
#else
TEST_ABSENT(forked_under_a_call, "Windows has no fork()");
#endif
