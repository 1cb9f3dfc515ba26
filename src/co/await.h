/*
 * await.h - waiting for futures and operations, for the library's own suspending calls.
 */
#ifndef RP_CO_AWAIT_H
#define RP_CO_AWAIT_H

#include "co/task.h"

/* What rp_await() does, with a `waiting` of the caller's own; its `interrupt` is to cancel the future. */
int rp_await_as(rp_co *co, rp_future *future, const rp_waiting *waiting, void *arg);

/* What rp_op_await() does with an operation of the library's own, but a cancellation is left to the next suspension. */
int64_t rp_await_op_uncancelled(rp_co *co, rp_op *op);

/* What rp_shield() does; if the task is abandoned in it, its reference goes with it. */
int rp_await_shielded(rp_co *co, rp_future *future);

/* A future's result for whoever awaits it: an error -ECANCELED of its own becomes RP_EFUTCANCELED. */
static inline int rp_await_result(rp_future *future)
{
    int result = rp_future_result(future);

    return result == -ECANCELED ? RP_EFUTCANCELED : result;
}

#endif
