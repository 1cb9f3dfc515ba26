/* test_as_completed.c - futures in the order in which they end. */
#include "harness/reports.h"
#include "harness/tasks.h"

enum { MANY = 100 };

static int sleeps(rp_co *co, void *arg)
{
    int milliseconds = *(int *)arg;

    RP_TRY(rp_sleep(co, RP_MSEC(milliseconds)));
    return milliseconds;
}

static rp_task *spawn_sleeper(int milliseconds)
{
    rp_task *task;

    CHECK_INT(rp_create_task_copy(&task, sleeps, &milliseconds, sizeof milliseconds), ==, 0);
    return task;
}

static rp_future *new_future(rp_loop *loop)
{
    rp_future *future;

    CHECK_INT(rp_future_new(loop, &future), ==, 0);
    return future;
}

static void unref(rp_future **futures, int count)
{
    for (int i = 0; i < count; i++)
        rp_future_unref(futures[i]);
}

CO_TEST(in_the_order_in_which_they_end)
{
    rp_future *futures[MANY], *future;
    rp_as_completed *it;
    size_t index;

    for (int i = 0; i < MANY; i++)
        futures[i] = new_future(rp_co_loop(co));
    rp_future_set_error(futures[30], -EPROTO); /* done before */
    CHECK_INT(rp_as_completed_begin(co, &it, futures, MANY, RP_NEVER), ==, 0);
    CHECK_INT(rp_as_completed_next(co, it, &future, &index), ==, 1);
    CHECK(future == futures[30]);
    CHECK_INT(index, ==, 30);
    CHECK_INT(rp_future_result(future), ==, -EPROTO);
    for (int i = 0; i < MANY; i++)
        rp_future_set_result(futures[i * 37 % MANY], NULL);
    rp_future_cancel(futures[0]);
    for (int i = 0; i < MANY; i++)
        if (i * 37 % MANY != 30) {
            CHECK_INT(rp_as_completed_next(co, it, &future, &index), ==, 1);
            CHECK(future == futures[i * 37 % MANY]);
            CHECK_INT(index, ==, i * 37 % MANY);
        }
    for (int i = 0; i < 2; i++)
        CHECK_INT(rp_as_completed_next(co, it, &future, &index), ==, 0);
    rp_as_completed_end(it);
    unref(futures, MANY);

    CHECK_INT(rp_as_completed_begin(co, &it, NULL, 0, 0), ==, 0);
    CHECK_INT(rp_as_completed_next(co, it, &future, NULL), ==, 0);
    rp_as_completed_end(it);
    rp_as_completed_end(NULL);
}

CO_TEST(tasks_in_order)
{
    rp_future *futures[3] = {spawn_sleeper(30), spawn_sleeper(1), spawn_sleeper(15)}, *future;
    rp_as_completed *it;
    int expected[3] = {1, 15, 30};
    size_t index;

    CHECK_INT(rp_as_completed_begin(co, &it, futures, 3, RP_SEC(10)), ==, 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(rp_as_completed_next(co, it, &future, NULL), ==, 1);
        CHECK_INT(rp_future_result(future), ==, expected[i]);
        rp_future_unref(future); /* it was handed out */
    }
    CHECK_INT(rp_as_completed_next(co, it, &future, NULL), ==, 0);
    rp_as_completed_end(it);

    futures[0] = futures[1] = spawn_sleeper(1); /* the same one twice has two places */
    CHECK_INT(rp_as_completed_begin(co, &it, futures, 2, RP_NEVER), ==, 0);
    CHECK_INT(rp_as_completed_next(co, it, NULL, &index), ==, 1);
    CHECK_INT(index, ==, 0);
    CHECK_INT(rp_as_completed_next(co, it, NULL, &index), ==, 1);
    CHECK_INT(index, ==, 1);
    CHECK_INT(rp_as_completed_next(co, it, NULL, NULL), ==, 0);
    rp_as_completed_end(it);
    rp_future_unref(futures[0]);
}

CO_TEST(a_limit_of_time)
{
    rp_future *futures[3] = {new_future(rp_co_loop(co)), new_future(rp_co_loop(co)), new_future(rp_co_loop(co))};
    rp_future *future;
    rp_as_completed *it;

    CHECK_INT(rp_as_completed_begin(co, &it, futures, 3, RP_MSEC(5)), ==, 0);
    rp_future_set_result(futures[2], NULL);
    CHECK_INT(rp_sleep(co, RP_MSEC(20)), ==, 0);
    rp_future_set_result(futures[1], NULL); /* too late */
    settle(co);
    CHECK_INT(rp_as_completed_next(co, it, &future, NULL), ==, 1);
    CHECK(future == futures[2]);
    CHECK_INT(rp_as_completed_next(co, it, &future, NULL), ==, -ETIMEDOUT);
    CHECK_INT(rp_as_completed_next(co, it, &future, NULL), ==, -ETIMEDOUT);
    rp_as_completed_end(it);

    CHECK_INT(rp_as_completed_begin(co, &it, futures, 1, RP_MSEC(1)), ==, 0);
    CHECK_INT(rp_as_completed_next(co, it, &future, NULL), ==, -ETIMEDOUT); /* while it waits */
    rp_as_completed_end(it);
    CHECK(!rp_future_done(futures[0]));

    CHECK_INT(rp_as_completed_begin(co, &it, futures + 1, 2, RP_MSEC(1)), ==, 0);
    CHECK_INT(rp_sleep(co, RP_MSEC(10)), ==, 0);
    CHECK_INT(rp_as_completed_next(co, it, &future, NULL), ==, 1);
    CHECK_INT(rp_as_completed_next(co, it, &future, NULL), ==, 1);
    CHECK_INT(rp_as_completed_next(co, it, &future, NULL), ==, 0); /* all ended in time */
    rp_as_completed_end(it);
    unref(futures, 3);
}

typedef struct pair {
    rp_future *futures[2];
} pair;

static int takes_both(rp_co *co, void *arg)
{
    pair *p = arg;
    rp_future *future;
    rp_as_completed *it;

    CHECK_INT(rp_as_completed_begin(co, &it, p->futures, 2, RP_NEVER), ==, 0);
    CHECK_INT(rp_as_completed_next(co, it, &future, NULL), ==, -ECANCELED);
    CHECK_INT(rp_as_completed_next(co, it, &future, NULL), ==, 1); /* woken, and then cancelled again */
    CHECK_INT(rp_as_completed_next(co, it, &future, NULL), ==, -ECANCELED);
    rp_as_completed_end(it); /* with one left */
    return 0;
}

CO_TEST(cancelled)
{
    pair p = {{new_future(rp_co_loop(co)), new_future(rp_co_loop(co))}};
    rp_task *task = spawn(takes_both, &p);

    settle(co);
    rp_task_cancel(task);
    settle(co);
    rp_future_set_result(p.futures[1], NULL);
    CHECK_INT(rp_sleep(co, 0), ==, 0); /* the callback runs, and wakes the task */
    rp_task_cancel(task);
    CHECK_INT(rp_join(co, task), ==, 0);
    CHECK(!rp_future_done(p.futures[0]));
    unref(p.futures, 2);
}

CO_TEST(errors)
{
    rp_future *futures[3] = {new_future(rp_co_loop(co)), rp_co_task(co), NULL};
    rp_as_completed *it;
    rp_loop *other;

    CHECK_INT(rp_as_completed_begin(co, &it, futures, 2, RP_SEC(1)), ==, -EDEADLK);
    CHECK(!it);
    CHECK_INT(rp_loop_new(NULL, &other), ==, 0);
    futures[1] = new_future(other);
    CHECK_INT(rp_as_completed_begin(co, &it, futures, 2, RP_SEC(1)), ==, -EINVAL);
    test_fail_allocation(1);
    CHECK_INT(rp_as_completed_begin(co, &it, futures, 1, RP_SEC(1)), ==, -ENOMEM);
    CHECK_INT(rp_as_completed_begin(co, &it, futures, SIZE_MAX / 8, RP_SEC(1)), ==, -ENOMEM);
    unref(futures, 2);
    rp_loop_free(other);
}

static int sleeps_between(rp_co *co, void *arg)
{
    pair *p = arg;
    rp_future *future;
    rp_as_completed *it;

    RP_TRY(rp_as_completed_begin(co, &it, p->futures, 2, RP_SEC(100)));
    CHECK_INT(rp_as_completed_next(co, it, &future, NULL), ==, 1);
    rp_loop_stop(rp_co_loop(co));
    RP_TRY(rp_sleep(co, RP_SEC(100)));
    rp_as_completed_end(it);
    return 0;
}

static int waits(rp_co *co, void *arg)
{
    pair *p = arg;
    rp_future *future;
    rp_as_completed *it;

    RP_TRY(rp_as_completed_begin(co, &it, p->futures, 2, RP_SEC(100)));
    CHECK_INT(rp_as_completed_next(co, it, &future, NULL), ==, 1);
    CHECK_INT(rp_as_completed_next(co, it, &future, NULL), ==, 1);
    return 0;
}

TEST(the_loop_is_closed_in_between)
{
    rp_task *tasks[2];
    rp_loop *loop;
    int reports = 0;
    pair p;

    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    rp_set_exception_handler(loop, count_report, &reports);
    p.futures[0] = new_future(loop);
    p.futures[1] = new_future(loop);
    rp_future_set_result(p.futures[1], NULL);
    CHECK_INT(rp_loop_create_task(loop, &tasks[0], waits, &p), ==, 0);
    CHECK_INT(rp_loop_create_task(loop, &tasks[1], sleeps_between, &p), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    unref(p.futures, 1);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK_INT(reports, ==, 2);
    unref(p.futures + 1, 1);
    unref(tasks, 2);
    rp_loop_free(loop);
}
