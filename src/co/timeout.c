/*
 * timeout.c - rp_timeout: a time limit for a stretch of code.
 *
 * When the time is up, the timer cancels the task. The scope's end takes that cancellation back. If only those are left
 * that were delivered before the scope began, and the body ended by it, then it was ours: -ETIMEDOUT.
 */
#include "base/clock.h"
#include "co/task.h"

enum { ACTIVE, EXPIRING, EXPIRED, ENDED }; /* rp_timeout.state */

static void on_timeout(void *arg)
{
    rp_timeout *timeout = arg;

    timeout->state = EXPIRING;
    rp_task_cancel(timeout->task);
}

/* A moment that has passed is due in the next turn. It cannot fail: the loop is running this very task. */
static void arm(rp_timeout *timeout)
{
    if (timeout->when != RP_NEVER)
        (void)rp_call_at(timeout->task->loop, &timeout->timer, timeout->when, on_timeout, timeout);
}

void rp_timeout_begin_at(rp_co *co, rp_timeout *timeout, int64_t when)
{
    *timeout =
        (rp_timeout){.task = &co->future, .when = when, .cancelling = rp_co_cancel_mark(co), .state = ACTIVE};
    co->open_timeouts++;
    arm(timeout);
}

void rp_timeout_begin(rp_co *co, rp_timeout *timeout, int64_t duration)
{
    rp_timeout_begin_at(co, timeout, rp_time_add(rp_loop_time(co->future.loop), duration));
}

int rp_timeout_reschedule(rp_timeout *timeout, int64_t when)
{
    if (timeout->state != ACTIVE)
        return -EINVAL;
    rp_timer_cancel(&timeout->timer);
    timeout->when = when;
    arm(timeout);
    return 0;
}

int64_t rp_timeout_when(const rp_timeout *timeout)
{
    return timeout->when;
}

bool rp_timeout_expired(const rp_timeout *timeout)
{
    return timeout->state == EXPIRING || timeout->state == EXPIRED;
}

int rp_timeout_end(rp_co *co, rp_timeout *timeout, int rc)
{
    RP_TRY(rp_co_here(co));
    co->open_timeouts--;
    if (timeout->state != EXPIRING) {
        rp_timer_cancel(&timeout->timer);
        timeout->state = ENDED;
        return rc;
    }
    timeout->state = EXPIRED;
    return rp_co_uncancel_to(co, timeout->cancelling) && rc == -ECANCELED ? -ETIMEDOUT : rc;
}

int rp_wait_for(rp_co *co, rp_future *future, int64_t duration)
{
    rp_timeout timeout;
    int rc;

    RP_TRY(rp_co_here(co));
    if (duration > 0) {
        rp_timeout_begin(co, &timeout, duration);
        return rp_timeout_end(co, &timeout, rp_await(co, future));
    }
    if (rp_future_done(future) || future == &co->future)
        return rp_await(co, future);
    rp_future_cancel(future);
    rc = rp_await(co, future);
    return rc == RP_EFUTCANCELED ? -ETIMEDOUT : rc;
}
