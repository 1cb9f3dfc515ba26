/* test_condition.c - conditions: notification, and the lock that is held again however a wait ends. */
#include "harness/tasks.h"

static int waits(rp_co *co, void *arg)
{
    who *w = arg;
    rp_condition *condition = w->what;
    int rc;

    RP_TRY(rp_condition_acquire(co, condition));
    rc = rp_condition_wait(co, condition);
    CHECK(rp_condition_locked(condition));
    note(rc == 0 ? w->letter : '!');
    CHECK_INT(rp_condition_release(condition), ==, 0);
    return rc;
}

CO_TEST(notifications)
{
    rp_condition condition;
    rp_task *tasks[6];

    rp_condition_init(&condition, NULL);
    CHECK_INT(rp_condition_wait(co, &condition), ==, -EPERM);
    CHECK_INT(rp_condition_notify(&condition, 1), ==, -EPERM);
    CHECK_INT(rp_condition_notify_all(&condition), ==, -EPERM);
    CHECK_INT(rp_condition_release(&condition), ==, -EPERM);
    for (int i = 0; i < 6; i++)
        tasks[i] = spawn_as((char)('a' + i), waits, &condition);
    settle(co);
    CHECK_INT(rp_condition_fini(&condition), ==, -EBUSY);

    CHECK_INT(rp_condition_acquire(co, &condition), ==, 0);
    CHECK_INT(rp_condition_notify(&condition, 0), ==, 0);
    CHECK_INT(rp_condition_notify(&condition, 2), ==, 0);
    settle(co);
    CHECK_EVENTS(""); /* not without the lock */
    CHECK_INT(rp_condition_release(&condition), ==, 0);
    settle(co);
    CHECK_EVENTS("ab");

    CHECK_INT(rp_condition_acquire(co, &condition), ==, 0);
    rp_task_cancel(tasks[2]);
    CHECK_INT(rp_condition_notify(&condition, 1), ==, 0);
    CHECK_INT(rp_condition_release(&condition), ==, 0);
    settle(co);
    CHECK_EVENTS("!d");

    CHECK_INT(rp_condition_acquire(co, &condition), ==, 0);
    CHECK_INT(rp_condition_notify_all(&condition), ==, 0);
    CHECK_INT(rp_condition_release(&condition), ==, 0);
    for (int i = 0; i < 6; i++)
        CHECK_INT(rp_join(co, tasks[i]), ==, i == 2 ? RP_EFUTCANCELED : 0);
    CHECK_EVENTS("ef");
    CHECK_INT(rp_condition_fini(&condition), ==, 0);
}

static int cancelled_twice(rp_co *co, void *arg)
{
    rp_condition *condition = arg;

    RP_TRY(rp_condition_acquire(co, condition));
    CHECK_INT(rp_condition_wait(co, condition), ==, -ECANCELED);
    CHECK(rp_condition_locked(condition));
    CHECK_INT(rp_sleep(co, 0), ==, 0); /* both were delivered as one */
    return rp_condition_release(condition);
}

CO_TEST(a_cancelled_wait_takes_the_lock_again)
{
    rp_condition condition;
    rp_task *task;

    rp_condition_init(&condition, NULL);
    task = spawn(cancelled_twice, &condition);
    settle(co);
    CHECK_INT(rp_condition_acquire(co, &condition), ==, 0);
    rp_task_cancel(task);
    settle(co);
    CHECK(!rp_future_done(task)); /* it waits for the lock */
    rp_task_cancel(task);
    settle(co);
    CHECK(!rp_future_done(task));
    CHECK_INT(rp_condition_notify_all(&condition), ==, 0); /* nobody */
    CHECK_INT(rp_condition_release(&condition), ==, 0);
    CHECK_INT(rp_join(co, task), ==, 0);
    CHECK_INT(rp_condition_fini(&condition), ==, 0);
}

static int notified_then_cancelled(rp_co *co, void *arg)
{
    rp_condition *condition = arg;

    RP_TRY(rp_condition_acquire(co, condition));
    CHECK_INT(rp_condition_wait(co, condition), ==, 0);
    CHECK_INT(rp_condition_wait(co, condition), ==, -ECANCELED);
    CHECK(rp_condition_locked(condition));
    return rp_condition_release(condition);
}

/* Cancels at once when it was notified, or when it waits for the lock. */
CO_TEST(cancelled_after_it_was_notified)
{
    for (int late = 0; late < 2; late++) {
        rp_condition condition;
        rp_task *task;

        rp_condition_init(&condition, NULL);
        task = spawn(notified_then_cancelled, &condition);
        settle(co);
        CHECK_INT(rp_condition_acquire(co, &condition), ==, 0);
        CHECK_INT(rp_condition_notify(&condition, 1), ==, 0);
        if (late)
            settle(co);
        rp_task_cancel(task);
        settle(co);
        CHECK(!rp_future_done(task));
        CHECK_INT(rp_condition_release(&condition), ==, 0);
        CHECK_INT(rp_join(co, task), ==, 0);
        CHECK_INT(rp_condition_fini(&condition), ==, 0);
    }
}

typedef struct account {
    rp_lock lock;
    rp_condition changed;
    rp_condition other;
    int balance;
} account;

static bool is_rich(void *arg)
{
    return ((account *)arg)->balance >= 3;
}

static int saves(rp_co *co, void *arg)
{
    account *a = arg;

    for (int i = 0; i < 3; i++) {
        RP_TRY(rp_sleep(co, RP_MSEC(1)));
        RP_TRY(rp_lock_acquire(co, &a->lock));
        a->balance++;
        CHECK_INT(rp_condition_notify_all(&a->changed), ==, 0);
        CHECK_INT(rp_lock_release(&a->lock), ==, 0);
    }
    return 0;
}

CO_TEST(wait_for_and_a_shared_lock)
{
    account a = {.balance = 0};
    rp_timeout timeout;
    rp_task *task;
    int rc;

    rp_lock_init(&a.lock);
    rp_condition_init(&a.changed, &a.lock);
    rp_condition_init(&a.other, &a.lock);
    task = spawn(saves, &a);
    CHECK_INT(rp_lock_acquire(co, &a.lock), ==, 0);
    CHECK(rp_condition_locked(&a.other));
    CHECK_INT(rp_condition_wait_for(co, &a.changed, is_rich, &a), ==, 0);
    CHECK_INT(a.balance, ==, 3);
    CHECK_INT(rp_condition_wait_for(co, &a.changed, is_rich, &a), ==, 0);
    a.balance = 0;
    rp_timeout_begin(co, &timeout, RP_MSEC(1));
    rc = rp_condition_wait_for(co, &a.other, is_rich, &a);
    CHECK_INT(rp_timeout_end(co, &timeout, rc), ==, -ETIMEDOUT);
    CHECK_INT(rp_condition_release(&a.other), ==, 0);
    CHECK_INT(rp_join(co, task), ==, 0);
    CHECK_INT(rp_condition_fini(&a.changed), ==, 0);
    CHECK_INT(rp_condition_fini(&a.other), ==, 0);
    CHECK_INT(rp_lock_fini(&a.lock), ==, 0);
}
