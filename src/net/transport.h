/*
 * transport.h - what all transports have in common: their state, their life, and the table of what differs.
 *
 * A transport is one of a kind: a connected socket (socket_transport.c), or a filter over another transport. Its kind
 * moves the bytes. All else exists once: the life of a transport here, writing and its buffer in transport_write.c,
 * reading in transport_read.c.
 *
 * Life:
 *   made       by its kind (rp_transport_new)
 *   started    connection_made has been called, and what arrives is handed over
 *   closing    nothing is read any more; what is buffered is sent
 *   lost       nothing is sent any more; what is in flight is cancelled
 *   told       connection_lost has been called, in the turn after
 *   released   nothing is in flight any more: what the transport stood on is closed
 *   freed      nobody refers to it
 * So no transport is freed under the feet of a callback, no descriptor is closed with an operation in flight, and
 * connection_lost does not wait for the kernel.
 */
#ifndef RP_NET_TRANSPORT_H
#define RP_NET_TRANSPORT_H

#include "loop/handle.h"
#include "loop/resource.h"
#include "net/buffer.h"
#include "ringport/error.h"
#include "ringport/net.h"

/*
 * What one kind of transport does. No function may call the protocol.
 * Those that return int return 0 or an error.
 */
typedef struct rp_transport_kind {
    size_t size; /* of its own struct, which begins with an rp_transport */

    /*
     * Begins to watch for what arrives: rp_transport_arrived() tells each time, until rp_transport_stopped().
     * Neither of them is called inside, nor before start or after rp_transport_stopped().
     */
    int (*start)(rp_transport *transport);

    /*
     * Asks for rp_transport_stopped(), which may be called inside. Nothing is read any more.
     * While the transport is only closing, the kind may go on. When it is lost, it is asked again, and must end.
     */
    void (*stop)(rp_transport *transport);

    /*
     * Takes what has arrived: bytes, 0 at the end of the stream each time from then on, -EAGAIN or an error.
     * Clears `readable` if it knows that there is no more until rp_transport_arrived().
     * NULL: the transport only writes, and what start watches for is the reader's end, which loses it.
     */
    int64_t (*receive)(rp_transport *transport, void *buffer, size_t length);

    /* Takes what there is room for now: bytes, -EAGAIN or an error. NULL: the transport only reads. */
    int64_t (*writev)(rp_transport *transport, const struct iovec *vector, int count);

    /*
     * Begins to take the rest, as much as there will be room for.
     * The bytes stay where they are until rp_transport_sent(), which is not called inside.
     */
    int (*send)(rp_transport *transport, const void *data, size_t length);

    /* Asks for an early rp_transport_sent(), which tells what was taken all the same, or -ECANCELED. */
    void (*cancel)(rp_transport *transport);

    /*
     * Has the kernel send a part of a file: bytes, 0 at its end, -EAGAIN or an error. And begins to wait for room,
     * which rp_transport_sent() tells by 0. NULL: there is no such kernel below.
     */
    int64_t (*sendfile)(rp_transport *transport, rp_fd file, int64_t offset, size_t length);
    int (*await_room)(rp_transport *transport);

    /*
     * Tells the peer that no more comes: all has been taken. NULL: only a close can tell it, and so a transport that
     * reads, too, cannot.
     */
    int (*write_eof)(rp_transport *transport);

    /*
     * The transport is closing, and everything has been taken. Called once.
     * Ends in rp_transport_lose(): now, or when the peer can be told of the end.
     */
    void (*finish)(rp_transport *transport);

    /* The close to come is to be noticed as an abort by the peer. NULL: there is nothing that could be. */
    void (*reset)(rp_transport *transport);

    /*
     * Gives up what it stands on: nothing is in flight, or else the loop is closed.
     * If start has failed, or was not called before the transport was lost, there was no stop before this.
     */
    void (*release)(rp_transport *transport);

    /* The socket, or -1. */
    rp_fd (*fd)(const rp_transport *transport);
} rp_transport_kind;

/* What is sent between what is written, such as a file: see transport_write.h. No function may call the protocol. */
typedef struct rp_insert rp_insert;
typedef struct rp_insert_type {
    /*
     * What is to be sent next: its length, and 0 at the end, an error, or -EINPROGRESS: not yet, and
     * rp_transport_insert_ready() is to be called. The bytes stay where they are until the next call.
     */
    int64_t (*front)(rp_insert *insert, const void **data);
    void (*sent)(rp_insert *insert, size_t length); /* so much of the front */
    /* Of one that is `direct`: sends by itself, so much at most: bytes, 0, -EAGAIN; -ENOTSUP: not in this way. */
    int64_t (*send)(rp_insert *insert, size_t most);
    /* The transport has done with it: 0, what `front` failed with, or why the transport sends no more. Once. */
    void (*end)(rp_insert *insert, int error);
} rp_insert_type;

struct rp_insert {
    rp_insert *next; /* that is sent behind it */
    const rp_insert_type *type;
    size_t before;  /* bytes of the write buffer that go first, behind those before the insert that precedes it */
    bool direct;    /* nothing is taken from its front */
    bool sending;   /* rp_transport_sent() is to come for it */
    bool cancelled; /* and then no more of it is sent */
};

enum { RP_TRANSPORT_HIGH = 64 * 1024 }; /* the high-water mark of a new transport, in bytes */

/* What each message touches stands last, together: what a kind adds comes right after it. */
struct rp_transport {
    unsigned refs;      /* rp_transport_ref()'s, and one of its own until it is released and told */
    bool finishing : 1; /* its kind was asked to finish */
    bool eof_sent : 1;
    bool end_hidden : 1; /* a write was told how the stream ended, and the reader will not be */
    bool lost_early : 1; /* before its turn had fixed what it runs: told in the next one */
    bool told : 1;
    bool released : 1;
    bool covered : 1;  /* a filter stands on it, and stands for it in reports */
    rp_handle reading; /* begins to receive, or goes on with it */
    rp_handle end;     /* tells connection_lost */
    rp_resource resource;
    void *origin; /* debug mode */

    /* Of whoever made it, such as a server. */
    void (*detached)(rp_transport *transport); /* after connection_lost; NULL: nobody wants to know */
    void *maker;
    rp_node maker_link; /* in a list of the maker's */
    rp_insert *inserts; /* what is sent between what is written: the first of them */

    size_t high; /* the buffer's marks */
    size_t low;
    rp_buffer buffer;

    rp_loop *loop;
    const rp_transport_kind *kind;
    const rp_protocol *protocol;
    void *self;
    int error;           /* for connection_lost, or what writing has ended with while reading goes on */
    bool readable;       /* there may be something to receive */
    bool reading_paused; /* by the protocol */
    bool eof_received;   /* the peer's */
    bool closing;
    bool eof_wanted;     /* write_eof was called, or a write has failed: nothing more may be written */
    bool corked;         /* what is written waits in the buffer, up to the high-water mark */
    bool behind;         /* what is written goes behind something: it is corked, or there are inserts */
    bool receiving;      /* rp_transport_stopped() is still to come */
    bool sending;        /* rp_transport_sent() is still to come */
    bool writing_paused; /* between pause_writing and resume_writing */
    bool lost;
    bool pulled_soon; /* there may be something to receive, and the next turn does */
};

/* ---- for kinds, and whoever makes their transports ---- */

/* Allocates a transport, and does nothing else. NULL: no memory. */
rp_transport *rp_transport_new(rp_loop *loop, const rp_transport_kind *kind);

/* Gives up a transport that was not started. What it stands on stays the caller's. */
void rp_transport_discard(rp_transport *transport);

/*
 * The loop knows it from now on, before it is started: it can be closed, aborted and lost, and then the protocol gets
 * connection_lost.
 */
void rp_transport_enlist(rp_transport *transport, const rp_protocol *protocol, void *self);

/*
 * Sets it going: connection_made is called, now or soon, as the protocol wants it.
 * Never fails: if the loop refuses to receive, connection_lost follows. So whoever had a protocol made can rely on
 * connection_lost to end it.
 */
void rp_transport_start(rp_transport *transport, const rp_protocol *protocol, void *self);

/*
 * Sets one going that the loop knows, for a protocol that has had its connection_made: receiving begins behind all that
 * is scheduled already.
 */
void rp_transport_go_on(rp_transport *transport, const rp_protocol *protocol, void *self);

/* ---- for reading and writing ---- */

/* Begins to receive, or loses the connection over that. */
void rp_transport_start_receiving(rp_transport *transport);

/* Loses the connection: connection_lost(error) follows. Ignored if it is lost already. */
void rp_transport_lose(rp_transport *transport, int error);

/* Loses the connection over an error, which is reported unless a peer or the network may cause it. */
void rp_transport_fail(rp_transport *transport, int error, rp_where where);

/*
 * The same for an error of writing, which ends only that if the protocol asks for it; nothing is in flight. `told`: the
 * socket has told of the error, and does so once.
 */
void rp_transport_fail_writing(rp_transport *transport, int error, bool told, rp_where where);

/* Something in flight has ended: goes on to the end if that was all it waited for. */
void rp_transport_settle(rp_transport *transport);

/* Whether it tells of what the peer did in TLS. */
static inline bool rp_transport_is_tls_error(int error)
{
    return error <= RP_ETLS_VERIFY && error >= RP_ETLS_PROTOCOL;
}

/* What inserts end with when the transport is lost: an abort's error is 0, which would say that all went well. */
static inline int rp_transport_insert_error(const rp_transport *transport)
{
    return transport->error ? transport->error : -EPIPE;
}

/* Takes it out. What was to go before it goes before the one behind it. */
void rp_transport_remove_insert(rp_transport *transport, rp_insert *insert);

/* Nothing more is sent: ends all inserts, but one whose front is being sent. */
void rp_transport_end_inserts(rp_transport *transport, int error);

#endif
