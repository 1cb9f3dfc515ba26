/*
 * turns.h - what the tests of the loop share: one loop that they turn by hand, and a trace of what it has called.
 */
#ifndef RP_TESTS_TURNS_H
#define RP_TESTS_TURNS_H

#include <string.h>

#include "harness/harness.h"
#include "ringport/loop.h"

#define UNUSED __attribute__((unused))

static UNUSED rp_loop *loop;
static UNUSED char trace[4096];

/* Makes the loop, and begins the trace anew. */
static inline UNUSED void make_loop(void)
{
    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    trace[0] = '\0';
}

/* Runs the loop for so many turns, none of which waits for anything. */
static inline UNUSED void run_turns(int turns)
{
    for (int i = 0; i < turns; i++) {
        rp_loop_stop(loop);
        CHECK_INT(rp_run_forever(loop), ==, 0);
    }
}

static inline UNUSED rp_loop_stats stats(void)
{
    rp_loop_stats s;

    rp_loop_get_stats(loop, &s);
    return s;
}

/* ---- callbacks ---- */

/* Adds its argument to the trace. */
static inline UNUSED void note(void *arg)
{
    strcat(trace, arg);
}

static inline UNUSED void note_ready(UNUSED rp_fd fd, void *arg)
{
    note(arg);
}

static inline UNUSED void stop(UNUSED void *arg)
{
    rp_loop_stop(loop);
}

#endif
