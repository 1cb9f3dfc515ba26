/*
 * stream.h - connections for coroutines: asyncio's StreamReader and StreamWriter in one.
 *
 * A stream is used by tasks of its loop: one may read while others write (each write goes out whole, in order); a
 * second concurrent reader gets -EBUSY. Data is read straight into the caller's buffer where it can be. While nobody
 * reads, nothing is taken from the kernel, so that the peer is held back.
 *
 * Errors of all calls that read or write: -ECANCELED (the task was cancelled, no byte is lost), -ECONNRESET, -EPIPE (it
 * was closed, or lost), -ENOMEM.
 *
 * Each call here that takes `co` returns RP_ENOTASK where that is NULL or does not run (co.h), and has changed nothing:
 * also one that never suspends, or need not now.
 *
 * A call that need not wait does not suspend: no other task runs. But of the calls on a stream that ask the kernel,
 * each 32nd in one turn of the loop yields for a turn, so that a peer which always has something to say, or takes
 * everything, does not keep the other tasks from running. What the stream has read ahead (rp_stream_buffered) does not
 * count.
 *
 * A write that fails (-ECONNRESET, -EPIPE, -ETIMEDOUT and the like) ends writing: further writes fail with the same
 * error, and so does rp_stream_wait_closed(). Reading goes on to the end of what has come: the answer of a peer that
 * answers and closes during an upload is not lost, where asyncio loses it.
 */
#ifndef RINGPORT_STREAM_H
#define RINGPORT_STREAM_H

#include <sys/types.h>

#include "co.h"
#include "net.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A connection; opaque. */
typedef struct rp_stream rp_stream;

/* ---- names, connecting, serving ---- */

/*
 * getaddrinfo() without blocking the loop. *result is the caller's, for freeaddrinfo(). RP_EAI_*. Mirrors
 * loop.getaddrinfo().
 */
RP_API int rp_getaddrinfo(rp_co *co, struct addrinfo **result, const char *host, const char *service,
                          const struct addrinfo *hints);

/*
 * Connects to host:port. The stream is the caller's: rp_stream_close() it, then rp_stream_free(). Options may be NULL.
 * RP_EAI_*, -ECONNREFUSED and the like (of the last address tried), -ECANCELED. Mirrors asyncio.open_connection().
 */
RP_API int rp_open_connection(rp_co *co, rp_stream **stream, const char *host, int port,
                              const rp_connect_options *options);

/* The same to a Unix socket. Mirrors asyncio.open_unix_connection(). */
RP_API int rp_open_unix_connection(rp_co *co, rp_stream **stream, const char *path);

/*
 * What a server does for each connection, in a task of its own. When it returns, the stream is closed (what was
 * written is flushed) and freed; do not do that in it. An error that it returns goes to the loop's exception handler,
 * unless the connection was just lost (-ECONNRESET, -EPIPE, -ECONNABORTED) or the task cancelled.
 */
typedef int rp_client_connected(rp_co *co, rp_stream *stream, void *arg);

/*
 * Listens on host:port and serves each connection by `handler`. The server is the caller's; rp_server_free() drops it,
 * and the loop's close frees what is left. Suspends while the name is resolved. -EADDRINUSE and the like, RP_EAI_*,
 * -ECANCELED. Options may be NULL. Mirrors asyncio.start_server().
 */
RP_API int rp_start_server(rp_co *co, rp_server **server, rp_client_connected *handler, void *arg,
                           const char *host, int port, const rp_server_options *options);

/* The same on a Unix socket. Mirrors asyncio.start_unix_server(). */
RP_API int rp_start_unix_server(rp_co *co, rp_server **server, rp_client_connected *handler, void *arg,
                                const char *path, const rp_server_options *options);

/*
 * The same on a socket that listens already, inherited or systemd's: see rp_create_server_fd() for what becomes of it.
 * Never suspends. In a worker group each worker needs a descriptor of its own, by dup(), and the kernel gives a
 * connection to whichever takes it first; on Windows, where a socket belongs to one loop for good, start it in one
 * worker. Mirrors asyncio.start_server(sock=).
 */
RP_API int rp_start_server_fd(rp_co *co, rp_server **server, rp_client_connected *handler, void *arg, rp_fd fd,
                              const rp_server_options *options);

/*
 * Serves until the task is cancelled (then the server is closed and -ECANCELED returned; connections go on until their
 * tasks end, which rp_run cancels) or the server is closed by somebody else and its last connection has ended (0).
 * asyncio would wait for the connections in either case, and so for an idle client after Ctrl-C. Mirrors
 * Server.serve_forever().
 */
RP_API int rp_server_serve_forever(rp_co *co, rp_server *server);

/* Suspends until the server is closed and its last connection has ended. Mirrors Server.wait_closed(). */
RP_API int rp_server_wait_closed(rp_co *co, rp_server *server);

/*
 * Makes a stream of a connected stream socket, TCP's or a Unix one, which it owns from then on; on failure it stays the
 * caller's. Never suspends. -EINVAL for a socket of another type or one that listens, -ENOTSOCK, -EBADF, -ENOMEM.
 * Reading from one that is not connected fails. Mirrors asyncio.open_connection(sock=).
 */
RP_API int rp_stream_from_fd(rp_co *co, rp_stream **stream, rp_fd fd);

/* ---- reading ---- */

/*
 * Reads what there is, at least 1 byte, at most `length`; 0 at the end of the stream (or if length is 0). The buffer is
 * filled just before the call returns, and not while it is suspended: so tasks of a loop that each use what they have
 * read before they suspend again can share one, which stays in the processor's cache. Mirrors StreamReader.read().
 */
RP_API ssize_t rp_stream_read(rp_co *co, rp_stream *stream, void *buffer, size_t length);

/*
 * Reads exactly `length` bytes and returns that; RP_EOF if the stream ends before: what came is in the buffer, and
 * rp_stream_partial() tells how much. A cancelled call puts back what it had read: there is room for `length` more
 * bytes in the stream meanwhile (-ENOMEM). Mirrors readexactly().
 */
RP_API ssize_t rp_stream_read_exactly(rp_co *co, rp_stream *stream, void *buffer, size_t length);

/* How many bytes the last read_exactly, read_until or read_line delivered before it failed with RP_EOF. */
RP_API size_t rp_stream_partial(const rp_stream *stream);

/*
 * Reads up to and with a separator, and returns the length. RP_EOF if the stream ends before (what came is in the
 * buffer, see rp_stream_partial); RP_ELIMIT if none is found within the stream's limit, or within `size`: nothing is
 * consumed then. -EINVAL for an empty separator. Mirrors readuntil().
 */
RP_API ssize_t rp_stream_read_until(rp_co *co, rp_stream *stream, void *buffer, size_t size, const void *separator,
                                    size_t separator_length);

/*
 * Reads a line with its '\n' into `line`, ended by '\0' (not counted), and returns its length: the last line of a
 * stream may lack its '\n'; 0 at the end. RP_ELIMIT if it does not fit into `size` - 1 or is longer than the stream's
 * limit: the line is skipped up to and with its '\n', as far as it has arrived. Mirrors readline().
 */
RP_API ssize_t rp_stream_read_line(rp_co *co, rp_stream *stream, char *line, size_t size);

/*
 * Copies the next `length` bytes, and leaves them to be read again. Suspends until so many have come or the stream has
 * ended, and returns how many there are: fewer than asked for at its end only, 0 if there are none. RP_ELIMIT for more
 * than the stream's limit.
 */
RP_API ssize_t rp_stream_peek(rp_co *co, rp_stream *stream, void *buffer, size_t length);

/*
 * How many bytes the stream has received that were not read yet. To read these neither asks the kernel nor lets other
 * tasks run. There may be more in the kernel.
 */
RP_API size_t rp_stream_buffered(const rp_stream *stream);

/* The longest line or run up to a separator, 64 KiB unless set. -EINVAL for 0. Mirrors StreamReader(limit=). */
RP_API int rp_stream_set_limit(rp_stream *stream, size_t limit);

/* Whether the end of the stream was seen and nothing is buffered. Mirrors at_eof(). */
RP_API bool rp_stream_at_eof(const rp_stream *stream);

/* ---- writing ---- */

/*
 * Writes all of it: what the kernel does not take is copied. Suspends while more is buffered than the high-water mark
 * allows. 0 or an error. A cancelled call has taken the bytes. Mirrors StreamWriter.write(), or writelines(), and
 * drain() in one.
 */
RP_API int rp_stream_write(rp_co *co, rp_stream *stream, const void *data, size_t length);
RP_API int rp_stream_writev(rp_co *co, rp_stream *stream, const struct iovec *vector, int count);

/* Suspends while the write buffer is above its high-water mark, until it is down at the low one. Mirrors drain(). */
RP_API int rp_stream_drain(rp_co *co, rp_stream *stream);

/*
 * Between the two, writes are collected, and then sent in one go: for an answer of many small parts. What comes above
 * the high-water mark is sent all the same, and a write may wait for that. Uncork before you wait for the peer.
 * write_eof and close uncork. Uncorking never suspends: 0, or what a write would return. asyncio has nothing like it.
 */
RP_API void rp_stream_cork(rp_stream *stream);
RP_API int rp_stream_uncork(rp_stream *stream);

/*
 * Sends end-of-file after what is buffered; reading goes on. Never suspends. 0, -EPIPE, or what a write failed with.
 * Mirrors StreamWriter.write_eof().
 */
RP_API int rp_stream_write_eof(rp_stream *stream);

/* ---- ending ---- */

/*
 * Flushes in the background, then closes; further calls fail. Never suspends, never fails; closing twice is ignored.
 * Mirrors StreamWriter.close().
 */
RP_API void rp_stream_close(rp_stream *stream);

/* Closes now: what is buffered is lost and the peer sees a reset (TCP). Never suspends. Mirrors transport.abort(). */
RP_API void rp_stream_abort(rp_stream *stream);

/* Suspends until a stream that was closed is flushed and gone: 0, or what it was lost by. Mirrors wait_closed(). */
RP_API int rp_stream_wait_closed(rp_co *co, rp_stream *stream);

/*
 * Closes it if need be, and gives it up: its memory is freed when the connection is gone. NULL is ignored.
 *
 * In debug mode (rp_set_debug) that memory stays until the loop closes, some 300 bytes a stream; so does that of a
 * handler's stream, which is freed when the handler returns. A call that begins afterwards does nothing, and is
 * reported to the exception handler: its message is "rp_stream_write() of a stream that was freed", its name the
 * peer's, its future the task that called. It returns -EBADF, or else 0, NULL, or that the stream is closing and at its
 * end. Another rp_stream_free() is such a call.
 */
RP_API void rp_stream_free(rp_stream *stream);

/* Whether it was closed, aborted or lost. Mirrors StreamWriter.is_closing(). */
RP_API bool rp_stream_is_closing(const rp_stream *stream);

/*
 * The names of the two ends as text: 0, -ENOTCONN when the connection is gone, or as for rp_sockaddr_format.
 * Mirror get_extra_info('peername') and ('sockname').
 */
RP_API int rp_stream_peername(const rp_stream *stream, char *text, size_t size);
RP_API int rp_stream_sockname(const rp_stream *stream, char *text, size_t size);

/* The transport below, for its options, marks and socket; lent. NULL when the connection is gone. */
RP_API rp_transport *rp_stream_transport(const rp_stream *stream);

#ifdef __cplusplus
}
#endif

#endif
