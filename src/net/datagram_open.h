/*
 * datagram_open.h - opening a datagram socket as options say, for endpoints and for coroutines.
 */
#ifndef RP_NET_DATAGRAM_OPEN_H
#define RP_NET_DATAGRAM_OPEN_H

#include "ringport/datagram.h"

/*
 * rp_create_datagram_endpoint(); or without a factory just the socket, which is open when the future has succeeded, and
 * is to be taken.
 */
int rp_datagram_open(rp_loop *loop, rp_datagram_protocol_factory *factory, void *arg,
                     const rp_datagram_options *options, rp_future **future);

/* Takes the socket out of a future that has succeeded: it is the caller's. Else it is closed with the future. */
rp_fd rp_datagram_open_take(rp_future *future);

#endif
