/*
 * test_queue_tasks.c - queues between tasks: waiting for room and for items, in turn; join, shutdown, and nothing lost.
 */
#include <stdlib.h>

#include "harness/numbers.h"
#include "harness/tasks.h"

/* ---- many tasks ---- */

enum { TASKS = 10, ITEMS = 300 };

typedef struct market {
    rp_queue queue;
    size_t put;
    size_t got;
    size_t sum;
} market;

static int produces(rp_co *co, void *arg)
{
    market *m = arg;

    for (int i = 0; i < ITEMS; i++) {
        size_t n = ++m->put;
        m->sum += n;
        RP_TRY(rp_queue_put(co, &m->queue, item(n)));
        if (i % 7 == 0)
            RP_TRY(rp_sleep(co, 0));
    }
    return 0;
}

static int consumes(rp_co *co, void *arg)
{
    market *m = arg;
    void *pointer;
    int rc;

    while ((rc = rp_queue_get(co, &m->queue, &pointer)) == 0) {
        m->got++;
        m->sum -= number(pointer);
        CHECK_INT(rp_queue_task_done(&m->queue), ==, 0);
    }
    return rc;
}

CO_TEST(many_producers_and_consumers)
{
    rp_task *producers[TASKS], *consumers[TASKS];
    market m = {.put = 0};

    for (size_t maxsize = 0; maxsize < 4; maxsize++) {
        m = (market){.put = 0};
        rp_queue_init(&m.queue, maxsize);
        for (int i = 0; i < TASKS; i++) {
            producers[i] = spawn(produces, &m);
            consumers[i] = spawn(consumes, &m);
        }
        for (int i = 0; i < TASKS; i++)
            CHECK_INT(rp_join(co, producers[i]), ==, 0);
        CHECK_INT(rp_queue_join(co, &m.queue), ==, 0);
        CHECK_INT(m.got, ==, TASKS * ITEMS);
        CHECK_INT(m.sum, ==, 0);
        CHECK_INT(rp_queue_fini(&m.queue), ==, -EBUSY);
        rp_queue_shutdown(&m.queue, false);
        for (int i = 0; i < TASKS; i++)
            CHECK_INT(rp_join(co, consumers[i]), ==, RP_ESHUTDOWN);
        CHECK_INT(rp_queue_fini(&m.queue), ==, 0);
    }
}

static int produces_ones(rp_co *co, void *arg)
{
    market *m = arg;

    for (;;) {
        RP_TRY(rp_queue_put(co, &m->queue, item(1)));
        m->put++;
        if (rand() % 4 == 0)
            RP_TRY(rp_sleep(co, 0));
    }
}

static int consumes_some(rp_co *co, void *arg)
{
    market *m = arg;
    void *pointer;

    for (;;) {
        RP_TRY(rp_queue_get(co, &m->queue, &pointer));
        m->got++;
        if (rand() % 4 == 0)
            RP_TRY(rp_sleep(co, 0));
    }
}

CO_TEST(nothing_is_lost_by_cancellations)
{
    rp_task *tasks[2 * TASKS];
    market m = {.put = 0};

    srand(2);
    rp_queue_init(&m.queue, 2);
    for (int i = 0; i < 2 * TASKS; i++)
        tasks[i] = spawn(i % 2 ? produces_ones : consumes_some, &m);
    for (int i = 0; i < 2000; i++) {
        int victim = rand() % (2 * TASKS);
        CHECK_INT(rp_sleep(co, 0), ==, 0);
        cancel_and_join(co, tasks[victim]);
        CHECK_INT(m.put - m.got, ==, rp_queue_size(&m.queue));
        tasks[victim] = spawn(victim % 2 ? produces_ones : consumes_some, &m);
    }
    for (int i = 0; i < 2 * TASKS; i++)
        cancel_and_join(co, tasks[i]);
    CHECK_INT(m.put - m.got, ==, rp_queue_size(&m.queue));
    CHECK_INT(rp_queue_fini(&m.queue), ==, 0);
}

/* ---- waiting ---- */

static int gets(rp_co *co, void *arg)
{
    who *w = arg;
    void *pointer;

    RP_TRY(rp_queue_get(co, w->what, &pointer));
    note(w->letter);
    return (int)number(pointer);
}

static int puts_five(rp_co *co, void *arg)
{
    who *w = arg;

    RP_TRY(rp_queue_put(co, w->what, item(5)));
    note(w->letter);
    return 0;
}

CO_TEST(first_come_first_served)
{
    rp_task *tasks[4];
    rp_queue queue;

    rp_queue_init(&queue, 1);
    for (int i = 0; i < 4; i++)
        tasks[i] = spawn_as((char)('a' + i), gets, &queue);
    settle(co);
    cancel_and_join(co, tasks[1]);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_queue_put(co, &queue, item(2)), ==, 0);
    for (int i = 0; i < 4; i++)
        if (i != 1)
            CHECK_INT(rp_join(co, tasks[i]), ==, 2);
    CHECK_EVENTS("acd");

    put(&queue, 5);
    for (int i = 0; i < 4; i++)
        tasks[i] = spawn_as((char)('a' + i), puts_five, &queue);
    settle(co);
    CHECK_EVENTS("");
    cancel_and_join(co, tasks[2]);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(get(&queue), ==, 5);
        settle(co);
    }
    CHECK(rp_queue_empty(&queue));
    for (int i = 0; i < 4; i++)
        if (i != 2)
            CHECK_INT(rp_join(co, tasks[i]), ==, 0);
    CHECK_EVENTS("abd");
    CHECK_INT(rp_queue_fini(&queue), ==, 0);
}

static int gets_then_ends(rp_co *co, void *arg)
{
    void *pointer;

    CHECK_INT(rp_queue_get(co, arg, &pointer), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, -ECANCELED);
    return (int)number(pointer);
}

static int puts_then_ends(rp_co *co, void *arg)
{
    CHECK_INT(rp_queue_put(co, arg, item(4)), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, -ECANCELED);
    return 4;
}

CO_TEST(cancelled_after_it_was_woken)
{
    rp_queue queue;
    rp_task *task;
    void *pointer;

    rp_queue_init(&queue, 1);
    task = spawn(gets_then_ends, &queue);
    settle(co);
    put(&queue, 3);
    rp_task_cancel(task);
    CHECK_INT(rp_join(co, task), ==, 3);

    put(&queue, 3);
    task = spawn(puts_then_ends, &queue);
    settle(co);
    CHECK_INT(get(&queue), ==, 3);
    rp_task_cancel(task);
    CHECK_INT(rp_join(co, task), ==, 4);

    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_queue_put(co, &queue, item(8)), ==, -ECANCELED);
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_queue_get(co, &queue, &pointer), ==, 0); /* need not wait */
    CHECK_INT(number(pointer), ==, 4);
    CHECK_INT(rp_queue_get(co, &queue, &pointer), ==, -ECANCELED);
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_queue_join(co, &queue), ==, -ECANCELED);
    CHECK_INT(rp_queue_fini(&queue), ==, 0);
}

CO_TEST(somebody_else_comes_first)
{
    rp_task *first, *second;
    rp_queue queue;

    rp_queue_init(&queue, 1);
    first = spawn_as('a', gets, &queue);
    second = spawn_as('b', gets, &queue);
    settle(co);
    put(&queue, 1);
    CHECK_INT(get(&queue), ==, 1); /* the woken one finds nothing, and waits again */
    settle(co);
    CHECK_EVENTS("");
    put(&queue, 2);
    settle(co);
    put(&queue, 3);
    CHECK_INT(rp_join(co, second), ==, 2);
    CHECK_INT(rp_join(co, first), ==, 3);
    CHECK_EVENTS("ba");

    first = spawn_as('a', gets, &queue);
    settle(co);
    put(&queue, 1);
    CHECK_INT(get(&queue), ==, 1);
    cancel_and_join(co, first); /* cancelled, and has nothing */

    put(&queue, 1);
    first = spawn_as('c', puts_five, &queue);
    settle(co);
    CHECK_INT(get(&queue), ==, 1);
    put(&queue, 2);
    settle(co);
    CHECK_EVENTS("");
    CHECK_INT(get(&queue), ==, 2);
    CHECK_INT(rp_join(co, first), ==, 0);
    CHECK_EVENTS("c");
    CHECK_INT(rp_queue_fini(&queue), ==, 0);
}

/* ---- join and shutdown ---- */

static int joins(rp_co *co, void *arg)
{
    who *w = arg;

    RP_TRY(rp_queue_join(co, w->what));
    note(w->letter);
    return 0;
}

CO_TEST(join)
{
    rp_task *tasks[3];
    rp_queue queue;

    rp_queue_init(&queue, 0);
    CHECK_INT(rp_queue_join(co, &queue), ==, 0);
    CHECK_INT(rp_queue_task_done(&queue), ==, -EPERM);
    put(&queue, 1);
    put(&queue, 2);
    for (int i = 0; i < 3; i++)
        tasks[i] = spawn_as((char)('a' + i), joins, &queue);
    settle(co);
    CHECK_INT(rp_queue_fini(&queue), ==, -EBUSY);
    get(&queue);
    get(&queue);
    CHECK_INT(rp_queue_task_done(&queue), ==, 0);
    cancel_and_join(co, tasks[1]);
    CHECK_EVENTS("");
    CHECK_INT(rp_queue_task_done(&queue), ==, 0);
    put(&queue, 3); /* they were woken already */
    CHECK_INT(rp_join(co, tasks[0]), ==, 0);
    CHECK_INT(rp_join(co, tasks[2]), ==, 0);
    CHECK_EVENTS("ac");
    CHECK_INT(rp_queue_fini(&queue), ==, 0);
}

CO_TEST(shutdown)
{
    rp_task *getter, *putter, *joiner;
    rp_queue queue;
    void *pointer;

    rp_queue_init(&queue, 1);
    getter = spawn_as('a', gets, &queue);
    settle(co);
    rp_queue_shutdown(&queue, false);
    CHECK_INT(rp_join(co, getter), ==, RP_ESHUTDOWN);
    CHECK_INT(rp_queue_put(co, &queue, NULL), ==, RP_ESHUTDOWN);
    CHECK_INT(rp_queue_put_nowait(&queue, NULL), ==, RP_ESHUTDOWN);
    CHECK_INT(rp_queue_fini(&queue), ==, 0);

    rp_queue_init(&queue, 1);
    put(&queue, 6);
    putter = spawn_as('b', puts_five, &queue);
    joiner = spawn_as('c', joins, &queue);
    settle(co);
    rp_queue_shutdown(&queue, false);
    CHECK_INT(rp_join(co, putter), ==, RP_ESHUTDOWN);
    CHECK_INT(rp_queue_put(co, &queue, NULL), ==, RP_ESHUTDOWN);
    CHECK_INT(rp_queue_get(co, &queue, &pointer), ==, 0);
    CHECK_INT(rp_queue_get(co, &queue, &pointer), ==, RP_ESHUTDOWN);
    CHECK_INT(rp_queue_get_nowait(&queue, &pointer), ==, RP_ESHUTDOWN);
    CHECK_EVENTS("");
    CHECK_INT(rp_queue_task_done(&queue), ==, 0);
    CHECK_INT(rp_join(co, joiner), ==, 0);
    CHECK_EVENTS("c");
    CHECK_INT(rp_queue_fini(&queue), ==, 0);
}

CO_TEST(shutdown_at_once)
{
    rp_task *putter, *joiner;
    rp_queue queue;
    void *pointer;

    rp_queue_init(&queue, 3);
    for (size_t i = 0; i < 3; i++)
        put(&queue, i);
    get(&queue);
    put(&queue, 3);
    putter = spawn_as('b', puts_five, &queue);
    joiner = spawn_as('c', joins, &queue);
    settle(co);
    rp_queue_shutdown(&queue, true);
    CHECK_INT(rp_join(co, putter), ==, RP_ESHUTDOWN);
    CHECK(rp_queue_empty(&queue));
    CHECK_INT(rp_queue_get(co, &queue, &pointer), ==, RP_ESHUTDOWN);
    settle(co);
    CHECK(!rp_future_done(joiner)); /* one that was taken out is not dealt with yet */
    CHECK_INT(rp_queue_task_done(&queue), ==, 0);
    CHECK_INT(rp_join(co, joiner), ==, 0);
    CHECK_EVENTS("c");
    CHECK_INT(rp_queue_fini(&queue), ==, 0);

    rp_queue_init(&queue, 0);
    put(&queue, 1);
    put(&queue, 2);
    CHECK_INT(rp_queue_task_done(&queue), ==, 0); /* before it was taken out */
    rp_queue_shutdown(&queue, true);
    CHECK_INT(rp_queue_join(co, &queue), ==, 0);
    CHECK_INT(rp_queue_task_done(&queue), ==, -EPERM);
    CHECK_INT(rp_queue_fini(&queue), ==, 0);
}
