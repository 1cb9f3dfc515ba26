/*
 * runner.h - the inside of rp_runner: a run whose main task is made by a function that a layer above gives.
 */
#ifndef RP_LOOP_RUNNER_H
#define RP_LOOP_RUNNER_H

#include "ringport/loop.h"

/* Makes the main task on `loop`: *task gets the caller's reference. */
typedef int rp_runner_start(rp_loop *loop, rp_task **task, void *arg);

/* What rp_runner_run() does, with a main task made by `start`. */
int rp_runner_run_main(rp_runner *runner, rp_runner_start *start, void *arg);

/*
 * Cancels the main task of the present run. Once: a group whose workers end because the process is about to end would
 * else disturb those that are still at it. On the runner's thread.
 */
void rp_runner_stop(rp_runner *runner);

/* Its runs will leave SIGINT alone: it belongs to a group, in which another one catches it. */
void rp_runner_leave_interrupts(rp_runner *runner);

#endif
