/*
 * await.c - the plain suspending calls: waiting for a future, for a time, for an operation.
 *
 * Each uses the task's own handle: in the future's callbacks, among the timers, or to be woken by the completion. So
 * nothing is allocated, and the coroutine goes on in the turn in which its wait ends.
 */
#include "co/await.h"
#include "proactor/proactor.h"

/* ---- futures ---- */

static void resume_awaiter(rp_future *future, void *arg)
{
    (void)future;
    rp_co_resume(arg);
}

static void interrupt_future(rp_co *co, void *arg)
{
    (void)co;
    rp_future_cancel(arg);
}

static void abandon_await(rp_co *co, void *arg)
{
    (void)arg;
    rp_future_remove_done_callback(&co->wake.done);
}

static void abandon_join(rp_co *co, void *arg)
{
    abandon_await(co, arg);
    rp_future_unref(arg);
}

/* 0, or why this coroutine cannot wait for the future. */
static int check_future(const rp_co *co, const rp_future *future)
{
    RP_TRY(rp_co_here(co));
    if (future == &co->future)
        return -EDEADLK;
    return future->loop == co->future.loop ? 0 : -EINVAL;
}

static int listen_to(rp_co *co, rp_future *future)
{
    co->wake.done.future = NULL; /* the memory may have been a timer */
    return rp_future_add_done_callback(future, &co->wake.done, resume_awaiter, co);
}

int rp_await_as(rp_co *co, rp_future *future, const rp_waiting *waiting, void *arg)
{
    bool cancelled;

    RP_TRY(check_future(co, future));
    if (rp_future_done(future))
        return rp_await_result(future);
    cancelled = co->must_cancel;
    /* What the future's task uses may be the caller's. So the future has ended on return, even without a wait. */
    if (cancelled)
        rp_future_cancel(future);
    if (!rp_future_done(future)) {
        RP_TRY(listen_to(co, future));
        cancelled |= rp_co_suspend(co, waiting, arg);
    }
    if (cancelled && rp_future_cancelled(future))
        return rp_co_cancelled(co);
    return rp_await_result(future);
}

int rp_await(rp_co *co, rp_future *future)
{
    static const rp_waiting waiting = {interrupt_future, abandon_await, "a future"};

    return rp_await_as(co, future, &waiting, future);
}

static const rp_waiting joining = {interrupt_future, abandon_join, "a task"};

int rp_join(rp_co *co, rp_task *task)
{
    int rc = rp_await_as(co, task, &joining, task);

    rp_future_unref(task);
    return rc;
}

int rp_cancel_and_join(rp_co *co, rp_task *task)
{
    int rc;

    if (!task)
        return 0;
    rc = check_future(co, task);
    if (rc == 0) {
        rp_future_cancel(task);
        rc = rp_await_as(co, task, &joining, task);
        if (rc == RP_EFUTCANCELED && rp_future_cancelled(task))
            rc = 0;
    }
    rp_future_unref(task);
    return rc;
}

static void interrupt_shield(rp_co *co, void *arg)
{
    (void)arg;
    rp_future_remove_done_callback(&co->wake.done);
    rp_co_wake(co);
}

static int shield(rp_co *co, rp_future *future, const rp_waiting *waiting)
{
    RP_TRY(check_future(co, future));
    if (!rp_future_done(future)) {
        RP_TRY(rp_co_check(co));
        RP_TRY(listen_to(co, future));
        if (rp_co_suspend(co, waiting, future))
            return rp_co_cancelled(co);
    }
    return rp_await_result(future);
}

int rp_shield(rp_co *co, rp_future *future)
{
    static const rp_waiting waiting = {interrupt_shield, abandon_await, "a shielded future"};

    return shield(co, future, &waiting);
}

int rp_await_shielded(rp_co *co, rp_future *future)
{
    static const rp_waiting waiting = {interrupt_shield, abandon_join, "a shielded future"};

    return shield(co, future, &waiting);
}

/* ---- time ---- */

static void interrupt_sleep(rp_co *co, void *arg)
{
    (void)arg;
    rp_timer_cancel(&co->wake.timer);
    rp_co_wake(co);
}

static int sleep_on_timer(rp_co *co)
{
    static const rp_waiting waiting = {interrupt_sleep, NULL, "a time"};

    return rp_co_suspend(co, &waiting, NULL) ? rp_co_cancelled(co) : 0;
}

int rp_sleep(rp_co *co, int64_t duration)
{
    RP_TRY(rp_co_check(co));
    if (duration <= 0) {
        rp_co_wake(co);
        rp_co_suspend(co, NULL, NULL);
        return 0;
    }
    RP_TRY(rp_call_later(co->future.loop, &co->wake.timer, duration, rp_co_step, co));
    return sleep_on_timer(co);
}

int rp_sleep_until(rp_co *co, int64_t when)
{
    RP_TRY(rp_co_check(co));
    RP_TRY(rp_call_at(co->future.loop, &co->wake.timer, when, rp_co_step, co));
    return sleep_on_timer(co);
}

/* ---- operations ---- */

static void wake_by_op(rp_op *op)
{
    rp_co_wake(op->data);
}

static void interrupt_op(rp_co *co, void *arg)
{
    rp_cancel(co->future.loop, arg);
}

static int start(rp_co *co, rp_op *op)
{
    op->callback = wake_by_op;
    op->data = co;
    return rp_submit(co->future.loop, op);
}

int64_t rp_await_op_uncancelled(rp_co *co, rp_op *op)
{
    RP_TRY(rp_co_here(co));
    RP_TRY(start(co, op));
    rp_co_suspend(co, NULL, NULL);
    return op->result;
}

int64_t rp_op_await(rp_co *co, rp_op *op)
{
    static const rp_waiting waiting = {interrupt_op, NULL, "an operation"};
    bool cancelled;

    if (rp_op_is_multishot(op))
        return -EINVAL;
    RP_TRY(rp_co_check(co));
    if (op->state != RP_OP_IDLE)
        return -EBUSY;
    RP_TRY(start(co, op));
    cancelled = rp_co_suspend(co, &waiting, op);
    if (op->result != -ECANCELED)
        return op->result;
    return cancelled ? rp_co_cancelled(co) : RP_EFUTCANCELED;
}
