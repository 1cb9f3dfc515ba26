/*
 * await.h - waiting for futures and operations, for the library's own suspending calls.
 */
#ifndef RP_CO_AWAIT_H
#define RP_CO_AWAIT_H

#include "co/task.h"

/* rp_await() with a `waiting` of the caller's own, whose `interrupt` is to cancel the future. */
int rp_await_as(rp_co *co, rp_future *future, const rp_waiting *waiting, void *arg);

/* rp_op_await() for an operation of the library's own; a cancellation is left to the next suspension. */
int64_t rp_await_op_uncancelled(rp_co *co, rp_op *op);

/* rp_shield(); if the task is abandoned in it, the reference is dropped. */
int rp_await_shielded(rp_co *co, rp_future *future);

/* A future's result for whoever awaits it: an error -ECANCELED of its own becomes RP_EFUTCANCELED. */
static inline int rp_await_result(rp_future *future)
{
    int result = rp_future_result(future);

    return result == -ECANCELED ? RP_EFUTCANCELED : result;
}

#endif
