/*
 * datagram_transport.h - the inside of datagram transports.
 *
 * Its life is that of every transport (transport.h), of which it is a kind. What it moves, and tells its protocol, is
 * its own: reading in datagram_transport.c, sending in datagram_send.c.
 */
#ifndef RP_NET_DATAGRAM_TRANSPORT_H
#define RP_NET_DATAGRAM_TRANSPORT_H

#include "net/datagram_batch.h"
#include "net/datagram_queue.h"
#include "net/transport.h"
#include "ringport/datagram.h"

enum { RP_DATAGRAM_HEADER = 8 }; /* bytes that each datagram counts more in the write buffer, as in asyncio */

struct rp_datagram_transport {
    rp_transport base; /* its protocol leads to the one below */
    size_t receive_size;
    bool gro;
    bool gso;
    bool connected;
    unsigned errors; /* of receiving, in a row */
    uint32_t peer_length;
    struct sockaddr_storage peer; /* if it is connected */

    rp_op room;      /* waits until the socket takes more; base.sending says so */
    rp_timer retry;  /* the same, where the socket cannot tell */
    rp_handle flush; /* sends what this turn has collected */
    unsigned futile; /* waits for room in a row after which there was none */
    bool flushing;
    bool waiting; /* by one of the two */
    size_t alone; /* so many datagrams of the queue are not to be joined */

    const rp_datagram_protocol *protocol;
    void *self;
    uint64_t turn; /* in which it has sent last */
    rp_datagram_queue queue;
    rp_datagram_batch *batch; /* what was received and is to be handed out; or NULL */
    bool batched;             /* while several that came together are handed out: answers are collected, too */
    rp_fd fd;
    rp_op poll; /* multishot: datagrams, or an error, may have come */
};

/* Makes a transport of a datagram socket, and starts it: rp_create_datagram_endpoint_fd() in two steps. */
int rp_datagram_transport_new(rp_loop *loop, rp_fd fd, const rp_datagram_options *options,
                              rp_datagram_transport **transport);
void rp_datagram_transport_start(rp_datagram_transport *transport, const rp_datagram_protocol *protocol,
                                 void *self);

/* Tells its protocol of an error. Whether the loop may go on after that. */
bool rp_datagram_tell_error(rp_datagram_transport *transport, int error);

/* The transport around one of the base, NULL: it is of another kind. */
rp_datagram_transport *rp_datagram_of(rp_transport *base);

#endif
