/*
 * own_time.c - linked into tests of what waits for time and for nothing else (tests/meson.build: in_own_time): there
 * time passes by being read and waited for alone, so that no delay of the process can change what comes first.
 *
 * It begins with the first wait of a loop. What comes from outside (a thread, a signal, another process) has no such
 * time: a wait with a limit would be over before it came.
 */
#include "harness/harness.h"
#include "ringport/proactor.h"
#include "harness/wrap.h"

enum { READING = 40 }; /* nanoseconds that it takes to read the clock */

static int64_t now; /* 0: the true time holds */

WRAP(int64_t, rp_clock_now, void)
{
    return now != 0 ? now += READING : __real_rp_clock_now();
}

WRAP(int, rp_proactor_wait, rp_proactor *proactor, rp_completion *completions, int capacity, int64_t deadline)
{
    int n = __real_rp_proactor_wait(proactor, completions, capacity, deadline == RP_NEVER ? RP_NEVER : 0);

    if (now == 0)
        now = __real_rp_clock_now();
    if (n == 0 && deadline != RP_NEVER && deadline > now)
        now = deadline;
    return n;
}
