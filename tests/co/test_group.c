/* test_group.c - groups: joining, the first error, cancellation from inside and outside. */
#include <string.h>

#include "harness/co_test.h"
#include "harness/harness.h"
#include "ringport.h"

static int ended; /* tasks that saw their end */

static int sleeper(rp_co *co, void *arg)
{
    int rc = rp_sleep(co, RP_SEC(100));

    ended++;
    return rc;
}

static int cleans_up_slowly(rp_co *co, void *arg)
{
    int rc = rp_sleep(co, RP_SEC(100));

    CHECK_INT(rp_sleep(co, RP_MSEC(5)), ==, 0);
    ended++;
    return rc;
}

static int short_one(rp_co *co, void *arg)
{
    RP_TRY(rp_sleep(co, RP_MSEC(2)));
    ended++;
    return 0;
}

static int fails_soon(rp_co *co, void *arg)
{
    RP_TRY(rp_sleep(co, RP_MSEC(2)));
    return -EPROTO;
}

static int fails_at_once(rp_co *co, void *arg)
{
    return -EBADMSG;
}

static rp_task *spawn(rp_coro *coro, void *arg)
{
    rp_task *task;

    CHECK_INT(rp_create_task(&task, coro, arg), ==, 0);
    return task;
}

static int adds(rp_co *co, void *arg)
{
    ended += *(int *)arg;
    return 0;
}

CO_TEST(joins_all)
{
    rp_group group;

    rp_group_begin(co, &group);
    CHECK_INT(rp_group_end(co, &group, 0), ==, 0);
    rp_group_begin(co, &group);
    CHECK_INT(rp_group_end(co, &group, 12), ==, 12);

    rp_group_begin(co, &group);
    for (int i = 0; i < 100; i++)
        CHECK_INT(rp_group_create_task(&group, NULL, short_one, NULL), ==, 0);
    for (int i = 0; i < 10; i++)
        CHECK_INT(rp_group_create_task_copy(&group, NULL, adds, &i, sizeof i), ==, 0);
    CHECK_INT(rp_group_create_task(&group, NULL, NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_group_end(co, &group, 3), ==, 3);
    CHECK_INT(ended, ==, 145);
    CHECK_INT(rp_group_create_task(&group, NULL, short_one, NULL), ==, -ECANCELED);
}

CO_TEST(the_first_error_cancels_the_others)
{
    rp_group group;

    rp_group_begin(co, &group);
    rp_group_create_task(&group, NULL, sleeper, NULL);
    rp_group_create_task(&group, NULL, cleans_up_slowly, NULL);
    rp_group_create_task(&group, NULL, fails_soon, NULL);
    CHECK_INT(rp_group_end(co, &group, 0), ==, -EPROTO);
    CHECK_INT(ended, ==, 2);
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
}

CO_TEST(an_error_ends_the_body)
{
    rp_group group;
    int rc;

    rp_group_begin(co, &group);
    rp_group_create_task(&group, NULL, sleeper, NULL);
    rp_group_create_task(&group, NULL, fails_soon, NULL);
    rc = rp_sleep(co, RP_SEC(100));
    CHECK_INT(rc, ==, -ECANCELED);
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 1);
    CHECK_INT(rp_group_create_task(&group, NULL, sleeper, NULL), ==, -ECANCELED);
    CHECK_INT(rp_group_end(co, &group, rc), ==, -EPROTO);
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 0);
    CHECK_INT(ended, ==, 1);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
}

CO_TEST(an_undelivered_cancellation_is_taken_back)
{
    rp_group group;

    rp_group_begin(co, &group);
    rp_group_create_task(&group, NULL, fails_at_once, NULL);
    CHECK_INT(rp_sleep(co, 0), ==, 0); /* its yield is over when the task fails */
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 1);
    CHECK_INT(rp_group_end(co, &group, 0), ==, -EBADMSG);
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0); /* the cancellation was taken back undelivered */
}

CO_TEST(an_error_of_the_body_cancels_the_tasks)
{
    rp_group group;

    rp_group_begin(co, &group);
    rp_group_create_task(&group, NULL, sleeper, NULL);
    rp_group_create_task(&group, NULL, sleeper, NULL);
    CHECK_INT(rp_group_end(co, &group, -EIO), ==, -EIO);
    CHECK_INT(ended, ==, 2);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
}

CO_TEST(only_the_first_error_is_returned)
{
    rp_group group;

    rp_group_begin(co, &group);
    rp_group_create_task(&group, NULL, fails_at_once, NULL);
    rp_group_create_task(&group, NULL, fails_soon, NULL);
    CHECK_INT(rp_group_end(co, &group, 0), ==, -EBADMSG);
}

static int wait_for_event(rp_co *co, void *arg)
{
    return rp_event_wait(co, arg);
}

/* The body, which did not suspend, knows nothing of it: the tasks are ended all the same. */
CO_TEST(a_cancellation_that_is_pending_at_the_end_cancels_the_tasks)
{
    rp_event never;
    rp_group group;
    rp_task *task;

    rp_event_init(&never);
    rp_group_begin(co, &group);
    CHECK_INT(rp_group_create_task(&group, &task, wait_for_event, &never), ==, 0);
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_group_end(co, &group, 0), ==, -ECANCELED);
    CHECK(rp_future_cancelled(task));
    rp_task_detach(task);
}

/* ---- cancelled from outside ---- */

static int group_of_slow(rp_co *co, void *arg)
{
    rp_group group;

    rp_group_begin(co, &group);
    for (int i = 0; i < 3; i++)
        rp_group_create_task(&group, NULL, cleans_up_slowly, NULL);
    return rp_group_end(co, &group, 0);
}

static int group_with_body(rp_co *co, void *arg)
{
    rp_group group;

    rp_group_begin(co, &group);
    for (int i = 0; i < 3; i++)
        rp_group_create_task(&group, NULL, cleans_up_slowly, NULL);
    return rp_group_end(co, &group, rp_sleep(co, RP_SEC(100)));
}

CO_TEST(a_cancelled_group_waits_for_its_tasks)
{
    rp_coro *coros[] = {group_of_slow, group_with_body};

    for (int i = 0; i < 2; i++)
        for (int times = 1; times <= 3; times++) {
            rp_task *task = spawn(coros[i], NULL);

            ended = 0;
            CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
            for (int n = 0; n < times; n++) {
                rp_task_cancel(task);
                CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
            }
            CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
            CHECK_INT(ended, ==, 3); /* however often it was cancelled */
        }
}

CO_TEST(an_outer_cancellation_is_kept_when_an_error_is_returned)
{
    rp_group group;
    int rc;

    rp_group_begin(co, &group);
    rp_group_create_task(&group, NULL, fails_soon, NULL);
    rp_group_create_task(&group, NULL, cleans_up_slowly, NULL);
    rc = rp_sleep(co, RP_SEC(100));
    CHECK_INT(rc, ==, -ECANCELED);  /* by the group */
    rp_task_cancel(rp_co_task(co)); /* from outside */
    CHECK_INT(rp_group_end(co, &group, rc), ==, -EPROTO);
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 1); /* the outer one is kept, */
    CHECK_INT(rp_sleep(co, 0), ==, -ECANCELED);           /* and comes next */
    CHECK_INT(rp_sleep(co, 0), ==, 0);
}

CO_TEST(a_group_in_clean_up)
{
    rp_group group;

    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_sleep(co, 0), ==, -ECANCELED);
    /* Clean-up, with cancelling() at 1: what the group does to itself does not touch that. */
    rp_group_begin(co, &group);
    rp_group_create_task(&group, NULL, fails_soon, NULL);
    CHECK_INT(rp_group_end(co, &group, rp_sleep(co, RP_SEC(100))), ==, -EPROTO);
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 1);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
}

CO_TEST(a_cancellation_pending_at_the_end)
{
    rp_group group;

    rp_group_begin(co, &group);
    rp_group_create_task(&group, NULL, sleeper, NULL);
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_group_end(co, &group, 0), ==, -ECANCELED); /* its first suspension */
    CHECK_INT(ended, ==, 1);
    CHECK_INT(rp_sleep(co, 0), ==, 0);

    rp_group_begin(co, &group);
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_group_end(co, &group, 0), ==, 0); /* nothing to wait for */
    CHECK_INT(rp_sleep(co, 0), ==, -ECANCELED);
}

static int child_cancelled(rp_co *co, void *arg)
{
    return -ECANCELED;
}

CO_TEST(a_cancelled_child_is_no_error)
{
    rp_group group;

    rp_group_begin(co, &group);
    rp_group_create_task(&group, NULL, child_cancelled, NULL);
    rp_group_create_task(&group, NULL, short_one, NULL);
    CHECK_INT(rp_group_end(co, &group, 0), ==, 0);
    CHECK_INT(ended, ==, 1);
}

/* ---- nesting ---- */

static int inner_group(rp_co *co, void *arg)
{
    rp_group group;

    rp_group_begin(co, &group);
    rp_group_create_task(&group, NULL, sleeper, NULL);
    rp_group_create_task(&group, NULL, cleans_up_slowly, NULL);
    if (arg)
        rp_group_create_task(&group, NULL, fails_soon, NULL);
    return rp_group_end(co, &group, 0);
}

CO_TEST(nested)
{
    rp_group outer, inner;
    int rc;

    rp_group_begin(co, &outer);
    rp_group_create_task(&outer, NULL, inner_group, NULL);
    rp_group_create_task(&outer, NULL, inner_group, "fails");
    CHECK_INT(rp_group_end(co, &outer, 0), ==, -EPROTO);
    CHECK_INT(ended, ==, 4);

    ended = 0;
    rp_group_begin(co, &outer);
    rp_group_create_task(&outer, NULL, sleeper, NULL);
    rp_group_begin(co, &inner);
    rp_group_create_task(&inner, NULL, fails_soon, NULL);
    rc = rp_group_end(co, &inner, rp_sleep(co, RP_SEC(100)));
    CHECK_INT(rc, ==, -EPROTO);
    CHECK_INT(ended, ==, 0); /* the outer one is untouched */
    CHECK_INT(rp_group_end(co, &outer, rc), ==, -EPROTO);
    CHECK_INT(ended, ==, 1);

    rp_group_begin(co, &outer);
    rp_group_create_task(&outer, NULL, fails_soon, NULL);
    rp_group_begin(co, &inner);
    rp_group_create_task(&inner, NULL, sleeper, NULL);
    rc = rp_group_end(co, &inner, 0); /* cancelled by the outer group */
    CHECK_INT(rc, ==, -ECANCELED);
    CHECK_INT(rp_group_end(co, &outer, rc), ==, -EPROTO);
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
}

static int spawns_a_sibling(rp_co *co, void *arg)
{
    return rp_group_create_task(arg, NULL, short_one, NULL);
}

CO_TEST(a_task_adds_to_its_group_while_it_is_joined)
{
    rp_group group;

    rp_group_begin(co, &group);
    for (int i = 0; i < 5; i++)
        rp_group_create_task(&group, NULL, spawns_a_sibling, &group);
    CHECK_INT(rp_group_end(co, &group, 0), ==, 0);
    CHECK_INT(ended, ==, 5);
}

CO_TEST(a_group_under_a_deadline)
{
    rp_timeout timeout;
    rp_group group;
    int rc = 0;

    rp_timeout_begin(co, &timeout, RP_MSEC(10));
    rp_group_begin(co, &group);
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = rp_group_create_task(&group, NULL, cleans_up_slowly, NULL);
    rc = rp_group_end(co, &group, rc);
    CHECK_INT(rc, ==, -ECANCELED);
    CHECK_INT(rp_timeout_end(co, &timeout, rc), ==, -ETIMEDOUT);
    CHECK_INT(ended, ==, 3);
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
}

CO_TEST(no_memory)
{
    rp_group group;
    int n = 0, rc = 0;

    rp_group_begin(co, &group);
    for (; n < 1000 && rc == 0; n++) {
        test_fail_allocation(1);
        rc = rp_group_create_task(&group, NULL, sleeper, NULL);
    }
    test_fail_allocation(0);
    CHECK_INT(rc, ==, -ENOMEM);
    CHECK_INT(rp_group_end(co, &group, rc), ==, -ENOMEM);
    CHECK_INT(ended, <=, n);
}

/* ---- tasks that are known by more than their group ---- */

static int returns(rp_co *co, void *arg)
{
    RP_TRY(rp_sleep(co, 0));
    return *(int *)arg;
}

CO_TEST(a_group_gives_its_tasks)
{
    int results[3] = {7, 8, 9};
    rp_task *tasks[3], *lone, *none;
    rp_group group;

    rp_group_begin(co, &group);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_group_create_task_copy(&group, &tasks[i], returns, &results[i], sizeof(int)), ==, 0);
    rp_task_set_name(tasks[0], "first");
    CHECK_STR(rp_task_get_name(tasks[0]), "first");
    CHECK_INT(rp_group_create_task(&group, &lone, sleeper, NULL), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_cancel_and_join(co, lone), ==, 0); /* it alone */
    CHECK_INT(rp_await(co, tasks[1]), ==, 8);       /* and this one alone is asked, within the group */
    CHECK_INT(rp_group_end(co, &group, 0), ==, 0);
    CHECK_INT(ended, ==, 1);
    for (int i = 0; i < 3; i++) /* they are the caller's still */
        CHECK_INT(rp_join(co, tasks[i]), ==, results[i]);
    none = tasks[1];
    CHECK_INT(rp_group_create_task(&group, &none, sleeper, NULL), ==, -ECANCELED);
    CHECK(!none);
}

CO_TEST(the_failed_task_of_a_group_is_awaited_alone)
{
    rp_task *task;
    rp_group group;

    rp_group_begin(co, &group);
    CHECK_INT(rp_group_create_task(&group, &task, fails_at_once, NULL), ==, 0);
    CHECK_INT(rp_group_end(co, &group, rp_await(co, task)), ==, -EBADMSG);
    CHECK_INT(rp_join(co, task), ==, -EBADMSG);
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
}

/* ---- the end before the tasks' ---- */

CO_TEST(a_body_cancels_its_group)
{
    rp_group group;
    rp_task *task;
    int rc;

    rp_group_begin(co, &group);
    CHECK_INT(rp_group_create_task(&group, &task, sleeper, NULL), ==, 0);
    rp_group_create_task(&group, NULL, cleans_up_slowly, NULL);
    rp_group_cancel(&group);
    rp_group_cancel(&group);
    CHECK_INT(rp_task_cancelling(task), ==, 1);
    CHECK_INT(rp_group_create_task(&group, NULL, sleeper, NULL), ==, -ECANCELED);
    CHECK_INT(rp_group_end(co, &group, 5), ==, 5);
    CHECK_INT(ended, ==, 2);
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    rp_group_cancel(&group); /* too late for anything */
    CHECK_INT(rp_sleep(co, 0), ==, 0);

    rp_group_begin(co, &group);
    rp_group_create_task(&group, NULL, sleeper, NULL);
    rp_group_cancel(&group);
    rc = rp_sleep(co, RP_SEC(100)); /* so is the body */
    CHECK_INT(rc, ==, -ECANCELED);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_group_end(co, &group, rc), ==, 0);
    CHECK_INT(ended, ==, 3);

    rp_group_begin(co, &group);
    rp_group_cancel(&group);
    CHECK_INT(rp_group_end(co, &group, -EIO), ==, -EIO);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
}

static int cancels_its_group(rp_co *co, void *arg)
{
    RP_TRY(rp_sleep(co, 0));
    rp_group_cancel(arg);
    return 0;
}

static int cancels_its_group_and_fails(rp_co *co, void *arg)
{
    RP_TRY(rp_sleep(co, 0));
    rp_group_cancel(arg);
    return -EPROTO;
}

CO_TEST(a_task_cancels_its_group)
{
    rp_group group;
    int rc;

    rp_group_begin(co, &group); /* while the body waits */
    rp_group_create_task(&group, NULL, sleeper, NULL);
    rp_group_create_task(&group, NULL, cancels_its_group, &group);
    rc = rp_sleep(co, RP_SEC(100));
    CHECK_INT(rc, ==, -ECANCELED);
    CHECK_INT(rp_group_end(co, &group, rc), ==, 0);
    CHECK_INT(ended, ==, 1);

    rp_group_begin(co, &group); /* while it is joined */
    rp_group_create_task(&group, NULL, sleeper, NULL);
    rp_group_create_task(&group, NULL, cancels_its_group, &group);
    CHECK_INT(rp_group_end(co, &group, 3), ==, 3);
    CHECK_INT(ended, ==, 2);

    rp_group_begin(co, &group); /* a failure on the way out is one all the same */
    rp_group_create_task(&group, NULL, cancels_its_group_and_fails, &group);
    CHECK_INT(rp_group_end(co, &group, rp_sleep(co, RP_SEC(100))), ==, -EPROTO);
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
}

CO_TEST(a_cancellation_from_outside_outlives_that_of_the_group)
{
    rp_group group;
    int rc;

    rp_group_begin(co, &group);
    rp_group_create_task(&group, NULL, cancels_its_group, &group);
    rc = rp_sleep(co, RP_SEC(100));
    rp_task_cancel(rp_co_task(co)); /* from outside */
    CHECK_INT(rp_sleep(co, 0), ==, -ECANCELED);
    CHECK_INT(rp_group_end(co, &group, rc), ==, -ECANCELED); /* which is not the group's to swallow */
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 1);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
}

/* ---- factories ---- */

/* Makes one task, and hands out that again. */
static int one_for_all(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg, size_t copy_size, void *data)
{
    rp_task **one = data;

    if (!*one)
        RP_TRY(rp_task_new(loop, one, coro, arg, copy_size));
    *task = rp_future_ref(*one);
    return 0;
}

CO_TEST(a_group_takes_new_tasks_only)
{
    rp_task *one = NULL;
    rp_group group;

    ended = 0;
    rp_set_task_factory(rp_co_loop(co), one_for_all, &one);
    rp_group_begin(co, &group);
    CHECK_INT(rp_group_create_task(&group, NULL, short_one, NULL), ==, 0);
    CHECK_INT(rp_group_create_task(&group, NULL, short_one, NULL), ==, -EINVAL);
    CHECK_INT(rp_group_end(co, &group, 0), ==, 0);
    CHECK_INT(ended, ==, 1);
    rp_group_begin(co, &group);
    CHECK_INT(rp_group_create_task(&group, NULL, short_one, NULL), ==, -EINVAL); /* it has ended */
    CHECK_INT(rp_group_end(co, &group, 0), ==, 0);
    rp_future_unref(one);
    rp_set_task_factory(rp_co_loop(co), NULL, NULL);
}
