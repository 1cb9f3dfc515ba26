/*
 * op.h - operations: what the application asks of the kernel, and how the answer comes back.
 *
 * An rp_op is caller-owned. Fill it with one of the rp_op_* initialisers, hand it to a loop (rp_submit), to a task
 * (rp_op_await) or to a bare proactor (rp_proactor_submit). From then on the op, its buffers and its descriptor belong
 * to the kernel until the completion is delivered: exactly one, never inside the submitting call. A multishot
 * operation completes many times; while RP_OP_MORE is set in its flags, it is still in flight.
 *
 * rp_op.result is 0 or more on success (bytes, a descriptor, a mask), else a negative error.
 *
 * Operations that take something out of one pipe, device or socket (read, readv, recv, recvmsg, accept) are served
 * in the order of submission, and so are those that put something into it (write, writev, send, sendmsg, shutdown).
 * A shutdown goes before those that have to wait for the peer. An operation with MSG_DONTWAIT that would have to wait
 * for its turn gets -EAGAIN. Files have no order, also at their own position. On Windows receiving keeps the order,
 * unless MSG_WAITALL has it receive in parts, and sending does not.
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
 * For the flags of rp_op_send (of at most 2 GiB less a page, which is what one call of the kernel takes): complete only
 * when all is sent, or an error stands in the way.
 * After an error the result is what was sent before it, if there was any; the error itself is lost then, and a POSIX
 * socket tells of a reset once: what is received next looks like the end of the stream. If that matters: send without.
 */
#define RP_SEND_ALL 0x40000000

/* How many pointers a backend's part of an operation takes: on Windows there is an OVERLAPPED in it. */
#ifdef _WIN32
#define RP_OP_SCRATCH 12
#else
#define RP_OP_SCRATCH 4
#endif

/* Runs at each completion, with the result in `op`. It may submit the operation again, or free what it is in. */
typedef void rp_op_callback(rp_op *op);

/* The fields are the library's own, but for callback, data, result and flags. */
struct rp_op {
    rp_op_callback *callback; /* runs on the loop's thread, once a completion; NULL: nothing is to be called */
    void *data;               /* the owner's */
    int64_t result;           /* of the completion that is being delivered */
    uint32_t flags;           /* RP_OP_MORE */
    uint8_t kind;             /* rp_op_kind */
    uint8_t state;            /* the proactor's from here on */
    uint8_t phase;
    uint8_t ready;
    rp_fd fd;
    union {
        struct {
            void *base;
            size_t length;
            int64_t offset; /* -1: at the file's own position */
            int flags;
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
        } accept;
        struct {
            const char *path;
            int flags;
            uint32_t mode; /* openat: the mode; statx: the mask */
            struct statx *statx;
        } path;
        struct {
            uint32_t events;
        } poll;
        struct {
            int how;
        } shutdown;
        struct {
            int data_only;
        } fsync;
        struct {
            int64_t pid;
        } child;
    } u;
    void *owner;                  /* the proactor it was submitted to */
    int64_t outcome;              /* the proactor's: what of a result is known, before it is delivered */
    rp_node link;                 /* among the operations in flight */
    rp_node queue;                /* in one of the backend's lists */
    void *scratch[RP_OP_SCRATCH]; /* the backend's */
};

/*
 * Initialisers. They fill the op and do nothing else; any thread. The descriptor, the buffer and whatever a pointer
 * names must stay valid until the completion. Each op is idle again once its (last) completion has been delivered, and
 * may be initialised anew even inside its own callback.
 */

/* Does nothing, and completes with 0. */
RP_API void rp_op_nop(rp_op *op, rp_op_callback *callback, void *data);

/*
 * accept4(): one connection, non-blocking and close-on-exec. address and length may be NULL.
 * The listener may be a blocking one and stays so (on epoll it is not for as long as each call of the kernel's takes,
 * which another process that shares it could see).
 */
RP_API void rp_op_accept(rp_op *op, rp_fd fd, struct sockaddr *address, uint32_t *length, rp_op_callback *callback,
                         void *data);

/*
 * Accepts until it is cancelled or fails: a completion for each connection. Connections accepted before a
 * cancellation took hold are still delivered; the receiver owns every descriptor.
 */
RP_API void rp_op_accept_multi(rp_op *op, rp_fd fd, rp_op_callback *callback, void *data);

/* connect(). A blocking socket stays one, as a listener does. */
RP_API void rp_op_connect(rp_op *op, rp_fd fd, const struct sockaddr *address, uint32_t length,
                          rp_op_callback *callback, void *data);

/* recv() with MSG_* flags. */
RP_API void rp_op_recv(rp_op *op, rp_fd fd, void *buffer, size_t length, int flags, rp_op_callback *callback,
                       void *data);

/*
 * A receive stream on a connected socket, for readers that take what there is: completes (with RP_OP_MORE) whenever
 * there may be something to take, until it is cancelled. Take it with rp_op_receive(). One per socket at a time.
 */
RP_API void rp_op_recv_stream(rp_op *op, rp_fd fd, rp_op_callback *callback, void *data);

/*
 * Takes what has arrived on a receive stream: bytes, 0 at the end of the stream, -EAGAIN if there is nothing until the
 * stream completes next, or the connection's error. Never suspends or blocks. The loop's thread.
 * A length of 0 is -EINVAL, so that 0 means the end and nothing else.
 */
RP_API int64_t rp_op_receive(rp_op *op, void *buffer, size_t length);

/* Whether rp_op_receive() may find something: false means that it would return -EAGAIN. The loop's thread. */
RP_API bool rp_op_receivable(const rp_op *op);

/* send() with MSG_* flags (MSG_NOSIGNAL is implied) and RP_SEND_ALL. */
RP_API void rp_op_send(rp_op *op, rp_fd fd, const void *buffer, size_t length, int flags, rp_op_callback *callback,
                       void *data);

/*
 * sendmsg() (MSG_NOSIGNAL is implied) and recvmsg(), of which MSG_WAITALL is ignored: it completes with one part or
 * message. The header and all that it names must stay valid too.
 */
RP_API void rp_op_sendmsg(rp_op *op, rp_fd fd, struct msghdr *message, int flags, rp_op_callback *callback,
                          void *data);
RP_API void rp_op_recvmsg(rp_op *op, rp_fd fd, struct msghdr *message, int flags, rp_op_callback *callback,
                          void *data);

/* shutdown(): how is SHUT_RD, SHUT_WR or SHUT_RDWR. */
RP_API void rp_op_shutdown(rp_op *op, rp_fd fd, int how, rp_op_callback *callback, void *data);

/* close(). No other operation may be in flight on the descriptor. */
RP_API void rp_op_close(rp_op *op, rp_fd fd, rp_op_callback *callback, void *data);

/*
 * Waits until one of the RP_POLL_* events holds (now, perhaps): the result is those asked for that hold, with ERR and
 * HUP. Any descriptor, as poll(2) has it: a regular file is always ready for IN and OUT, and never for anything else.
 */
RP_API void rp_op_poll(rp_op *op, rp_fd fd, uint32_t events, rp_op_callback *callback, void *data);

/*
 * The same, at once if one holds and then each time something changes, until cancelled. On Windows, which tells no
 * changes, once a turn as long as it holds; and both for sockets and regular files only.
 */
RP_API void rp_op_poll_multi(rp_op *op, rp_fd fd, uint32_t events, rp_op_callback *callback, void *data);

/*
 * pread(), pwrite(), preadv(), pwritev() of any descriptor; offset -1: at the file's own position. Writing to a pipe
 * that nobody reads sends this process SIGPIPE, as write() does; with that ignored, -EPIPE.
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
 * openat(), close-on-exec; directory may be AT_FDCWD. A thread of the proactor's may do it (epoll), and cancelling does
 * not end it then. Open a FIFO with O_NONBLOCK: without it, on epoll this waits for the other end, and on io_uring the
 * kernel tries first without waiting, and so opens for reading at once, and for writing fails with -ENXIO.
 */
RP_API void rp_op_openat(rp_op *op, rp_fd directory, const char *path, int flags, uint32_t mode,
                         rp_op_callback *callback, void *data);

/* statx(): flags are AT_*, mask STATX_*. */
RP_API void rp_op_statx(rp_op *op, rp_fd directory, const char *path, int flags, uint32_t mask,
                        struct statx *result, rp_op_callback *callback, void *data);

/*
 * Waits for a child process and reaps it: the result is its wait status (WIFEXITED and so on). On Windows it is the
 * exit code, of 32 bits, shifted by 8: `status >> 8`; nothing is reaped, and the owner keeps the process open until
 * then.
 * -ECHILD: no such child (never there, reaped already or meanwhile, or, but for Windows, somebody else's).
 * -EINVAL: no number of a process.
 */
RP_API void rp_op_wait_child(rp_op *op, int64_t pid, rp_op_callback *callback, void *data);

#ifdef __cplusplus
}
#endif

#endif
