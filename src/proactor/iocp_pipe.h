/*
 * iocp_pipe.h - an instance of a named pipe that waits for its client.
 */
#ifndef RP_PROACTOR_IOCP_PIPE_H
#define RP_PROACTOR_IOCP_PIPE_H

#include "proactor/iocp_port.h"

/* An RP_OP_CONNECT without an address: as iocp_method has them. */
int64_t iocp_pipe_listen(iocp *i, rp_op *op);
int64_t iocp_pipe_collect(rp_op *op, NTSTATUS status);

#endif
