/*
 * transport_write.h - what a kind of transport tells the writing side.
 */
#ifndef RP_NET_TRANSPORT_WRITE_H
#define RP_NET_TRANSPORT_WRITE_H

#include "net/transport.h"

/* What rp_transport_kind.send began has ended: with bytes that were taken, or an error. */
void rp_transport_sent(rp_transport *transport, int64_t result);

#endif
