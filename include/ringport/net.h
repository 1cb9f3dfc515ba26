/*
 * net.h - transports and protocols, servers and connections, by callbacks: the lower half of asyncio's networking.
 *
 * A transport moves bytes, a protocol says what they mean. C programs that use coroutines want stream.h, which stands
 * on this. All functions are for the loop's thread, none suspends. Callbacks run on the loop and may call anything
 * here. Where RP_ETHREAD is named, it is for debug mode: another thread runs the loop.
 */
#ifndef RINGPORT_NET_H
#define RINGPORT_NET_H

#include "future.h"
#include "loop.h"

#ifdef __cplusplus
extern "C" {
#endif

struct addrinfo;

/* Listening sockets and the connections that came in by them. Mirrors asyncio.Server. */
typedef struct rp_server rp_server;

/*
 * What a protocol does at each event; `self` is what its factory gave. Any may be NULL. The order is: connection_made
 * once; data_received (or get_buffer and buffer_updated, or receivable) any number of times; eof_received at most once;
 * connection_lost once, after which the transport is gone (if the loop is closed under it, it is gone without that).
 * pause_writing and resume_writing alternate, until write_failed.
 */
typedef struct rp_protocol {
    void (*connection_made)(void *self, rp_transport *transport);
    void (*data_received)(void *self, const void *data, size_t length); /* data is lent for the call */
    bool (*eof_received)(void *self); /* true: keep the transport open for writing; NULL or false: close it */
    void (*connection_lost)(void *self, int error); /* 0: closed in order; else why */
    void (*pause_writing)(void *self);              /* the write buffer went above its high-water mark */
    void (*resume_writing)(void *self);             /* and is down at the low one */

    /* BufferedProtocol: where received bytes are to be put, in place of data_received. A length of 0 is an error. */
    void (*get_buffer)(void *self, size_t hint, void **buffer, size_t *length);
    void (*buffer_updated)(void *self, size_t length);

    /*
     * In place of all three: bytes, or the end, may have arrived, and rp_transport_try_read() takes them, now or later.
     * Reading is paused by it; resume it to be told again. eof_received is not called.
     */
    void (*receivable)(void *self);

    /*
     * If set, what a peer or the network does to a write ends writing only: what is buffered is dropped, further writes
     * fail with the same error, and reading goes on to the stream's end or an error of its own, so that an answer which
     * came before is not lost. connection_lost then tells the write's error, also after close or abort. Neither
     * pause_writing nor resume_writing follow. May be called inside a write. NULL: the connection is lost at once, as
     * asyncio has it.
     */
    void (*write_failed)(void *self, int error);
} rp_protocol;

/*
 * Makes the protocol of a new connection: stores it and its state, returns 0; or an error, and the connection is
 * closed.
 */
typedef int rp_protocol_factory(void *arg, const rp_protocol **protocol, void **self);

/* ---- transports ---- */

/*
 * Writes: what the socket does not take at once is copied and sent in the background, in order. length may be 0. 0, or
 * -EPIPE after write_eof, close or the connection's loss, or what the socket failed with; RP_EFORK, RP_ETHREAD.
 * -ENOMEM: nothing was taken; or a part was sent and there is no memory for the rest, and the connection is lost.
 * Mirrors transport.write(), writelines().
 */
RP_API int rp_transport_write(rp_transport *transport, const void *data, size_t length);
RP_API int rp_transport_writev(rp_transport *transport, const struct iovec *vector, int count);

/*
 * Between the two, what is written is collected, and then sent in one go: for an answer of many small parts. What comes
 * above the high-water mark is sent all the same. Corking does not nest; write_eof and close uncork. Uncorking returns
 * what a write would. asyncio has nothing like it.
 */
RP_API void rp_transport_cork(rp_transport *transport);
RP_API int rp_transport_uncork(rp_transport *transport);

/*
 * Sends end-of-file after what is buffered; reading goes on. Twice is ignored. 0, what a write failed with, RP_EFORK,
 * RP_ETHREAD. Mirrors transport.write_eof().
 */
RP_API int rp_transport_write_eof(rp_transport *transport);

/* Stops receiving, flushes the write buffer, then closes; connection_lost(0) follows. Mirrors transport.close(). */
RP_API void rp_transport_close(rp_transport *transport);

/* Closes now: what is buffered is lost and the peer sees a reset (TCP). connection_lost follows. Mirrors abort(). */
RP_API void rp_transport_abort(rp_transport *transport);

/* Whether it was closed, aborted or lost. Mirrors is_closing(). */
RP_API bool rp_transport_is_closing(const rp_transport *transport);

/* Pausing: data stays in the kernel, and the peer is held back. Mirrors pause_reading(), resume_reading(). */
RP_API void rp_transport_pause_reading(rp_transport *transport);
RP_API void rp_transport_resume_reading(rp_transport *transport);
RP_API bool rp_transport_is_reading(const rp_transport *transport);

/*
 * While reading is paused: takes what has arrived. Bytes, 0 at the end of the stream, -EAGAIN if nothing is there, or
 * the connection's error (connection_lost follows). -EPIPE after close, -EINVAL for a length of 0, RP_EFORK,
 * RP_ETHREAD. The protocol is not called. asyncio has nothing like it.
 */
RP_API int64_t rp_transport_try_read(rp_transport *transport, void *buffer, size_t length);

/*
 * The marks of the write buffer, in bytes; SIZE_MAX for high: 64 KiB, or 4 times low if that is given; for low: a
 * quarter of high. -EINVAL if low is above high. Mirrors set_write_buffer_limits().
 */
RP_API int rp_transport_set_write_buffer_limits(rp_transport *transport, size_t high, size_t low);
RP_API void rp_transport_get_write_buffer_limits(const rp_transport *transport, size_t *high, size_t *low);
RP_API size_t rp_transport_get_write_buffer_size(const rp_transport *transport);

/* The socket, lent: do not close it, read it or write to it. Mirrors get_extra_info('socket'). */
RP_API rp_fd rp_transport_fd(const rp_transport *transport);
RP_API rp_loop *rp_transport_get_loop(const rp_transport *transport);

/* getpeername() and getsockname(): `length` is the room in bytes, then what was needed. 0 or an error. */
RP_API int rp_transport_peername(const rp_transport *transport, struct sockaddr *address, uint32_t *length);
RP_API int rp_transport_sockname(const rp_transport *transport, struct sockaddr *address, uint32_t *length);

/* setsockopt(), getsockopt() of the socket: 0 or an error. Mirror get_extra_info('socket') and its methods. */
RP_API int rp_transport_setsockopt(rp_transport *transport, int level, int option, const void *value,
                                   uint32_t length);
RP_API int rp_transport_getsockopt(const rp_transport *transport, int level, int option, void *value,
                                   uint32_t *length);

/*
 * Replaces the protocol, at any time and inside any of its callbacks: the next event is the new one's.
 * connection_made is not called. What was received and handed over already is not repeated; the end of the stream is,
 * to a protocol with `receivable`.
 * Reading that is paused stays so, by `receivable` too; a protocol set while writing is paused gets resume_writing.
 * Mirrors set_protocol() and get_protocol().
 */
RP_API void rp_transport_set_protocol(rp_transport *transport, const rp_protocol *protocol, void *self);
RP_API const rp_protocol *rp_transport_get_protocol(const rp_transport *transport, void **self);

/*
 * Makes a transport of a connected stream socket, which it owns from then on (on failure it stays the caller's), and
 * calls connection_made before it returns. TCP_NODELAY is set. -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD, -EBADF,
 * -ENOTSOCK, -EINVAL for a socket of another type or one that listens. One that is not connected is lost by -ENOTCONN
 * (TCP) when it is read. Mirrors loop.connect_accepted_socket(), loop.create_connection(sock=).
 */
RP_API int rp_connect_accepted_socket(rp_loop *loop, rp_fd fd, const rp_protocol *protocol, void *self,
                                      rp_transport **transport);

/*
 * An address as text: "127.0.0.1:80", "[::1]:80", a Unix path, "" if unnamed. -ENOSPC if it does not fit, -EINVAL,
 * -EAFNOSUPPORT for another family. Any thread.
 */
RP_API int rp_sockaddr_format(const struct sockaddr *address, uint32_t address_length, char *text, size_t size);

/* ---- names and connections ---- */

/*
 * getaddrinfo() on the default executor (numeric hosts: at once). The future's value is a struct addrinfo list, which
 * the future owns. Errors are RP_EAI_* or those of rp_run_in_executor, with RP_ETHREAD. Mirrors
 * loop.getaddrinfo().
 */
RP_API int rp_loop_getaddrinfo(rp_loop *loop, const char *host, const char *service, const struct addrinfo *hints,
                               rp_future **future);

/* How to connect. Zeroed, it is the default. */
typedef struct rp_connect_options {
    int family;             /* AF_UNSPEC: any */
    int flags;              /* AI_* for the resolver */
    const char *local_host; /* bind to it first; NULL: do not */
    int local_port;
    bool nagle; /* leave Nagle's algorithm on; TCP_NODELAY is the default */
} rp_connect_options;

/*
 * Connects to host:port: resolves, tries the addresses in turn, makes the protocol by the factory. The future's value
 * is the rp_transport, lent. Options may be NULL. The future's error is that of the last address tried. Cancelling it
 * ends the attempt, unless that has just succeeded. -EINVAL, -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD. Mirrors
 * loop.create_connection().
 */
RP_API int rp_create_connection(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *host, int port,
                                const rp_connect_options *options, rp_future **future);

/*
 * The same to a Unix socket. `length` is the path's, or 0 for a path that ends with '\0'; an abstract one begins with
 * '\0' and needs it. -ENAMETOOLONG. Mirrors loop.create_unix_connection().
 */
RP_API int rp_create_unix_connection(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *path,
                                     size_t length, rp_future **future);

/* ---- servers ---- */

/* How to listen. Zeroed, it is the default. */
typedef struct rp_server_options {
    int family;            /* AF_UNSPEC: any */
    int flags;             /* AI_* for the resolver; 0: AI_PASSIVE */
    int backlog;           /* 0: 100, as asyncio has it */
    bool reuse_port;       /* SO_REUSEPORT; Windows has none: -ENOTSUP */
    bool no_reuse_address; /* SO_REUSEADDR (Windows: SO_EXCLUSIVEADDRUSE) is on unless this is set */
    bool nagle;            /* leave Nagle's algorithm on; TCP_NODELAY is the default */
    bool balance;          /* in a worker group (co.h): connections go to the worker that has the fewest */
    bool delay_start;      /* do not start serving yet: asyncio's start_serving=False */
} rp_server_options;

/*
 * Listens on every address of host:port (host NULL or "": all interfaces; port 0: one that is free, the same for all)
 * and makes a protocol by the factory for each connection. The future's value is the rp_server, whose reference is the
 * caller's. -EINVAL, -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD. Mirrors loop.create_server().
 */
RP_API int rp_create_server(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *host, int port,
                            const rp_server_options *options, rp_future **future);

/*
 * The same on a Unix socket, at a path as for rp_create_unix_connection(). A socket that is there is removed first,
 * even another server's; the server's own is removed when it closes. Done when it returns: -EINVAL, -ENAMETOOLONG,
 * -EADDRINUSE for a file that is no socket, -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD, and what bind() and listen()
 * fail with. Mirrors loop.create_unix_server().
 */
RP_API int rp_create_unix_server(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *path,
                                 size_t length, const rp_server_options *options, rp_server **server);

/*
 * The same on a stream socket that listens already, TCP's or a Unix one: inherited from a parent, or from systemd
 * (descriptor 3 and those after it: LISTEN_FDS of them, if LISTEN_PID is this process).
 * The server owns it from then on, and closes it; on failure it stays the caller's. It becomes non-blocking, also for
 * others that share it. Its backlog stays unless the options have one; `nagle` and `delay_start` are the only others
 * that count. A Unix socket's file is left where it is. Done when it returns.
 * -EINVAL for a socket of another type or one that does not listen, -ENOTSOCK, -EBADF, -ENOMEM, RP_ECLOSED, RP_EFORK,
 * RP_ETHREAD. Mirrors loop.create_server(sock=).
 */
RP_API int rp_create_server_fd(rp_loop *loop, rp_protocol_factory *factory, void *arg, rp_fd fd,
                               const rp_server_options *options, rp_server **server);

/*
 * Begins to accept, if it has not yet. -EINVAL if it is closed, RP_EFORK, RP_ETHREAD, or what listen() failed with.
 * Mirrors Server.start_serving().
 */
RP_API int rp_server_start_serving(rp_server *server);

/* Stops listening; connections that were accepted go on. Closing twice is ignored. Mirrors Server.close(). */
RP_API void rp_server_close(rp_server *server);

/* Closes (flushes), or aborts, all of its connections. Mirrors Server.close_clients(), abort_clients(). */
RP_API void rp_server_close_clients(rp_server *server);
RP_API void rp_server_abort_clients(rp_server *server);

/* Drops the caller's reference, and closes the server if it is open. NULL is ignored. */
RP_API void rp_server_free(rp_server *server);

/* Whether it accepts connections; its loop, lent. Mirror Server.is_serving() and get_loop(). */
RP_API bool rp_server_is_serving(const rp_server *server);
RP_API rp_loop *rp_server_get_loop(const rp_server *server);

/* How many connections it serves now. */
RP_API size_t rp_server_connections(const rp_server *server);

/* Its listening sockets: how many, and each one's descriptor (lent; -1 past the end) and name. */
RP_API size_t rp_server_sockets(const rp_server *server);
RP_API rp_fd rp_server_fd(const rp_server *server, size_t index);
RP_API int rp_server_sockname(const rp_server *server, size_t index, struct sockaddr *address, uint32_t *length);

/* The port of its first TCP socket; 0 if there is none. */
RP_API int rp_server_port(const rp_server *server);

/*
 * A future (the caller's reference) that is done when the server is closed and its last connection has ended. -ENOMEM,
 * RP_EFORK, RP_ETHREAD.
 */
RP_API int rp_server_closed_future(rp_server *server, rp_future **future);

#ifdef __cplusplus
}
#endif

#endif
