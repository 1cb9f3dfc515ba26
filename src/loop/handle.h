/*
 * handle.h - what the turn needs of handles and timers.
 */
#ifndef RP_LOOP_HANDLE_H
#define RP_LOOP_HANDLE_H

#include "loop/loop.h"

/* Runs a handle that was taken out of the ready queue. */
void rp_handle_run(rp_loop *loop, rp_handle *handle);

/* Debug mode: reports a callback that has run since `start` if that is too long: by its task's name, or its own. */
void rp_loop_report_if_slow(rp_loop *loop, int64_t start, void *function, void *origin);

/* Moves what other threads have posted, and the timers that are due, to the ready queue. */
void rp_loop_take_posts(rp_loop *loop);
void rp_loop_take_due_timers(rp_loop *loop);

/* Drops every handle and timer; nothing can be posted any more. */
void rp_loop_drop_handles(rp_loop *loop);

#endif
