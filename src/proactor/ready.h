/*
 * ready.h - operations as non-blocking attempts: what a backend made of readiness (epoll.c) does with one.
 */
#ifndef RP_PROACTOR_READY_H
#define RP_PROACTOR_READY_H

#include "proactor/op.h"

/* The readiness that an operation waits for: poll(2)'s events, which are epoll's too. */
uint32_t rp_ready_direction(const rp_op *op);

/* Whether it cannot be had without blocking, whatever the readiness: regular files and the like. */
bool rp_ready_blocks(const rp_op *op);

/* Whether a socket is a blocking one, also if another thread's attempt has it otherwise just then; or an error. */
int rp_ready_is_blocking(int fd);

/* Done once before the first attempt: 0 or an error. */
int rp_ready_begin(rp_op *op);

/* Tries it: its result, or -EAGAIN if it is to wait for readiness and try again. */
int64_t rp_ready_attempt(rp_op *op);

/* Whether an operation that would block is to wait: its owner may have asked for -EAGAIN. */
bool rp_ready_may_wait(const rp_op *op);

/* The result of an operation that is cancelled while it waits: what it has done so far, else -ECANCELED. */
int64_t rp_ready_cancelled(const rp_op *op);

/* Tells a multishot operation of an edge; returns whether it has something to deliver now. */
bool rp_ready_signal(rp_op *op, uint32_t events);

/* The events that hold on a descriptor now; 0: none. */
uint32_t rp_ready_poll(int fd, uint32_t events);

#endif
