/*
 * condition.c - rp_condition: news about what a lock protects.
 *
 * A wait ends by the notification or by a cancellation, whichever came first, and only then takes the lock again. A
 * notified task that is cancelled on its way to the lock returns 0, and has had its notification; asyncio, which must
 * raise the cancellation there, passes the notification on to another task instead.
 */
#include "co/lock.h"
#include "co/waitlist.h"

void rp_condition_init(rp_condition *condition, rp_lock *lock)
{
    rp_waitlist_init(&condition->waiters, "a condition");
    rp_lock_init(&condition->own);
    condition->lock = lock ? lock : &condition->own;
}

int rp_condition_fini(rp_condition *condition)
{
    RP_TRY(rp_waitlist_fini(&condition->waiters));
    return rp_lock_fini(&condition->own);
}

int rp_condition_acquire(rp_co *co, rp_condition *condition)
{
    return rp_lock_acquire(co, condition->lock);
}

int rp_condition_release(rp_condition *condition)
{
    return rp_lock_release(condition->lock);
}

bool rp_condition_locked(const rp_condition *condition)
{
    return rp_lock_locked(condition->lock);
}

int rp_condition_wait(rp_co *co, rp_condition *condition)
{
    int rc;

    RP_TRY(rp_co_here(co));
    if (!rp_lock_locked(condition->lock))
        return -EPERM;
    RP_TRY(rp_co_check(co));
    rp_lock_release(condition->lock);
    rc = rp_waitlist_wait(co, &condition->waiters);
    rp_lock_acquire_uncancelled(co, condition->lock);
    /* More cancellations that came meanwhile are one with the first, as they are during any other wait. */
    return rc < 0 ? rp_co_cancelled(co) : 0;
}

int rp_condition_wait_for(rp_co *co, rp_condition *condition, rp_predicate *predicate, void *arg)
{
    RP_TRY(rp_co_here(co));
    while (!predicate(arg))
        RP_TRY(rp_condition_wait(co, condition));
    return 0;
}

int rp_condition_notify(rp_condition *condition, size_t n)
{
    if (!rp_lock_locked(condition->lock))
        return -EPERM;
    while (n > 0 && rp_waitlist_wake(&condition->waiters, 0))
        n--;
    return 0;
}

int rp_condition_notify_all(rp_condition *condition)
{
    return rp_condition_notify(condition, SIZE_MAX);
}
