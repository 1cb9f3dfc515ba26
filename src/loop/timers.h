/*
 * timers.h - the timer queue: a hierarchical wheel that is exact to the nanosecond. Insert and cancel are O(1).
 *
 * Digits are base 64. A timer's level is the highest digit in which its due time differs from the wheel's `now`;
 * its slot is that digit of the due time. So where a timer lies is a function of (due, now) alone, and timers with
 * the same due time are always in the same slot's list, in order of insertion. What must stay true: whenever `now`
 * enters a slot's range, that slot's list is dealt out to lower levels, front to back, before anything else is
 * inserted.
 *
 * Timers that are due at `now` or before when they are inserted wait in `overdue`, unsorted; they are sorted
 * (stably) when they are taken out, and come before all others.
 */
#ifndef RP_LOOP_TIMERS_H
#define RP_LOOP_TIMERS_H

#include "base/list.h"
#include "ringport/loop.h"

enum {
    RP_TIMERS_DIGIT = 6,
    RP_TIMERS_SLOTS = 1 << RP_TIMERS_DIGIT,
    RP_TIMERS_LEVELS = 11, /* 66 bits: all of int64_t */
};

/* No timer of the slot is due before `earliest`. The one that was may have been removed since. */
typedef struct rp_timer_slot {
    rp_node timers;
    int64_t earliest;
} rp_timer_slot;

typedef struct rp_timers {
    int64_t now;  /* never later than the loop's clock */
    size_t count; /* all timers, overdue ones too */
    rp_node overdue;
    uint64_t used[RP_TIMERS_LEVELS]; /* which slots' lists are not empty */
    rp_timer_slot slots[RP_TIMERS_LEVELS][RP_TIMERS_SLOTS];
} rp_timers;

/* `now` must not be negative, as the monotonic clock never is. */
void rp_timers_init(rp_timers *timers, int64_t now);

/* Inserts a timer by its `when`, linking it by its handle's link. RP_NEVER is a time like any other here. */
void rp_timers_insert(rp_timers *timers, rp_timer *timer);

/* Takes out a timer that is in the queue, its `when` as it was inserted. */
void rp_timers_remove(rp_timers *timers, rp_timer *timer);

/*
 * When the first timer is due: RP_NEVER if there is none, 0 if it is overdue. It may answer with an earlier time
 * (of a timer that has been removed since), never with a later one.
 */
int64_t rp_timers_next(const rp_timers *timers);

/*
 * Moves every timer due at `now` or before to the end of `due`, in order of time, ties in order of insertion;
 * returns how many. `now` never goes back.
 */
size_t rp_timers_expire(rp_timers *timers, int64_t now, rp_node *due);

/* Moves every timer to the end of `all`, ties in order of insertion: others may be inserted in their places. */
void rp_timers_take_all(rp_timers *timers, rp_node *all);

#endif
