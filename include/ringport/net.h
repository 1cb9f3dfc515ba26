/*
 * net.h - transports and protocols, servers and connections, by callbacks: the lower half of asyncio's networking.
 *
 * A transport moves bytes; a protocol says what they mean.
 * C programs that use coroutines want stream.h, which stands on this header.
 *
 * Threads. All functions are for the loop's thread, unless they say "Any thread.".
 * None of them suspends.
 * Callbacks run on the loop, and may call every function here.
 *
 * Errors that are listed below without a reason mean the same everywhere:
 *   -ENOMEM      there is no memory
 *   RP_ECLOSED   the loop is closed
 *   RP_EFORK     this is a child of fork(), and the loop is its parent's
 *   RP_ETHREAD   another thread runs the loop: checked in debug mode only
 */
#ifndef RINGPORT_NET_H
#define RINGPORT_NET_H

#include "future.h"
#include "loop.h"

#ifdef __cplusplus
extern "C" {
#endif

struct addrinfo;

/* Listening sockets, and the connections that came in by them. Mirrors asyncio.Server. */
typedef struct rp_server rp_server;

/*
 * What a protocol does at each event. `self` is what the protocol's factory gave. Each callback may be NULL.
 *
 * The order of the calls is:
 *   1. connection_made, once
 *   2. data_received, any number of times (or get_buffer with buffer_updated or buffer_unused, or receivable)
 *   3. eof_received, at most once
 *   4. connection_lost, once, in the turn after the close, abort or error; the transport is freed after it
 * If the loop is closed first, the transport is freed without connection_lost.
 * Whoever needs the transport for longer refers to it: rp_transport_ref().
 * pause_writing and resume_writing alternate. After write_failed neither comes, nor drained.
 */
typedef struct rp_protocol {
    void (*connection_made)(void *self, rp_transport *transport);
    void (*data_received)(void *self, const void *data, size_t length); /* data is lent for the call */
    bool (*eof_received)(void *self); /* true: keep the transport open for writing; NULL or false: close it */
    void (*connection_lost)(void *self, int error); /* 0: closed in order; else why */
    void (*pause_writing)(void *self);              /* the write buffer went above its high-water mark */
    void (*resume_writing)(void *self);             /* and is down at the low one */
    void (*drained)(void *self);                    /* what had to wait in the buffer has all been sent */

    /*
     * BufferedProtocol, in place of data_received: where received bytes are to be put.
     * A buffer of no length loses the connection by -EINVAL, and none at all (*buffer stays NULL) by -ENOBUFS.
     * get_buffer may also close, abort or pause the transport: then nothing is received.
     * Each buffer is given back before the protocol is told of anything else: by buffer_updated, or by buffer_unused.
     */
    void (*get_buffer)(void *self, size_t hint, void **buffer, size_t *length);
    void (*buffer_updated)(void *self, size_t length); /* so many bytes are in it, one at least */

    /*
     * Nothing was put into the buffer:
     *   nothing was there after all
     *   the end of the stream or an error came, which is told next
     *   get_buffer has paused or closed the transport, or replaced its protocol: the one that gave the buffer is called
     *   get_buffer has interrupted the run, or forked, and this is the child, where no other callback follows
     */
    void (*buffer_unused)(void *self);

    /*
     * In place of all of these: bytes, or the end of the stream, may have arrived.
     * rp_transport_try_read() takes them, now or later.
     * Reading is paused by this call; resume it to be called again.
     * eof_received is not called.
     */
    void (*receivable)(void *self);

    /*
     * If this is set, an error that the peer or the network causes in a write ends writing only:
     *   what is buffered is dropped
     *   further writes fail with the same error
     *   reading goes on to the end of the stream, or to an error of its own: an answer that came before is not lost
     *   connection_lost tells the write's error in the end, also after close or abort
     * It may be called inside a write.
     * NULL: the connection is lost at once, as in asyncio.
     */
    void (*write_failed)(void *self, int error);

    /*
     * false: connection_made is called inside the call that makes the transport, which receives already.
     * true: it is scheduled as by rp_call_soon(), and receiving begins after it, as in asyncio. Whoever awaits the
     * connection goes on after that.
     */
    bool begins_soon;

    /* How often one event may have the protocol receive before others get their turn. 0: 8 times; asyncio: once. */
    unsigned receives;
} rp_protocol;

/*
 * Makes the protocol of a new connection: stores it and its state, and returns 0.
 * If it returns an error, the connection is closed.
 */
typedef int rp_protocol_factory(void *arg, const rp_protocol **protocol, void **self);

/* ---- transports ---- */

/*
 * Keep a transport's memory, and give it up again: closing a loop does not free what is referred to.
 * Calls on a connection that has ended, or whose loop is closed, do nothing, and say so:
 *   rp_transport_is_closing() is true
 *   what writes or reads fails: -EPIPE, or RP_ECLOSED if the loop is closed
 *   rp_transport_fd() is -1, and what asks the socket fails with -EBADF
 * rp_transport_ref() returns its argument.
 * rp_transport_unref() ignores NULL.
 * When the loop is closed, any one thread may give a reference up.
 * asyncio has nothing like it: Python counts references.
 */
RP_API rp_transport *rp_transport_ref(rp_transport *transport);
RP_API void rp_transport_unref(rp_transport *transport);

/*
 * Writes. What the socket does not take at once is copied, and sent in the background, in order.
 * `length` is in bytes and may be 0; `count` is the number of pieces.
 * Returns 0.
 * Errors:
 *   -EPIPE    after write_eof or close, or when the connection is lost
 *   -EINVAL   `count` is negative, or the pieces are too long together
 *   -ENOMEM   nothing was taken; or, if a part had been sent already, the connection is lost
 *   RP_ECLOSED, RP_EFORK, RP_ETHREAD
 *   -ENOTSUP  the transport only reads: rp_connect_read_pipe()
 *   what the socket failed with
 * Mirrors transport.write() and writelines().
 */
RP_API int rp_transport_write(rp_transport *transport, const void *data, size_t length);
RP_API int rp_transport_writev(rp_transport *transport, const struct iovec *vector, int count);

/*
 * Between cork and uncork, what is written is collected, and then sent in one go: for an answer of many small parts.
 * What goes above the high-water mark is sent all the same.
 * Corking does not nest. write_eof and close uncork.
 * Errors of uncorking: as of rp_transport_write().
 * asyncio has nothing like it.
 */
RP_API void rp_transport_cork(rp_transport *transport);
RP_API int rp_transport_uncork(rp_transport *transport);

/* For the flags of rp_transport_sendfile(). */
enum {
    /*
     * Has the kernel send it, by sendfile(2), where the transport is a plain socket of Linux. Elsewhere it is ignored.
     * It is for files that are known to be cached: the loop waits while the kernel reads what is not.
     */
    RP_SENDFILE_IN_KERNEL = 1 << 0,
};

/*
 * Sends a file, or a part of it, behind what was written before, and before what is written from now on.
 * It is read ahead by 512 KiB at most while the part before is sent. The loop does not wait for the disk.
 * Several may be under way: they go in the order of the calls. Reading from the transport goes on.
 * Sending it is no writing: pause_writing does not count it, and corking does not hold it back.
 * `file` is lent until the future is done. Any descriptor that can be read will do.
 * `offset` is where to begin, in bytes. -1 means the file's own position, which is moved behind what was sent.
 * Of a pipe, what was read and could not be sent is lost.
 * `count` is how many bytes to send at most. -1 means all that the file has, also what is added meanwhile.
 * A file that ends earlier, or is cut short meanwhile, is no error: rp_sendfile_sent() tells.
 * Closing the transport sends the file first.
 * *future gets a reference that the caller owns.
 * The future's error is that of reading the file, and then the transport goes on; or why the transport sends no more:
 * -EPIPE after an abort, else what the connection was lost by.
 * Cancelling the future ends it after what has been sent by then. The transport goes on with what is behind it.
 * Closing the loop ends it, too: its future stays pending for whoever holds it, and can be cancelled.
 * `flags` are RP_SENDFILE_*, or 0.
 * Errors:
 *   -EPIPE    after write_eof or close, or when the connection is lost
 *   -ENOTSUP  the transport is for reading alone
 *   -EBADF    `file` is no open descriptor
 *   -EINVAL   `offset` or `count` is below -1
 *   -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD
 *   what an earlier write failed with
 * Mirrors loop.sendfile().
 */
RP_API int rp_transport_sendfile(rp_transport *transport, rp_fd file, int64_t offset, int64_t count, int flags,
                                 rp_future **future);

/*
 * How many bytes of the file have been sent so far, and when the future is done: in all, also if it failed.
 * Errors:
 *   -EINVAL   the future is another one
 */
RP_API int64_t rp_sendfile_sent(const rp_future *future);

/*
 * Sends end-of-file after what is buffered. Reading goes on.
 * Calling it twice is ignored.
 * Errors:
 *   what a write failed with
 *   -ENOTSUP   the transport only reads, or is a named pipe, which has no end of one direction
 *   RP_ECLOSED, RP_EFORK, RP_ETHREAD
 * Mirrors transport.write_eof().
 */
RP_API int rp_transport_write_eof(rp_transport *transport);

/*
 * Stops receiving, sends what is buffered, then closes.
 * connection_lost(0) follows, in the turn after everything has been sent.
 * Mirrors transport.close().
 */
RP_API void rp_transport_close(rp_transport *transport);

/*
 * Closes now: what is buffered is lost, and the peer sees a reset (TCP).
 * connection_lost follows, in the next turn.
 * It does not wait for the kernel: an operation that cannot be cancelled at once keeps the descriptor open a little
 * longer.
 * Mirrors transport.abort().
 */
RP_API void rp_transport_abort(rp_transport *transport);

/* Whether it was closed, aborted or lost. Mirrors transport.is_closing(). */
RP_API bool rp_transport_is_closing(const rp_transport *transport);

/*
 * Pauses and resumes reading; whether it is on.
 * While it is paused, data stays in the kernel, and the peer is held back.
 * Mirror transport.pause_reading(), resume_reading() and is_reading().
 */
RP_API void rp_transport_pause_reading(rp_transport *transport);
RP_API void rp_transport_resume_reading(rp_transport *transport);
RP_API bool rp_transport_is_reading(const rp_transport *transport);

/*
 * Takes what has arrived, while reading is paused. The protocol is not called.
 * Returns the number of bytes, or 0 at the end of the stream.
 * Errors:
 *   -EAGAIN   nothing is there
 *   -EPIPE    after close
 *   -EINVAL   `length` is 0
 *   -ENOTSUP  the transport only writes: rp_connect_write_pipe()
 *   RP_ECLOSED, RP_EFORK, RP_ETHREAD
 *   the connection's error; connection_lost follows
 * asyncio has nothing like it.
 */
RP_API int64_t rp_transport_try_read(rp_transport *transport, void *buffer, size_t length);

/*
 * The marks of the write buffer, and how much is in it; in bytes.
 * SIZE_MAX for `high` means 64 KiB, or 4 times `low` if that is given.
 * SIZE_MAX for `low` means a quarter of `high`.
 * Errors:
 *   -EINVAL   `low` is above `high`
 * Mirror transport.set_write_buffer_limits(), get_write_buffer_limits() and get_write_buffer_size().
 */
RP_API int rp_transport_set_write_buffer_limits(rp_transport *transport, size_t high, size_t low);
RP_API void rp_transport_get_write_buffer_limits(const rp_transport *transport, size_t *high, size_t *low);
RP_API size_t rp_transport_get_write_buffer_size(const rp_transport *transport);

/*
 * The socket, lent: do not close it, read from it or write to it. And the loop, lent.
 * Mirrors transport.get_extra_info('socket').
 */
RP_API rp_fd rp_transport_fd(const rp_transport *transport);
RP_API rp_loop *rp_transport_get_loop(const rp_transport *transport);

/*
 * The addresses of the two ends.
 * *length is the room in bytes, and then the address's true length.
 * Errors: those of getpeername() and getsockname().
 */
RP_API int rp_transport_peername(const rp_transport *transport, struct sockaddr *address, uint32_t *length);
RP_API int rp_transport_sockname(const rp_transport *transport, struct sockaddr *address, uint32_t *length);

/*
 * Set and get an option of the socket.
 * Errors: those of setsockopt() and getsockopt().
 * Mirror transport.get_extra_info('socket') and its methods.
 */
RP_API int rp_transport_setsockopt(rp_transport *transport, int level, int option, const void *value,
                                   uint32_t length);
RP_API int rp_transport_getsockopt(const rp_transport *transport, int level, int option, void *value,
                                   uint32_t *length);

/*
 * Replaces the protocol, at any time, even inside one of its callbacks: the next event is the new protocol's.
 * connection_made is not called. If it is still to come (begins_soon), it goes to the new protocol.
 * What was received and handed over is not repeated. The end of the stream is, to a protocol with `receivable`.
 * Reading that is paused stays so, also if `receivable` paused it.
 * A protocol that is set while writing is paused gets resume_writing.
 * Mirror transport.set_protocol() and get_protocol().
 */
RP_API void rp_transport_set_protocol(rp_transport *transport, const rp_protocol *protocol, void *self);
RP_API const rp_protocol *rp_transport_get_protocol(const rp_transport *transport, void **self);

/*
 * Makes a transport of a connected stream socket.
 * connection_made is called before this returns, unless the protocol's begins_soon has it scheduled.
 * The transport owns the socket from then on. On failure it stays the caller's.
 * TCP_NODELAY is set.
 * A socket that is not connected is lost when it is read, by -ENOTCONN (TCP).
 * Errors:
 *   -EBADF, -ENOTSOCK   `fd` is no open descriptor, or no socket
 *   -EINVAL             it is a socket of another type, or one that listens
 *   -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD
 * Mirrors loop.connect_accepted_socket() and loop.create_connection(sock=).
 */
RP_API int rp_connect_accepted_socket(rp_loop *loop, rp_fd fd, const rp_protocol *protocol, void *self,
                                      rp_transport **transport);

/* ---- TLS ---- */

/* What TLS is to be like: certificates, what is trusted, versions. Made by tls.h, of libringport-tls; opaque here. */
typedef struct rp_tls_context rp_tls_context;

/* Why a handshake has failed, in memory of the caller's. */
typedef struct rp_tls_failure {
    int alert;      /* the number of the alert that came (RFC 8446, section 6); -1: none did */
    char text[256]; /* for people; "" if there is nothing to say beyond the error */
} rp_tls_failure;

/* How to begin TLS on a connection that is there. Zeroed, it is a client's default, but for the name. */
typedef struct rp_tls_options {
    bool server_side; /* the other end says hello */

    /*
     * A client's: the server's name, which it is told (SNI), and which its certificate has to have. It is a DNS name,
     * or an address. "": it has none, and the context must not want to check it (tls.h). It is copied.
     */
    const char *server_name;
    int64_t handshake_timeout; /* nanoseconds; 0: 60 s, as in asyncio */
    int64_t shutdown_timeout;  /* nanoseconds, for the peer's answer to the end; 0: 30 s, as in asyncio */
    rp_tls_failure *failure;   /* is told why the handshake fails, until that is done; NULL: nobody is */
} rp_tls_options;

/*
 * Begins TLS on a transport: another transport comes of it, and this one carries that one's records.
 * From now on write to this one no more: it would send that as plain text. Closing or aborting it ends both.
 * What was written before is sent first, as plain text. What was received and not read yet is the peer's hello.
 * If this fails, the transport is as it was.
 * The protocol of `transport` is told nothing any more, not even connection_lost. Its reading goes on by itself.
 * `received` are bytes that the old protocol has been given, and that belong to the handshake; they are copied.
 * *future gets a reference that the caller owns.
 * The future's value is the new rp_transport, lent, when the handshake is done.
 * Its protocol is the one that is given here, whose connection_made is not called.
 * Reading begins when those who wait for the future have been told: the protocol hears of no bytes before that.
 * The future's error is one of RP_ETLS_*, -ETIMEDOUT, or what the connection was lost by, and `failure` has more of it.
 * The connection is closed then.
 * Cancelling the future in the handshake closes the connection, too.
 * Closing the loop ends the handshake: its future stays pending for whoever holds it, and can be cancelled.
 * The context is referred to until the connection has ended.
 * Errors:
 *   -EINVAL    a client has no `server_name`, a server has one, a time limit is negative, or the context is NULL, or
 *              for the other side, or it has to check names and the name is ""
 *   -EPIPE     the transport was closed, is lost, or its end was sent (write_eof)
 *   -EBUSY     TLS has begun on it already: go on with the transport that came of that
 *   -ENOTSUP   the transport goes one way only: a pipe
 *   -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD
 * Mirrors loop.start_tls().
 */
RP_API int rp_transport_start_tls(rp_transport *transport, rp_tls_context *context, const rp_tls_options *options,
                                  const void *received, size_t length, const rp_protocol *protocol, void *self,
                                  rp_future **future);

/* ---- pipes ---- */

/*
 * Make a transport of one end of a pipe: for reading, or for writing.
 * `fd` is a pipe, a FIFO, a terminal or another character device, or a socket, of which one direction is used.
 * connection_made is called before this returns, unless the protocol's begins_soon has it scheduled.
 * The transport owns the descriptor from then on. On failure it stays the caller's.
 *
 * Reading:
 *   the end of the stream closes the transport, whatever eof_received returns; unless the protocol has `receivable`
 *   a terminal that the other side has hung up is at its end (the kernel says -EIO)
 *   what writes fails with -ENOTSUP
 * Writing:
 *   when nobody reads any more, the connection is lost by -EPIPE, even if nothing is written; no SIGPIPE is raised
 *   rp_transport_write_eof() is rp_transport_close(): only a close tells the reader of the end
 *   write_failed is not called: nothing is left when writing has failed
 *   what reads fails with -ENOTSUP, and rp_transport_is_reading() is false
 *
 * No call blocks the loop, whatever other processes do with a descriptor that they share. Whether it is non-blocking
 * (O_NONBLOCK) is left as it is for them, with three exceptions, which become non-blocking:
 *   the master of a pseudo-terminal
 *   a device that is no terminal
 *   a FIFO or terminal that this process may not open, and before Linux 6.4 such a pipe
 * Other FIFOs and terminals take a second descriptor each.
 * On Windows `fd` is a HANDLE, for overlapped operations or not; docs/windows.md says what differs.
 * Errors:
 *   -EINVAL    it is a regular file, a directory or a block device
 *   -EBADF     it is no open descriptor, or not open for that direction
 *   -EMFILE    there is no other descriptor; -ENFILE
 *   -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD
 * Mirror loop.connect_read_pipe() and loop.connect_write_pipe().
 */
RP_API int rp_connect_read_pipe(rp_loop *loop, rp_fd fd, const rp_protocol *protocol, void *self,
                                rp_transport **transport);
RP_API int rp_connect_write_pipe(rp_loop *loop, rp_fd fd, const rp_protocol *protocol, void *self,
                                 rp_transport **transport);

/*
 * Connects to a named pipe of Windows, and makes the protocol by the factory. On POSIX rp_create_unix_connection() is
 * what comes closest.
 * `path` is UTF-8, and most often begins with `\\.\pipe\`. That of another machine may hold the loop up.
 * While all instances of the pipe are taken, it tries again. Whoever does not want that for ever cancels the future.
 * The server may learn who connects, but not act in that name.
 * The transport reads and writes bytes. A pipe has no end of one direction: rp_transport_write_eof() gets -ENOTSUP.
 * *future gets a reference that the caller owns.
 * The future's value is the rp_transport, lent.
 * The future's errors are those of opening it: -ENOENT, -EACCES and the like; -EINVAL if there is something else.
 * Errors:
 *   -ENOTSUP   on POSIX
 *   -EILSEQ    the path is no UTF-8
 *   -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD
 * Mirrors loop.create_pipe_connection().
 */
RP_API int rp_create_pipe_connection(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *path,
                                     rp_future **future);

/*
 * An address as text: "127.0.0.1:80", "[::1]:80", a Unix path; "" if it is unnamed.
 * `size` is the room in bytes, with the final '\0'.
 * Any thread.
 * Errors:
 *   -ENOSPC         the text does not fit
 *   -EINVAL         the address is too short for its family
 *   -EAFNOSUPPORT   it is of another family
 */
RP_API int rp_sockaddr_format(const struct sockaddr *address, uint32_t address_length, char *text, size_t size);

/* ---- names and connections ---- */

/*
 * Resolves a name by getaddrinfo(); numeric hosts at once.
 * It runs on threads of the loop's own that are for names alone: up to 64, which end when they have been idle for 10 s.
 * So slow names do not keep the default executor's threads. Questions beyond 64 wait for their turn.
 * Identical questions that are under way at the same time are asked once. Cancelling one future leaves the others.
 * A cancelled lookup ends at once. Its thread may be in getaddrinfo() for longer, even after the loop is closed.
 * On Windows `host` is UTF-8, and a name with other letters than ASCII's is looked up in Punycode. On Linux the hint
 * AI_IDN asks for that, in the locale's encoding.
 * *future gets a reference that the caller owns.
 * The future's value is a list of struct addrinfo, which the future owns.
 * The future's error is one of RP_EAI_*.
 * Errors:
 *   -EAGAIN   no thread could be started
 *   -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD
 * Mirrors loop.getaddrinfo().
 */
RP_API int rp_loop_getaddrinfo(rp_loop *loop, const char *host, const char *service, const struct addrinfo *hints,
                               rp_future **future);

/* What an address is called: the longest names that there are fit. In UTF-8 on Windows. */
typedef struct rp_nameinfo {
    char host[1025];
    char service[32];
} rp_nameinfo;

/*
 * Finds the names of an address by getnameinfo(), as rp_loop_getaddrinfo() resolves names.
 * `flags` are NI_*. With NI_NUMERICHOST and NI_NUMERICSERV the answer is there at once.
 * *future gets a reference that the caller owns.
 * The future's value is an rp_nameinfo, which the future owns.
 * The future's error is one of RP_EAI_*.
 * Errors:
 *   -EINVAL   there is no address, or it is too long or too short to be one
 *   those of rp_loop_getaddrinfo()
 * Mirrors loop.getnameinfo().
 */
RP_API int rp_loop_getnameinfo(rp_loop *loop, const struct sockaddr *address, uint32_t length, int flags,
                               rp_future **future);

/* Why one of a name's addresses could not be connected. */
typedef struct rp_connect_error {
    int error;
    uint32_t address_length; /* in bytes */
    uint64_t address[16];    /* a struct sockaddr: what does not fit is cut off */
} rp_connect_error;

/* The errors of all addresses in the order in which they came, in memory of the caller's. */
typedef struct rp_connect_errors {
    rp_connect_error *list;
    size_t capacity; /* of the list */
    size_t count;    /* how many there are: those that do not fit are counted only */
} rp_connect_errors;

/* How to connect. Zeroed, it is the default. */
typedef struct rp_connect_options {
    int family;             /* AF_UNSPEC: any */
    int flags;              /* AI_* for the resolver */
    const char *local_host; /* bind to it first; NULL: do not */
    int local_port;
    bool nagle; /* leave Nagle's algorithm on; TCP_NODELAY is the default */

    /*
     * Happy eyeballs (RFC 8305): after so many nanoseconds the next address is tried beside those that have not
     * answered yet. 0: only when the last one has failed. 250 ms are recommended.
     */
    int64_t happy_eyeballs_delay;

    /*
     * Addresses are tried from each family in turn, after so many of the first one. 0: 1 with happy eyeballs, and else
     * in the resolver's order. -1: in the resolver's order.
     */
    int interleave;

    rp_connect_errors *errors; /* all errors are kept there, until the future is done; NULL: the last one is */

    /*
     * TLS over the connection; NULL: none. The handshake is a part of connecting: the protocol is made after it. The
     * context is referred to until the connection has ended.
     */
    rp_tls_context *tls;

    /*
     * As in rp_tls_options. NULL: the host that is connected to. Where there is none, as with a Unix socket, it has to
     * be given.
     */
    const char *server_name;
    int64_t tls_handshake_timeout; /* nanoseconds; 0: 60 s, as in asyncio */
    int64_t tls_shutdown_timeout;  /* nanoseconds, for the peer's answer to the end; 0: 30 s, as in asyncio */
    rp_tls_failure *tls_failure;   /* is told why the handshake fails, until the future is done; NULL: nobody is */
} rp_connect_options;

/*
 * Connects to host:port: resolves the name, tries its addresses, makes the protocol by the factory.
 * The addresses are tried one after the other, or with happy eyeballs beside each other, as the options say.
 * The first one that is connected is taken; attempts that are under way then are cancelled, and waited for.
 * *future gets a reference that the caller owns.
 * The future's value is the rp_transport, lent.
 * The future's error is that of the last address, in the order in which they are tried; the options can keep all.
 * Cancelling the future ends the attempt, unless that has just succeeded.
 * Closing the loop ends the attempt, too: its future stays pending for whoever holds it, and can be cancelled.
 * `options` may be NULL.
 * With TLS the handshake follows, with the address that was connected first.
 *   The future's value is the transport over TLS.
 *   The future's error may also be one of RP_ETLS_*, or -ETIMEDOUT; the options keep it, with the address.
 *   A handshake that fails ends the attempt: no other address is tried, as in asyncio.
 *   Cancelling the future in the handshake ends that, and the connection.
 * Errors:
 *   -EINVAL   the port, the delay or `interleave` is out of bounds; a time limit is negative; there is TLS and no name
 *             for it, or no TLS and an option of it; the context is for servers
 *   those of rp_loop_getaddrinfo()
 * Mirrors loop.create_connection().
 */
RP_API int rp_create_connection(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *host, int port,
                                const rp_connect_options *options, rp_future **future);

/*
 * Connects to a Unix socket; otherwise it is rp_create_connection().
 * `length` is the path's, in bytes, or 0 for a path that ends with '\0'.
 * On Windows the path is UTF-8.
 * An abstract path begins with '\0', and needs its length. Linux alone has such paths.
 * Errors:
 *   -ENAMETOOLONG   the path does not fit into an address
 *   -ENOTSUP        the path is abstract, and this system has none
 *   -EINVAL         the path is empty
 *   -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD
 * Mirrors loop.create_unix_connection().
 */
RP_API int rp_create_unix_connection(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *path,
                                     size_t length, rp_future **future);

/*
 * The same with options, of which those of TLS count.
 * Errors:
 *   -EINVAL   there is TLS and no `server_name`, or the context is for servers
 *   those of rp_create_unix_connection()
 * Mirrors loop.create_unix_connection(ssl=).
 */
RP_API int rp_create_unix_connection_with(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *path,
                                          size_t length, const rp_connect_options *options, rp_future **future);

/*
 * Connects a socket to an address, one attempt without a name, and makes the protocol by the factory.
 * The attempt owns the socket from then on, and closes it unless it succeeds. On failure of the call itself the socket
 * stays the caller's.
 * The socket may be bound; it becomes non-blocking. `address` is copied.
 * Of the options `nagle` counts, and those of TLS, where `server_name` has to be given. They may be NULL.
 * *future gets a reference that the caller owns.
 * The future's value is the rp_transport, lent.
 * The future's error is what connect() or the factory failed with. To give up a connection that several attempts race
 * for, and another has won, let the factory fail.
 * Cancelling the future ends the attempt, unless that has just succeeded.
 * Errors:
 *   -EBADF, -ENOTSOCK   `fd` is no open descriptor, or no socket
 *   -EINVAL             it is a socket of another type, or listens; or the address is too long or too short
 *   -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD
 * Mirrors loop.sock_connect(), and loop.create_connection(sock=) after it.
 */
RP_API int rp_create_connection_fd(rp_loop *loop, rp_protocol_factory *factory, void *arg, rp_fd fd,
                                   const struct sockaddr *address, uint32_t length,
                                   const rp_connect_options *options, rp_future **future);

/* ---- servers ---- */

/* How to listen. Zeroed, it is the default. */
typedef struct rp_server_options {
    int family;            /* AF_UNSPEC: any */
    int flags;             /* AI_* for the resolver; 0: AI_PASSIVE */
    int backlog;           /* 0: 100, as asyncio has it */
    bool reuse_port;       /* SO_REUSEPORT; Windows has none: -ENOTSUP */
    bool no_reuse_address; /* refuse an address at which connections of an earlier server linger; see below */
    bool nagle;            /* leave Nagle's algorithm on; TCP_NODELAY is the default */
    bool balance;          /* in a worker group (co.h): connections go to the worker that has the fewest */
    bool delay_start;      /* do not start serving yet: asyncio's start_serving=False */

    /*
     * TLS over each connection; NULL: none. The protocol of a connection is made after the handshake. Until then the
     * connection counts as one of the server's, and closing its clients aborts it. A handshake that fails is reported
     * in debug mode only, as in asyncio. The context is referred to until the server and its connections have ended.
     */
    rp_tls_context *tls;
    int64_t tls_handshake_timeout; /* nanoseconds; 0: 60 s, as in asyncio */
    int64_t tls_shutdown_timeout;  /* nanoseconds, for the peer's answer to the end; 0: 30 s, as in asyncio */
} rp_server_options;

/*
 * Listens on every address of host:port, and makes a protocol by the factory for each connection.
 * A server can be started anew at once: connections of the earlier one that linger (TIME_WAIT) do not count.
 * `no_reuse_address` makes them count.
 * On POSIX SO_REUSEADDR is on unless `no_reuse_address` is set.
 * On Windows no option is on, as with asyncio and libuv, and with `no_reuse_address` SO_EXCLUSIVEADDRUSE.
 * That one also keeps a port that the server has on all addresses from being taken on a single one.
 * A host of NULL or "" means all interfaces. Port 0 means one that is free, the same for all addresses.
 * *future gets a reference that the caller owns.
 * The future's value is the rp_server, which the caller owns and frees by rp_server_free().
 * The future's error is what resolving, bind() or listen() failed with.
 * `options` may be NULL.
 * Errors:
 *   -EINVAL   the port is out of bounds, a time limit is negative, or there is one and no TLS; the context is for
 *             clients
 *   those of rp_loop_getaddrinfo()
 * Mirrors loop.create_server().
 */
RP_API int rp_create_server(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *host, int port,
                            const rp_server_options *options, rp_future **future);

/*
 * Listens on a Unix socket, at a path as for rp_create_unix_connection(). The server is made when this returns.
 * A socket that is at the path is removed first, even another server's.
 * The server's own socket is removed when the server closes.
 * *server is the caller's, who frees it by rp_server_free().
 * Errors:
 *   -EADDRINUSE     there is a file at the path that is no socket
 *   -ENAMETOOLONG   the path does not fit into an address
 *   -ENOTSUP        the path is abstract, and this system has none
 *   -EINVAL         the path is empty
 *   -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD
 *   what bind() and listen() failed with
 * Mirrors loop.create_unix_server().
 */
RP_API int rp_create_unix_server(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *path,
                                 size_t length, const rp_server_options *options, rp_server **server);

/*
 * Serves a named pipe of Windows, by a protocol of the factory's for each client. The server is made when this returns.
 * `path` is as for rp_create_pipe_connection().
 * The name is this server's alone while it serves, and free when it is closed and its connections have ended.
 * Clients of other machines are refused. Who else may connect is what Windows has by default: this user, and
 * administrators; everybody may read.
 * Of the options only `delay_start` and those of TLS count. The server has no sockets.
 * *server is the caller's, who frees it by rp_server_free().
 * Errors:
 *   -ENOTSUP      on POSIX
 *   -EADDRINUSE   somebody else has the name
 *   -EINVAL       it is no name of a pipe
 *   -EILSEQ       the path is no UTF-8
 *   -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD
 * Mirrors loop.start_serving_pipe().
 */
RP_API int rp_create_pipe_server(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *path,
                                 const rp_server_options *options, rp_server **server);

/*
 * Serve on stream sockets that are given, TCP's or Unix ones: on one, or on several.
 * The server is made when this returns.
 * A socket listens already: it is inherited from a parent, or from systemd (descriptor 3 and those after it, LISTEN_FDS
 * of them, if LISTEN_PID is this process).
 * If the options have a backlog, a socket that is only bound will do.
 * The server owns the sockets from then on, and closes them. On failure they stay the caller's.
 * The sockets become non-blocking, also for others that share them.
 * Their backlogs stay unless the options have one. Of the other options `nagle`, `delay_start` and those of TLS count.
 * A Unix socket's file is left where it is.
 * *server is the caller's, who frees it by rp_server_free().
 * Errors:
 *   -EBADF, -ENOTSOCK   one is no open descriptor, or no socket
 *   -EINVAL             one is a socket of another type, is connected, does not listen, or is given twice; or `count`
 *                       is 0
 *   -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD
 *   what listen() failed with
 * Mirror loop.create_server(sock=), which wants a backlog of 100 here.
 */
RP_API int rp_create_server_fd(rp_loop *loop, rp_protocol_factory *factory, void *arg, rp_fd fd,
                               const rp_server_options *options, rp_server **server);
RP_API int rp_create_server_fds(rp_loop *loop, rp_protocol_factory *factory, void *arg, const rp_fd *fds,
                                size_t count, const rp_server_options *options, rp_server **server);

/*
 * Begins to accept, if it has not yet.
 * Errors:
 *   -EINVAL   the server is closed
 *   RP_ECLOSED, RP_EFORK, RP_ETHREAD
 *   what listen() failed with
 * Mirrors Server.start_serving().
 */
RP_API int rp_server_start_serving(rp_server *server);

/*
 * Stops listening. Connections that were accepted go on.
 * Closing twice is ignored.
 * Mirrors Server.close().
 */
RP_API void rp_server_close(rp_server *server);

/*
 * Close, or abort, all of the server's connections. Closing sends what is buffered first.
 * Either aborts a connection that is in the handshake of TLS.
 * Mirror Server.close_clients() and abort_clients().
 */
RP_API void rp_server_close_clients(rp_server *server);
RP_API void rp_server_abort_clients(rp_server *server);

/*
 * Drops the caller's reference, and closes the server if it is open.
 * NULL is ignored.
 */
RP_API void rp_server_free(rp_server *server);

/*
 * Keep a server's memory, and give it up again.
 * The server goes on as if nobody referred to it, and closing its loop closes it. But its memory stays, and the loop's.
 * Calls on a server that is at its end, or whose loop is closed, do nothing, and say so:
 *   rp_server_is_serving() is false, there are no sockets and no connections
 *   rp_server_start_serving() fails: -EINVAL, or RP_ECLOSED if the loop is closed
 *   rp_server_closed_future() gives a future that is done; if the loop is closed it fails by RP_ECLOSED
 *   rp_server_close() and rp_server_free() are ignored
 * rp_server_ref() returns its argument.
 * rp_server_unref() ignores NULL.
 * When the loop is closed, any one thread may give a reference up.
 * Mirror references of Python's.
 */
RP_API rp_server *rp_server_ref(rp_server *server);
RP_API void rp_server_unref(rp_server *server);

/* Whether it accepts connections; its loop, lent. Mirror Server.is_serving() and get_loop(). */
RP_API bool rp_server_is_serving(const rp_server *server);
RP_API rp_loop *rp_server_get_loop(const rp_server *server);

/* How many connections it serves now; those in the handshake of TLS count. */
RP_API size_t rp_server_connections(const rp_server *server);

/*
 * The server's listening sockets: how many there are, the descriptor of each, and the address of each.
 * A descriptor is lent; it is -1 past the end.
 * *length is the room in bytes, and then the address's true length.
 * Errors:
 *   -EBADF   the index is past the end
 *   those of getsockname()
 */
RP_API size_t rp_server_sockets(const rp_server *server);
RP_API rp_fd rp_server_fd(const rp_server *server, size_t index);
RP_API int rp_server_sockname(const rp_server *server, size_t index, struct sockaddr *address, uint32_t *length);

/* The port of its first TCP socket; 0 if there is none. */
RP_API int rp_server_port(const rp_server *server);

/*
 * A future that is done when the server is closed and its last connection has ended.
 * *future gets a reference that the caller owns.
 * Errors: -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD.
 */
RP_API int rp_server_closed_future(rp_server *server, rp_future **future);

#ifdef __cplusplus
}
#endif

#endif
