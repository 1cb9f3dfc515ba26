/*
 * clock_windows.c - the monotonic clock, in nanoseconds, from the performance counter.
 */
#include <windows.h>

#include "base/clock.h"

int64_t rp_clock_now(void)
{
    LARGE_INTEGER frequency, now;

    /* Neither fails since Windows XP, and the first reads a word of memory. */
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&now);
    return now.QuadPart / frequency.QuadPart * RP_SEC(1) +
           now.QuadPart % frequency.QuadPart * RP_SEC(1) / frequency.QuadPart;
}
