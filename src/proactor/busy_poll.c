/*
 * busy_poll.c - busy polling: before a proactor sleeps, it looks for completions again and again for a while.
 *
 * Going to sleep and being woken costs more than a short wait, in time and in processor time. A poll that finds nothing
 * is wasted. So after some of these in a row, each further one doubles the number of sleeps without a poll, up to a
 * limit; a poll that finds something resets it. So an idle proactor hardly polls, and a busy one begins again after a
 * few waits.
 */
#include "proactor/busy_poll.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FORGIVEN = 8,     /* polls in a row that may find nothing */
    MOST_PASSED = 64, /* sleeps without a poll between two with */
};

int rp_busy_poll_init(rp_busy_poll *poll, int64_t duration)
{
    const char *text = getenv("RINGPORT_BUSY_POLL");
    char *end;

    if (duration == 0 && text && text[0] != '\0') {
        duration = strtoll(text, &end, 10);
        if (*end != '\0') {
            fprintf(stderr, "ringport: RINGPORT_BUSY_POLL=%s: not a number of nanoseconds\n", text);
            return -EINVAL;
        }
    }
    *poll = (rp_busy_poll){.duration = duration};
    return duration < 0 ? -EINVAL : 0;
}

bool rp_busy_poll_begin(rp_busy_poll *poll)
{
    if (poll->to_pass > 0) {
        poll->to_pass--;
        return false;
    }
    poll->begun++;
    return true;
}

void rp_busy_poll_end(rp_busy_poll *poll, bool found)
{
    if (found) {
        poll->missed = 0;
        poll->passed = 0;
        poll->found++;
    } else if (poll->missed < FORGIVEN) {
        poll->missed++;
    } else {
        poll->passed = poll->passed < MOST_PASSED / 2 ? 2 * poll->passed + 1 : MOST_PASSED;
    }
    poll->to_pass = poll->passed;
}
