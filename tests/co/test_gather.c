/* test_gather.c - several futures at once: rp_gather and rp_wait. */
#include "harness/tasks.h"

enum { MANY = 100 };

static int sleeps(rp_co *co, void *arg)
{
    int milliseconds = *(int *)arg;

    RP_TRY(rp_sleep(co, RP_MSEC(milliseconds)));
    return milliseconds;
}

static int fails(rp_co *co, void *arg)
{
    RP_TRY(rp_sleep(co, RP_MSEC(2)));
    return -EPROTO;
}

static int waits_to_go(rp_co *co, void *go)
{
    RP_TRY(rp_event_wait(co, go));
    return 20;
}

static int stubborn(rp_co *co, void *arg)
{
    (void)rp_sleep(co, RP_SEC(100));
    return 1;
}

static rp_task *spawn_sleeper(int milliseconds)
{
    rp_task *task;

    CHECK_INT(rp_create_task_copy(&task, sleeps, &milliseconds, sizeof milliseconds), ==, 0);
    return task;
}

static void unref(rp_future **futures, int count)
{
    for (int i = 0; i < count; i++)
        rp_future_unref(futures[i]);
}

CO_TEST(gather)
{
    rp_future *futures[MANY];
    int results[MANY];

    CHECK_INT(rp_gather(co, NULL, 0, NULL, 0), ==, 0);
    for (int count = 1; count <= MANY; count += 7) {
        for (int i = 0; i < count; i++)
            futures[i] = spawn_sleeper(i % 5);
        CHECK_INT(rp_gather(co, futures, (size_t)count, results, 0), ==, 0);
        for (int i = 0; i < count; i++)
            CHECK_INT(results[i], ==, i % 5);
        CHECK_INT(rp_gather(co, futures, (size_t)count, NULL, 0), ==, 0); /* all done */
        unref(futures, count);
    }
    futures[0] = futures[1] = spawn_sleeper(1);
    CHECK_INT(rp_gather(co, futures, 2, results, 0), ==, 0);
    CHECK(results[0] == 1 && results[1] == 1);
    rp_future_unref(futures[0]);
}

CO_TEST(the_first_error_ends_a_gather)
{
    rp_event go;
    rp_future *futures[3] = {spawn(waits_to_go, &go), spawn(fails, NULL), spawn_sleeper(0)};
    int results[3];

    rp_event_init(&go);
    CHECK_INT(rp_gather(co, futures, 3, results, 0), ==, -EPROTO);
    CHECK_INT(results[0], ==, RP_EINVALIDSTATE); /* it goes on */
    CHECK_INT(results[1], ==, -EPROTO);
    CHECK_INT(results[2], ==, 0);
    CHECK_INT(rp_gather(co, futures, 3, results, 0), ==, -EPROTO); /* has failed already */
    rp_event_set(&go);
    CHECK_INT(rp_gather(co, futures, 3, results, RP_RETURN_EXCEPTIONS), ==, 0);
    CHECK_INT(results[0], ==, 20);
    CHECK_INT(results[1], ==, -EPROTO);
    unref(futures, 3);
}

CO_TEST(a_cancelled_future_is_an_error_of_a_gather)
{
    rp_future *futures[2] = {spawn_sleeper(50000), spawn_sleeper(1)};
    int results[2];

    rp_task_cancel(futures[0]);
    CHECK_INT(rp_gather(co, futures, 2, results, RP_RETURN_EXCEPTIONS), ==, 0);
    CHECK_INT(results[0], ==, RP_EFUTCANCELED);
    CHECK_INT(rp_gather(co, futures, 2, results, 0), ==, RP_EFUTCANCELED);
    unref(futures, 2);
}

typedef struct list {
    rp_future **futures;
    int count;
    unsigned flags;
} list;

static int gathers_list(rp_co *co, void *arg)
{
    list *l = arg;

    return rp_gather(co, l->futures, (size_t)l->count, NULL, l->flags);
}

CO_TEST(cancelling_a_gather_cancels_all)
{
    rp_future *futures[20];
    list l = {futures, 20, 0};

    for (l.flags = 0; l.flags <= RP_RETURN_EXCEPTIONS; l.flags++) {
        for (int i = 0; i < 20; i++)
            futures[i] = spawn_sleeper(50000);
        rp_task *task = spawn(gathers_list, &l);
        settle(co);
        rp_task_cancel(task);
        CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
        for (int i = 0; i < 20; i++)
            CHECK(rp_future_cancelled(futures[i]));
        unref(futures, 20);
    }

    futures[0] = spawn_sleeper(50000);
    futures[1] = spawn_sleeper(0);
    settle(co);
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_gather(co, futures, 2, NULL, 0), ==, -ECANCELED); /* pending before */
    CHECK(rp_future_cancelled(futures[0]));
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    unref(futures, 2);
}

static int gathers_stubborn(rp_co *co, void *arg)
{
    CHECK_INT(gathers_list(co, arg), ==, 0);
    CHECK_INT(rp_sleep(co, RP_SEC(100)), ==, -ECANCELED);
    return 3;
}

CO_TEST(results_that_came_all_the_same_win)
{
    rp_future *futures[2] = {spawn(stubborn, NULL), spawn(stubborn, NULL)};
    list l = {futures, 2, 0};
    rp_task *task = spawn(gathers_stubborn, &l);

    settle(co);
    rp_task_cancel(task);
    CHECK_INT(rp_join(co, task), ==, 3);
    unref(futures, 2);
}

CO_TEST(no_memory)
{
    rp_future *futures[20];

    for (int i = 0; i < 20; i++)
        futures[i] = spawn_sleeper(1);
    test_fail_allocation(1);
    CHECK_INT(rp_gather(co, futures, 20, NULL, 0), ==, -ENOMEM);
    test_fail_allocation(1);
    CHECK_INT(rp_wait(co, futures, 20, RP_NEVER, RP_ALL_COMPLETED), ==, -ENOMEM);
    CHECK_INT(rp_gather(co, futures, 20, NULL, 0), ==, 0);
    unref(futures, 20);
}

/* ---- rp_wait ---- */

CO_TEST(wait)
{
    rp_future *futures[3] = {spawn_sleeper(1), spawn_sleeper(3), spawn_sleeper(2000)};

    CHECK_INT(rp_wait(co, NULL, 0, RP_NEVER, RP_ALL_COMPLETED), ==, 0);
    CHECK_INT(rp_wait(co, futures, 3, 0, RP_ALL_COMPLETED), ==, 0);
    CHECK_INT(rp_wait(co, futures, 3, RP_NEVER, RP_FIRST_COMPLETED), >=, 1);
    CHECK(rp_future_done(futures[0]));
    CHECK(!rp_future_done(futures[2]));
    CHECK_INT(rp_wait(co, futures, 2, RP_NEVER, RP_ALL_COMPLETED), ==, 2);
    CHECK_INT(rp_wait(co, futures, 3, RP_MSEC(5), RP_ALL_COMPLETED), ==, 2);
    CHECK(!rp_future_done(futures[2])); /* cancels none */
    CHECK_INT(rp_wait(co, futures, 3, RP_MSEC(5), RP_FIRST_COMPLETED), ==, 2);
    rp_task_cancel(futures[2]);
    CHECK_INT(rp_wait(co, futures, 3, RP_NEVER, RP_FIRST_EXCEPTION), ==, 3);
    unref(futures, 3);
}

CO_TEST(wait_for_the_first_exception)
{
    rp_future *futures[4] = {spawn_sleeper(0), spawn_sleeper(50000), spawn(fails, NULL), spawn_sleeper(50000)};

    rp_task_cancel(futures[3]);
    CHECK_INT(rp_wait(co, futures, 4, RP_NEVER, RP_FIRST_EXCEPTION), ==, 3);
    CHECK(!rp_future_done(futures[1]));
    CHECK_INT(rp_future_result(futures[2]), ==, -EPROTO);
    rp_task_cancel(futures[1]);
    CHECK_INT(rp_wait(co, futures, 4, RP_NEVER, RP_ALL_COMPLETED), ==, 4);
    unref(futures, 4);
}

static int waits_list(rp_co *co, void *arg)
{
    list *l = arg;

    return (int)rp_wait(co, l->futures, (size_t)l->count, RP_SEC(100), RP_ALL_COMPLETED);
}

CO_TEST(cancelling_a_wait_cancels_nothing_else)
{
    rp_future *futures[2] = {spawn_sleeper(50000), spawn_sleeper(1)};
    list l = {futures, 2, 0};
    rp_task *task = spawn(waits_list, &l);

    CHECK_INT(rp_sleep(co, 0), ==, 0);
    rp_task_cancel(task);
    rp_task_cancel(task);
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
    CHECK(!rp_future_done(futures[0]));
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_wait(co, futures, 2, RP_NEVER, RP_ALL_COMPLETED), ==, -ECANCELED);
    CHECK(!rp_future_done(futures[0]));
    rp_task_cancel(futures[0]);
    CHECK_INT(rp_wait(co, futures, 2, RP_NEVER, RP_ALL_COMPLETED), ==, 2);
    unref(futures, 2);
}
