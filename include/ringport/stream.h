/*
 * stream.h - connections for coroutines: asyncio's StreamReader and StreamWriter in one.
 *
 * A stream is for the tasks of its loop. One task may read while others write.
 * Each write goes out whole, in the order of the calls.
 * A second task that reads at the same time gets -EBUSY.
 * Data is read straight into the caller's buffer where it can be.
 * While nobody reads, nothing is taken from the kernel, and so the peer is held back.
 *
 * Suspending. A call that need not wait does not suspend: no other task runs.
 * There is one exception: of the calls on a stream that ask the kernel, each 32nd in one turn of the loop suspends
 * until the next turn.
 * So a peer that always has something to say, or takes everything, does not keep other tasks from running.
 * Reading what the stream has read ahead (rp_stream_buffered) does not count.
 *
 * Writes that fail (-ECONNRESET, -EPIPE, -ETIMEDOUT and the like) end writing only:
 *   further writes fail with the same error, and so does rp_stream_wait_closed()
 *   reading goes on to the end of what has come
 * So the answer of a peer that answers and closes during an upload is not lost, as it is in asyncio.
 *
 * Over TLS (rp_connect_options.tls, rp_server_options.tls, rp_start_tls()) a stream does the same, and besides:
 *   rp_stream_write_eof() sends close_notify, and reading goes on
 *   a stream that ends without the peer's close_notify has not ended, but was cut off: reading fails by
 *   RP_ETLS_TRUNCATED
 *   what a peer does wrong fails reads and writes by the others of RP_ETLS_*
 *   closing waits for the peer's close_notify, for as long as the options say
 *
 * Threads. All functions are for the loop's thread.
 *
 * Errors that are listed below without a reason mean the same everywhere:
 *   -ECANCELED    the calling task was cancelled; no byte is lost
 *   -ENOMEM       there is no memory
 *   -ECONNRESET   the peer has reset the connection
 *   -EPIPE        the stream was closed, or the connection is lost
 *   -ENOTSUP      a stream of a pipe goes the other way: rp_stream_from_read_pipe(), rp_stream_from_write_pipe()
 *   -EBADF        debug mode: the stream was freed; see rp_stream_free()
 * Every call that takes `co` also returns
 *   RP_ENOTASK    `co` is NULL, or does not run here (co.h); nothing has changed
 *   RP_EFORK      this is a child of fork(), and the loop is its parent's
 */
#ifndef RINGPORT_STREAM_H
#define RINGPORT_STREAM_H

#include "co.h"
#include "net.h"
#include "posix.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A connection; opaque. */
typedef struct rp_stream rp_stream;

/* ---- names, connecting, serving ---- */

/*
 * Resolves a name by getaddrinfo(), and suspends meanwhile: see rp_loop_getaddrinfo().
 * *result is the caller's, who frees it by freeaddrinfo().
 * Errors:
 *   one of RP_EAI_*
 *   -ECANCELED, -ENOMEM
 *   those of rp_loop_getaddrinfo()
 * Mirrors loop.getaddrinfo().
 */
RP_API int rp_getaddrinfo(rp_co *co, struct addrinfo **result, const char *host, const char *service,
                          const struct addrinfo *hints);

/*
 * Finds the names of an address by getnameinfo(), and suspends meanwhile, unless both are to be numbers.
 * `host` and `service` have room for so many bytes, with the final '\0'; each may be NULL.
 * `flags` are NI_*.
 * Errors:
 *   one of RP_EAI_*
 *   RP_EAI_OVERFLOW   a name does not fit
 *   RP_EAI_NONAME     neither name is asked for
 *   -ECANCELED, -ENOMEM
 *   those of rp_loop_getnameinfo()
 * Mirrors loop.getnameinfo().
 */
RP_API int rp_getnameinfo(rp_co *co, const struct sockaddr *address, uint32_t length, char *host, size_t host_size,
                          char *service, size_t service_size, int flags);

/*
 * Connects to host:port, and suspends meanwhile.
 * *stream is the caller's: rp_stream_close() it, then rp_stream_free() it.
 * `options` may be NULL. With TLS in them it suspends until the end of the handshake, too.
 * Errors:
 *   -ECONNREFUSED and the like, of the last address; the options can keep all
 *   one of RP_ETLS_*: the handshake has failed; the options can keep why
 *   -ETIMEDOUT   it took too long
 *   -EINVAL      as of rp_create_connection()
 *   those of rp_getaddrinfo()
 * Mirrors asyncio.open_connection().
 */
RP_API int rp_open_connection(rp_co *co, rp_stream **stream, const char *host, int port,
                              const rp_connect_options *options);

/*
 * Connects to a Unix socket; otherwise it is rp_open_connection().
 * Suspends meanwhile.
 * Errors:
 *   -ECONNREFUSED and the like
 *   -ENAMETOOLONG   the path does not fit into an address
 *   -EINVAL         the path is empty
 *   -ECANCELED, -ENOMEM
 * Mirrors asyncio.open_unix_connection().
 */
RP_API int rp_open_unix_connection(rp_co *co, rp_stream **stream, const char *path);

/*
 * The same with options, of which those of TLS count.
 * Suspends meanwhile.
 * Errors:
 *   one of RP_ETLS_*
 *   -ETIMEDOUT   the handshake took too long
 *   -EINVAL      as of rp_create_unix_connection_with()
 *   those of rp_open_unix_connection()
 * Mirrors asyncio.open_unix_connection(ssl=).
 */
RP_API int rp_open_unix_connection_with(rp_co *co, rp_stream **stream, const char *path,
                                        const rp_connect_options *options);

/*
 * Connects to a named pipe of Windows. While all of its instances are taken, it tries again: a time limit ends that.
 * Reads and writes bytes. rp_stream_write_eof() gets -ENOTSUP, since such a pipe has no end of one direction.
 * Otherwise it is rp_open_connection().
 * Suspends meanwhile.
 * Errors:
 *   -ENOENT, -EACCES   and the like, as of rp_create_pipe_connection()
 *   -ENOTSUP           on POSIX
 *   -ECANCELED, -ENOMEM
 * Mirrors loop.create_pipe_connection() with a StreamReaderProtocol.
 */
RP_API int rp_open_pipe_connection(rp_co *co, rp_stream **stream, const char *path);

/*
 * What a server does for each connection, in a task of its own.
 * When it returns, what was written is sent, and the stream is closed and freed; do not free it yourself.
 * An error that it returns is reported to the loop's exception handler, unless the task was cancelled, or the
 * connection was just lost (-ECONNRESET, -EPIPE, -ECONNABORTED).
 * What the peer did wrong in TLS (RP_ETLS_*) is reported in debug mode only.
 */
typedef int rp_client_connected(rp_co *co, rp_stream *stream, void *arg);

/*
 * Listens on host:port, and serves each connection by the handler.
 * *server is the caller's, who drops it by rp_server_free(). The loop's close frees what is left.
 * `options` may be NULL. With TLS in them the handler begins after the handshake.
 * Suspends while the name is resolved.
 * Errors:
 *   -EADDRINUSE and the like
 *   -EINVAL   as of rp_create_server(), or the handler is NULL
 *   those of rp_getaddrinfo()
 * Mirrors asyncio.start_server().
 */
RP_API int rp_start_server(rp_co *co, rp_server **server, rp_client_connected *handler, void *arg,
                           const char *host, int port, const rp_server_options *options);

/*
 * Serves on a Unix socket; otherwise it is rp_start_server().
 * Never suspends.
 * Errors: as of rp_create_unix_server(); -EINVAL also if the handler is NULL.
 * Mirrors asyncio.start_unix_server().
 */
RP_API int rp_start_unix_server(rp_co *co, rp_server **server, rp_client_connected *handler, void *arg,
                                const char *path, const rp_server_options *options);

/*
 * Serves a named pipe of Windows; otherwise it is rp_start_server().
 * Never suspends.
 * Errors: as of rp_create_pipe_server(); -EINVAL also if the handler is NULL.
 * Mirrors loop.start_serving_pipe() with a StreamReaderProtocol.
 */
RP_API int rp_start_pipe_server(rp_co *co, rp_server **server, rp_client_connected *handler, void *arg,
                                const char *path, const rp_server_options *options);

/*
 * Serves on a socket that is given: one that listens already, inherited or systemd's, or is bound and is to listen.
 * rp_create_server_fd() says what it must be, and what becomes of it.
 * In a worker group each worker needs a descriptor of its own, by dup().
 * The kernel then gives a connection to the worker that takes it first.
 * On Windows a socket belongs to one loop for good: start the server in one worker.
 * Never suspends.
 * Errors: as of rp_create_server_fd(); -EINVAL also if the handler is NULL.
 * Mirrors asyncio.start_server(sock=).
 */
RP_API int rp_start_server_fd(rp_co *co, rp_server **server, rp_client_connected *handler, void *arg, rp_fd fd,
                              const rp_server_options *options);

/*
 * Serves until the task is cancelled, or the server is closed.
 * Suspends for that time.
 * If the task is cancelled, the server is closed. Its connections go on until their tasks end, which rp_run() cancels.
 * If somebody else closes the server, this returns 0 when the last connection has ended.
 * asyncio would wait for the connections in either case, and so for an idle client after Ctrl-C.
 * Errors:
 *   -ECANCELED, -ENOMEM
 *   those of rp_server_start_serving()
 * Mirrors Server.serve_forever().
 */
RP_API int rp_server_serve_forever(rp_co *co, rp_server *server);

/*
 * Suspends until the server is closed, and its last connection has ended.
 * Errors: -ECANCELED, -ENOMEM.
 * Mirrors Server.wait_closed().
 */
RP_API int rp_server_wait_closed(rp_co *co, rp_server *server);

/*
 * Makes a stream of a connected stream socket, TCP's or a Unix one.
 * The stream owns the socket from then on. On failure it stays the caller's.
 * Reading from a socket that is not connected fails.
 * Never suspends.
 * Errors:
 *   -EBADF, -ENOTSOCK   `fd` is no open descriptor, or no socket
 *   -EINVAL             it is a socket of another type, or one that listens
 *   -ENOMEM
 * Mirrors asyncio.open_connection(sock=).
 */
RP_API int rp_stream_from_fd(rp_co *co, rp_stream **stream, rp_fd fd);

/*
 * Make a stream of one end of a pipe, or of a FIFO, a terminal or another character device: one that only reads, such
 * as of descriptor 0, or one that only writes, such as of descriptor 1.
 * The stream owns the descriptor from then on, and closes it. On failure it stays the caller's.
 * Every call is there. What the other direction is for fails with -ENOTSUP.
 * rp_stream_write_eof() closes: the reader is told of the end in no other way.
 * When nobody reads any more, the stream is lost by -EPIPE, even if nothing is written; no SIGPIPE is raised.
 * It has no addresses: rp_stream_peername() and rp_stream_sockname() fail with -ENOTSOCK.
 * A regular file is none of these: rp_read() and rp_write() are for files.
 * Never suspend.
 * Errors: as of rp_connect_read_pipe().
 * Mirror loop.connect_read_pipe() with a StreamReader, and connect_write_pipe() with a StreamWriter.
 */
RP_API int rp_stream_from_read_pipe(rp_co *co, rp_stream **stream, rp_fd fd);
RP_API int rp_stream_from_write_pipe(rp_co *co, rp_stream **stream, rp_fd fd);

/* ---- TLS ---- */

/*
 * Begins TLS on a stream that is open, as a client or a server, and suspends until the end of the handshake.
 * What was written before is sent first, as plain text. Suspends also until that is below the high-water mark.
 * What the stream has read ahead (rp_stream_buffered) is taken for the peer's part of the handshake.
 * So plain text that a stranger has put behind "STARTTLS" fails the handshake, and is never read as what TLS brought.
 * `context` is the caller's, and is referred to until the connection has ended (tls.h).
 * `options` are those of rp_transport_start_tls(). NULL will do for a server.
 * The stream of a server's handler is a server's also if the options do not say so, unless they have a `server_name`.
 * Meanwhile reading and writing fail with -EBUSY. rp_stream_close() and rp_stream_abort() end the handshake.
 * If it fails, or the task is cancelled in it, the connection is closed: then as always rp_stream_free() the stream.
 * What was negotiated is asked of rp_stream_transport(), by the functions of tls.h.
 * Errors:
 *   one of RP_ETLS_*: the handshake has failed, and `failure` in the options has more of it
 *   -ETIMEDOUT   it took too long
 *   -EBUSY       a task is reading, or begins TLS
 *   -EINVAL      as of rp_transport_start_tls(), and then nothing has happened
 *   -ENOTSUP     the stream is a pipe's, which goes one way only
 *   -ECANCELED   the connection is closed, unless nothing had been done yet
 *   -ECONNRESET, -EPIPE, -ENOMEM, -EBADF
 * Mirrors StreamWriter.start_tls().
 */
RP_API int rp_start_tls(rp_co *co, rp_stream *stream, rp_tls_context *context, const rp_tls_options *options);

/* ---- reading ---- */

/*
 * Reads what there is: at least 1 byte, at most `length`.
 * Returns the number of bytes, or 0 at the end of the stream (or if `length` is 0).
 * Suspends until something has come.
 * The buffer is filled just before the call returns, not while it is suspended.
 * So tasks of one loop may share a buffer, if each uses what it has read before it suspends again. Such a buffer stays
 * in the processor's cache.
 * Errors:
 *   -EBUSY   another task is reading
 *   -ECANCELED, -ECONNRESET, -EPIPE, -ENOMEM, -EBADF
 * Mirrors StreamReader.read().
 */
RP_API ssize_t rp_stream_read(rp_co *co, rp_stream *stream, void *buffer, size_t length);

/*
 * Reads exactly `length` bytes, and returns that.
 * Suspends until they have come.
 * A cancelled call puts back what it had read. For that the stream keeps room for `length` more bytes meanwhile.
 * Errors:
 *   RP_EOF    the stream ended before: the buffer has what came, and rp_stream_partial() tells how much
 *   -EINVAL   `length` is more than SSIZE_MAX
 *   those of rp_stream_read()
 * Mirrors StreamReader.readexactly().
 */
RP_API ssize_t rp_stream_read_exactly(rp_co *co, rp_stream *stream, void *buffer, size_t length);

/* How many bytes the last read_exactly, read_until or read_line delivered before it failed with RP_EOF. */
RP_API size_t rp_stream_partial(const rp_stream *stream);

/*
 * Reads up to and with a separator, and returns the length.
 * Suspends until the separator has come.
 * Errors:
 *   RP_EOF      the stream ended before: the buffer has what came, and rp_stream_partial() tells how much
 *   RP_ELIMIT   there is no separator within the stream's limit, or within `size`; nothing is consumed
 *   -EINVAL     the separator is empty
 *   those of rp_stream_read()
 * Mirrors StreamReader.readuntil().
 */
RP_API ssize_t rp_stream_read_until(rp_co *co, rp_stream *stream, void *buffer, size_t size, const void *separator,
                                    size_t separator_length);

/*
 * Reads a line with its '\n' into `line`, and adds '\0'.
 * Returns its length without the '\0'; 0 at the end of the stream.
 * Suspends until the line has come.
 * The last line of a stream may lack its '\n'.
 * Errors:
 *   RP_ELIMIT   the line does not fit into `size` - 1, or is longer than the stream's limit; it is skipped up to and
 *               with its '\n', as far as it has arrived
 *   -EINVAL     `size` is 0
 *   those of rp_stream_read()
 * Mirrors StreamReader.readline().
 */
RP_API ssize_t rp_stream_read_line(rp_co *co, rp_stream *stream, char *line, size_t size);

/*
 * Copies the next `length` bytes, and leaves them to be read again.
 * Suspends until so many have come, or the stream has ended.
 * Returns how many there are: fewer than asked for only at the end of the stream.
 * Errors:
 *   RP_ELIMIT   `length` is more than the stream's limit
 *   those of rp_stream_read()
 */
RP_API ssize_t rp_stream_peek(rp_co *co, rp_stream *stream, void *buffer, size_t length);

/*
 * How many bytes the stream has received that were not read yet. There may be more in the kernel.
 * Reading these neither asks the kernel nor lets other tasks run.
 */
RP_API size_t rp_stream_buffered(const rp_stream *stream);

/*
 * Sets the longest line, or run up to a separator, in bytes; 64 KiB unless set.
 * Errors:
 *   -EINVAL   the limit is 0
 *   -EBADF
 * Mirrors StreamReader(limit=).
 */
RP_API int rp_stream_set_limit(rp_stream *stream, size_t limit);

/* Whether the end of the stream was seen and nothing is buffered. Mirrors StreamReader.at_eof(). */
RP_API bool rp_stream_at_eof(const rp_stream *stream);

/* ---- writing ---- */

/*
 * Writes all of it: what the kernel does not take is copied.
 * Suspends while more is buffered than the high-water mark allows.
 * Returns 0. A cancelled call has taken the bytes.
 * Errors: -ECANCELED, -ECONNRESET, -EPIPE, -ENOMEM, -EBADF.
 * Mirror StreamWriter.write(), or writelines(), and drain() in one.
 */
RP_API int rp_stream_write(rp_co *co, rp_stream *stream, const void *data, size_t length);
RP_API int rp_stream_writev(rp_co *co, rp_stream *stream, const struct iovec *vector, int count);

/*
 * Suspends while the write buffer is above its high-water mark, until it is down at the low one.
 * Errors: -ECANCELED, -ECONNRESET, -EPIPE, -ENOMEM, -EBADF.
 * Mirrors StreamWriter.drain().
 */
RP_API int rp_stream_drain(rp_co *co, rp_stream *stream);

/*
 * Sends a file, or a part of it, behind what was written before, and suspends until the last of it is in the socket.
 * What other tasks write meanwhile goes behind it.
 * `offset`, `count` and `flags` are those of rp_transport_sendfile(): -1 is the file's own position, and all it has.
 * Returns how many bytes were sent: fewer than `count` if the file ended before.
 * *sent tells that as well, also when an error or a cancellation came. `sent` may be NULL.
 * `file` is the caller's, and may be closed when this returns.
 * Errors:
 *   -ECANCELED   and *sent bytes have gone
 *   those of reading the file: the stream goes on
 *   -ECONNRESET, -EPIPE, -ENOMEM, -EBADF
 *   those of rp_transport_sendfile()
 * Mirrors loop.sendfile().
 */
RP_API int64_t rp_stream_sendfile(rp_co *co, rp_stream *stream, rp_fd file, int64_t offset, int64_t count,
                                  int flags, int64_t *sent);

/*
 * Between cork and uncork, what is written is collected, and then sent in one go: for an answer of many small parts.
 * What goes above the high-water mark is sent all the same, and a write may wait for that.
 * Uncork before you wait for the peer. write_eof and close uncork.
 * Never suspend.
 * Errors of uncorking: as of rp_transport_write().
 * asyncio has nothing like it.
 */
RP_API void rp_stream_cork(rp_stream *stream);
RP_API int rp_stream_uncork(rp_stream *stream);

/*
 * Sends end-of-file after what is buffered. Reading goes on.
 * Never suspends.
 * Errors:
 *   what a write failed with
 *   -EPIPE, -EBADF
 * Mirrors StreamWriter.write_eof().
 */
RP_API int rp_stream_write_eof(rp_stream *stream);

/* ---- ending ---- */

/*
 * Sends what is buffered in the background, then closes. Further calls fail.
 * Closing twice is ignored.
 * Never suspends, never fails.
 * Mirrors StreamWriter.close().
 */
RP_API void rp_stream_close(rp_stream *stream);

/*
 * Closes now: what is buffered is lost, and the peer sees a reset (TCP).
 * Never suspends, never fails.
 * Mirrors transport.abort().
 */
RP_API void rp_stream_abort(rp_stream *stream);

/*
 * Suspends until a stream that was closed has sent what was buffered, and is gone.
 * Returns 0, or the error by which the connection was lost.
 * Errors: -ECANCELED, -ECONNRESET, -EPIPE, -EBADF.
 * Mirrors StreamWriter.wait_closed().
 */
RP_API int rp_stream_wait_closed(rp_co *co, rp_stream *stream);

/*
 * Gives the stream up, and closes it first if it is open. Its memory is freed when the connection is gone.
 * NULL is ignored.
 *
 * In debug mode (rp_set_debug) that memory stays until the loop closes, some 300 bytes a stream. So does that of a
 * handler's stream, which is freed when the handler returns.
 * A call that begins after that does nothing, and is reported to the exception handler:
 *   the message is "rp_stream_write() of a stream that was freed"
 *   the name is the peer's
 *   the future is the task that called
 * It returns -EBADF; or else 0, NULL, or that the stream is closing and at its end.
 * A second rp_stream_free() is such a call.
 */
RP_API void rp_stream_free(rp_stream *stream);

/* Whether it was closed, aborted or lost. Mirrors StreamWriter.is_closing(). */
RP_API bool rp_stream_is_closing(const rp_stream *stream);

/*
 * The addresses of the two ends as text, as rp_sockaddr_format() writes them.
 * `size` is the room in bytes, with the final '\0'.
 * Errors:
 *   -ENOTCONN   the connection is gone
 *   -EBADF
 *   those of rp_sockaddr_format()
 * Mirror StreamWriter.get_extra_info('peername') and ('sockname').
 */
RP_API int rp_stream_peername(const rp_stream *stream, char *text, size_t size);
RP_API int rp_stream_sockname(const rp_stream *stream, char *text, size_t size);

/* The stream's transport, lent: for its options, marks and socket. NULL when the connection is gone. */
RP_API rp_transport *rp_stream_transport(const rp_stream *stream);

#ifdef __cplusplus
}
#endif

#endif
