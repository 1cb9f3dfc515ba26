/*
 * iocp_transfer.h - reading and writing files and pipes: by the port, or by blocking a thread.
 */
#ifndef RP_PROACTOR_IOCP_TRANSFER_H
#define RP_PROACTOR_IOCP_TRANSFER_H

#include "proactor/iocp_port.h"

/* Begins it, or goes on with it, on the loop's thread: IOCP_PENDING, or the result. Not at a file's own position. */
int64_t iocp_transfer_go_on(rp_op *op);

/* A packet of it has come: IOCP_PENDING if it goes on, or the result. */
int64_t iocp_transfer_collect(rp_op *op, NTSTATUS status, size_t bytes);

/* All of it, on a thread that may block: the result. */
int64_t iocp_transfer_perform(rp_op *op);

#endif
