/*
 * io.h - system calls that suspend in place of blocking: one line for an operation (op.h) and its rp_op_await.
 *
 * Each does what the system call of its name does, and returns what that returns, or a negative error. Memory that is
 * handed over belongs to the kernel until the call returns.
 *
 * A task that is cancelled meanwhile has its operation cancelled, and waits for it: -ECANCELED, and nothing was done;
 * or, if the operation was quicker, its result, and the cancellation comes at the next suspension. So no byte that was
 * read and no descriptor that was opened is lost. Under a cancellation that is pending already nothing is begun.
 * RP_EFORK in a child of fork().
 */
#ifndef RINGPORT_IO_H
#define RINGPORT_IO_H

#include <sys/types.h>

#include "co.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- files, pipes and whatever else has a descriptor ---- */

/*
 * Reads from any descriptor, at `offset`, or with -1 at the file's own position (pipes and sockets have no other).
 * Returns how many bytes have come: at least one, unless length is 0, and 0 at the end. Mirrors pread(), read().
 */
RP_API ssize_t rp_read(rp_co *co, rp_fd fd, void *buffer, size_t length, int64_t offset);

/*
 * Writes to any descriptor, at `offset`, or with -1 at the file's own position. Returns how many bytes were written,
 * which may be fewer. To a pipe that nobody reads: SIGPIPE, or with that ignored -EPIPE. Mirrors pwrite(), write().
 */
RP_API ssize_t rp_write(rp_co *co, rp_fd fd, const void *buffer, size_t length, int64_t offset);

/*
 * Opens a file, close-on-exec, and returns its descriptor; `mode` is for O_CREAT. Open a FIFO with O_NONBLOCK: whether
 * this waits for its other end otherwise is the backend's affair (op.h), and a cancellation may not reach that wait.
 * Mirrors open().
 */
RP_API rp_fd rp_open(rp_co *co, const char *path, int flags, uint32_t mode);

/*
 * Closes a descriptor on which no operation is in flight: 0 or an error. It is closed whatever happens to the task: a
 * cancellation, pending or to come, is left to the next suspension. RP_EFORK leaves it open. Mirrors close().
 */
RP_API int rp_close(rp_co *co, rp_fd fd);

/* Suspends until what was written has reached the disk; `data_only` as fdatasync(). Mirrors fsync(). */
RP_API int rp_fsync(rp_co *co, rp_fd fd, bool data_only);

/*
 * Asks for a file's size, times and so on. `directory` may be AT_FDCWD; with AT_EMPTY_PATH and the path "" it is the
 * file itself. `flags` are AT_*, `mask` STATX_*. Mirrors statx().
 */
RP_API int rp_statx(rp_co *co, rp_fd directory, const char *path, int flags, uint32_t mask, struct statx *result);

/*
 * Suspends until one of the RP_POLL_* events holds (now, perhaps), and returns those that hold: RP_POLL_ERR and
 * RP_POLL_HUP whether asked for or not. On Windows sockets and regular files only. Mirrors poll() of one descriptor.
 */
RP_API int rp_poll_fd(rp_co *co, rp_fd fd, uint32_t events);

/* ---- sockets ---- */

/*
 * Receives from a socket, a datagram or what there is of a stream: the bytes that have come. `flags` are MSG_*. The
 * sender's address goes to `address`, which has room for *address_length bytes, and its true length there; both may be
 * NULL. Mirrors recvfrom(), and loop.sock_recvfrom() or sock_recv().
 */
RP_API ssize_t rp_recvfrom(rp_co *co, rp_fd fd, void *buffer, size_t length, int flags, struct sockaddr *address,
                           uint32_t *address_length);

/*
 * Sends to an address, or on a connected socket if that is NULL: the bytes that were sent, of a datagram all. Raises no
 * SIGPIPE. Mirrors sendto(), and loop.sock_sendto().
 */
RP_API ssize_t rp_sendto(rp_co *co, rp_fd fd, const void *buffer, size_t length, int flags,
                         const struct sockaddr *address, uint32_t address_length);

/* ---- children ---- */

/*
 * Suspends until a child process has ended, and reaps it: its wait status (WIFEXITED() and so on); on Windows, the exit
 * code shifted by 8. -ECHILD if there is no such child; on -ECANCELED it is still to be reaped. Mirrors waitpid(), and
 * Process.wait().
 */
RP_API int64_t rp_wait_child(rp_co *co, int64_t pid);

/* ---- signals ---- */

/*
 * Suspends until the signal comes: 0. Every task that waits for it goes on.
 * While a task waits, the signal is the tasks' alone: a handler of rp_add_signal_handler(), or rp_run's for SIGINT, is
 * not called; it is when the signal comes and no task waits. Without a handler, such a signal is kept for the next
 * wait, which returns at once: a loop of waits misses none, but several may be told as one.
 * The signal is caught until the loop is closed, until rp_remove_signal_handler() while no task waits, or until the
 * last wait is cancelled and there is no handler. What stood before stands again then.
 * Main thread only: RP_ETHREAD elsewhere. -EINVAL and what Windows has are as for rp_add_signal_handler(). -ECANCELED.
 * asyncio has nothing like it but loop.add_signal_handler() with an event.
 */
RP_API int rp_wait_signal(rp_co *co, int signal);

#ifdef __cplusplus
}
#endif

#endif
