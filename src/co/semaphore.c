/*
 * semaphore.c - rp_semaphore: a number of permits.
 *
 * A waiter gets its permit with the wake-up: it is no longer in `value` then. Until the waiter runs, whoever comes
 * waits behind it, even if there are more permits, so that nobody is overtaken. The waiter passes these on when it
 * runs.
 */
#include "co/waitlist.h"

static void init(rp_semaphore *semaphore, size_t value, size_t bound)
{
    rp_waitlist_init(&semaphore->waiters, "a semaphore");
    semaphore->value = value;
    semaphore->bound = bound;
}

void rp_semaphore_init(rp_semaphore *semaphore, size_t value)
{
    init(semaphore, value, SIZE_MAX);
}

void rp_bounded_semaphore_init(rp_semaphore *semaphore, size_t value)
{
    init(semaphore, value, value);
}

int rp_semaphore_fini(rp_semaphore *semaphore)
{
    return rp_waitlist_fini(&semaphore->waiters);
}

bool rp_semaphore_locked(const rp_semaphore *semaphore)
{
    return semaphore->value == 0 || rp_waitlist_any(&semaphore->waiters);
}

static void give_permits(rp_semaphore *semaphore)
{
    while (semaphore->value > 0 && rp_waitlist_wake(&semaphore->waiters, 0))
        semaphore->value--;
}

int rp_semaphore_acquire(rp_co *co, rp_semaphore *semaphore)
{
    int rc = 0;

    RP_TRY(rp_co_here(co));
    if (rp_semaphore_locked(semaphore)) {
        rc = rp_waitlist_wait(co, &semaphore->waiters);
        give_permits(semaphore);
    } else
        semaphore->value--;
    return rc;
}

int rp_semaphore_release(rp_semaphore *semaphore)
{
    if (semaphore->value >= semaphore->bound)
        return -EOVERFLOW;
    semaphore->value++;
    give_permits(semaphore);
    return 0;
}
