/*
 * io.h - system calls that suspend in place of blocking: one line for an operation (op.h) and its rp_op_await().
 *
 * Each function does what the system call of its name does, and returns what that returns, or a negative error.
 * Memory that is handed over belongs to the kernel until the call returns.
 *
 * Cancellation. If the task is cancelled meanwhile, so is the operation, and the call waits for that:
 *   it returns -ECANCELED, and nothing was done
 *   or the operation was quicker: it returns the result, and the cancellation comes at the next suspension
 * So no byte that was read and no descriptor that was opened is lost.
 * While a cancellation is pending, nothing is begun.
 *
 * Threads. All functions are for the loop's thread.
 *
 * Every function also returns these errors, and those of its system call:
 *   -ECANCELED   the calling task was cancelled; see above
 *   RP_ENOTASK   `co` is NULL, or does not run here (co.h)
 *   RP_ECLOSED   the loop is closed
 *   RP_EFORK     this is a child of fork(), and the loop is its parent's
 */
#ifndef RINGPORT_IO_H
#define RINGPORT_IO_H

#include "co.h"
#include "posix.h"
#include "watch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- files, pipes and whatever else has a descriptor ---- */

/*
 * Reads from any descriptor, at `offset`, and suspends meanwhile.
 * An offset of -1 means the file's own position; pipes and sockets have no other.
 * Returns how many bytes have come: at least one, unless `length` is 0; and 0 at the end.
 * Errors: those of pread() and read().
 * Mirrors pread(), read().
 */
RP_API ssize_t rp_read(rp_co *co, rp_fd fd, void *buffer, size_t length, int64_t offset);

/*
 * Writes to any descriptor, at `offset`, and suspends meanwhile.
 * An offset of -1 means the file's own position.
 * Returns how many bytes were written, which may be fewer than `length`.
 * Errors:
 *   -EPIPE   nobody reads from the pipe, and SIGPIPE is ignored; if it is not, the process gets that
 *   those of pwrite() and write()
 * Mirrors pwrite(), write().
 */
RP_API ssize_t rp_write(rp_co *co, rp_fd fd, const void *buffer, size_t length, int64_t offset);

/*
 * rp_read() and rp_write() with several pieces of memory, of which there may be 1,024.
 * Suspend as these do.
 * Errors: those of preadv() and pwritev().
 * Mirrors preadv(), pwritev(), readv(), writev().
 */
RP_API ssize_t rp_readv(rp_co *co, rp_fd fd, const struct iovec *vector, int count, int64_t offset);
RP_API ssize_t rp_writev(rp_co *co, rp_fd fd, const struct iovec *vector, int count, int64_t offset);

/*
 * Opens a file, close-on-exec, and suspends meanwhile.
 * Returns its descriptor, which is the caller's.
 * `mode` is for O_CREAT.
 * Open a FIFO with O_NONBLOCK. Without it, whether this waits for the other end depends on the backend (op.h), and a
 * cancellation may not reach that wait.
 * Errors: those of open().
 * Mirrors open().
 */
RP_API rp_fd rp_open(rp_co *co, const char *path, int flags, uint32_t mode);

/*
 * Closes a descriptor on which no operation is in flight, and suspends meanwhile.
 * It is closed even if the task is cancelled: a cancellation comes at the next suspension.
 * Errors:
 *   RP_EFORK   the descriptor is left open
 *   those of close()
 * Mirrors close().
 */
RP_API int rp_close(rp_co *co, rp_fd fd);

/*
 * Suspends until what was written has reached the disk.
 * With data_only it is fdatasync().
 * Errors: those of fsync().
 * Mirrors fsync().
 */
RP_API int rp_fsync(rp_co *co, rp_fd fd, bool data_only);

/*
 * Asks for a file's size, times and so on, and suspends meanwhile.
 * `directory` may be AT_FDCWD. With AT_EMPTY_PATH and the path "" it is the file itself.
 * `flags` are AT_*, `mask` is STATX_*.
 * Errors: those of statx().
 * Mirrors statx().
 */
RP_API int rp_statx(rp_co *co, rp_fd directory, const char *path, int flags, uint32_t mask, struct statx *result);

/*
 * Suspends until one of the RP_POLL_* events holds, which may be now.
 * Returns those that hold: RP_POLL_ERR and RP_POLL_HUP even if they were not asked for.
 * On Windows it is for sockets and regular files only.
 * Errors: those of poll().
 * Mirrors poll() of one descriptor.
 */
RP_API int rp_poll_fd(rp_co *co, rp_fd fd, uint32_t events);

/* ---- sockets ---- */

/*
 * Receives a datagram, or what there is of a stream, and suspends until there is something.
 * Returns the number of bytes.
 * `flags` are MSG_*.
 * The sender's address goes to `address`, which has room for *address_length bytes; its true length goes to
 * *address_length.
 * Both may be NULL.
 * Errors:
 *   -EINVAL   `address` is given without `address_length`
 *   those of recvfrom()
 * Mirrors recvfrom(), and loop.sock_recvfrom() or sock_recv().
 */
RP_API ssize_t rp_recvfrom(rp_co *co, rp_fd fd, void *buffer, size_t length, int flags, struct sockaddr *address,
                           uint32_t *address_length);

/*
 * Sends to an address, or on a connected socket if `address` is NULL, and suspends meanwhile.
 * Returns the number of bytes that were sent; of a datagram, all.
 * `flags` are MSG_*. SIGPIPE is not raised.
 * Errors: those of sendto().
 * Mirrors sendto(), and loop.sock_sendto().
 */
RP_API ssize_t rp_sendto(rp_co *co, rp_fd fd, const void *buffer, size_t length, int flags,
                         const struct sockaddr *address, uint32_t address_length);

/*
 * A datagram of rp_recvmmsg() and rp_sendmmsg(). What was received can be sent back as it is.
 * Segments are for UDP on Linux: see rp_udp_set_gro() and rp_udp_set_gso() (udp_socket.h).
 */
typedef struct rp_mmsg {
    void *buffer;
    size_t size;   /* receiving: the room in `buffer`, in bytes */
    size_t length; /* what was received, or is to be sent, in bytes; 0: an empty datagram */
    struct sockaddr
        *address;          /* who has sent it, NULL: nobody wants to know; or to whom, NULL: the connected peer */
    uint32_t address_size; /* receiving: the room in `address`, in bytes */
    uint32_t address_length; /* 0: it has none, as the sender of a Unix socket, or the peer is the connected one */
    uint32_t segment;        /* not 0: it is several datagrams of so many bytes each, but for the last one */
    int flags;               /* received: MSG_TRUNC if there was no room for its end, which is lost */
    int error;               /* sending: 0, or why it has not gone */
} rp_mmsg;

/*
 * Receives datagrams, as many as are there, and suspends until there is one.
 * Returns how many: at least 1, at most `count`, and at most 64.
 * It takes none while it waits, so a cancellation loses none.
 * It may overtake tasks that wait in rp_recvfrom() and its like on the same socket.
 * Errors:
 *   -EINVAL         `count` is less than 1
 *   -ECONNREFUSED   a connected socket's peer has no such port, which a datagram that was sent has met
 *   those of recvmmsg()
 * Mirrors recvmmsg(). asyncio has nothing like it.
 */
RP_API int rp_recvmmsg(rp_co *co, rp_fd fd, rp_mmsg *messages, int count);

/*
 * Sends datagrams in their order, and suspends until all have gone, or one fails. Other tasks get a turn meanwhile.
 * Returns `count` when all have gone.
 * After an error those before the first one that has an `error` have gone, and none after it; the call can be repeated
 * with those, or with the others.
 * It may overtake tasks that wait in rp_sendto() and its like on the same socket.
 * Errors:
 *   -EINVAL      `count` is negative
 *   -EMSGSIZE    one is longer than a datagram may be
 *   -ENOTSUP     one has segments, and the system none
 *   -ECANCELED   and the first that has an `error`, and those after it, have not gone
 *   those of sendmmsg()
 * Mirrors sendmmsg(). asyncio has nothing like it.
 */
RP_API int rp_sendmmsg(rp_co *co, rp_fd fd, rp_mmsg *messages, int count);

/* ---- sockets of the program's own, as loop.sock_recv() and its like treat them ---- */

/*
 * All of these are for any socket of the caller's, who keeps it and closes it.
 * It may be a blocking one: no call blocks the loop. On POSIX it stays one; on Windows it is non-blocking from then on.
 * Calls of several tasks on one socket are served in their order: see op.h.
 * SIGPIPE is not raised.
 */

/*
 * Receives what there is of a stream, or one datagram, and suspends until there is something.
 * Returns the number of bytes; 0 is the end of the stream, or an empty datagram.
 * What does not fit of a datagram is dropped: rp_recvmmsg() tells of that.
 * Errors: those of recv().
 * Mirrors loop.sock_recv().
 */
RP_API ssize_t rp_sock_recv(rp_co *co, rp_fd fd, void *buffer, size_t length);

/*
 * The same, and suspends as well: the buffer is always the caller's.
 * Mirrors loop.sock_recv_into().
 */
RP_API ssize_t rp_sock_recv_into(rp_co *co, rp_fd fd, void *buffer, size_t length);

/*
 * Receives with the sender's address, as rp_recvfrom() gives it, and suspends until there is something.
 * Errors:
 *   -EINVAL   `address` is given without `address_length`
 *   those of recvfrom()
 * Mirrors loop.sock_recvfrom() and sock_recvfrom_into().
 */
RP_API ssize_t rp_sock_recvfrom(rp_co *co, rp_fd fd, void *buffer, size_t length, struct sockaddr *address,
                                uint32_t *address_length);

/*
 * Sends all of it, and suspends until it has gone.
 * Returns 0 when all has.
 * Otherwise *sent tells how much went before the error or the cancellation. `sent` may be NULL.
 * Errors:
 *   -ECANCELED   and *sent bytes have gone
 *   those of send()
 * Mirrors loop.sock_sendall(), which does not tell how much went.
 */
RP_API int rp_sock_sendall(rp_co *co, rp_fd fd, const void *data, size_t length, size_t *sent);

/*
 * Sends a file, or a part of it, on a stream socket, and suspends until the last of it is in the socket.
 * It is read ahead by 512 KiB at most while the part before is sent. The loop does not wait for the disk.
 * Any descriptor that can be read will do.
 * `offset` is where to begin, in bytes. -1 means the file's own position, which is behind what was sent when this
 * returns; of a pipe, what was read and could not be sent is lost.
 * `count` is how many bytes to send at most. -1 means all that the file has, also what is added meanwhile.
 * Returns how many bytes were sent: fewer than `count` if the file ended before.
 * *sent tells that as well, also when an error or a cancellation came. `sent` may be NULL.
 * Errors:
 *   -EINVAL      `offset` or `count` is below -1
 *   -ECANCELED   and *sent bytes have gone
 *   -ENOMEM      there is no memory to read into
 *   those of read() and send()
 * Mirrors loop.sock_sendfile().
 */
RP_API int64_t rp_sock_sendfile(rp_co *co, rp_fd fd, rp_fd file, int64_t offset, int64_t count, int64_t *sent);

/*
 * Sends one datagram to an address, and suspends until there is room.
 * Returns the number of bytes.
 * Errors: those of sendto().
 * Mirrors loop.sock_sendto().
 */
RP_API ssize_t rp_sock_sendto(rp_co *co, rp_fd fd, const void *data, size_t length, const struct sockaddr *address,
                              uint32_t address_length);

/*
 * Connects, and suspends until that has come about or failed.
 * Names are not looked up: rp_getaddrinfo() (stream.h) does that.
 * Errors:
 *   -EINVAL      `address` is NULL
 *   -ECANCELED   the socket may be about to connect: close it
 *   those of connect()
 * Mirrors loop.sock_connect().
 */
RP_API int rp_sock_connect(rp_co *co, rp_fd fd, const struct sockaddr *address, uint32_t address_length);

/*
 * Accepts one connection, and suspends until there is one.
 * Returns its descriptor, which is the caller's, non-blocking and close-on-exec.
 * The peer's address goes to `address` as with rp_recvfrom(); both may be NULL.
 * A cancelled call loses no connection: one that has been accepted is returned, any other one waits for the next call.
 * Several processes, or loops, may wait at one socket that does not block: whoever runs first has the connection.
 * On io_uring a blocking one keeps it for the one that has waited longest, however busy that is; not so on epoll.
 * Errors:
 *   -EINVAL   `address` is given without `address_length`, or the socket does not listen
 *   -EMFILE   and -ENFILE, -ENOMEM: the connection waits for the next call
 *   those of accept()
 * Mirrors loop.sock_accept().
 */
RP_API rp_fd rp_sock_accept(rp_co *co, rp_fd fd, struct sockaddr *address, uint32_t *address_length);

/* ---- children ---- */

/*
 * Suspends until a child process has ended, and reaps it.
 * Returns its wait status (WIFEXITED() and so on); on Windows, the exit code shifted by 8.
 * Errors:
 *   -ECHILD      there is no such child
 *   -EINVAL      that is no number of a process
 *   -ECANCELED   the child is still to be reaped
 * Mirrors waitpid(), and Process.wait().
 */
RP_API int64_t rp_wait_child(rp_co *co, int64_t pid);

/* ---- changes of files ---- */

/*
 * Suspends until a watch (watch.h) that was made without a callback has an event, and takes it. Returns 0.
 * The event's name is lent until the next call, and while the watch lives.
 * Errors:
 *   RP_EOF       the watch has told its end: RP_WATCH_ENDED
 *   -EBUSY       another task waits for it
 *   -EINVAL      the watch has a callback
 *   -EBADF       the watch was freed meanwhile
 *   -ECANCELED   no event is lost
 * asyncio has nothing like it.
 */
RP_API int rp_watch_next(rp_co *co, rp_watch *watch, rp_watch_event *event);

/* ---- signals ---- */

/*
 * Suspends until the signal comes, and returns 0. Every task that waits for it goes on.
 * While a task waits, the signal belongs to the tasks alone: a handler of rp_add_signal_handler(), or of rp_run() for
 * SIGINT, is not called.
 * The handler is called when the signal comes and no task waits.
 * If there is no handler, a signal that comes while no task waits is kept: the next wait returns at once.
 * So a loop of waits misses no signal; but several may be told as one.
 * The signal is caught until one of these comes, and then the process does at it what it did before:
 *   the loop is closed
 *   rp_remove_signal_handler() is called while no task waits
 *   the last wait is cancelled, and there is no handler
 * Main thread only; on Windows any thread.
 * Errors:
 *   RP_ETHREAD   called in another thread than the main one; not on Windows
 *   -EINVAL      there is no such signal, or none that can be waited for: see rp_add_signal_handler()
 *   -ECANCELED
 * asyncio has nothing like it but loop.add_signal_handler() with an event.
 */
RP_API int rp_wait_signal(rp_co *co, int signal);

#ifdef __cplusplus
}
#endif

#endif
