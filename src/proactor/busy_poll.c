/*
 * busy_poll.c - busy polling: before a proactor sleeps, it looks for completions again and again for a while.
 *
 * Going to sleep and being woken costs more than a short wait, in time and in the processor's. A spin that finds
 * nothing is wasted, and so after some in a row each one doubles the number of sleeps that come without one, up to a
 * limit; one that finds something makes them none. So an idle proactor hardly spins, and a busy one is back at it after
 * a few waits.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"
#include "proactor/proactor.h"

enum {
    FORGIVEN = 8,     /* spins in a row that may find nothing */
    MOST_PASSED = 64, /* sleeps without a spin between two with */
};

int rp_spin_init(rp_spin *spin, int64_t duration)
{
    const char *text = getenv("RINGPORT_BUSY_POLL");
    char *end;

    if (duration == 0 && text != NULL && text[0] != '\0') {
        duration = strtoll(text, &end, 10);
        if (*end != '\0') {
            fprintf(stderr, "ringport: RINGPORT_BUSY_POLL=%s: not a number of nanoseconds\n", text);
            return -EINVAL;
        }
    }
    *spin = (rp_spin){.duration = duration};
    return duration < 0 ? -EINVAL : 0;
}

int rp_spin_wait(rp_proactor *proactor, rp_completion *completions, int capacity, int64_t deadline)
{
    rp_spin *spin = &proactor->spin;
    int64_t end = rp_time_add(rp_monotonic(), spin->duration);

    if (spin->to_pass > 0) {
        spin->to_pass--;
        return 0;
    }
    if (end > deadline)
        end = deadline;
    spin->begun++;
    proactor->asking.now = 0; /* it is the kernel that is looked at */
    do {
        int n = proactor->backend->wait(proactor, completions, capacity, 0);

        if (n != 0 || proactor->woken) {
            spin->missed = 0;
            spin->passed = 0;
            spin->found++;
            return n;
        }
        rp_thread_yield();
    } while (rp_monotonic() < end);
    if (spin->missed < FORGIVEN)
        spin->missed++;
    else
        spin->passed = spin->passed < MOST_PASSED / 2 ? 2 * spin->passed + 1 : MOST_PASSED;
    spin->to_pass = spin->passed;
    return 0;
}
