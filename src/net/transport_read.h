/*
 * transport_read.h - what a kind of transport tells the reading side.
 */
#ifndef RP_NET_TRANSPORT_READ_H
#define RP_NET_TRANSPORT_READ_H

#include "net/transport.h"

/* Whether a reader would find nothing, and has something to wait for. */
static inline bool rp_transport_is_drained(const rp_transport *transport)
{
    return !transport->readable && !transport->closing && !transport->eof_received;
}

/* There may be something to receive: hands it over, unless reading is paused. */
void rp_transport_arrived(rp_transport *transport);

/*
 * What rp_transport_kind.start began has ended: by an error, or else by itself or as it was asked to. If the transport
 * still reads, it is begun again.
 */
void rp_transport_stopped(rp_transport *transport, int error);

#endif
