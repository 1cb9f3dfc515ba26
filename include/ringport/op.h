/*
 * op.h - operations: what the application asks of the kernel, and how the answer comes back.
 *
 * An rp_op is a struct of the caller's. Fill it by one of the rp_op_* initialisers, and hand it to one of
 *   a loop, by rp_submit()
 *   a task, by rp_op_await()
 *   a bare proactor, by rp_proactor_submit()
 * From then on the op, its buffers and its descriptor belong to the kernel, until the completion is delivered.
 * There is exactly one completion, and it never comes inside the submitting call.
 * A multishot operation completes many times. While a completion's flags have RP_OP_MORE, it is still in flight.
 *
 * The result, rp_op.result, is 0 or more on success (bytes, a descriptor, a mask), else a negative error.
 *
 * Order, on one pipe, device or socket, and at a file's own position:
 *   operations that take something out (read, readv, recv, recvmsg, accept) are served in the order of submission
 *   so are those that put something in (write, writev, send, sendmsg, shutdown)
 *   but a shutdown goes before operations that have to wait for the peer
 *   an operation with MSG_DONTWAIT that would have to wait for its turn gets -EAGAIN
 *   a position is moved by reads and writes alike, and so they are in one order
 * Operations at an offset have no order. Nothing is lost at a position that other loops or threads of the process use.
 * Sockets of Windows keep the order of receiving, unless MSG_WAITALL has it receive in parts, and not that of sending.
 */
#ifndef RINGPORT_OP_H
#define RINGPORT_OP_H

#include "base.h"
#include "posix.h"

#ifdef __cplusplus
extern "C" {
#endif

struct msghdr;
struct iovec;
struct sockaddr;
struct statx;

/* An operation; see above. */
typedef struct rp_op rp_op;

/* What an operation does. */
typedef enum rp_op_kind {
    RP_OP_NOP,
    RP_OP_ACCEPT,       /* result: the connected descriptor */
    RP_OP_ACCEPT_MULTI, /* the same, many times */
    RP_OP_CONNECT,
    RP_OP_RECV,        /* result: bytes; 0 at the end of the stream */
    RP_OP_RECV_STREAM, /* many times: there may be something to take, with rp_op_receive() */
    RP_OP_SEND,        /* result: bytes sent */
    RP_OP_SENDMSG,
    RP_OP_RECVMSG,
    RP_OP_SHUTDOWN,
    RP_OP_CLOSE,
    RP_OP_POLL,       /* result: the RP_POLL_* that hold */
    RP_OP_POLL_MULTI, /* the same, many times: each time readiness changes (edge-triggered) */
    RP_OP_READ,       /* result: bytes; 0 at the end of the file */
    RP_OP_WRITE,
    RP_OP_READV,
    RP_OP_WRITEV,
    RP_OP_FSYNC,
    RP_OP_OPENAT, /* result: the descriptor */
    RP_OP_STATX,
    RP_OP_WAIT_CHILD, /* result: the child's wait status, as waitpid gives it */
    RP_OP_RENAMEAT,
    RP_OP_UNLINKAT,
    RP_OP_MKDIRAT,
    RP_OP_SYMLINKAT,
    RP_OP_LINKAT,
    RP_OP_READLINKAT, /* result: bytes */
    RP_OP_TRUNCATE,
    RP_OP_FTRUNCATE,
    RP_OP_KINDS_
} rp_op_kind;

/* The flags of a completion. */
enum {
    RP_OP_MORE = 1 << 0, /* in rp_op.flags at a completion: further completions of this operation follow */
};

/* Readiness, for RP_OP_POLL. ERR and HUP are reported whether asked for or not. */
enum {
    RP_POLL_IN = 0x001,
    RP_POLL_PRI = 0x002,
    RP_POLL_OUT = 0x004,
    RP_POLL_ERR = 0x008,
    RP_POLL_HUP = 0x010,
    RP_POLL_RDHUP = 0x2000,
};

/*
 * For the flags of rp_op_send() on stream sockets: complete only when all is sent, or when an error stands in the way.
 * All is at most 2 GiB less a page, which is what one call of the kernel takes.
 * After an error the result is what was sent before it, if anything was, and the error itself is lost.
 * A POSIX socket tells a reset once only, so what is received next looks like the end of the stream.
 * If that matters, send without this flag.
 */
#define RP_SEND_ALL 0x40000000

/* How many pointers a backend's part of an operation takes: on Windows there is an OVERLAPPED in it. */
#ifdef _WIN32
#define RP_OP_SCRATCH 12
#else
#define RP_OP_SCRATCH 4
#endif

/*
 * Runs at each completion, with the result in `op`.
 * At the last one it may submit the operation again, or free what that is in.
 */
typedef void rp_op_callback(rp_op *op);

/* Callback, data, result and flags are the caller's to use. The other fields are the library's own. */
struct rp_op {
    rp_op_callback *callback; /* runs on the loop's thread, once a completion; NULL: nothing is called */
    void *data;               /* the owner's */
    int64_t result;           /* of the completion that is being delivered */
    uint32_t flags;           /* RP_OP_MORE */
    uint8_t kind;             /* rp_op_kind */
    uint8_t state;            /* the proactor's from here on */
    uint8_t phase;            /* how far the backend is with it */
    uint8_t ready;            /* of a receive stream: what is known of its socket */
    rp_fd fd;
    void *owner; /* the proactor it was submitted to */
    union {
        struct {
            void *base;
            size_t length;
            int64_t offset; /* -1: at the file's own position */
            int flags;
            bool stream; /* a send's: its owner knows that the socket is one of bytes, and no datagrams */
        } buffer;
        struct {
            const struct iovec *vector;
            int count;
            int64_t offset;
        } io;
        struct {
            struct msghdr *header;
            int flags;
        } message;
        struct {
            const struct sockaddr *address;
            uint32_t length;
        } connect;
        struct {
            struct sockaddr *address; /* may be NULL */
            uint32_t *length;
            bool shared; /* other processes accept on its socket, too: see rp_op_accept() */
        } accept;
        struct {
            const char *path;
            int flags;
            uint32_t mode; /* openat, mkdirat: the mode; statx: the mask */
            struct statx *statx;
        } path;
        struct {
            const char *from; /* of a symbolic link: what it leads to */
            const char *to;
            rp_fd to_directory; /* that `from` begins at is the descriptor */
            int flags;
        } paths;
        struct {
            const char *path;
            char *target;
            size_t size;
        } link;
        struct {
            const char *path; /* NULL: it is the descriptor's file */
            int64_t length;
        } truncate;
        struct {
            uint32_t events;
            bool hint; /* of a multishot one: its owner tries what it is told of, and so it may be told too much */
        } poll;
        struct {
            int family; /* of a receive stream's socket: AF_INET and so on, or 0: it is asked */
        } stream;
        struct {
            int how;
        } shutdown;
        struct {
            int data_only;
        } fsync;
        struct {
            int64_t pid;
            rp_fd process; /* a descriptor of it that is lent; -1: none */
        } child;
    } u;
    int64_t outcome;              /* the proactor's: what is known of the result before it is delivered */
    rp_node link;                 /* among the operations in flight */
    rp_node queue;                /* in one of the backend's lists */
    void *scratch[RP_OP_SCRATCH]; /* the backend's */
};

/*
 * The initialisers. They fill the op, and do nothing else.
 * The descriptor, the buffer and whatever a pointer names must stay valid until the (last) completion.
 * After that the op is idle again: it may be initialised anew, even inside its own callback.
 * All initialisers: any thread. None of them fails; the errors named below are results of the operation.
 */

/* Does nothing, and completes with 0. */
RP_API void rp_op_nop(rp_op *op, rp_op_callback *callback, void *data);

/*
 * accept4(): accepts one connection, non-blocking and close-on-exec.
 * `address` and `length` may be NULL.
 * The listening socket may be a blocking one, and stays so.
 * On epoll a blocking one is non-blocking for as long as each call of the kernel's takes. Another process that has it
 * could see that, and if it accepts by such calls, too, one of the two may block.
 * u.accept.shared may be set after this: other processes, or loops, accept on the socket, too.
 *   Then a connection goes to whoever runs first.
 *   Without it, io_uring keeps a connection for the one that has waited longest, however busy that is.
 *   On a blocking socket io_uring takes it for not set.
 *   On epoll, where connections always go to whoever runs first, and on Windows it means nothing.
 */
RP_API void rp_op_accept(rp_op *op, rp_fd fd, struct sockaddr *address, uint32_t *length, rp_op_callback *callback,
                         void *data);

/*
 * Accepts until it is cancelled or fails: a completion for each connection.
 * The receiver owns every descriptor.
 * Connections that were accepted before a cancellation took hold are still delivered.
 * The socket may be a blocking one, and u.accept.shared may be set after this, as with rp_op_accept().
 * On Windows up to 32 accepts are outstanding at a time, for which memory is allocated here: -ENOMEM if there is none.
 */
RP_API void rp_op_accept_multi(rp_op *op, rp_fd fd, rp_op_callback *callback, void *data);

/*
 * connect(). A blocking socket stays one, as with rp_op_accept().
 * On Windows `address` may be NULL for the server's end of a named pipe: it completes when a client has connected.
 */
RP_API void rp_op_connect(rp_op *op, rp_fd fd, const struct sockaddr *address, uint32_t length,
                          rp_op_callback *callback, void *data);

/*
 * recv() with MSG_* flags.
 * MSG_WAITALL is for stream sockets, and ignored elsewhere.
 * With MSG_PEEK it is ignored, too: a peek completes with what there is.
 * Of datagrams to a closed port it tells what rp_op_recvmsg() does.
 */
RP_API void rp_op_recv(rp_op *op, rp_fd fd, void *buffer, size_t length, int flags, rp_op_callback *callback,
                       void *data);

/*
 * A receive stream on a connected stream socket, for readers that take what there is.
 * u.stream.family may be set after this: it says that it is a stream socket of that family, and spares system calls.
 * It completes, with RP_OP_MORE, whenever there may be something to take, until it is cancelled.
 * rp_op_receive() takes it.
 * A socket may have one receive stream at a time.
 * On POSIX any descriptor that is no socket and becomes readable will do, but rp_op_receive() is for sockets.
 * Errors:
 *   -ENOTSUP   a socket that is no SOCK_STREAM: what it receives are messages, for rp_op_recv() and rp_op_recvmsg()
 *   what the system fails with, -EBADF for example
 */
RP_API void rp_op_recv_stream(rp_op *op, rp_fd fd, rp_op_callback *callback, void *data);

/*
 * Takes what has arrived on a receive stream.
 * Returns the number of bytes, or 0 at the end of the stream.
 * Never suspends or blocks.
 * For the loop's thread only.
 * Errors:
 *   -EAGAIN   there is nothing until the stream completes next
 *   -EINVAL   `length` is 0; so 0 means the end, and nothing else
 *   the connection's error
 */
RP_API int64_t rp_op_receive(rp_op *op, void *buffer, size_t length);

/*
 * Whether rp_op_receive() may find something; false means that it would return -EAGAIN.
 * For the loop's thread only.
 */
RP_API bool rp_op_receivable(const rp_op *op);

/* send() with MSG_* flags and RP_SEND_ALL; MSG_NOSIGNAL is implied. */
RP_API void rp_op_send(rp_op *op, rp_fd fd, const void *buffer, size_t length, int flags, rp_op_callback *callback,
                       void *data);

/*
 * sendmsg() and recvmsg(). MSG_NOSIGNAL is implied.
 * MSG_WAITALL is ignored: receiving completes with one part or message.
 * A datagram to a closed port fails the next receive of a connected socket with -ECONNREFUSED, and no other one's.
 * The header and all that it names must stay valid, too.
 */
RP_API void rp_op_sendmsg(rp_op *op, rp_fd fd, struct msghdr *message, int flags, rp_op_callback *callback,
                          void *data);
RP_API void rp_op_recvmsg(rp_op *op, rp_fd fd, struct msghdr *message, int flags, rp_op_callback *callback,
                          void *data);

/* shutdown(). `how` is SHUT_RD, SHUT_WR or SHUT_RDWR. */
RP_API void rp_op_shutdown(rp_op *op, rp_fd fd, int how, rp_op_callback *callback, void *data);

/*
 * close(). No other operation may be in flight on the descriptor.
 * A signal that interrupts it is no error: it is closed.
 * On Windows a thread closes what is no socket, and cancelling does not end it. If operations are in flight all the
 * same, they end with -EBADF first.
 */
RP_API void rp_op_close(rp_op *op, rp_fd fd, rp_op_callback *callback, void *data);

/*
 * Waits until one of the RP_POLL_* events holds, which may be now.
 * The result is those events asked for that hold, and RP_POLL_ERR and RP_POLL_HUP if they do.
 * Any descriptor will do, as with poll(2): a regular file is always ready for IN and OUT, and never for anything else.
 * On Windows it is for sockets and regular files only.
 */
RP_API void rp_op_poll(rp_op *op, rp_fd fd, uint32_t events, rp_op_callback *callback, void *data);

/*
 * rp_op_poll() many times, until it is cancelled: at once if an event holds, and then each time something changes.
 * On Windows, which tells no changes, once a turn as long as an event holds.
 */
RP_API void rp_op_poll_multi(rp_op *op, rp_fd fd, uint32_t events, rp_op_callback *callback, void *data);

/*
 * pread(), pwrite(), preadv() and pwritev() of any descriptor. An offset of -1 means the file's own position.
 * Writing to a pipe that nobody reads raises SIGPIPE in this process, as write() does; if that is ignored: -EPIPE.
 */
RP_API void rp_op_read(rp_op *op, rp_fd fd, void *buffer, size_t length, int64_t offset, rp_op_callback *callback,
                       void *data);
RP_API void rp_op_write(rp_op *op, rp_fd fd, const void *buffer, size_t length, int64_t offset,
                        rp_op_callback *callback, void *data);
RP_API void rp_op_readv(rp_op *op, rp_fd fd, const struct iovec *vector, int count, int64_t offset,
                        rp_op_callback *callback, void *data);
RP_API void rp_op_writev(rp_op *op, rp_fd fd, const struct iovec *vector, int count, int64_t offset,
                         rp_op_callback *callback, void *data);

/* fsync(), or fdatasync() if data_only. */
RP_API void rp_op_fsync(rp_op *op, rp_fd fd, bool data_only, rp_op_callback *callback, void *data);

/*
 * openat(), close-on-exec. `directory` may be AT_FDCWD.
 * Windows knows of the flags O_RDONLY, O_WRONLY, O_RDWR, O_APPEND, O_CREAT, O_EXCL, O_TRUNC, O_DIRECTORY and
 * O_NOFOLLOW, and of the mode whether the owner may write.
 * Paths are UTF-8 there: docs/windows.md says which there are.
 * On epoll and on Windows a thread of the proactor does it, and cancelling does not end it then.
 * Open a FIFO with O_NONBLOCK. Without it:
 *   epoll waits for the other end
 *   io_uring opens for reading at once, and for writing fails with -ENXIO: the kernel tries first without waiting
 */
RP_API void rp_op_openat(rp_op *op, rp_fd directory, const char *path, int flags, uint32_t mode,
                         rp_op_callback *callback, void *data);

/* statx(). `flags` are AT_*, `mask` is STATX_*. */
RP_API void rp_op_statx(rp_op *op, rp_fd directory, const char *path, int flags, uint32_t mask,
                        struct statx *result, rp_op_callback *callback, void *data);

/*
 * What changes names: renameat2(), unlinkat(), mkdirat(), symlinkat(), linkat().
 * Each directory may be AT_FDCWD; it is where a relative path begins.
 * A thread does them, of the kernel's or of the proactor's, and what it has begun is not ended by a cancellation.
 * Errors are those of the system calls. Windows does what Linux does, as far as it can: docs/windows.md.
 */

/*
 * Renames a file or directory. What had the new name before is replaced, unless `flags` are RENAME_NOREPLACE.
 * Windows knows of no other flags.
 */
RP_API void rp_op_renameat(rp_op *op, rp_fd from_directory, const char *from, rp_fd to_directory, const char *to,
                           int flags, rp_op_callback *callback, void *data);

/* Removes a name, that of an empty directory if `flags` are AT_REMOVEDIR. */
RP_API void rp_op_unlinkat(rp_op *op, rp_fd directory, const char *path, int flags, rp_op_callback *callback,
                           void *data);

/* Makes a directory. The process's umask counts, as ever. */
RP_API void rp_op_mkdirat(rp_op *op, rp_fd directory, const char *path, uint32_t mode, rp_op_callback *callback,
                          void *data);

/* Makes a symbolic link at `path` that leads to `target`, whether there is such a file or not. */
RP_API void rp_op_symlinkat(rp_op *op, const char *target, rp_fd directory, const char *path,
                            rp_op_callback *callback, void *data);

/* Gives a file a second name. `flags` are AT_SYMLINK_FOLLOW or 0. */
RP_API void rp_op_linkat(rp_op *op, rp_fd from_directory, const char *from, rp_fd to_directory, const char *to,
                         int flags, rp_op_callback *callback, void *data);

/*
 * readlinkat(): what a symbolic link leads to, in `target`, without a 0 at the end.
 * The result is how many bytes stand there: where that is `size`, the rest may have been cut off.
 */
RP_API void rp_op_readlinkat(rp_op *op, rp_fd directory, const char *path, char *target, size_t size,
                             rp_op_callback *callback, void *data);

/* truncate() and ftruncate(): makes a file this long. What is added reads as zeros, and takes no room on most disks. */
RP_API void rp_op_truncate(rp_op *op, const char *path, int64_t length, rp_op_callback *callback, void *data);
RP_API void rp_op_ftruncate(rp_op *op, rp_fd fd, int64_t length, rp_op_callback *callback, void *data);

/*
 * Waits for a child process, and reaps it. The result is its wait status (WIFEXITED() and so on).
 * On Windows it is the exit code, of 32 bits, shifted by 8: `status >> 8`. Nothing is reaped there, and the owner keeps
 * the process open until then.
 * Errors:
 *   -ECHILD   there is no such child: there never was, or it was reaped, or (except on Windows) it is somebody else's
 *   -EINVAL   that is no number of a process
 */
RP_API void rp_op_wait_child(rp_op *op, int64_t pid, rp_op_callback *callback, void *data);

/*
 * The same for whoever has a descriptor of the process (a pidfd), which stays the caller's.
 * It spares a system call, and a number that was given to another process meanwhile is no matter.
 * On Windows it is a HANDLE of the process.
 */
RP_API void rp_op_wait_child_fd(rp_op *op, int64_t pid, rp_fd process, rp_op_callback *callback, void *data);

#ifdef __cplusplus
}
#endif

#endif
