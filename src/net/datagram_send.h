/*
 * datagram_send.h - the sending side of a datagram transport, for the transport and for faces.
 */
#ifndef RP_NET_DATAGRAM_SEND_H
#define RP_NET_DATAGRAM_SEND_H

#include "net/datagram_transport.h"

/*
 * rp_datagram_sendto() to an address that fits, or to the peer (a length of 0), also while the transport is closing.
 * -ENOMEM. The transport is not lost.
 */
int rp_datagram_send(rp_datagram_transport *transport, const void *data, size_t length,
                     const struct sockaddr *address, uint32_t address_length);

/* Sends what the turn has collected so far, unless there is no room for it. Errors are told. */
void rp_datagram_send_collected(rp_datagram_transport *transport);

#endif
