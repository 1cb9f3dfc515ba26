/*
 * uring_entry.h - filling in an operation's submission entry for io_uring; user_data is the caller's.
 */
#ifndef RP_PROACTOR_URING_ENTRY_H
#define RP_PROACTOR_URING_ENTRY_H

#include <liburing.h>

#include "proactor/op.h"

/* What the operation does. */
void uring_entry_prepare(struct io_uring_sqe *sqe, const rp_op *op);

/* The readiness that it waits for: RP_POLL_*. */
uint32_t uring_entry_events(const rp_op *op);

/* A poll for that: once, or (edges) as it is now and then each time it changes. */
void uring_entry_prepare_poll(struct io_uring_sqe *sqe, const rp_op *op, bool edges);

#endif
