/*
 * busy_poll.h - whether a proactor looks for completions again and again before it sleeps.
 */
#ifndef RP_PROACTOR_BUSY_POLL_H
#define RP_PROACTOR_BUSY_POLL_H

#include "ringport/base.h"

typedef struct rp_busy_poll {
    int64_t duration; /* nanoseconds; 0: none */
    unsigned missed;  /* polls in a row that found nothing, up to a number */
    unsigned passed;  /* sleeps without a poll after the last one that found nothing */
    unsigned to_pass; /* of these, how many are still to come */
    uint64_t begun;
    uint64_t found;
} rp_busy_poll;

/* Fills it in; 0: RINGPORT_BUSY_POLL's, else none. -EINVAL. */
int rp_busy_poll_init(rp_busy_poll *poll, int64_t duration);

/* Before a wait that may sleep, if there is a duration: whether it polls first. */
bool rp_busy_poll_begin(rp_busy_poll *poll);

/* Whether it has found something. */
void rp_busy_poll_end(rp_busy_poll *poll, bool found);

#endif
