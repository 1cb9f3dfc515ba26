/*
 * socket_transport.h - transports of connected stream sockets.
 */
#ifndef RP_NET_SOCKET_TRANSPORT_H
#define RP_NET_SOCKET_TRANSPORT_H

#include "net/transport.h"

/* Allocates a transport of a connected socket, and does nothing else. NULL: no memory. */
rp_transport *rp_socket_transport_new(rp_loop *loop, rp_fd fd);

/* Tells it the socket's family, before it starts, which is asked otherwise. */
void rp_socket_transport_set_family(rp_transport *transport, int family);

#endif
