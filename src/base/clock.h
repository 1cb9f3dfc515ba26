/*
 * clock.h - the system's monotonic clock, and arithmetic with points in time.
 *
 * It is the time of threads and of the system's kernel. Loops have the time of their own kernel (proactor/kernel.h).
 */
#ifndef RP_BASE_CLOCK_H
#define RP_BASE_CLOCK_H

#include "ringport/base.h"

/* The monotonic clock, in nanoseconds. Any thread. */
int64_t rp_clock_now(void);

/* The sum of a time and a duration. What int64_t cannot hold becomes RP_NEVER, or the earliest time. */
static inline int64_t rp_time_add(int64_t time, int64_t duration)
{
    int64_t sum;

    if (__builtin_add_overflow(time, duration, &sum))
        return duration > 0 ? RP_NEVER : INT64_MIN;
    return sum;
}

/* How long it is from now until a deadline; 0 if it has passed. */
static inline int64_t rp_time_left(int64_t now, int64_t deadline)
{
    return deadline > now ? deadline - now : 0;
}

#endif
