/*
 * receive_stream.h - a receive stream where it is made of readiness.
 *
 * A receive stream (rp_op_recv_stream) is a multishot operation that takes nothing: it tells that something may have
 * arrived, and its owner takes that by rp_op_receive(). Here an edge tells it, and recv() takes it. What is known
 * between the two is in op->ready (op.h).
 */
#ifndef RP_PROACTOR_RECEIVE_STREAM_H
#define RP_PROACTOR_RECEIVE_STREAM_H

#include "proactor/op.h"

/* The readiness that it asks for. */
#define RP_RECEIVE_STREAM_EVENTS (RP_POLL_IN | RP_POLL_PRI | RP_POLL_RDHUP)

/* It is being submitted: 0, or -ENOTSUP, since what comes in messages is no stream. */
int rp_receive_stream_begin(rp_op *op);

/* An edge. */
void rp_receive_stream_signal(rp_op *op, uint32_t events);

/* rp_op_receive(): recv() without blocking, keeping op->ready. */
int64_t rp_receive_stream_take(rp_op *op, void *buffer, size_t length);

#endif
