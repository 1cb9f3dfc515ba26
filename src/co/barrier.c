/*
 * barrier.c - rp_barrier: a point that tasks pass together.
 *
 * The list holds the tasks of the round that is filling, and is never full: the one that would fill it wakes the
 * others, each with its own number, and the next round begins. So asyncio's state "draining" is not needed, and a reset
 * or an abort does not reach tasks that have passed already.
 */
#include <limits.h>

#include "co/waitlist.h"

int rp_barrier_init(rp_barrier *barrier, unsigned parties)
{
    if (parties == 0 || parties > INT_MAX)
        return -EINVAL;
    rp_waitlist_init(&barrier->waiters, "a barrier");
    barrier->parties = parties;
    barrier->broken = false;
    return 0;
}

int rp_barrier_fini(rp_barrier *barrier)
{
    return rp_waitlist_fini(&barrier->waiters);
}

int rp_barrier_wait(rp_co *co, rp_barrier *barrier)
{
    int index = 0;

    RP_TRY(rp_co_here(co));
    if (barrier->broken)
        return RP_EBROKENBARRIER;
    if (barrier->waiters.count + 1 < barrier->parties)
        return rp_waitlist_wait(co, &barrier->waiters);
    while (rp_waitlist_wake(&barrier->waiters, index))
        index++;
    return index;
}

void rp_barrier_reset(rp_barrier *barrier)
{
    barrier->broken = false;
    rp_waitlist_wake_all(&barrier->waiters, RP_EBROKENBARRIER);
}

void rp_barrier_abort(rp_barrier *barrier)
{
    barrier->broken = true;
    rp_waitlist_wake_all(&barrier->waiters, RP_EBROKENBARRIER);
}

unsigned rp_barrier_parties(const rp_barrier *barrier)
{
    return barrier->parties;
}

unsigned rp_barrier_n_waiting(const rp_barrier *barrier)
{
    return (unsigned)barrier->waiters.count;
}

bool rp_barrier_broken(const rp_barrier *barrier)
{
    return barrier->broken;
}
