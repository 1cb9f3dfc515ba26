/* test_timeout.c - limits of time: who won, nesting, rescheduling, against other cancellations; rp_wait_for. */
#include "harness/co_test.h"
#include "harness/harness.h"
#include "loop/future.h"
#include "ringport.h"

static rp_task *spawn(rp_coro *coro, void *arg)
{
    rp_task *task;

    CHECK_INT(rp_create_task(&task, coro, arg), ==, 0);
    return task;
}

static void check_untouched(rp_co *co)
{
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
}

CO_TEST(expires)
{
    rp_timeout timeout;
    int64_t start = rp_monotonic();
    int rc;

    rp_timeout_begin(co, &timeout, RP_MSEC(20));
    CHECK(rp_timeout_when(&timeout) >= start + RP_MSEC(20));
    CHECK(!rp_timeout_expired(&timeout));
    rc = rp_sleep(co, RP_SEC(100));
    CHECK_INT(rc, ==, -ECANCELED);
    CHECK(rp_timeout_expired(&timeout));
    CHECK_INT(rp_timeout_reschedule(&timeout, RP_NEVER), ==, -EINVAL);
    CHECK_INT(rp_timeout_end(co, &timeout, rc), ==, -ETIMEDOUT);
    CHECK(rp_timeout_expired(&timeout));
    CHECK(rp_monotonic() - start >= RP_MSEC(20));
    check_untouched(co);
}

CO_TEST(in_time)
{
    rp_timeout timeout;

    rp_timeout_begin(co, &timeout, RP_SEC(100));
    CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
    CHECK_INT(rp_timeout_end(co, &timeout, 5), ==, 5);
    CHECK(!rp_timeout_expired(&timeout));
    CHECK_INT(rp_timeout_reschedule(&timeout, RP_NEVER), ==, -EINVAL);

    rp_timeout_begin(co, &timeout, RP_NEVER);
    CHECK_INT(rp_timeout_when(&timeout), ==, RP_NEVER);
    CHECK_INT(rp_timeout_end(co, &timeout, -EIO), ==, -EIO);
    check_untouched(co);
}

CO_TEST(a_moment_that_has_passed)
{
    rp_timeout timeout;

    rp_timeout_begin_at(co, &timeout, 0);
    CHECK_INT(rp_timeout_end(co, &timeout, rp_sleep(co, RP_SEC(100))), ==, -ETIMEDOUT);
    rp_timeout_begin(co, &timeout, -5);
    CHECK_INT(rp_timeout_end(co, &timeout, rp_sleep(co, RP_SEC(100))), ==, -ETIMEDOUT);
    check_untouched(co);
}

CO_TEST(reschedule)
{
    rp_timeout timeout;
    int64_t start = rp_monotonic();

    rp_timeout_begin(co, &timeout, RP_SEC(100));
    CHECK_INT(rp_timeout_reschedule(&timeout, start + RP_MSEC(10)), ==, 0);
    CHECK_INT(rp_timeout_when(&timeout), ==, start + RP_MSEC(10));
    CHECK_INT(rp_timeout_end(co, &timeout, rp_sleep(co, RP_SEC(100))), ==, -ETIMEDOUT);

    rp_timeout_begin(co, &timeout, RP_MSEC(5));
    CHECK_INT(rp_timeout_reschedule(&timeout, RP_NEVER), ==, 0);
    CHECK_INT(rp_timeout_end(co, &timeout, rp_sleep(co, RP_MSEC(20))), ==, 0);

    rp_timeout_begin(co, &timeout, RP_NEVER);
    CHECK_INT(rp_timeout_reschedule(&timeout, 0), ==, 0);
    CHECK_INT(rp_timeout_end(co, &timeout, rp_sleep(co, RP_SEC(100))), ==, -ETIMEDOUT);
    check_untouched(co);
}

CO_TEST(nested)
{
    rp_timeout outer, inner;
    int rc;

    rp_timeout_begin(co, &outer, RP_SEC(100));
    rp_timeout_begin(co, &inner, RP_MSEC(5));
    rc = rp_timeout_end(co, &inner, rp_sleep(co, RP_SEC(100)));
    CHECK_INT(rc, ==, -ETIMEDOUT);
    CHECK_INT(rp_timeout_end(co, &outer, rc), ==, -ETIMEDOUT); /* passed on, not its own */
    CHECK(!rp_timeout_expired(&outer));

    rp_timeout_begin(co, &outer, RP_MSEC(5));
    rp_timeout_begin(co, &inner, RP_SEC(100));
    rc = rp_timeout_end(co, &inner, rp_sleep(co, RP_SEC(100)));
    CHECK_INT(rc, ==, -ECANCELED);
    CHECK(!rp_timeout_expired(&inner));
    CHECK_INT(rp_timeout_end(co, &outer, rc), ==, -ETIMEDOUT);

    /* Both at once: the outer one wins. */
    rp_timeout_begin_at(co, &outer, rp_monotonic() + RP_MSEC(5));
    rp_timeout_begin_at(co, &inner, rp_timeout_when(&outer));
    rc = rp_timeout_end(co, &inner, rp_sleep(co, RP_SEC(100)));
    CHECK_INT(rc, ==, -ECANCELED);
    CHECK_INT(rp_timeout_end(co, &outer, rc), ==, -ETIMEDOUT);
    check_untouched(co);
}

CO_TEST(a_result_that_came_in_time)
{
    rp_timeout timeout;
    rp_future *future;

    /* The body's last wait is over when the time is up: its result counts, the cancellation is dropped. */
    CHECK_INT(rp_future_new(rp_co_loop(co), &future), ==, 0);
    rp_timeout_begin_at(co, &timeout, 0);
    rp_future_set_result(future, NULL);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0); /* the timer comes after the wake of the first turn */
    CHECK_INT(rp_await(co, future), ==, 0);
    CHECK(rp_timeout_expired(&timeout));
    CHECK_INT(rp_timeout_end(co, &timeout, 8), ==, 8);
    check_untouched(co);

    rp_timeout_begin_at(co, &timeout, 0);
    CHECK_INT(rp_sleep(co, RP_SEC(100)), ==, -ECANCELED);
    CHECK_INT(rp_timeout_end(co, &timeout, -EIO), ==, -EIO); /* another error is not hidden */
    check_untouched(co);
    rp_future_unref(future);
}

/* It is dropped for good, though the task has been cancelled before. */
CO_TEST(a_result_that_came_in_time_in_clean_up)
{
    rp_task *self = rp_co_task(co);
    rp_timeout timeout;

    rp_task_cancel(self);
    CHECK_INT(rp_sleep(co, 0), ==, -ECANCELED);
    rp_timeout_begin_at(co, &timeout, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK(rp_timeout_expired(&timeout));
    CHECK_INT(rp_timeout_end(co, &timeout, 8), ==, 8);
    CHECK_INT(rp_task_cancelling(self), ==, 1);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_task_uncancel(self), ==, 0);
}

static int times_out(rp_co *co, void *arg)
{
    rp_timeout timeout;

    rp_timeout_begin(co, &timeout, *(int64_t *)arg);
    return rp_timeout_end(co, &timeout, rp_sleep(co, RP_SEC(100)));
}

static int both(rp_co *co, void *arg)
{
    rp_timeout timeout;
    int rc;

    rp_timeout_begin_at(co, &timeout, 0);
    rc = rp_sleep(co, RP_SEC(100));
    CHECK_INT(rc, ==, -ECANCELED);
    rp_task_cancel(rp_co_task(co)); /* from outside, after the clock had won */
    rc = rp_timeout_end(co, &timeout, rc);
    CHECK_INT(rc, ==, -ECANCELED);
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 1);
    return rc;
}

CO_TEST(against_a_cancellation_from_outside)
{
    int64_t limit = RP_SEC(100);
    rp_task *task = spawn(times_out, &limit);

    CHECK_INT(rp_sleep(co, 0), ==, 0);
    rp_task_cancel(task);
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);

    task = spawn(both, NULL);
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
}

CO_TEST(in_clean_up)
{
    rp_timeout timeout;

    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_sleep(co, 0), ==, -ECANCELED);
    rp_timeout_begin(co, &timeout, RP_MSEC(2));
    CHECK_INT(rp_timeout_end(co, &timeout, rp_sleep(co, RP_SEC(100))), ==, -ETIMEDOUT);
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 1);
    CHECK_INT(rp_sleep(co, 0), ==, 0);

    /* One that is pending when the scope begins is the outside's. */
    rp_task_cancel(rp_co_task(co));
    rp_timeout_begin_at(co, &timeout, 0);
    CHECK_INT(rp_timeout_end(co, &timeout, rp_sleep(co, RP_SEC(100))), ==, -ECANCELED);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
}

/* ---- rp_wait_for ---- */

static int sleeps(rp_co *co, void *arg)
{
    RP_TRY(rp_sleep(co, *(int64_t *)arg));
    return 6;
}

static int stubborn(rp_co *co, void *arg)
{
    CHECK_INT(rp_sleep(co, RP_SEC(100)), ==, -ECANCELED);
    return 7;
}

static int waits_for(rp_co *co, void *arg)
{
    return rp_wait_for(co, arg, RP_SEC(100));
}

CO_TEST(wait_for)
{
    int64_t shortly = RP_MSEC(2), longer = RP_SEC(100);
    rp_task *task, *outer;

    task = spawn(sleeps, &shortly);
    CHECK_INT(rp_wait_for(co, task, RP_SEC(100)), ==, 6);
    CHECK_INT(rp_wait_for(co, task, 0), ==, 6); /* done */
    rp_future_unref(task);

    task = spawn(sleeps, &shortly);
    CHECK_INT(rp_wait_for(co, task, RP_NEVER), ==, 6);
    rp_future_unref(task);

    task = spawn(sleeps, &longer);
    CHECK_INT(rp_wait_for(co, task, RP_MSEC(5)), ==, -ETIMEDOUT);
    CHECK(rp_future_cancelled(task));
    rp_future_unref(task);

    task = spawn(sleeps, &longer);
    CHECK_INT(rp_wait_for(co, task, 0), ==, -ETIMEDOUT);
    CHECK(rp_future_cancelled(task));
    rp_future_unref(task);

    task = spawn(stubborn, NULL);
    CHECK_INT(rp_wait_for(co, task, RP_MSEC(5)), ==, 7); /* it would not be cancelled: its value */
    rp_future_unref(task);
    check_untouched(co);

    task = spawn(sleeps, &longer);
    outer = spawn(waits_for, task);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    rp_task_cancel(task);
    CHECK_INT(rp_join(co, outer), ==, RP_EFUTCANCELED);
    rp_future_unref(task);

    task = spawn(sleeps, &longer);
    outer = spawn(waits_for, task);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    rp_task_cancel(outer);
    CHECK_INT(rp_join(co, outer), ==, RP_EFUTCANCELED);
    CHECK(rp_future_cancelled(task));
    rp_future_unref(task);
}

/* ---- nothing is left behind ---- */

/* Each waits for the first of two futures, the second of which never ends, for a long time at most. */

static int limits_await(rp_co *co, void *arg)
{
    rp_future *const *futures = arg;

    return rp_wait_for(co, futures[0], RP_SEC(1000));
}

static int limits_scope(rp_co *co, void *arg)
{
    rp_future *const *futures = arg;
    rp_timeout timeout;

    rp_timeout_begin(co, &timeout, RP_SEC(1000));
    return rp_timeout_end(co, &timeout, rp_shield(co, futures[0]));
}

static int limits_wait(rp_co *co, void *arg)
{
    return (int)rp_wait(co, arg, 1, RP_SEC(1000), RP_ALL_COMPLETED);
}

static int limits_wait_for_the_first(rp_co *co, void *arg)
{
    return (int)rp_wait(co, arg, 2, RP_SEC(1000), RP_FIRST_COMPLETED);
}

static int limits_as_completed(rp_co *co, void *arg)
{
    rp_as_completed *it;
    int rc;

    CHECK_INT(rp_as_completed_begin(co, &it, arg, 2, RP_SEC(1000)), ==, 0);
    rc = rp_as_completed_next(co, it, NULL, NULL);
    rp_as_completed_end(it);
    return rc;
}

static int gathers(rp_co *co, void *arg)
{
    return rp_gather(co, arg, 2, NULL, 0);
}

static void check_nothing_is_left(rp_co *co, rp_future *const *futures)
{
    rp_loop_stats stats;

    rp_loop_get_stats(rp_co_loop(co), &stats);
    CHECK_INT(stats.timers_pending, ==, 0);
    for (int i = 0; i < 2; i++)
        CHECK(rp_list_empty(&futures[i]->callbacks));
}

/* A timer that stays would fire on a stack that is used for something else, or is gone. */
CO_TEST(no_timer_and_no_callback_is_left_of_a_wait_that_ends_early)
{
    enum { BEFORE, MEANWHILE, CANCELLED, WAYS };
    rp_coro *coros[] = {limits_await,        limits_scope, limits_wait, limits_wait_for_the_first,
                        limits_as_completed, gathers};

    for (size_t i = 0; i < sizeof coros / sizeof coros[0]; i++)
        for (int way = 0; way < WAYS; way++) {
            rp_future *futures[2];
            rp_task *task;

            for (int n = 0; n < 2; n++)
                CHECK_INT(rp_future_new(rp_co_loop(co), &futures[n]), ==, 0);
            if (way == BEFORE)
                rp_future_set_error(futures[0], -EPROTO);
            task = spawn(coros[i], futures);
            for (int n = 0; n < 3; n++)
                CHECK_INT(rp_sleep(co, 0), ==, 0);
            if (way == MEANWHILE)
                rp_future_set_error(futures[0], -EPROTO);
            else if (way == CANCELLED)
                rp_task_cancel(task);
            for (int n = 0; n < 3; n++)
                CHECK_INT(rp_sleep(co, 0), ==, 0);
            CHECK(rp_future_done(task));
            check_nothing_is_left(co, futures);
            rp_future_result(task);
            rp_future_unref(task);
            for (int n = 0; n < 2; n++) {
                rp_future_result(futures[n]);
                rp_future_unref(futures[n]);
            }
        }
}
