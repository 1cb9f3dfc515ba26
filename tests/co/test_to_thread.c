/* test_to_thread.c - blocking functions on behalf of coroutines. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "harness/tasks.h"

static void doze(int milliseconds)
{
    struct timespec time = {.tv_nsec = milliseconds * 1000000L};

    nanosleep(&time, NULL);
}

static int adds_one(void *arg)
{
    int *number = arg;

    return ++*number;
}

CO_TEST(to_thread)
{
    int number = 4;

    CHECK_INT(rp_to_thread(co, adds_one, &number), ==, 5);
    CHECK_INT(number, ==, 5);
    CHECK_INT(rp_to_thread(co, NULL, &number), ==, -EINVAL);
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_to_thread(co, adds_one, &number), ==, -ECANCELED);
    CHECK_INT(number, ==, 5);
}

CO_TEST(to_an_executor_of_ones_own)
{
    rp_executor *executor;
    int number = 4;

    CHECK_INT(rp_executor_new(1, &executor), ==, 0);
    CHECK_INT(rp_to_executor(co, executor, adds_one, &number), ==, 5);
    CHECK_INT(rp_to_executor(co, NULL, adds_one, &number), ==, 6); /* the default one */
    CHECK_INT(rp_executor_shutdown(executor, RP_NEVER), ==, 0);
    CHECK_INT(rp_to_executor(co, executor, adds_one, &number), ==, RP_ESHUTDOWN);
    CHECK_INT(rp_to_thread(co, adds_one, &number), ==, 7);
    rp_executor_free(executor);
}

static int fails_with_ecanceled(void *arg)
{
    return -ECANCELED;
}

CO_TEST(an_ecanceled_of_the_function_is_none_of_the_task)
{
    CHECK_INT(rp_to_thread(co, fails_with_ecanceled, NULL), ==, RP_EFUTCANCELED);
}

static int one_call(rp_co *co, void *arg)
{
    return rp_to_thread(co, adds_one, arg);
}

CO_TEST(many_at_once)
{
    rp_group group;
    int numbers[200] = {0};

    rp_group_begin(co, &group);
    for (int i = 0; i < 200; i++)
        CHECK_INT(rp_group_create_task(&group, NULL, one_call, &numbers[i]), ==, 0);
    CHECK_INT(rp_group_end(co, &group, 0), ==, 0);
    for (int i = 0; i < 200; i++)
        CHECK_INT(numbers[i], ==, 1);
}

/* ---- cancelling ---- */

static atomic_bool may_end, has_begun;

static int blocks(void *arg)
{
    atomic_store(&has_begun, true);
    while (!atomic_load(&may_end))
        doze(1);
    return 11;
}

static int calls_blocking(rp_co *co, void *arg)
{
    CHECK_INT(rp_to_thread(co, blocks, NULL), ==, 11); /* its result wins */
    CHECK_INT(rp_sleep(co, RP_SEC(100)), ==, -ECANCELED);
    return 2;
}

CO_TEST(a_running_function_is_waited_for)
{
    rp_task *task = spawn(calls_blocking, NULL);

    while (!atomic_load(&has_begun))
        CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
    rp_task_cancel(task);
    settle(co);
    CHECK(!rp_future_done(task));
    atomic_store(&may_end, true);
    CHECK_INT(rp_join(co, task), ==, 2);
}

static int calls_plain(rp_co *co, void *arg)
{
    return rp_to_thread(co, blocks, NULL);
}

CO_TEST(a_queued_function_is_taken_back)
{
    rp_executor *executor;
    rp_task *first, *second;
    int number = 0;

    CHECK_INT(rp_executor_new(1, &executor), ==, 0);
    CHECK_INT(rp_set_default_executor(rp_co_loop(co), executor), ==, 0);
    first = spawn(calls_plain, NULL);
    second = spawn(one_call, &number);
    while (!atomic_load(&has_begun))
        CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
    rp_task_cancel(second);
    CHECK_INT(rp_join(co, second), ==, RP_EFUTCANCELED);
    atomic_store(&may_end, true);
    CHECK_INT(rp_join(co, first), ==, 11);
    CHECK_INT(number, ==, 0);
}

/* ---- the loop's close ---- */

static void silent(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    ++*(int *)arg;
}

static rp_loop *closing;

static void nothing(void *arg)
{
}

/* Does not end before the loop's close has begun, which makes it refuse what is posted. */
static int slow_end(void *arg)
{
    atomic_store(&has_begun, true);
    while (rp_call_soon_threadsafe(closing, NULL, nothing, NULL) == 0)
        doze(1);
    doze(5);                                /* for a close that does not wait to be found out */
    atomic_store((atomic_bool *)arg, true); /* on the task's stack */
    return 0;
}

static int lends_its_stack(rp_co *co, void *arg)
{
    atomic_bool mine = false;

    return rp_to_thread(co, slow_end, &mine);
}

TEST(a_loop_closed_over_running_and_queued_functions)
{
    rp_executor *executor;
    rp_loop *loop;
    rp_task *task;
    int reports = 0;

    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    closing = loop;
    rp_set_exception_handler(loop, silent, &reports);
    CHECK_INT(rp_executor_new(1, &executor), ==, 0);
    CHECK_INT(rp_set_default_executor(loop, executor), ==, 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(rp_loop_create_task(loop, &task, lends_its_stack, NULL), ==, 0);
        rp_task_detach(task);
    }
    rp_loop_stop(loop);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    while (!atomic_load(&has_begun))
        doze(1);
    rp_loop_free(loop);
    CHECK_INT(reports, ==, 3);
}

/* ---- shutting the executor down ---- */

CO_TEST(shutdown)
{
    int number = 0;
    rp_task *task;

    task = spawn(one_call, &number);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_shutdown_default_executor_wait(co, RP_SEC(100)), ==, 0);
    CHECK_INT(rp_join(co, task), ==, 1);
    CHECK_INT(rp_to_thread(co, adds_one, &number), ==, RP_ESHUTDOWN);
    CHECK_INT(rp_shutdown_default_executor_wait(co, RP_SEC(100)), ==, 0);
}

CO_TEST(shutdown_of_none)
{
    CHECK_INT(rp_shutdown_default_executor_wait(co, RP_SEC(100)), ==, 0);
}

CO_TEST(shutdown_times_out)
{
    rp_task *task = spawn(calls_plain, NULL);

    while (!atomic_load(&has_begun))
        CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
    CHECK_INT(rp_shutdown_default_executor_wait(co, RP_MSEC(5)), ==, -ETIMEDOUT);
    atomic_store(&may_end, true);
    CHECK_INT(rp_join(co, task), ==, 11);
}

static int waits_for_shutdown(rp_co *co, void *arg)
{
    return rp_shutdown_default_executor_wait(co, RP_NEVER);
}

TEST(a_loop_closed_over_its_shutdown)
{
    int reports = 0, number = 0;
    rp_loop *loop;
    rp_task *task;

    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    rp_set_exception_handler(loop, silent, &reports);
    CHECK_INT(rp_loop_create_task(loop, &task, one_call, &number), ==, 0);
    rp_task_detach(task);
    CHECK_INT(rp_loop_create_task(loop, &task, waits_for_shutdown, NULL), ==, 0);
    rp_task_detach(task);
    rp_loop_stop(loop);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    rp_loop_free(loop);
    CHECK_INT(reports, ==, 2);
}
