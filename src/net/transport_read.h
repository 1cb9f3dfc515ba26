/*
 * transport_read.h - what a kind of transport tells the reading side.
 */
#ifndef RP_NET_TRANSPORT_READ_H
#define RP_NET_TRANSPORT_READ_H

#include "base/rare.h"
#include "net/transport.h"

/* Whether a reader would find nothing, and has something to wait for. */
static inline bool rp_transport_must_wait(const rp_transport *transport)
{
    return !(transport->readable || transport->eof_received || transport->closing);
}

/* What is left of rp_transport_take() if there is nothing to take; and if what it took is the end, or an error. */
int64_t rp_transport_take_nothing(const rp_transport *transport, size_t length);
void rp_transport_take_end(rp_transport *transport, int64_t received);

/* rp_transport_try_read(). A child of fork() would take the parent's bytes. */
static inline int64_t rp_transport_take(rp_transport *transport, void *buffer, size_t length)
{
    int64_t received;

    RP_TRY(rp_loop_check(transport->loop));
    if (transport->closing || transport->eof_received || !transport->readable || length == 0)
        return rp_transport_take_nothing(transport, length);
    received = transport->kind->receive(transport, buffer, length);
    if (received <= 0 && received != -EAGAIN)
        rp_transport_take_end(transport, received);
    return received;
}

/* What there is to receive is handed over by the next turn, and not by this one: for faces. Nothing may come of it. */
RP_RARE void rp_transport_pull_next_turn(rp_transport *transport);

/* There may be something to receive: hands it over, unless reading is paused. */
void rp_transport_arrived(rp_transport *transport);

/*
 * What rp_transport_kind.start began has ended: by an error, or else by itself or as it was asked to. If the transport
 * still reads, it is begun again.
 */
void rp_transport_stopped(rp_transport *transport, int error);

#endif
