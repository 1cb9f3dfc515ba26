/* test_lock.c - locks: exclusion, order, and cancelled waiters that lose nothing. */
#include "harness/tasks.h"

enum { TASKS = 50, ROUNDS = 20 };

typedef struct shared {
    rp_lock lock;
    int inside;
    int total;
} shared;

static int works(rp_co *co, void *arg)
{
    shared *s = arg;

    for (int i = 0; i < ROUNDS; i++) {
        RP_TRY(rp_lock_acquire(co, &s->lock));
        CHECK_INT(s->inside++, ==, 0);
        RP_TRY(rp_sleep(co, 0));
        CHECK_INT(--s->inside, ==, 0);
        s->total++;
        CHECK_INT(rp_lock_release(&s->lock), ==, 0);
    }
    return 0;
}

CO_TEST(one_at_a_time)
{
    shared s = {.inside = 0};
    rp_group group;

    rp_lock_init(&s.lock);
    rp_group_begin(co, &group);
    for (int i = 0; i < TASKS; i++)
        CHECK_INT(rp_group_create_task(&group, NULL, works, &s), ==, 0);
    CHECK_INT(rp_group_end(co, &group, 0), ==, 0);
    CHECK_INT(s.total, ==, TASKS * ROUNDS);
    CHECK(!rp_lock_locked(&s.lock));
    CHECK_INT(rp_lock_fini(&s.lock), ==, 0);
}

static int takes(rp_co *co, void *arg)
{
    who *w = arg;

    RP_TRY(rp_lock_acquire(co, w->what));
    note(w->letter);
    return rp_lock_release(w->what);
}

CO_TEST(first_come_first_served)
{
    rp_task *tasks[5];
    rp_lock lock;

    rp_lock_init(&lock);
    CHECK_INT(rp_lock_release(&lock), ==, -EPERM);
    CHECK_INT(rp_lock_acquire(co, &lock), ==, 0);
    CHECK(rp_lock_locked(&lock));
    for (int i = 0; i < 5; i++)
        tasks[i] = spawn_as((char)('a' + i), takes, &lock);
    settle(co);
    CHECK_INT(rp_lock_fini(&lock), ==, -EBUSY);
    cancel_and_join(co, tasks[1]);
    CHECK_EVENTS("");

    CHECK_INT(rp_lock_release(&lock), ==, 0);
    CHECK(!rp_lock_locked(&lock));                 /* not yet */
    CHECK_INT(rp_lock_release(&lock), ==, -EPERM); /* although a task is about to take it */
    CHECK_INT(rp_lock_acquire(co, &lock), ==, 0);  /* and nobody overtakes it */
    CHECK_EVENTS("acde");
    CHECK_INT(rp_lock_release(&lock), ==, 0);
    CHECK_INT(rp_lock_fini(&lock), ==, 0);
    for (int i = 0; i < 5; i++)
        if (i != 1)
            CHECK_INT(rp_join(co, tasks[i]), ==, 0);
}

static int takes_then_ends(rp_co *co, void *arg)
{
    who *w = arg;

    CHECK_INT(rp_lock_acquire(co, w->what), ==, 0);
    note(w->letter);
    CHECK_INT(rp_sleep(co, 0), ==, -ECANCELED);
    return rp_lock_release(w->what);
}

CO_TEST(cancelled_after_it_was_woken)
{
    rp_task *first, *second;
    rp_lock lock;

    rp_lock_init(&lock);
    CHECK_INT(rp_lock_acquire(co, &lock), ==, 0);
    first = spawn_as('a', takes_then_ends, &lock);
    second = spawn_as('b', takes, &lock);
    settle(co);
    CHECK_INT(rp_lock_release(&lock), ==, 0);
    rp_task_cancel(first); /* it has been woken: it gets the lock first */
    CHECK_INT(rp_join(co, second), ==, 0);
    CHECK_INT(rp_join(co, first), ==, 0);
    CHECK_EVENTS("ab");
    CHECK_INT(rp_lock_fini(&lock), ==, 0);
}

CO_TEST(cancelled_before_it_was_woken)
{
    rp_task *first, *second;
    rp_lock lock;

    rp_lock_init(&lock);
    CHECK_INT(rp_lock_acquire(co, &lock), ==, 0);
    first = spawn_as('a', takes, &lock);
    second = spawn_as('b', takes, &lock);
    settle(co);
    rp_task_cancel(first);
    CHECK_INT(rp_lock_release(&lock), ==, 0); /* in the same turn */
    CHECK_INT(rp_join(co, second), ==, 0);
    CHECK_INT(rp_join(co, first), ==, RP_EFUTCANCELED);
    CHECK_EVENTS("b");

    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_lock_acquire(co, &lock), ==, 0); /* need not wait */
    CHECK_INT(rp_lock_acquire(co, &lock), ==, -ECANCELED);
    CHECK_INT(rp_lock_release(&lock), ==, 0);
    CHECK_INT(rp_lock_fini(&lock), ==, 0);
}
