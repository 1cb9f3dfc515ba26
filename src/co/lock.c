/*
 * lock.c - rp_lock: mutual exclusion of tasks.
 *
 * A release wakes the first waiter, which takes the lock when it runs. Until then the lock is free: a second release is
 * an error. But whoever comes has to wait, so that nobody is overtaken.
 */
#include "co/lock.h"
#include "co/waitlist.h"

void rp_lock_init(rp_lock *lock)
{
    rp_waitlist_init(&lock->waiters, "a lock");
    lock->locked = false;
}

int rp_lock_fini(rp_lock *lock)
{
    return rp_waitlist_fini(&lock->waiters);
}

static bool has_to_wait(const rp_lock *lock)
{
    return lock->locked || rp_waitlist_any(&lock->waiters);
}

int rp_lock_acquire(rp_co *co, rp_lock *lock)
{
    RP_TRY(rp_co_here(co));
    if (has_to_wait(lock))
        RP_TRY(rp_waitlist_wait(co, &lock->waiters));
    lock->locked = true;
    return 0;
}

void rp_lock_acquire_uncancelled(rp_co *co, rp_lock *lock)
{
    if (has_to_wait(lock))
        rp_waitlist_wait_uncancelled(co, &lock->waiters);
    lock->locked = true;
}

int rp_lock_release(rp_lock *lock)
{
    if (!lock->locked)
        return -EPERM;
    lock->locked = false;
    rp_waitlist_wake(&lock->waiters, 0);
    return 0;
}

bool rp_lock_locked(const rp_lock *lock)
{
    return lock->locked;
}
