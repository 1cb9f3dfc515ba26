/*
 * ready.c - operations as non-blocking attempts, kind by kind.
 *
 * An attempt may get a part of the way (RP_SEND_ALL, MSG_WAITALL): `outcome` keeps how much.
 */
#include "proactor/ready.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/thread.h"
#include "proactor/child_posix.h"
#include "proactor/file_posix.h"
#include "proactor/pipe_posix.h"
#include "proactor/receive_stream.h"

/* rp_op.phase */
enum {
    PHASE_CONNECTING = 1 << 0,
    PHASE_BLOCKING = 1 << 1, /* the socket is a blocking one */
};

/*
 * accept() and connect() know no MSG_DONTWAIT: a socket that blocks is made one that does not for as long as the call
 * takes. It may be another thread's as well, which must not take it for what it is just then.
 */
static rp_mutex blocking_mutex = RP_MUTEX_INIT;

__attribute__((constructor)) static void hold_in_forks(void)
{
    rp_mutex_hold_in_forks(&blocking_mutex);
}

uint32_t rp_ready_direction(const rp_op *op)
{
    switch (op->kind) {
    case RP_OP_CONNECT:
    case RP_OP_SEND:
    case RP_OP_SENDMSG:
    case RP_OP_WRITE:
    case RP_OP_WRITEV:
        return POLLOUT;
    case RP_OP_POLL:
    case RP_OP_POLL_MULTI:
        return op->u.poll.events;
    case RP_OP_RECV_STREAM:
        return RP_RECEIVE_STREAM_EVENTS;
    default:
        return POLLIN;
    }
}

bool rp_ready_blocks(const rp_op *op)
{
    switch (op->kind) {
    case RP_OP_READ:
    case RP_OP_READV:
    case RP_OP_WRITE:
    case RP_OP_WRITEV:
        return rp_file_is_always_ready(op->fd);
    case RP_OP_FSYNC:
    case RP_OP_OPENAT:
    case RP_OP_STATX:
        return true;
    default:
        return rp_op_is_of_names(op);
    }
}

int rp_ready_is_blocking(int fd)
{
    rp_mutex_lock(&blocking_mutex);
    int flags = fcntl(fd, F_GETFL);
    rp_mutex_unlock(&blocking_mutex);
    return flags < 0 ? -errno : !(flags & O_NONBLOCK);
}

static int note_blocking(rp_op *op)
{
    int blocking = rp_ready_is_blocking(op->fd);

    if (blocking < 0)
        return blocking;
    if (blocking)
        op->phase |= PHASE_BLOCKING;
    return 0;
}

/* Makes a call on the operation's socket that does not block. */
static int call_without_blocking(const rp_op *op, int (*call)(const rp_op *op))
{
    if (!(op->phase & PHASE_BLOCKING))
        return call(op);
    rp_mutex_lock(&blocking_mutex);
    int flags = fcntl(op->fd, F_GETFL);
    int rc = flags < 0 || fcntl(op->fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : call(op);
    if (flags >= 0)
        fcntl(op->fd, F_SETFL, flags);
    rp_mutex_unlock(&blocking_mutex);
    return rc;
}

int rp_ready_begin(rp_op *op)
{
    op->outcome = 0;
    switch (op->kind) {
    case RP_OP_ACCEPT:
    case RP_OP_ACCEPT_MULTI:
    case RP_OP_CONNECT:
        return note_blocking(op);
    case RP_OP_RECV_STREAM:
        return rp_receive_stream_begin(op);
    case RP_OP_WAIT_CHILD:
        return rp_child_open(op);
    default:
        return 0;
    }
}

uint32_t rp_ready_poll(int fd, uint32_t events)
{
    struct pollfd entry = {.fd = fd, .events = (short)events};

    return poll(&entry, 1, 0) > 0 ? (uint32_t)(unsigned short)entry.revents : 0;
}

bool rp_ready_signal(rp_op *op, uint32_t events)
{
    /* A poll tries nothing by which a mistake would show. So it asks the kernel what holds. */
    if (op->kind == RP_OP_POLL_MULTI) {
        uint32_t wanted = op->u.poll.events | POLLERR | POLLHUP;

        op->outcome |= events & (op->u.poll.hint ? wanted : rp_ready_poll(op->fd, op->u.poll.events));
        return op->outcome != 0;
    }
    if (op->kind == RP_OP_RECV_STREAM)
        rp_receive_stream_signal(op, events);
    return true;
}

static int try_accept(const rp_op *op)
{
    bool single = op->kind == RP_OP_ACCEPT;
    int fd;

    do
        fd = accept4(op->fd, single ? op->u.accept.address : NULL, single ? op->u.accept.length : NULL,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    return fd < 0 ? -errno : fd;
}

static int try_connect(const rp_op *op)
{
    return connect(op->fd, op->u.connect.address, op->u.connect.length) < 0 ? -errno : 0;
}

static int64_t attempt_connect(rp_op *op)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof(int);
    int error;

    if (!(op->phase & PHASE_CONNECTING)) {
        int rc = call_without_blocking(op, try_connect);

        if (rc != -EINPROGRESS && rc != -EINTR && rc != -EALREADY)
            return rc;
        op->phase |= PHASE_CONNECTING;
        return -EAGAIN;
    }
    if (getsockopt(op->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        return -errno;
    if (error != 0)
        return -error;
    length = sizeof peer;
    if (getpeername(op->fd, (struct sockaddr *)&peer, &length) < 0)
        return errno == ENOTCONN ? -EAGAIN : -errno;
    return 0;
}

/* Receiving with MSG_WAITALL means something to these only. */
static bool is_stream(int fd)
{
    int type;
    socklen_t length = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
           (type == SOCK_STREAM || type == SOCK_SEQPACKET);
}

/* What a call that may go on after a part returns: its error, unless a part is done; -EAGAIN while it is to go on. */
static int64_t attempt_transfer(rp_op *op, bool whole, bool sends)
{
    int flags = (op->u.buffer.flags & ~(RP_SEND_ALL | MSG_WAITALL)) | MSG_DONTWAIT;

    for (;;) {
        char *rest = (char *)op->u.buffer.base + op->outcome;
        size_t left = op->u.buffer.length - (size_t)op->outcome;
        ssize_t n = sends ? send(op->fd, rest, left, flags | MSG_NOSIGNAL) : recv(op->fd, rest, left, flags);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN && rp_ready_may_wait(op))
            return -EAGAIN;
        if (n < 0)
            return op->outcome > 0 ? op->outcome : -errno;
        op->outcome += n;
        if (!whole || n == 0 || (size_t)n == left || (!sends && !is_stream(op->fd)))
            return op->outcome;
    }
}

static int64_t attempt_message(const rp_op *op)
{
    int flags = (op->u.message.flags & ~MSG_WAITALL) | MSG_DONTWAIT;
    ssize_t n;

    do
        n = op->kind == RP_OP_SENDMSG ? sendmsg(op->fd, op->u.message.header, flags | MSG_NOSIGNAL)
                                      : recvmsg(op->fd, op->u.message.header, flags);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int64_t attempt_poll(const rp_op *op)
{
    uint32_t events = rp_ready_poll(op->fd, op->u.poll.events);

    if (events & POLLNVAL)
        return -EBADF;
    return events == 0 ? -EAGAIN : (int64_t)events;
}

/*
 * A read or write where the kernel cannot be asked not to block. A FIFO or a terminal is opened once more for it, since
 * somebody else may take what it is ready for. Of what cannot be opened so, a blocking descriptor is touched only when
 * it is ready, and written to by no more than a pipe takes whole.
 */
static int64_t attempt_if_ready(const rp_op *op)
{
    bool reads = rp_op_reads(op);
    uint32_t events;
    int own;

    events = rp_ready_poll(op->fd, reads ? POLLIN : POLLOUT);
    if (events & POLLNVAL)
        return -EBADF;
    if (events == 0) {
        int mode = fcntl(op->fd, F_GETFL) & O_ACCMODE;

        return mode == (reads ? O_WRONLY : O_RDONLY) ? -EBADF : -EAGAIN; /* it would never become ready */
    }

    rp_op part = *op;
    own = rp_pipe_posix_open_again(op->fd, !reads);
    if (own >= 0) {
        part.fd = own;
        int64_t result = rp_file_perform(&part);
        close(own);
        return result;
    }
    if (reads || fcntl(op->fd, F_GETFL) & O_NONBLOCK)
        return rp_file_perform(op);
    if (op->kind == RP_OP_WRITEV) {
        const struct iovec *vector = op->u.io.vector;
        int count = op->u.io.count;

        while (count > 1 && vector->iov_len == 0) {
            vector++;
            count--;
        }
        part.kind = RP_OP_WRITE;
        part.u.buffer.base = vector->iov_base;
        part.u.buffer.length = vector->iov_len;
        part.u.buffer.offset = op->u.io.offset;
    }
    if (part.u.buffer.length > PIPE_BUF)
        part.u.buffer.length = PIPE_BUF;
    return rp_file_perform(&part);
}

/* A read or write of a pipe, a terminal or the like, which may be a blocking descriptor. */
static int64_t attempt_stream(const rp_op *op)
{
    int64_t result = rp_file_attempt(op);

    return result == -EOPNOTSUPP ? attempt_if_ready(op) : result;
}

int64_t rp_ready_attempt(rp_op *op)
{
    switch (op->kind) {
    case RP_OP_NOP:
        return 0;
    case RP_OP_ACCEPT:
    case RP_OP_ACCEPT_MULTI:
        return call_without_blocking(op, try_accept);
    case RP_OP_CONNECT:
        return attempt_connect(op);
    case RP_OP_RECV:
        return attempt_transfer(op, rp_op_fills_buffer(op), false);
    case RP_OP_SEND:
        return attempt_transfer(op, (op->u.buffer.flags & (RP_SEND_ALL | MSG_WAITALL)) != 0, true);
    case RP_OP_SENDMSG:
    case RP_OP_RECVMSG:
        return attempt_message(op);
    case RP_OP_SHUTDOWN:
        return shutdown(op->fd, op->u.shutdown.how) < 0 ? -errno : 0;
    case RP_OP_CLOSE:
        return close(op->fd) < 0 && errno != EINTR ? -errno : 0; /* which has closed it, too */
    case RP_OP_POLL:
    case RP_OP_POLL_MULTI:
        return attempt_poll(op);
    case RP_OP_WAIT_CHILD:
        return rp_child_reap(op);
    default:
        return attempt_stream(op);
    }
}

bool rp_ready_may_wait(const rp_op *op)
{
    switch (op->kind) {
    case RP_OP_RECV:
    case RP_OP_SEND:
        return !(op->u.buffer.flags & MSG_DONTWAIT);
    case RP_OP_RECVMSG:
    case RP_OP_SENDMSG:
        return !(op->u.message.flags & MSG_DONTWAIT);
    case RP_OP_CONNECT:
        return op->phase & PHASE_CONNECTING; /* else the peer's queue is full, and nothing tells when it is not */
    default:
        return true;
    }
}

int64_t rp_ready_cancelled(const rp_op *op)
{
    bool in_parts = op->kind == RP_OP_SEND || op->kind == RP_OP_RECV;

    return in_parts && op->outcome > 0 ? op->outcome : -ECANCELED;
}
