/*
 * running.h - the beginning and the end of a loop's run, for whoever drives the turns of a loop (turn.h).
 */
#ifndef RP_LOOP_RUNNING_H
#define RP_LOOP_RUNNING_H

#include "loop/loop.h"

/* Begins a run in this thread: 0, RP_ERUNNING, RP_ECLOSED, RP_EFORK. */
int rp_loop_enter(rp_loop *loop);

/* Ends it. In a child of fork() that the run has made, the child's copy of the loop is freed if that was asked for. */
void rp_loop_leave(rp_loop *loop);

#endif
