/*
 * executor.h - executors of special threads; and the default executor's end, as a future, for tasks and the runner.
 */
#ifndef RP_LOOP_EXECUTOR_H
#define RP_LOOP_EXECUTOR_H

#include "base/pool.h"
#include "loop/loop.h"

/* rp_executor_new() with options for its threads. */
int rp_executor_new_with(const rp_pool_options *options, rp_executor **executor);

/*
 * Refuses further work to the default executor. *future gets the caller's reference to a future that is done when its
 * threads have ended; NULL if there are none.
 */
int rp_loop_drain_executor(rp_loop *loop, rp_future **future);

#endif
