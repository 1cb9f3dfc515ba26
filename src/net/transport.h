/*
 * transport.h - the inside of rp_transport, for src/net.
 *
 * Life: made (rp_transport_new), started (connection_made), then `closing` (nothing is read any more, what is buffered
 * is sent), then `lost` (nothing is sent any more, operations in flight are cancelled). When the last of these has
 * completed, `end` runs from the loop: it closes the descriptor, calls connection_lost and frees the transport. So a
 * transport is never freed under the feet of a callback, nor is a descriptor closed with an operation in flight.
 */
#ifndef RP_NET_TRANSPORT_H
#define RP_NET_TRANSPORT_H

#include "loop/handle.h"
#include "loop/resource.h"
#include "net/buffer.h"
#include "ringport/net.h"

/* What each message touches stands first, together. */
struct rp_transport {
    rp_loop *loop;
    rp_fd fd;
    const rp_protocol *protocol;
    void *self;
    bool receiving;       /* completions of `receive` are still to come */
    bool sending;         /* the completion of `send` is still to come */
    bool paused;          /* reading is */
    bool protocol_paused; /* between pause_writing and resume_writing */
    bool eof_received;    /* the peer's */
    bool eof_wanted;      /* write_eof was called, or a write has failed: nothing more may be written */
    bool eof_sent;
    bool corked;     /* what is written waits in the buffer, up to the high-water mark */
    bool end_hidden; /* a write was told how the stream ended, and the reader will not be */
    bool closing;
    bool lost;
    int error;     /* for connection_lost, or what writing has ended with while reading goes on */
    rp_op receive; /* a receive stream, from start to end */
    rp_buffer buffer;

    rp_op send;  /* sends the buffer's front */
    size_t high; /* the buffer's marks */
    size_t low;
    rp_handle pull; /* goes on receiving */
    rp_handle end;

    void (*detached)(rp_transport *transport); /* it has ended, and is about to be freed; or NULL */
    void *maker;                               /* of whoever is told that: what it is among */
    rp_node maker_link;
    rp_resource resource;
    void *origin; /* debug mode */
};

/* Allocates a transport of a connected socket; nothing else. NULL: no memory. */
rp_transport *rp_transport_new(rp_loop *loop, rp_fd fd);

/* Gives up one that was not started. The descriptor stays the caller's. */
void rp_transport_discard(rp_transport *transport);

/*
 * Sets it going: calls connection_made. Never fails: if the loop refuses to receive, connection_lost follows. So who
 * has a protocol made can rely on connection_lost to end it.
 */
void rp_transport_start(rp_transport *transport, const rp_protocol *protocol, void *self);

/* Begins to receive, or loses the connection over that. */
void rp_transport_start_receiving(rp_transport *transport);

/* The callback of `pull`: hands over what has arrived. */
void rp_transport_pull(void *arg);

/* Loses the connection over an error, which is reported unless a peer or the network may cause it. */
void rp_transport_fail(rp_transport *transport, int error, const char *message);

/*
 * The same for an error of writing, which ends only that if the protocol asks for it; nothing is in flight. `told`: the
 * socket has told of the error, and does so once.
 */
void rp_transport_fail_writing(rp_transport *transport, int error, bool told, const char *message);

/* Loses the connection: connection_lost(error) follows. Once it is lost: let pass. */
void rp_transport_lose(rp_transport *transport, int error);

/* Goes on to the end if the connection is lost and nothing is in flight. */
void rp_transport_settle(rp_transport *transport);

#endif
