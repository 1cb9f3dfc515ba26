/* test_await.c - waiting for futures, time and operations, and being cancelled in each of these waits. */
#include <string.h>

#include "harness/platform.h"
#include "harness/tasks.h"
#include "ringport.h"

/* ---- helpers ---- */

static int fails(rp_co *co, void *arg)
{
    return -EPROTO;
}

static rp_future *new_future(rp_co *co)
{
    rp_future *future;

    CHECK_INT(rp_future_new(rp_co_loop(co), &future), ==, 0);
    return future;
}

/* ---- futures ---- */

static int awaits(rp_co *co, void *arg)
{
    return rp_await(co, arg);
}

static void set_result(void *arg)
{
    rp_future_set_result(arg, "value");
}

CO_TEST(futures)
{
    rp_future *future = new_future(co);
    rp_timer timer = {0};

    CHECK_INT(rp_call_later(rp_co_loop(co), &timer, RP_MSEC(2), set_result, future), ==, 0);
    CHECK_INT(rp_await(co, future), ==, 0);
    CHECK_STR(rp_future_value(future), "value");
    CHECK_INT(rp_await(co, future), ==, 0);
    rp_future_unref(future);

    future = new_future(co);
    rp_future_set_error(future, -EPIPE);
    CHECK_INT(rp_await(co, future), ==, -EPIPE);
    rp_future_unref(future);

    future = new_future(co);
    rp_future_cancel(future);
    CHECK_INT(rp_await(co, future), ==, RP_EFUTCANCELED);
    rp_future_unref(future);

    future = new_future(co);
    rp_future_set_error(future, -ECANCELED); /* an error of that number is no cancellation of ours */
    CHECK_INT(rp_await(co, future), ==, RP_EFUTCANCELED);
    rp_future_unref(future);
}

CO_TEST(itself)
{
    rp_task *self = rp_co_task(co);

    CHECK_INT(rp_await(co, self), ==, -EDEADLK);
    CHECK_INT(rp_shield(co, self), ==, -EDEADLK);
    CHECK_INT(rp_wait_for(co, self, 1), ==, -EDEADLK);
    CHECK_INT(rp_wait_for(co, self, 0), ==, -EDEADLK);
    CHECK_INT(rp_gather(co, &self, 1, NULL, 0), ==, -EDEADLK);
    CHECK_INT(rp_wait(co, &self, 1, RP_NEVER, RP_ALL_COMPLETED), ==, -EDEADLK);
}

CO_TEST(a_future_of_another_loop)
{
    rp_future *future;
    rp_loop *other;

    CHECK_INT(rp_loop_new(NULL, &other), ==, 0);
    CHECK_INT(rp_future_new(other, &future), ==, 0);
    CHECK_INT(rp_await(co, future), ==, -EINVAL);
    CHECK_INT(rp_gather(co, &future, 1, NULL, 0), ==, -EINVAL);
    rp_future_unref(future);
    rp_loop_free(other);
}

CO_TEST(many_wait_for_one)
{
    rp_future *future = new_future(co);
    rp_task *tasks[5];

    for (int i = 0; i < 5; i++)
        tasks[i] = spawn(awaits, future);
    settle(co);
    rp_future_set_result(future, NULL);
    for (int i = 0; i < 5; i++)
        CHECK_INT(rp_join(co, tasks[i]), ==, 0);
    rp_future_unref(future);
}

/* ---- cancelled while awaiting ---- */

CO_TEST(cancelling_the_awaiter_cancels_the_awaited)
{
    rp_future *future = new_future(co);
    rp_task *inner, *outer;

    outer = spawn(awaits, future);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK(rp_task_cancel(outer));
    CHECK(rp_future_cancelled(future)); /* a plain one ends at once */
    CHECK_INT(rp_join(co, outer), ==, RP_EFUTCANCELED);
    rp_future_unref(future);

    inner = spawn(sleeper, NULL);
    outer = spawn(awaits, inner);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK(rp_task_cancel(outer));
    CHECK_INT(rp_task_cancelling(inner), ==, 1);
    CHECK_INT(rp_join(co, outer), ==, RP_EFUTCANCELED);
    CHECK(rp_future_cancelled(inner));
    rp_future_unref(inner);
}

static int stubborn(rp_co *co, void *arg)
{
    CHECK_INT(rp_sleep(co, RP_SEC(100)), ==, -ECANCELED);
    RP_TRY(rp_sleep(co, RP_MSEC(1)));
    return 9;
}

static int awaits_then_sleeps(rp_co *co, void *arg)
{
    CHECK_INT(rp_await(co, arg), ==, 9);
    CHECK_INT(rp_sleep(co, RP_SEC(100)), ==, -ECANCELED);
    return 1;
}

CO_TEST(the_awaiteds_result_wins_and_the_cancellation_comes_next)
{
    rp_task *inner = spawn(stubborn, NULL), *outer = spawn(awaits_then_sleeps, inner);

    CHECK_INT(rp_sleep(co, 0), ==, 0);
    rp_task_cancel(outer);
    CHECK_INT(rp_join(co, outer), ==, 1);
    rp_future_unref(inner);
}

static int returns_its_own(rp_co *co, void *arg)
{
    CHECK_INT(rp_sleep(co, RP_SEC(100)), ==, -ECANCELED);
    return RP_EFUTCANCELED; /* of something that it has awaited, say */
}

CO_TEST(cancel_and_join)
{
    rp_task *ended = spawn(sleeper, NULL), *inner;
    rp_coro *coros[] = {sleeper, stubborn, returns_its_own};
    int expected[] = {0, 9, RP_EFUTCANCELED};

    rp_task_cancel(ended);
    for (int i = 0; i < 3; i++) {
        inner = spawn(coros[i], NULL);
        CHECK_INT(rp_sleep(co, 0), ==, 0);
        CHECK_INT(rp_cancel_and_join(co, inner), ==, expected[i]);
    }
    CHECK(rp_future_cancelled(ended));
    CHECK_INT(rp_cancel_and_join(co, ended), ==, 0);
    CHECK_INT(rp_cancel_and_join(co, NULL), ==, 0);
    CHECK_INT(rp_cancel_and_join(co, rp_future_ref(rp_co_task(co))), ==, -EDEADLK);
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 0);

    rp_task_cancel(rp_co_task(co));
    inner = rp_future_ref(spawn(sleeper, NULL));
    CHECK_INT(rp_cancel_and_join(co, inner), ==, -ECANCELED);
    CHECK(rp_future_cancelled(inner)); /* it was waited for */
    rp_future_unref(inner);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
}

static int gets_0_then_cancelled(rp_co *co, void *arg)
{
    CHECK_INT(rp_await(co, arg), ==, 0);
    CHECK_INT(rp_sleep(co, RP_SEC(1)), ==, -ECANCELED);
    return 2;
}

CO_TEST(a_cancellation_after_the_wake_loses_no_result)
{
    rp_future *future = new_future(co);
    rp_task *task = spawn(gets_0_then_cancelled, future);

    CHECK_INT(rp_sleep(co, 0), ==, 0);
    rp_future_set_result(future, NULL);
    CHECK(rp_task_cancel(task)); /* woken, not resumed yet */
    CHECK_INT(rp_join(co, task), ==, 2);
    rp_future_unref(future);
}

CO_TEST(await_under_a_pending_cancellation)
{
    rp_task *inner = spawn(sleeper, NULL), *done = spawn(fails, NULL);

    CHECK_INT(rp_sleep(co, 0), ==, 0);
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_join(co, done), ==, -EPROTO); /* needs no suspension */
    CHECK_INT(rp_await(co, inner), ==, -ECANCELED);
    CHECK(rp_future_cancelled(inner)); /* and has ended */
    rp_future_unref(inner);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
}

CO_TEST(somebody_else_cancels_the_awaited)
{
    rp_task *inner = spawn(sleeper, NULL), *outer = spawn(awaits, inner);

    CHECK_INT(rp_sleep(co, 0), ==, 0);
    rp_task_cancel(inner);
    CHECK_INT(rp_await(co, outer), ==, RP_EFUTCANCELED);
    CHECK(!rp_future_cancelled(outer)); /* it failed with that error */
    rp_future_unref(inner);
    rp_future_unref(outer);
}

static int chain(rp_co *co, void *arg)
{
    int depth = *(int *)arg;
    rp_task *task;

    if (depth == 0)
        return rp_sleep(co, RP_SEC(100));
    depth--;
    RP_TRY(rp_create_task_copy(&task, chain, &depth, sizeof depth));
    return rp_join(co, task);
}

static int cancel_chain(rp_co *co, void *arg)
{
    int depth = *(int *)arg;
    size_t length = (size_t)depth + 2;
    rp_task *task = spawn(chain, &depth);

    while (rp_all_tasks(rp_co_loop(co), NULL, 0) < length)
        RP_TRY(rp_sleep(co, 0));
    settle(co);
    rp_task_cancel(task);
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
    CHECK_INT(rp_all_tasks(rp_co_loop(co), NULL, 0), ==, 1);
    return 0;
}

static int shields_then_sleeps(rp_co *co, void *arg)
{
    CHECK_INT(rp_shield(co, arg), ==, RP_EFUTCANCELED);
    CHECK_INT(rp_sleep(co, 0), ==, -ECANCELED);
    return 5;
}

static int gathers(rp_co *co, void *arg)
{
    return rp_gather(co, arg, 2, NULL, 0);
}

/* The cancellation that came to it ends its wait in passing: it has that end, and the cancellation comes next. */
CO_TEST(whoever_is_to_go_on_already_is_not_asked)
{
    rp_future *future = new_future(co);
    rp_future *both[2] = {spawn(shields_then_sleeps, future), future};
    rp_task *task = spawn(gathers, both);

    settle(co);
    rp_task_cancel(task);
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
    CHECK_INT(rp_join(co, both[0]), ==, 5);
    rp_future_unref(future);
}

TEST(a_cancellation_goes_down_the_chain)
{
    CHECK_INT(rp_run(cancel_chain, &(int){50}), ==, 0);
}

/* Longer than the stack of the canceller is deep. */
TEST(a_cancellation_goes_down_a_long_chain)
{
    CHECK_INT(rp_run(cancel_chain, &(int){4000}), ==, 0);
}

static rp_task *ring[3];

static int await_next(rp_co *co, void *arg)
{
    int place = (int)((rp_task **)arg - ring);

    return rp_await(co, ring[(place + 1) % 3]);
}

static int cancel_ring(rp_co *co, void *arg)
{
    for (int i = 0; i < 3; i++)
        ring[i] = spawn(await_next, &ring[i]);
    settle(co);
    CHECK(rp_task_cancel(ring[0]));
    CHECK(rp_task_cancel(ring[1]));
    settle(co);
    for (int i = 0; i < 3; i++)
        CHECK(!rp_future_done(ring[i]));
    rp_loop_stop(rp_co_loop(co));
    return rp_sleep(co, RP_SEC(100));
}

/* Nothing can end tasks that await each other, but asking them to does no harm. */
TEST(a_ring_of_tasks_can_be_cancelled_in_vain)
{
    rp_task *task;
    rp_loop *loop;

    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    CHECK_INT(rp_loop_create_task(loop, &task, cancel_ring, NULL), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, task), ==, RP_ESTOPPED);
    rp_task_detach(task);
    for (int i = 0; i < 3; i++)
        rp_task_detach(ring[i]);
    rp_loop_free(loop);
}

/* ---- shield ---- */

static int shields(rp_co *co, void *arg)
{
    return rp_shield(co, arg);
}

CO_TEST(shield)
{
    rp_future *future = new_future(co);
    rp_task *task = spawn(shields, future);

    CHECK_INT(rp_sleep(co, 0), ==, 0);
    rp_task_cancel(task);
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
    CHECK(!rp_future_done(future));

    task = spawn(shields, future);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    rp_future_set_error(future, -EPIPE);
    CHECK_INT(rp_join(co, task), ==, -EPIPE);
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_shield(co, future), ==, -EPIPE);
    rp_future_unref(future);

    future = new_future(co);
    CHECK_INT(rp_shield(co, future), ==, -ECANCELED);
    CHECK(!rp_future_done(future));
    rp_future_unref(future);
}

/* ---- time ---- */

CO_TEST(sleep)
{
    rp_loop *loop = rp_co_loop(co);
    int64_t start = rp_monotonic();

    CHECK_INT(rp_sleep(co, RP_MSEC(20)), ==, 0);
    CHECK(rp_monotonic() - start >= RP_MSEC(20));
    CHECK_INT(rp_sleep_until(co, rp_loop_time(loop) + RP_MSEC(10)), ==, 0);
    CHECK(rp_monotonic() - start >= RP_MSEC(30));
    CHECK_INT(rp_sleep_until(co, 0), ==, 0);
    CHECK_INT(rp_sleep(co, -5), ==, 0);
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_sleep(co, 0), ==, -ECANCELED);
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_sleep(co, 1000), ==, -ECANCELED);
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_sleep_until(co, 1000), ==, -ECANCELED);
}

static int yields(rp_co *co, void *arg)
{
    return rp_sleep(co, 0);
}

static int sleeps_never(rp_co *co, void *arg)
{
    return rp_sleep(co, RP_NEVER);
}

static int sleeps_until(rp_co *co, void *arg)
{
    return rp_sleep_until(co, RP_NEVER);
}

CO_TEST(cancelled_sleep)
{
    rp_coro *coros[] = {sleeper, sleeps_never, sleeps_until};
    rp_task *task;

    for (int i = 0; i < 3; i++) {
        task = spawn(coros[i], NULL);
        settle(co);
        CHECK(rp_task_cancel(task));
        CHECK_INT(rp_task_get_state(task), ==, RP_TASK_SCHEDULED);
        CHECK(rp_task_cancel(task)); /* it has been delivered: this one comes too late for anything */
        CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
    }
    task = spawn(yields, NULL);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK(rp_task_cancel(task));
    CHECK_INT(rp_join(co, task), ==, 0); /* its yield was over */
}

/* ---- operations ---- */

static int reads_one(rp_co *co, void *arg)
{
    char c = 0;
    rp_op op;
    int64_t n;

    rp_op_read(&op, *(int *)arg, &c, 1, -1, NULL, NULL);
    n = rp_op_await(co, &op);
    return n == 1 ? c : (int)n;
}

CO_TEST(operations)
{
    int pipes[2];
    rp_task *task;
    rp_op op;

    CHECK(pipe(pipes) == 0);
    task = spawn(reads_one, &pipes[0]);
    settle(co);
    rp_op_write(&op, pipes[1], "x", 1, -1, NULL, NULL);
    CHECK_INT(rp_op_await(co, &op), ==, 1);
    CHECK_INT(rp_join(co, task), ==, 'x');

    task = spawn(reads_one, &pipes[0]);
    settle(co);
    rp_task_cancel(task);
    rp_task_cancel(task);
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);

    rp_op_nop(&op, NULL, NULL);
    CHECK_INT(rp_op_await(co, &op), ==, 0);
    rp_op_poll_multi(&op, pipes[0], RP_POLL_IN, NULL, NULL);
    CHECK_INT(rp_op_await(co, &op), ==, -EINVAL);
    rp_op_close(&op, 999999, NULL, NULL);
    CHECK_INT(rp_op_await(co, &op), ==, -EBADF);

    /* Under a pending cancellation nothing is started: the byte stays. */
    CHECK(write(pipes[1], "y", 1) == 1);
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(reads_one(co, &pipes[0]), ==, -ECANCELED);
    CHECK_INT(reads_one(co, &pipes[0]), ==, 'y');
    close(pipes[0]);
    close(pipes[1]);
}

static int reads_or_returns(rp_co *co, void *arg)
{
    int rc = reads_one(co, arg);

    if (rc < 0)
        return rc;
    CHECK_INT(rc, ==, 'z');
    CHECK_INT(rp_sleep(co, RP_SEC(100)), ==, -ECANCELED);
    return 4;
}

CO_TEST(no_byte_is_lost_to_a_cancellation)
{
    int pipes[2];
    rp_task *task;

    CHECK(pipe(pipes) == 0);
    for (int i = 0; i < 50; i++) {
        rp_op op;
        task = spawn(reads_or_returns, &pipes[0]);
        CHECK_INT(rp_sleep(co, 0), ==, 0);
        CHECK_INT(rp_sleep(co, 0), ==, 0);
        CHECK(write(pipes[1], "z", 1) == 1);
        if (i % 2) {
            rp_op_nop(&op, NULL, NULL); /* a turn with the kernel */
            CHECK_INT(rp_op_await(co, &op), ==, 0);
        }
        rp_task_cancel(task);
        int rc = rp_join(co, task);
        if (rc == RP_EFUTCANCELED) { /* the cancellation won: the byte must still be there */
            char c;
            CHECK(read(pipes[0], &c, 1) == 1 && c == 'z');
        } else
            CHECK_INT(rc, ==, 4);
    }
    close(pipes[0]);
    close(pipes[1]);
}

static int awaits_op(rp_co *co, void *arg)
{
    return (int)rp_op_await(co, arg);
}

/* A task that were to return -ECANCELED would be taken for cancelled. */
static int awaits_cancelled_op(rp_co *co, void *arg)
{
    CHECK_INT(rp_op_await(co, arg), ==, RP_EFUTCANCELED);
    return 0;
}

CO_TEST(an_operation_cancelled_by_somebody_else)
{
    int pipes[2];
    rp_op op;
    rp_task *task;

    CHECK(pipe(pipes) == 0);
    rp_op_poll(&op, pipes[0], RP_POLL_IN, NULL, NULL);
    task = spawn(awaits_cancelled_op, &op);
    settle(co);
    rp_cancel(rp_co_loop(co), &op); /* not the task: -ECANCELED would be a lie */
    CHECK_INT(rp_join(co, task), ==, 0);
    close(pipes[0]);
    close(pipes[1]);
}

/* The second to wait for an operation is refused, which does not disturb the first one's wait. */
CO_TEST(an_operation_is_awaited_by_one)
{
    int pipes[2];
    rp_op op;
    rp_task *task;

    CHECK(pipe(pipes) == 0);
    rp_op_poll(&op, pipes[0], RP_POLL_IN, NULL, NULL);
    task = spawn(awaits_op, &op);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_op_await(co, &op), ==, -EBUSY);
    CHECK_INT(write(pipes[1], "x", 1), ==, 1);
    CHECK_INT(rp_join(co, task), ==, RP_POLL_IN);
    close(pipes[0]);
    close(pipes[1]);
}

/* ---- cost ---- */

CO_TEST(waiting_allocates_nothing)
{
    uint64_t before;

    rp_set_debug(rp_co_loop(co), false); /* it allocates origins */
    CHECK_INT(rp_sleep(co, 1), ==, 0);
    before = test_allocations();
    for (int i = 0; i < 100; i++) {
        rp_op op;
        CHECK_INT(rp_sleep(co, 0), ==, 0);
        CHECK_INT(rp_sleep(co, 1), ==, 0);
        rp_op_nop(&op, NULL, NULL);
        CHECK_INT(rp_op_await(co, &op), ==, 0);
        CHECK_INT(rp_join(co, spawn(yields, NULL)), ==, 0);
    }
    CHECK_INT(test_allocations(), ==, before);
}
