/*
 * iocp_poll.h - readiness of sockets through the completion port.
 */
#ifndef RP_PROACTOR_IOCP_POLL_H
#define RP_PROACTOR_IOCP_POLL_H

#include "proactor/iocp_port.h"

extern const iocp_method iocp_poll_once, iocp_poll_multi;

/*
 * Polls a socket for RP_POLL_* events, and for the connection's failure in any case, with `poll` in the operation's
 * scratch: IOCP_PENDING or an error.
 */
int64_t iocp_poll_start(iocp *i, rp_op *op, iocp_poll *poll, uint32_t events);
void iocp_poll_cancel(iocp *i, rp_op *op);

/* The events that a poll has found, or an error. */
int64_t iocp_poll_result(const rp_op *op, const iocp_poll *poll, NTSTATUS status);

#endif
