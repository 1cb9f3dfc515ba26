/*
 * iocp_socket.h - what is done with sockets through the completion port.
 */
#ifndef RP_PROACTOR_IOCP_SOCKET_H
#define RP_PROACTOR_IOCP_SOCKET_H

#include "proactor/iocp_port.h"

extern const iocp_method iocp_connect, iocp_recv, iocp_recv_stream, iocp_send, iocp_shutdown;

/*
 * How a call has ended that begins an overlapped operation: IOCP_PENDING or an error. What is done at once has its
 * packet all the same.
 */
int64_t iocp_begun(rp_fd fd, bool success);

/* The buffers of an operation from byte `done` on: how many of `out` were filled, and none has no bytes. */
int iocp_gather(const rp_op *op, size_t done, WSABUF *out, int room);

/* The backend's receive. */
int64_t iocp_receive(rp_op *op, void *buffer, size_t length);

#endif
