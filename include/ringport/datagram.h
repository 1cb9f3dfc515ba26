/*
 * datagram.h - datagrams by callbacks: transports and protocols of UDP and of Unix sockets.
 *
 * A transport moves datagrams, a protocol says what they mean. Coroutines want udp.h.
 *
 * Threads. All functions are for the loop's thread.
 * None of them suspends.
 * Callbacks run on the loop, and may call every function here.
 *
 * Errors that are listed below without a reason mean the same everywhere:
 *   -ENOMEM      there is no memory
 *   RP_ECLOSED   the loop is closed
 *   RP_EFORK     this is a child of fork(), and the loop is its parent's
 *   RP_ETHREAD   another thread runs the loop: checked in debug mode only
 */
#ifndef RINGPORT_DATAGRAM_H
#define RINGPORT_DATAGRAM_H

#include "future.h"
#include "loop.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A socket that sends and receives datagrams. Mirrors asyncio.DatagramTransport. */
typedef struct rp_datagram_transport rp_datagram_transport;

/* What is told of a datagram that was received. */
enum {
    RP_DATAGRAM_TRUNCATED = 1 << 0, /* it was longer than the room that there is: its end is lost */
};

/*
 * What a protocol does at each event. `self` is what the protocol's factory gave. Each callback may be NULL.
 *
 * connection_made comes first, once, and connection_lost last, once, in the turn after the close, abort or error. The
 * transport is freed after it.
 * If the loop is closed first, the transport is freed without connection_lost.
 * Whoever needs the transport for longer refers to it: rp_datagram_ref().
 * pause_writing and resume_writing alternate.
 * Mirrors asyncio.DatagramProtocol.
 */
typedef struct rp_datagram_protocol {
    void (*connection_made)(void *self, rp_datagram_transport *transport);

    /*
     * A datagram, which may be empty. Data and address are lent for the call. `flags` are RP_DATAGRAM_*.
     * A sender that has no name, as Unix sockets may, has an address of no length.
     */
    void (*datagram_received)(void *self, const void *data, size_t length, const struct sockaddr *address,
                              uint32_t address_length, unsigned flags);

    /*
     * An error that the system tells of a datagram that was sent, or of receiving. The transport goes on.
     * It may be called inside a call that sends or closes.
     */
    void (*error_received)(void *self, int error);
    void (*connection_lost)(void *self, int error); /* 0: closed in order; else why */
    void (*pause_writing)(void *self);              /* the write buffer went above its high-water mark */
    void (*resume_writing)(void *self);             /* and is down at the low one */

    /*
     * false: connection_made is called inside the call that makes the transport.
     * true: it is scheduled as by rp_call_soon(), and receiving begins after it, as in asyncio.
     */
    bool begins_soon;

    /* How often one event may receive, some 30 datagrams each time, before others get their turn. 0: once. */
    unsigned receives;
} rp_datagram_protocol;

/*
 * Makes the protocol of a new transport: stores it and its state, and returns 0.
 * If it returns an error, the socket is closed.
 */
typedef int rp_datagram_protocol_factory(void *arg, const rp_datagram_protocol **protocol, void **self);

/* ---- making one ---- */

/*
 * Which socket, and what is special about it. Zeroed, it is the default.
 * An end is a host and a port, which are resolved; or an address, such as that of a Unix socket, which is copied.
 */
typedef struct rp_datagram_options {
    const char *local_host;  /* bind to it; "": all interfaces; NULL: do not bind, or all if there is a port */
    int local_port;          /* 0: one that is free */
    const char *remote_host; /* connect to it; NULL: do not */
    int remote_port;
    const struct sockaddr *local_address; /* in place of local_host and local_port */
    uint32_t local_length;
    const struct sockaddr *remote_address; /* in place of remote_host and remote_port */
    uint32_t remote_length;
    int family;          /* AF_UNSPEC: any; to be given if neither end is */
    int protocol;        /* 0: the family's usual one */
    int flags;           /* AI_* for the resolver; 0: AI_PASSIVE for the local end */
    bool reuse_address;  /* SO_REUSEADDR: several sockets may have the port, as receivers of multicast want it */
    bool reuse_port;     /* SO_REUSEPORT; Windows has none: -ENOTSUP */
    bool broadcast;      /* SO_BROADCAST */
    bool ipv6_only;      /* IPV6_V6ONLY; else it is as the system has it */
    bool gro;            /* let the kernel join what arrives; each datagram is told by itself all the same */
    bool gso;            /* let the kernel cut up what goes to one address in one turn, in pieces of one size */
    size_t receive_size; /* longer datagrams are truncated; 0: 64 KiB, 256 KiB if it is not UDP; 1 MiB at most */
} rp_datagram_options;

/*
 * Opens a socket, binds and connects it as the options say, and makes the protocol by the factory.
 * Names are resolved, and their addresses tried one after the other: the two ends are of one family.
 * A Unix socket that lies at the path of the local address is removed first.
 * With `gro` received datagrams have at least 64 KiB of room, since the kernel joins as many.
 * *future gets a reference that the caller owns.
 * The future's value is the rp_datagram_transport, lent.
 * The future's error is that of the first address that was tried, or the factory's.
 * Cancelling the future ends the attempt, unless that has just succeeded.
 * Closing the loop ends the attempt, too: its future stays pending for whoever holds it, and can be cancelled.
 * Errors:
 *   -EINVAL   a port or size is out of bounds, an address is too long or too short, or nothing says which family
 *   those of rp_loop_getaddrinfo()
 * Mirrors loop.create_datagram_endpoint().
 */
RP_API int rp_create_datagram_endpoint(rp_loop *loop, rp_datagram_protocol_factory *factory, void *arg,
                                       const rp_datagram_options *options, rp_future **future);

/*
 * Makes a transport of a datagram socket, which may be bound and connected.
 * connection_made is called before this returns, unless the protocol's begins_soon has it scheduled.
 * The transport owns the socket from then on, which becomes non-blocking. On failure it stays the caller's.
 * Of the options `gro`, `gso` and `receive_size` count; they may be NULL.
 * Errors:
 *   -EBADF, -ENOTSOCK   `fd` is no open descriptor, or no socket
 *   -EINVAL             it is a socket of another type; or the size is out of bounds
 *   -ENOTSUP            the system has no `gro` or `gso` for this socket
 *   -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD
 * Mirrors loop.create_datagram_endpoint(sock=).
 */
RP_API int rp_create_datagram_endpoint_fd(rp_loop *loop, rp_fd fd, const rp_datagram_protocol *protocol,
                                          void *self, const rp_datagram_options *options,
                                          rp_datagram_transport **transport);

/* ---- sending ---- */

/*
 * Sends a datagram, which may be empty.
 * The first one of a turn is sent at once. Further ones are copied and sent together when the turn ends, in order.
 * What the socket has no room for waits until it has.
 * For a connected socket `address` may be NULL or of no length; if there is one, it is the peer's.
 * Returns 0. An error of the socket's goes to error_received, and to nobody else.
 * Errors:
 *   -EPIPE          after close, or when the transport is lost
 *   -EDESTADDRREQ   there is no address, and the socket is not connected
 *   -EISCONN        the address is not the one that the socket is connected to
 *   -EINVAL         the address is too short or too long
 *   -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD
 * Mirrors transport.sendto().
 */
RP_API int rp_datagram_sendto(rp_datagram_transport *transport, const void *data, size_t length,
                              const struct sockaddr *address, uint32_t address_length);

/*
 * The marks of the write buffer, and how much is in it, in bytes; each datagram counts 8 more.
 * SIZE_MAX for `high` means 64 KiB, or 4 times `low` if that is given.
 * SIZE_MAX for `low` means a quarter of `high`.
 * Errors:
 *   -EINVAL   `low` is above `high`
 * Mirror transport.set_write_buffer_limits(), get_write_buffer_limits() and get_write_buffer_size().
 */
RP_API int rp_datagram_set_write_buffer_limits(rp_datagram_transport *transport, size_t high, size_t low);
RP_API void rp_datagram_get_write_buffer_limits(const rp_datagram_transport *transport, size_t *high, size_t *low);
RP_API size_t rp_datagram_get_write_buffer_size(const rp_datagram_transport *transport);

/* ---- receiving ---- */

/*
 * Pauses and resumes receiving; whether it is on.
 * While it is paused, datagrams wait in the kernel, which drops those that it has no room for.
 * asyncio has nothing like it.
 */
RP_API void rp_datagram_pause_reading(rp_datagram_transport *transport);
RP_API void rp_datagram_resume_reading(rp_datagram_transport *transport);
RP_API bool rp_datagram_is_reading(const rp_datagram_transport *transport);

/* ---- the end ---- */

/*
 * Stops receiving, sends what waits, then closes.
 * connection_lost(0) follows, in the turn after everything has been sent.
 * Mirrors transport.close().
 */
RP_API void rp_datagram_close(rp_datagram_transport *transport);

/*
 * Closes now: what the socket has had no room for is lost.
 * connection_lost(0) follows, in the next turn.
 * Mirrors transport.abort().
 */
RP_API void rp_datagram_abort(rp_datagram_transport *transport);

/* Whether it was closed, aborted or lost. Mirrors transport.is_closing(). */
RP_API bool rp_datagram_is_closing(const rp_datagram_transport *transport);

/*
 * Keep a transport's memory, and give it up again: closing a loop does not free what is referred to.
 * Calls on a transport that has ended, or whose loop is closed, do nothing, and say so:
 *   rp_datagram_is_closing() is true
 *   rp_datagram_sendto() fails: -EPIPE, or RP_ECLOSED if the loop is closed
 *   rp_datagram_fd() is -1, and what asks the socket fails with -EBADF
 * rp_datagram_ref() returns its argument.
 * rp_datagram_unref() ignores NULL.
 * When the loop is closed, any one thread may give a reference up.
 * asyncio has nothing like it: Python counts references.
 */
RP_API rp_datagram_transport *rp_datagram_ref(rp_datagram_transport *transport);
RP_API void rp_datagram_unref(rp_datagram_transport *transport);

/* ---- what it is ---- */

/*
 * The socket, lent: do not close it, read from it or write to it. And the loop, lent.
 * Mirrors transport.get_extra_info('socket').
 */
RP_API rp_fd rp_datagram_fd(const rp_datagram_transport *transport);
RP_API rp_loop *rp_datagram_get_loop(const rp_datagram_transport *transport);

/*
 * The addresses of the two ends; the peer's only if the socket is connected.
 * *length is the room in bytes, and then the address's true length.
 * Errors: those of getpeername() and getsockname().
 */
RP_API int rp_datagram_peername(const rp_datagram_transport *transport, struct sockaddr *address,
                                uint32_t *length);
RP_API int rp_datagram_sockname(const rp_datagram_transport *transport, struct sockaddr *address,
                                uint32_t *length);

/*
 * Set and get an option of the socket.
 * Errors: those of setsockopt() and getsockopt().
 * Mirror transport.get_extra_info('socket') and its methods.
 */
RP_API int rp_datagram_setsockopt(rp_datagram_transport *transport, int level, int option, const void *value,
                                  uint32_t length);
RP_API int rp_datagram_getsockopt(rp_datagram_transport *transport, int level, int option, void *value,
                                  uint32_t *length);

/*
 * Replaces the protocol, at any time, even inside one of its callbacks: the next event is the new protocol's.
 * connection_made is not called. If it is still to come (begins_soon), it goes to the new protocol.
 * A protocol that is set while writing is paused gets resume_writing.
 * Mirror transport.set_protocol() and get_protocol().
 */
RP_API void rp_datagram_set_protocol(rp_datagram_transport *transport, const rp_datagram_protocol *protocol,
                                     void *self);
RP_API const rp_datagram_protocol *rp_datagram_get_protocol(const rp_datagram_transport *transport, void **self);

#ifdef __cplusplus
}
#endif

#endif
