/*
 * test_task.c - tasks: creation, copies of arguments, order, names, states, the factory, cancellation, many of them.
 */
#include <stdio.h>

#include <string.h>

#include "harness/platform.h"
#include "harness/tasks.h"
#include "ringport.h"

/* ---- the simplest ---- */

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
    CHECK_EVENTS(".abcabcabc");
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

CO_TEST(a_bare_ecanceled_is_a_cancellation)
{
    rp_task *task;

    CHECK_INT(rp_create_task(&task, returns_ecanceled, NULL), ==, 0);
    CHECK_INT(rp_await(co, task), ==, RP_EFUTCANCELED);
    CHECK(rp_future_cancelled(task));
    rp_future_unref(task);
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

static int returns_argument(rp_co *co, void *arg)
{
    return (int)(intptr_t)arg;
}

CO_TEST(a_loop_counts_the_tasks_that_have_not_ended)
{
    rp_loop_stats stats;
    rp_task *tasks[3];

    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_create_task(&tasks[i], returns_argument, (void *)(intptr_t)i), ==, 0);
    rp_loop_get_stats(rp_co_loop(co), &stats);
    CHECK_INT(stats.tasks, ==, 4);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_join(co, tasks[i]), ==, i);
    rp_loop_get_stats(rp_co_loop(co), &stats);
    CHECK_INT(stats.tasks, ==, 1);
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
