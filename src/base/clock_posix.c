/*
 * clock_posix.c - the monotonic clock, in nanoseconds: it never goes back, and setting the time of day does not move
 * it.
 */
#include <time.h>

#include "base/clock.h"

int64_t rp_clock_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * RP_SEC(1) + now.tv_nsec;
}
