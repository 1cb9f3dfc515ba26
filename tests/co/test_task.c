/* test_task.c - tasks: creation, order, names, states, cancellation, the end, what is left at the loop's close. */
#include <stdio.h>
#include <string.h>

#include "harness/co_test.h"
#include "harness/harness.h"
#include "harness/platform.h"
#include "ringport.h"

/* ---- reports ---- */

static struct {
    int count;
    char message[128];
    char name[64];
    int error;
} report;

static void keep_report(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    report.count++;
    report.error = context->error;
    snprintf(report.message, sizeof report.message, "%s", context->message);
    snprintf(report.name, sizeof report.name, "%s", context->name ? context->name : "");
}

static rp_loop *new_loop(void)
{
    rp_loop *loop;

    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    rp_set_exception_handler(loop, keep_report, NULL);
    return loop;
}

/* ---- the simplest ---- */

static int returns_arg(rp_co *co, void *arg)
{
    return *(int *)arg;
}

static int returns_7(rp_co *co, void *arg)
{
    return 7;
}

static int sleeper(rp_co *co, void *arg)
{
    return rp_sleep(co, RP_SEC(100));
}

static int sets_result(rp_co *co, void *arg)
{
    return rp_future_set_result(arg, NULL);
}

CO_TEST(create_and_join)
{
    rp_task *task;
    int value = 42;

    CHECK_INT(rp_create_task(&task, returns_arg, &value), ==, 0);
    CHECK_INT(rp_task_get_state(task), ==, RP_TASK_CREATED);
    CHECK(rp_is_task(task));
    CHECK(rp_future_get_loop(task) == rp_co_loop(co));
    rp_future_set_data(task, &value);
    CHECK_INT(rp_await(co, task), ==, 42);
    CHECK_INT(rp_task_get_state(task), ==, RP_TASK_DONE);
    CHECK(rp_future_data(task) == &value);
    CHECK(!rp_task_cancel(task));
    CHECK_INT(rp_join(co, task), ==, 42);
}

CO_TEST(nobody_takes_the_reference)
{
    rp_future *future;

    CHECK_INT(rp_future_new(rp_co_loop(co), &future), ==, 0);
    CHECK_INT(rp_create_task(NULL, sets_result, future), ==, 0);
    CHECK_INT(rp_await(co, future), ==, 0);
    CHECK_INT(rp_create_task_copy(NULL, sets_result, &future, 1 << 30), ==, -E2BIG);
    CHECK_INT(rp_create_task(NULL, NULL, NULL), ==, -EINVAL);
    rp_future_unref(future);
}

static int wrong_arguments(rp_co *co, void *arg)
{
    rp_task *task = (rp_task *)co;
    static char big[1024 * 1024];

    CHECK_INT(rp_create_task(&task, NULL, NULL), ==, -EINVAL);
    CHECK(task == NULL);
    CHECK_INT(rp_create_task_copy(&task, returns_arg, big, sizeof big), ==, -E2BIG);
    CHECK_INT(rp_create_task_copy(&task, returns_arg, NULL, 4), ==, -EINVAL);
    rp_task_detach(NULL);
    return 0;
}

TEST(wrong_arguments)
{
    rp_task *task;

    CHECK_INT(rp_create_task(&task, returns_7, NULL), ==, RP_ENOLOOP);
    CHECK(task == NULL);
    CHECK_INT(rp_run(wrong_arguments, NULL), ==, 0);
}

/* ---- copies ---- */

static int adds_copies(rp_co *co, void *arg)
{
    const int *copy = arg;

    CHECK((uintptr_t)arg % 16 == 0);
    for (int i = 1; i < 250; i++)
        CHECK_INT(copy[i], ==, copy[0] + i);
    RP_TRY(rp_sleep(co, 0));
    return copy[0];
}

CO_TEST(an_argument_is_copied_onto_the_stack)
{
    rp_task *tasks[10];

    for (int i = 0; i < 10; i++) {
        int values[250];
        for (int j = 0; j < 250; j++)
            values[j] = i * 1000 + j;
        CHECK_INT(rp_create_task_copy(&tasks[i], adds_copies, values, sizeof values), ==, 0);
        memset(values, 0xff, sizeof values);
    }
    for (int i = 0; i < 10; i++)
        CHECK_INT(rp_join(co, tasks[i]), ==, i * 1000);
}

static int checks_copy(rp_co *co, void *arg)
{
    const char *copy = arg;

    RP_TRY(rp_sleep(co, 0));
    CHECK(copy[0] == 1);
    return 0;
}

/* Each on a stack of its own, and a new one. */
CO_TEST(copies_of_all_sizes)
{
    enum { STEP = 512, MOST = 16 * 1024 };
    static char bytes[MOST];
    rp_group group;

    memset(bytes, 1, sizeof bytes);
    rp_group_begin(co, &group);
    for (size_t size = STEP; size <= MOST; size += STEP)
        CHECK_INT(rp_group_create_task_copy(&group, NULL, checks_copy, bytes, size), ==, 0);
    CHECK_INT(rp_group_end(co, &group, 0), ==, 0);
}

/* ---- order ---- */

static char trace[256];

static void note(char c)
{
    size_t n = strlen(trace);

    trace[n] = c;
    trace[n + 1] = '\0';
}

static int noting(rp_co *co, void *arg)
{
    for (int i = 0; i < 3; i++) {
        note(*(const char *)arg);
        RP_TRY(rp_sleep(co, 0));
    }
    return 0;
}

CO_TEST(tasks_take_turns_in_order)
{
    rp_task *a, *b, *c;

    CHECK_INT(rp_create_task(&a, noting, "a"), ==, 0);
    CHECK_INT(rp_create_task(&b, noting, "b"), ==, 0);
    CHECK_INT(rp_create_task(&c, noting, "c"), ==, 0);
    note('.');
    rp_join(co, a);
    rp_join(co, b);
    rp_join(co, c);
    CHECK_STR(trace, ".abcabcabc");
}

/* ---- names, states, who runs ---- */

CO_TEST(names)
{
    rp_task *task, *other;
    int a, b;

    CHECK_INT(rp_create_task(&task, returns_7, NULL), ==, 0);
    CHECK_INT(rp_create_task(&other, returns_7, NULL), ==, 0);
    CHECK_INT(sscanf(rp_task_get_name(task), "Task-%d", &a), ==, 1);
    CHECK_INT(sscanf(rp_task_get_name(other), "Task-%d", &b), ==, 1);
    CHECK_INT(b, ==, a + 1);
    rp_task_set_name(task, "a name of more than thirty-one bytes");
    CHECK_STR(rp_task_get_name(task), "a name of more than thirty-one ");
    rp_task_set_name(task, "x");
    CHECK_STR(rp_task_get_name(task), "x");
    rp_join(co, task);
    CHECK_INT(rp_join(co, other), ==, 7);
}

static int looks_at_itself(rp_co *co, void *arg)
{
    CHECK(rp_current_task() == rp_co_task(co));
    CHECK_INT(rp_task_get_state(rp_co_task(co)), ==, RP_TASK_RUNNING);
    RP_TRY(rp_sleep(co, RP_MSEC(1)));
    CHECK(rp_current_task() == rp_co_task(co));
    return 0;
}

static void nobody_runs(void *arg)
{
    CHECK(rp_current_task() == NULL);
    CHECK_INT(rp_task_get_state(arg), ==, RP_TASK_SUSPENDED);
}

static void future_done_sets(void *arg)
{
    rp_future_set_result(arg, NULL);
}

static int awaits(rp_co *co, void *arg)
{
    return rp_await(co, arg);
}

static int states(rp_co *co, void *arg)
{
    rp_task *task, *all[8];
    rp_future *future;
    rp_loop *loop = rp_co_loop(co);

    CHECK_INT(rp_create_task(&task, looks_at_itself, NULL), ==, 0);
    CHECK_INT(rp_all_tasks(loop, all, 8), ==, 2);
    CHECK(all[0] == rp_co_task(co) && all[1] == task);
    CHECK_INT(rp_all_tasks(loop, NULL, 0), ==, 2);
    CHECK_INT(rp_call_soon(loop, NULL, nobody_runs, rp_co_task(co)), ==, 0);
    rp_join(co, task);
    CHECK_INT(rp_all_tasks(loop, all, 8), ==, 1);

    CHECK_INT(rp_future_new(loop, &future), ==, 0);
    CHECK(!rp_is_task(future));
    CHECK(!rp_is_task(NULL));
    CHECK_INT(rp_create_task(&task, awaits, future), ==, 0);
    RP_TRY(rp_sleep(co, 0));
    CHECK_INT(rp_task_get_state(task), ==, RP_TASK_SUSPENDED);
    future_done_sets(future);
    CHECK_INT(rp_task_get_state(task), ==, RP_TASK_SCHEDULED);
    rp_join(co, task);
    rp_future_unref(future);
    return 0;
}

TEST(states)
{
    CHECK_INT(rp_run(states, NULL), ==, 0);
    CHECK(rp_current_task() == NULL);
}

/* ---- cancelling ---- */

CO_TEST(a_task_cancelled_before_its_first_step_still_starts)
{
    rp_task *task;

    CHECK_INT(rp_create_task(&task, sleeper, NULL), ==, 0);
    CHECK(rp_task_cancel(task));
    CHECK_INT(rp_task_cancelling(task), ==, 1);
    CHECK_INT(rp_task_get_state(task), ==, RP_TASK_CREATED);
    CHECK_INT(rp_await(co, task), ==, RP_EFUTCANCELED);
    CHECK(rp_future_cancelled(task));
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 0);
    rp_future_unref(task);
}

static int ignores_one(rp_co *co, void *arg)
{
    int *count = arg;

    CHECK_INT(rp_sleep(co, RP_SEC(100)), ==, -ECANCELED);
    *count = rp_task_cancelling(rp_co_task(co));
    CHECK_INT(rp_task_uncancel(rp_co_task(co)), ==, 0);
    CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0); /* delivered once: clean-up may suspend */
    return 5;
}

CO_TEST(a_cancellation_is_counted_and_delivered_once)
{
    rp_task *task;
    int count = 0;

    CHECK_INT(rp_create_task(&task, ignores_one, &count), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK(rp_task_cancel(task));
    CHECK(rp_task_cancel(task));
    CHECK(rp_task_cancel(task));
    CHECK_INT(rp_task_cancelling(task), ==, 3);
    CHECK_INT(rp_task_uncancel(task), ==, 2);
    CHECK_INT(rp_task_uncancel(task), ==, 1);
    CHECK_INT(rp_join(co, task), ==, 5);
    CHECK_INT(count, ==, 1);
    CHECK_INT(rp_task_uncancel(rp_co_task(co)), ==, 0);
}

CO_TEST(a_task_cancels_itself)
{
    CHECK(rp_task_cancel(rp_co_task(co)));
    CHECK_INT(rp_sleep(co, 0), ==, -ECANCELED);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK(rp_task_cancel(rp_co_task(co)));
    CHECK_INT(rp_task_uncancel(rp_co_task(co)), ==, 1);
    CHECK_INT(rp_task_uncancel(rp_co_task(co)), ==, 0); /* with the last, what was not delivered is dropped */
    CHECK_INT(rp_sleep(co, 0), ==, 0);
}

static int returns_ecanceled(rp_co *co, void *arg)
{
    return -ECANCELED;
}

CO_TEST(a_bare_ecanceled_is_a_cancellation)
{
    rp_task *task;

    CHECK_INT(rp_create_task(&task, returns_ecanceled, NULL), ==, 0);
    CHECK_INT(rp_await(co, task), ==, RP_EFUTCANCELED);
    CHECK(rp_future_cancelled(task));
    rp_future_unref(task);
}

/* ---- errors nobody reads ---- */

static int fails(rp_co *co, void *arg)
{
    return -EPROTO;
}

CO_TEST(an_error_nobody_read_is_reported)
{
    rp_task *task;

    rp_set_exception_handler(rp_co_loop(co), keep_report, NULL);
    CHECK_INT(rp_create_task(&task, fails, NULL), ==, 0);
    rp_task_set_name(task, "failing");
    rp_task_detach(task);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(report.count, ==, 1);
    CHECK_INT(report.error, ==, -EPROTO);
    CHECK_STR(report.name, "failing");

    CHECK_INT(rp_create_task(&task, fails, NULL), ==, 0);
    CHECK_INT(rp_join(co, task), ==, -EPROTO);
    CHECK_INT(rp_create_task(&task, returns_ecanceled, NULL), ==, 0);
    rp_task_detach(task);
    CHECK_INT(rp_create_task(&task, returns_7, NULL), ==, 0);
    rp_task_detach(task);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(report.count, ==, 1);
}

/* As far as any task comes that only starts another and waits. */
static void three_turns(rp_loop *loop)
{
    for (int i = 0; i < 3; i++) {
        rp_loop_stop(loop);
        CHECK_INT(rp_run_forever(loop), ==, 0);
    }
}

static int keeps_failed(rp_co *co, void *arg)
{
    rp_task **kept = arg;

    rp_set_exception_handler(rp_co_loop(co), keep_report, NULL);
    CHECK_INT(rp_create_task(kept, fails, NULL), ==, 0);
    rp_task_set_name(*kept, "kept");
    RP_TRY(rp_sleep(co, 0));
    CHECK(rp_future_done(*kept));
    return 0;
}

TEST(an_error_nobody_read_of_a_task_that_is_kept_is_reported_at_the_end)
{
    rp_task *kept;

    CHECK_INT(rp_run(keeps_failed, &kept), ==, 0);
    CHECK_INT(report.count, ==, 1);
    CHECK_INT(report.error, ==, -EPROTO);
    CHECK_STR(report.name, "kept");
    rp_future_unref(kept);
    CHECK_INT(report.count, ==, 1);
}

#ifndef _WIN32
TEST(what_the_parent_may_read_is_not_reported_by_a_child)
{
    rp_loop *loop = new_loop();
    rp_task *task;
    int status;

    CHECK_INT(rp_loop_create_task(loop, &task, fails, NULL), ==, 0);
    three_turns(loop);
    pid_t pid = fork();
    if (pid == 0) {
        rp_loop_free(loop);
        rp_future_unref(task);
        _exit(report.count);
    }
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK_INT(status, ==, 0);
    CHECK_INT(rp_future_result(task), ==, -EPROTO);
    rp_future_unref(task);
    rp_loop_free(loop);
    CHECK_INT(report.count, ==, 0);
}
#else
TEST_ABSENT(what_the_parent_may_read_is_not_reported_by_a_child, "Windows has no fork()");
#endif

/* ---- a loop closed over tasks ---- */

TEST(never_run)
{
    rp_loop *loop = new_loop();
    rp_task *task;

    CHECK_INT(rp_loop_create_task(loop, &task, returns_7, NULL), ==, 0);
    rp_task_set_name(task, "idle");
    rp_task_detach(task);
    rp_loop_free(loop);
    CHECK_INT(report.count, ==, 1);
    CHECK_STR(report.name, "idle");
    CHECK_STR(report.message, "task was destroyed before it ever ran");
}

static int joins_sleeper(rp_co *co, void *arg)
{
    rp_task *task;

    RP_TRY(rp_create_task(&task, sleeper, NULL));
    return rp_join(co, task);
}

TEST(left_pending)
{
    rp_loop *loop = new_loop();
    rp_task *task;

    CHECK_INT(rp_loop_create_task(loop, &task, joins_sleeper, NULL), ==, 0);
    rp_task_detach(task);
    three_turns(loop);
    rp_loop_free(loop);
    CHECK_INT(report.count, ==, 2);
    CHECK_STR(report.message, "task was destroyed but it is pending");
}

static int left_in_group(rp_co *co, void *arg)
{
    rp_group group;

    rp_group_begin(co, &group);
    for (int i = 0; i < 3; i++)
        rp_group_create_task(&group, NULL, sleeper, NULL);
    return rp_group_end(co, &group, 0);
}

static int left_in_gather(rp_co *co, void *arg)
{
    rp_future *futures[20];

    for (int i = 0; i < 20; i++)
        futures[i] = arg;
    return rp_gather(co, futures, 20, NULL, 0);
}

static int left_in_wait(rp_co *co, void *arg)
{
    rp_future *future = arg;

    return (int)rp_wait(co, &future, 1, RP_SEC(100), RP_ALL_COMPLETED);
}

static int left_in_shield(rp_co *co, void *arg)
{
    return rp_shield(co, arg);
}

static int left_in_op(rp_co *co, void *arg)
{
    rp_op op;
    rp_timeout timeout;

    rp_timeout_begin(co, &timeout, RP_SEC(100));
    rp_op_poll(&op, *(int *)arg, RP_POLL_IN, NULL, NULL);
    return rp_timeout_end(co, &timeout, (int)rp_op_await(co, &op));
}

TEST(left_pending_everywhere)
{
    rp_coro *coros[] = {left_in_group, left_in_gather, left_in_wait, left_in_shield, awaits};
    rp_loop *loop = new_loop();
    rp_future *future;
    rp_task *task;
    int pipes[2];

    CHECK(pipe(pipes) == 0);
    CHECK_INT(rp_future_new(loop, &future), ==, 0);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(rp_loop_create_task(loop, &task, coros[i], future), ==, 0);
        rp_task_detach(task);
    }
    CHECK_INT(rp_loop_create_task(loop, &task, left_in_op, &pipes[0]), ==, 0);
    rp_task_detach(task);
    three_turns(loop);
    rp_loop_free(loop);
    CHECK_INT(report.count, ==, 9);
    rp_future_set_result(future, NULL); /* nobody is there any more */
    rp_future_unref(future);
    close(pipes[0]);
    close(pipes[1]);
}

TEST(references_outlive_the_loop)
{
    rp_loop *loop = new_loop();
    rp_task *done, *pending, *created;

    CHECK_INT(rp_loop_create_task(loop, &done, returns_7, NULL), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, done), ==, 7);
    CHECK_INT(rp_loop_create_task(loop, &pending, sleeper, NULL), ==, 0);
    CHECK_INT(rp_loop_create_task(loop, &created, sleeper, NULL), ==, 0);
    rp_loop_stop(loop);
    rp_run_forever(loop);
    rp_loop_free(loop);
    CHECK_INT(report.count, ==, 2);
    CHECK_INT(rp_future_result(done), ==, 7);
    CHECK(!rp_future_done(pending));
    rp_task_cancel(pending);
    CHECK_STR(rp_task_get_name(created), rp_task_get_name(created));
    rp_future_unref(done);
    rp_future_unref(pending);
    rp_future_unref(created);
}

TEST(no_task_on_a_closed_loop)
{
    rp_loop *loop = new_loop();
    rp_task *task;

    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK_INT(rp_loop_create_task(loop, &task, returns_7, NULL), ==, RP_ECLOSED);
    rp_loop_free(loop);
}

/* ---- sizes of stacks ---- */

/* Frames of 1 KiB, down to the depth that is asked for. */
static int descend(size_t depth)
{
    volatile char frame[1024];

    frame[0] = 1;
    return depth > sizeof frame ? descend(depth - sizeof frame) + frame[0] : frame[0];
}

/* Uses most of a stack of the size. */
static int uses_stack(rp_co *co, void *arg)
{
    size_t size = *(size_t *)arg;

    CHECK_INT(descend(size / 2), >, 0);
    RP_TRY(rp_sleep(co, 0));
    return 7;
}

CO_TEST(a_task_can_have_a_stack_of_its_own_size)
{
    static const size_t sizes[] = {0, RP_STACK_SIZE_MIN, 20000, 100000, 8 * 1024 * 1024};
    size_t used = sizes[1];
    rp_group group;
    rp_task *task;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        rp_task_options options = {.stack_size = sizes[i], .name = "sized"};

        used = sizes[i] > 0 ? sizes[i] : used;
        CHECK_INT(rp_create_task_with(&task, uses_stack, &used, &options), ==, 0);
        CHECK_STR(rp_task_get_name(task), "sized");
        CHECK_INT(rp_join(co, task), ==, 7);
        options.copy_size = sizeof used;
        CHECK_INT(rp_create_task_with(&task, uses_stack, &used, &options), ==, 0);
        CHECK_INT(rp_join(co, task), ==, 7);
        CHECK_INT(rp_create_task_with(NULL, uses_stack, &used, &options), ==, 0);
        rp_group_begin(co, &group);
        CHECK_INT(rp_group_create_task_with(&group, &task, uses_stack, &used, &options), ==, 0);
        CHECK_STR(rp_task_get_name(task), "sized");
        CHECK_INT(rp_group_end(co, &group, 0), ==, 0);
        CHECK_INT(rp_join(co, task), ==, 7);
    }
    CHECK_INT(rp_create_task_with(&task, returns_7, NULL, NULL), ==, 0);
    CHECK_INT(rp_join(co, task), ==, 7);
}

static int wrong_sizes(rp_co *co, void *arg)
{
    static const size_t sizes[] = {1, RP_STACK_SIZE_MIN - 1, RP_STACK_SIZE_MAX + 1, SIZE_MAX};
    static char big[3 * 1024 * 1024];
    rp_task *task;
    rp_loop *loop;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        task = rp_co_task(co);
        CHECK_INT(rp_create_task_with(&task, returns_7, NULL, &(rp_task_options){.stack_size = sizes[i]}), ==,
                  -EINVAL);
        CHECK(task == NULL);
        CHECK_INT(rp_loop_new(&(rp_loop_options){.stack_size = sizes[i]}, &loop), ==, -EINVAL);
        CHECK(loop == NULL);
    }
    rp_task_options options = {.stack_size = 8 * 1024 * 1024, .copy_size = 2 * 1024 * 1024};
    CHECK_INT(rp_create_task_with(&task, returns_arg, big, &options), ==, 0);
    CHECK_INT(rp_join(co, task), ==, 0);
    options.stack_size = 4 * 1024 * 1024; /* instrumented, four times that */
    options.copy_size = test_slow() ? 16 * 1024 * 1024 : sizeof big;
    CHECK_INT(rp_create_task_with(&task, returns_arg, big, &options), ==, -E2BIG);
    CHECK_INT(rp_create_task_with(&task, NULL, NULL, &options), ==, -EINVAL);
    CHECK_INT(rp_create_task(&task, returns_7, NULL), ==, 0); /* of the usual size again */
    return rp_join(co, task);
}

TEST(wrong_sizes_of_stacks)
{
    rp_task *task;

    CHECK_INT(rp_create_task_with(&task, returns_7, NULL, NULL), ==, RP_ENOLOOP);
    CHECK_INT(rp_run(wrong_sizes, NULL), ==, 7);
}

TEST(a_loop_can_have_stacks_of_a_size)
{
    size_t size = 16 * 1024 * 1024;
    rp_loop *loop;
    rp_task *task;

    CHECK_INT(rp_loop_new(&(rp_loop_options){.stack_size = size}, &loop), ==, 0);
    CHECK_INT(rp_loop_create_task(loop, &task, uses_stack, &size), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, task), ==, 7);
    rp_future_unref(task);
    rp_loop_free(loop);
}

static int none_made(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg, size_t copy_size, void *data)
{
    return -EAGAIN;
}

static int first_made(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg, size_t copy_size, void *data)
{
    return rp_task_new(loop, task, coro, arg, copy_size);
}

TEST(the_size_of_a_stack_goes_through_a_factory)
{
    size_t size = 16 * 1024 * 1024;
    rp_loop *loop = new_loop();
    rp_task *task;

    rp_set_task_factory(loop, none_made, NULL);
    CHECK_INT(rp_loop_create_task_with(loop, &task, uses_stack, &size, &(rp_task_options){.stack_size = size}), ==,
              -EAGAIN);
    CHECK(task == NULL);
    rp_set_task_factory(loop, first_made, NULL);
    CHECK_INT(rp_loop_create_task_with(loop, &task, uses_stack, &size, &(rp_task_options){.stack_size = size}), ==,
              0);
    CHECK_INT(rp_run_until_complete(loop, task), ==, 7);
    rp_future_unref(task);
    rp_loop_free(loop);
}

/* ---- the factory ---- */

static int factory(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg, size_t copy_size, void *data)
{
    int rc = rp_task_new(loop, task, coro, arg, copy_size);

    ++*(int *)data;
    if (rc == 0)
        rp_task_set_name(*task, "made");
    return rc;
}

static int uses_factory(rp_co *co, void *arg)
{
    rp_group group;
    rp_task *task;
    int value = 3;

    CHECK_STR(rp_task_get_name(rp_co_task(co)), "made");
    CHECK_INT(rp_create_task_copy(&task, returns_arg, &value, sizeof value), ==, 0);
    CHECK_STR(rp_task_get_name(task), "made");
    CHECK_INT(rp_join(co, task), ==, 3);
    rp_group_begin(co, &group);
    CHECK_INT(rp_group_create_task(&group, NULL, returns_7, NULL), ==, 0);
    return rp_group_end(co, &group, 0);
}

TEST(task_factory)
{
    rp_loop *loop = new_loop();
    rp_task *task;
    void *data = &task;
    int made = 0;

    CHECK(rp_get_task_factory(loop, &data) == NULL);
    CHECK(data == NULL);
    rp_set_task_factory(loop, factory, &made);
    CHECK(rp_get_task_factory(loop, &data) == factory);
    CHECK(data == &made);
    CHECK_INT(rp_loop_create_task(loop, &task, uses_factory, NULL), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, task), ==, 0);
    CHECK_INT(made, ==, 3);
    rp_future_unref(task);
    rp_set_task_factory(loop, NULL, NULL);
    CHECK(rp_get_task_factory(loop, NULL) == NULL);
    rp_loop_free(loop);
}

/* ---- memory, many ---- */

TEST(no_memory)
{
    rp_loop *loop = new_loop();
    rp_task *task;
    int n = 1, rc;

    do {
        test_fail_allocation((uint64_t)n++);
        rc = rp_loop_create_task(loop, &task, returns_7, NULL);
        CHECK(rc == 0 || rc == -ENOMEM);
    } while (rc < 0);
    test_fail_allocation(0);
    CHECK_INT(n, >, 3);
    CHECK_INT(rp_run_until_complete(loop, task), ==, 7);
    rp_future_unref(task);
    rp_loop_free(loop);
}

CO_TEST(many)
{
    enum { MANY = 3000 };
    static rp_task *tasks[MANY];
    static int numbers[MANY];

    rp_set_debug(rp_co_loop(co), false); /* it allocates origins */
    for (int round = 0; round < 3; round++) {
        uint64_t before = test_allocations();
        for (int i = 0; i < MANY; i++) {
            numbers[i] = i;
            CHECK_INT(rp_create_task(&tasks[i], i % 2 ? returns_arg : sleeper, &numbers[i]), ==, 0);
        }
        for (int i = 0; i < MANY; i++) {
            if (i % 2 == 0)
                rp_task_cancel(tasks[i]);
            CHECK_INT(rp_join(co, tasks[i]), ==, i % 2 ? i : RP_EFUTCANCELED);
        }
        CHECK_INT(test_allocations() - before, <=, 50); /* a few slabs, nothing for a task */
    }
}

/* ---- debug mode ---- */

TEST(debug_mode_knows_where_a_task_was_created)
{
    rp_loop_options options = {.debug = true};
    rp_loop *loop;
    rp_task *task;

    CHECK_INT(rp_loop_new(&options, &loop), ==, 0);
    rp_set_exception_handler(loop, keep_report, NULL);
    CHECK_INT(rp_loop_create_task(loop, &task, returns_7, NULL), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, task), ==, 7);
    rp_future_unref(task);
    CHECK_INT(rp_loop_create_task(loop, &task, returns_7, NULL), ==, 0);
    rp_future_unref(task);
    rp_loop_free(loop);
    CHECK_INT(report.count, ==, 1);
}

static rp_task *cancelled_by_report;

static void cancel_on_report(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    (void)arg;
    rp_task_cancel(cancelled_by_report);
}

static int waits_for_event(rp_co *co, void *arg)
{
    return rp_event_wait(co, arg);
}

/* The first one's report cancels the second, which is awake, but will not run any more. */
TEST(the_report_of_a_task_at_the_close_may_cancel_another)
{
    rp_loop *loop = new_loop();
    rp_event never, set;
    rp_task *first;

    rp_set_exception_handler(loop, cancel_on_report, NULL);
    rp_event_init(&never);
    rp_event_init(&set);
    CHECK_INT(rp_loop_create_task(loop, &first, waits_for_event, &never), ==, 0);
    CHECK_INT(rp_loop_create_task(loop, &cancelled_by_report, waits_for_event, &set), ==, 0);
    for (int i = 0; i < 3; i++) {
        rp_loop_stop(loop);
        CHECK_INT(rp_run_forever(loop), ==, 0);
    }
    rp_event_set(&set);
    rp_loop_free(loop);
    rp_future_unref(first);
    rp_future_unref(cancelled_by_report);
}

#ifndef _WIN32
static pid_t child;

static int frees_in_child(rp_co *co, void *arg)
{
    child = fork();
    if (child == 0) {
        rp_loop_free(arg);
        CHECK_INT(rp_sleep(co, 0), ==, RP_EFORK); /* the loop is there yet */
    }
    return 7;
}

/* In the child the run ends with the task, and with it the loop's copy, the stacks and all. */
TEST(a_child_frees_the_loop_in_the_task_that_forked)
{
    rp_loop *loop = new_loop();
    rp_task *task;
    int status;

    test_need_locks_after_fork();
    CHECK_INT(rp_loop_create_task(loop, &task, frees_in_child, loop), ==, 0);
    int rc = rp_run_until_complete(loop, task);
    rp_future_unref(task);
    if (child == 0) {
        CHECK_INT(rc, ==, RP_EFORK);
        CHECK_INT(test_live_allocations(), ==, 0);
        _exit(42);
    }
    CHECK_INT(rc, ==, 7);
    CHECK_INT(waitpid(child, &status, 0), ==, child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    rp_loop_free(loop);
}
#else
TEST_ABSENT(a_child_frees_the_loop_in_the_task_that_forked, "Windows has no fork()");
#endif
