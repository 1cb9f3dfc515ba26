/* test_event.c - events: waking all that wait, and being cancelled before and after that. */
#include "harness/tasks.h"

static int waits(rp_co *co, void *arg)
{
    who *w = arg;
    int rc = rp_event_wait(co, w->what);

    note(rc == 0 ? w->letter : '!');
    return rc;
}

CO_TEST(an_event_wakes_all)
{
    rp_task *tasks[3];
    rp_event event;

    rp_event_init(&event);
    CHECK(!rp_event_is_set(&event));
    for (int i = 0; i < 3; i++)
        tasks[i] = spawn_as((char)('a' + i), waits, &event);
    settle(co);
    CHECK_EVENTS("");
    CHECK_INT(rp_event_fini(&event), ==, -EBUSY);
    rp_event_set(&event);
    rp_event_clear(&event); /* they were woken all the same */
    CHECK_INT(rp_event_fini(&event), ==, -EBUSY);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_join(co, tasks[i]), ==, 0);
    CHECK_EVENTS("abc");

    tasks[0] = spawn_as('d', waits, &event);
    settle(co);
    CHECK_EVENTS("");
    rp_event_set(&event);
    CHECK(rp_event_is_set(&event));
    CHECK_INT(rp_join(co, tasks[0]), ==, 0);
    CHECK_EVENTS("d");
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_event_wait(co, &event), ==, 0); /* does not suspend */
    rp_event_set(&event);
    rp_event_clear(&event);
    CHECK_INT(rp_event_wait(co, &event), ==, -ECANCELED);
    CHECK_INT(rp_event_fini(&event), ==, 0);
}

CO_TEST(a_cancelled_waiter)
{
    rp_task *tasks[3];
    rp_event event;

    rp_event_init(&event);
    for (int i = 0; i < 3; i++)
        tasks[i] = spawn_as((char)('a' + i), waits, &event);
    settle(co);
    rp_task_cancel(tasks[1]);
    rp_event_set(&event); /* too late for it */
    CHECK_INT(rp_join(co, tasks[0]), ==, 0);
    CHECK_INT(rp_join(co, tasks[1]), ==, RP_EFUTCANCELED);
    CHECK_INT(rp_join(co, tasks[2]), ==, 0);
    CHECK_EVENTS("!ac");
    CHECK_INT(rp_event_fini(&event), ==, 0);
}

static int waits_and_sleeps(rp_co *co, void *arg)
{
    CHECK_INT(rp_event_wait(co, arg), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, -ECANCELED);
    return 7;
}

CO_TEST(cancelled_after_it_was_woken)
{
    rp_event event;
    rp_task *task;

    rp_event_init(&event);
    task = spawn(waits_and_sleeps, &event);
    settle(co);
    rp_event_set(&event);
    rp_task_cancel(task);
    CHECK_INT(rp_join(co, task), ==, 7);
    CHECK_INT(rp_event_fini(&event), ==, 0);
}

static void set_event(void *arg)
{
    rp_event_set(arg);
}

CO_TEST(timeouts_and_callbacks)
{
    rp_timer timer = {0};
    rp_timeout timeout;
    rp_event event;

    rp_event_init(&event);
    rp_timeout_begin(co, &timeout, RP_MSEC(2));
    CHECK_INT(rp_timeout_end(co, &timeout, rp_event_wait(co, &event)), ==, -ETIMEDOUT);

    CHECK_INT(rp_call_later(rp_co_loop(co), &timer, RP_MSEC(2), set_event, &event), ==, 0);
    rp_timeout_begin(co, &timeout, RP_SEC(10));
    CHECK_INT(rp_timeout_end(co, &timeout, rp_event_wait(co, &event)), ==, 0);
    CHECK_INT(rp_event_fini(&event), ==, 0);
}
