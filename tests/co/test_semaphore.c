/* test_semaphore.c - semaphores: as many at a time, in order, no permit lost. */
#include "harness/tasks.h"

typedef struct shared {
    rp_semaphore semaphore;
    int inside;
    int most;
} shared;

static int works(rp_co *co, void *arg)
{
    shared *s = arg;

    for (int i = 0; i < 10; i++) {
        RP_TRY(rp_semaphore_acquire(co, &s->semaphore));
        s->inside++;
        if (s->inside > s->most)
            s->most = s->inside;
        int rc = rp_sleep(co, 0);
        s->inside--;
        CHECK_INT(rp_semaphore_release(&s->semaphore), ==, 0);
        RP_TRY(rc);
    }
    return 0;
}

CO_TEST(some_at_a_time)
{
    shared s = {.inside = 0};
    rp_task *tasks[40];

    rp_bounded_semaphore_init(&s.semaphore, 3);
    for (int i = 0; i < 40; i++)
        tasks[i] = spawn(works, &s);
    for (int i = 0; i < 40; i += 3) { /* at all stages of their waits */
        CHECK_INT(rp_sleep(co, 0), ==, 0);
        rp_task_cancel(tasks[i]);
    }
    for (int i = 0; i < 40; i++)
        CHECK_INT(rp_join(co, tasks[i]), ==, i % 3 == 0 ? RP_EFUTCANCELED : 0);
    CHECK_INT(s.most, ==, 3);
    for (int i = 0; i < 3; i++) { /* all are back */
        CHECK(!rp_semaphore_locked(&s.semaphore));
        CHECK_INT(rp_semaphore_acquire(co, &s.semaphore), ==, 0);
    }
    CHECK(rp_semaphore_locked(&s.semaphore));
    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_semaphore_release(&s.semaphore), ==, 0);
    CHECK_INT(rp_semaphore_release(&s.semaphore), ==, -EOVERFLOW);
    CHECK_INT(rp_semaphore_fini(&s.semaphore), ==, 0);
}

static int takes(rp_co *co, void *arg)
{
    who *w = arg;

    RP_TRY(rp_semaphore_acquire(co, w->what));
    note(w->letter);
    return 0;
}

CO_TEST(first_come_first_served)
{
    rp_semaphore semaphore;
    rp_task *tasks[4];

    rp_semaphore_init(&semaphore, 0);
    for (int i = 0; i < 3; i++)
        tasks[i] = spawn_as((char)('a' + i), takes, &semaphore);
    settle(co);
    CHECK_INT(rp_semaphore_fini(&semaphore), ==, -EBUSY);
    cancel_and_join(co, tasks[1]);
    for (int i = 0; i < 4; i++)
        CHECK_INT(rp_semaphore_release(&semaphore), ==, 0);
    CHECK(rp_semaphore_locked(&semaphore)); /* two are left, but they come first */
    tasks[1] = spawn_as('d', takes, &semaphore);
    CHECK_INT(rp_semaphore_acquire(co, &semaphore), ==, 0);
    CHECK_EVENTS("ac");
    settle(co);
    CHECK_EVENTS("d");
    CHECK(rp_semaphore_locked(&semaphore));
    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_join(co, tasks[i]), ==, 0);
    CHECK_INT(rp_semaphore_fini(&semaphore), ==, 0);
}

static int takes_then_ends(rp_co *co, void *arg)
{
    CHECK_INT(rp_semaphore_acquire(co, arg), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, -ECANCELED);
    return rp_semaphore_release(arg);
}

CO_TEST(cancelled_after_it_was_woken)
{
    rp_semaphore semaphore;
    rp_task *first, *second;

    rp_semaphore_init(&semaphore, 0);
    first = spawn(takes_then_ends, &semaphore);
    second = spawn_as('b', takes, &semaphore);
    settle(co);
    CHECK_INT(rp_semaphore_release(&semaphore), ==, 0);
    rp_task_cancel(first);
    CHECK_INT(rp_join(co, first), ==, 0);
    CHECK_INT(rp_join(co, second), ==, 0);
    CHECK_EVENTS("b");

    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_semaphore_acquire(co, &semaphore), ==, -ECANCELED);
    CHECK_INT(rp_semaphore_release(&semaphore), ==, 0);
    CHECK_INT(rp_semaphore_acquire(co, &semaphore), ==, 0);
    CHECK_INT(rp_semaphore_fini(&semaphore), ==, 0);
}

TEST(too_many_permits)
{
    rp_semaphore semaphore;

    rp_semaphore_init(&semaphore, SIZE_MAX);
    CHECK_INT(rp_semaphore_release(&semaphore), ==, -EOVERFLOW);
    CHECK_INT(rp_semaphore_fini(&semaphore), ==, 0);
}

CO_TEST(busy_until_the_cancelled_task_has_left)
{
    rp_semaphore semaphore;
    rp_task *task;

    rp_semaphore_init(&semaphore, 0);
    task = spawn(takes, &semaphore);
    settle(co);
    CHECK_INT(rp_semaphore_fini(&semaphore), ==, -EBUSY);
    rp_task_cancel(task);
    CHECK_INT(rp_semaphore_fini(&semaphore), ==, -EBUSY); /* it has yet to run, and to look at it */
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
    CHECK_INT(rp_semaphore_fini(&semaphore), ==, 0);
}
