/*
 * waitlist.h - the list of waiting tasks that each synchronisation primitive is made of.
 *
 * A waiting task has its node in the list, on its own stack. It leaves the list when it is woken or cancelled,
 * whichever comes first, and never both. A woken task is counted in `woken` until it runs: so a primitive can hold back
 * those who come in between, and what was given with the wake-up is never lost.
 */
#ifndef RP_CO_WAITLIST_H
#define RP_CO_WAITLIST_H

#include "co/task.h"
#include "ringport/sync.h"

/* `what` is static text, for reports: what its tasks wait for. */
void rp_waitlist_init(rp_waitlist *waiters, const char *what);

/* 0, or -EBUSY if there are any. */
int rp_waitlist_fini(const rp_waitlist *waiters);

/* Whether tasks wait, or were woken and have not run yet. */
static inline bool rp_waitlist_any(const rp_waitlist *waiters)
{
    return waiters->count + waiters->woken > 0;
}

/* Suspends at the end of the list: the result that the task is woken with, or -ECANCELED. */
int rp_waitlist_wait(rp_co *co, rp_waitlist *waiters);

/* The same, but a cancellation is left to the next suspension. */
int rp_waitlist_wait_uncancelled(rp_co *co, rp_waitlist *waiters);

/* Wakes the first task with a result; false if there is none. */
bool rp_waitlist_wake(rp_waitlist *waiters, int result);

void rp_waitlist_wake_all(rp_waitlist *waiters, int result);

#endif
