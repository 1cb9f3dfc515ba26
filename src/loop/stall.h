/*
 * stall.h - debug mode: reports of tasks that wait for what can never come, or that do not end.
 */
#ifndef RP_LOOP_STALL_H
#define RP_LOOP_STALL_H

#include "loop/loop.h"

/* Before a wait without a time limit: reports the loop's tasks if nothing is under way that could wake one. */
void rp_loop_report_stall(rp_loop *loop);

/* Reports how many tasks there are, what is wrong with the one or the many, and each with what it waits for. */
void rp_loop_report_tasks(rp_loop *loop, const char *one, const char *many);

#endif
