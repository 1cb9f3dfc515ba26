/*
 * transport_read.h - what a kind of transport tells the reading side.
 */
#ifndef RP_NET_TRANSPORT_READ_H
#define RP_NET_TRANSPORT_READ_H

#include "net/transport.h"

/* There may be something to receive: hands it over, unless reading is paused. */
void rp_transport_arrived(rp_transport *transport);

/*
 * What rp_transport_kind.start began has ended: by an error, or else by itself or as it was asked to. If the transport
 * still reads, it is begun again.
 */
void rp_transport_stopped(rp_transport *transport, int error);

#endif
