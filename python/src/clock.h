/*
 * clock.h - timers by the program's clock, where a subclass or a test has another time() in the place of the loop's.
 *
 * The core's timers go by the kernel's clock. How far the program's is ahead of that is found out in each turn, where
 * asyncio asks time(). If it has changed, Python's timers are put where they belong now.
 */
#ifndef RPY_CLOCK_H
#define RPY_CLOCK_H

#include "own.h"

/* Whether timers go by the kernel's clock: there is nothing to follow. */
static inline bool rpy_clock_is_own(rpy_loop *loop)
{
    return loop->clock_lead == 0 && loop->clock_origin == 0 && rpy_is_own(loop, RPY_TIME);
}

/*
 * Asks time(), and moves the timers if need be. By the program's clock it is not earlier than it was `since` by the
 * kernel's. 0, or -1 with an exception.
 */
int rpy_clock_follow(rpy_loop *loop, int64_t since);

#endif
