/*
 * stall.h - debug mode: the report of tasks that wait for what can never come.
 */
#ifndef RP_LOOP_STALL_H
#define RP_LOOP_STALL_H

#include "loop/loop.h"

/* Before a wait without a time limit: reports the loop's tasks if nothing is under way that could wake one. */
void rp_loop_report_stall(rp_loop *loop);

#endif
