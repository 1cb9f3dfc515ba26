/*
 * lock.h - locks, for conditions.
 */
#ifndef RP_CO_LOCK_H
#define RP_CO_LOCK_H

#include "ringport/sync.h"

/* Takes the lock; a cancellation is left to the next suspension. */
void rp_lock_acquire_uncancelled(rp_co *co, rp_lock *lock);

#endif
