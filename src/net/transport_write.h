/*
 * transport_write.h - what a kind of transport tells the writing side.
 */
#ifndef RP_NET_TRANSPORT_WRITE_H
#define RP_NET_TRANSPORT_WRITE_H

#include "net/transport.h"

/* What rp_transport_kind.send began has ended: with bytes that were taken, or an error. */
void rp_transport_sent(rp_transport *transport, int64_t result);

/*
 * Has something sent after all that was written and inserted so far, and before all that is written from now on.
 * `end` is called when that is done, or can no longer be; perhaps inside. Closing sends it first, as what is buffered.
 * The transport still sends: rp_transport_may_write() has said so.
 */
void rp_transport_insert(rp_transport *transport, rp_insert *insert, const rp_insert_type *type, bool direct);

/* Calls resume_writing if the protocol is paused, and no more than the low-water mark is buffered. */
void rp_transport_resume_at_low(rp_transport *transport);

/* 0, or why nothing may be written any more. */
int rp_transport_may_write(const rp_transport *transport);

/* After -EINPROGRESS: `front` has something to say. */
void rp_transport_insert_ready(rp_transport *transport, rp_insert *insert);

/* Takes it back: no more of it is sent than what is being sent. `end` is called, perhaps inside, by -ECANCELED. */
void rp_transport_insert_cancel(rp_transport *transport, rp_insert *insert);

#endif
