/*
 * child_posix.h - the pieces of a wait for a child that the Linux backends share.
 */
#ifndef RP_PROACTOR_CHILD_POSIX_H
#define RP_PROACTOR_CHILD_POSIX_H

#include "proactor/op.h"

/* Has as op->fd a descriptor that becomes readable when the child ends, its own or the lent one: 0 or an error. */
int rp_child_open(rp_op *op);

/* Reaps the child if it has ended: its wait status, -EAGAIN if it runs yet, or an error. */
int64_t rp_child_reap(const rp_op *op);

/* Gives op->fd up: nobody waits for the child any more. One of its own is closed. */
void rp_child_close(rp_op *op);

#endif
