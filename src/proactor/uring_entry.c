/*
 * uring_entry.c - an operation as io_uring's submission entry, kind by kind.
 */
#include "proactor/uring_entry.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "proactor/receive_stream.h"

/* Newer than Debian's headers: of kernel 6.9. An earlier one answers with EINVAL. */
#define OP_FTRUNCATE 55

enum { MAX_TRANSFER = 0x7ffff000 }; /* of one entry: its length field has 32 bits */

static unsigned clamp_length(size_t length)
{
    return length > MAX_TRANSFER ? MAX_TRANSFER : (unsigned)length;
}

static int receive_flags(const rp_op *op)
{
    return rp_op_fills_buffer(op) ? op->u.buffer.flags : op->u.buffer.flags & ~MSG_WAITALL;
}

/*
 * A send that is not to send all is tried without waiting, unless it is known to be a stream's. When a datagram finds
 * no room, the kernel must not try it again: of a Unix socket's it takes the bytes before it sees that the peer has no
 * room, and sends none of them then (6.18).
 */
static int send_flags(int flags, bool stream)
{
    if (flags & (RP_SEND_ALL | MSG_WAITALL))
        return (flags & ~RP_SEND_ALL) | MSG_NOSIGNAL | MSG_WAITALL;
    return flags | MSG_NOSIGNAL | (stream ? 0 : MSG_DONTWAIT);
}

uint32_t uring_entry_events(const rp_op *op)
{
    switch (op->kind) {
    case RP_OP_POLL:
    case RP_OP_POLL_MULTI:
        return op->u.poll.events;
    case RP_OP_RECV_STREAM:
        /* Not PRI: the wake-up of a TCP socket always claims it, and each read would be followed by an idle one. */
        return RP_RECEIVE_STREAM_EVENTS & ~(uint32_t)RP_POLL_PRI;
    case RP_OP_SEND:
    case RP_OP_SENDMSG:
    case RP_OP_WRITE:
    case RP_OP_WRITEV:
    case RP_OP_CONNECT:
        return POLLOUT;
    default:
        return POLLIN;
    }
}

void uring_entry_prepare_poll(struct io_uring_sqe *sqe, const rp_op *op, bool edges)
{
    if (edges)
        io_uring_prep_poll_multishot(sqe, op->fd, uring_entry_events(op));
    else
        io_uring_prep_poll_add(sqe, op->fd, uring_entry_events(op));
}

static void prepare_network(struct io_uring_sqe *sqe, const rp_op *op)
{
    unsigned length = clamp_length(op->u.buffer.length);

    switch (op->kind) {
    case RP_OP_ACCEPT:
        io_uring_prep_accept(sqe, op->fd, op->u.accept.address, op->u.accept.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        break;
    case RP_OP_ACCEPT_MULTI:
        io_uring_prep_multishot_accept(sqe, op->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        break;
    case RP_OP_CONNECT:
        io_uring_prep_connect(sqe, op->fd, op->u.connect.address, op->u.connect.length);
        break;
    case RP_OP_RECV:
        io_uring_prep_recv(sqe, op->fd, op->u.buffer.base, length, receive_flags(op));
        break;
    case RP_OP_SEND:
        io_uring_prep_send(sqe, op->fd, op->u.buffer.base, length,
                           send_flags(op->u.buffer.flags, op->u.buffer.stream));
        break;
    case RP_OP_SENDMSG:
        io_uring_prep_sendmsg(sqe, op->fd, op->u.message.header,
                              (unsigned)send_flags(op->u.message.flags & ~MSG_WAITALL, false));
        break;
    case RP_OP_RECVMSG:
        /* The kernel would put packets together. */
        io_uring_prep_recvmsg(sqe, op->fd, op->u.message.header,
                              (unsigned)op->u.message.flags & ~(unsigned)MSG_WAITALL);
        break;
    case RP_OP_SHUTDOWN:
        io_uring_prep_shutdown(sqe, op->fd, op->u.shutdown.how);
        break;
    default:
        break;
    }
}

/* A terminal takes writes that are not to wait, and waits all the same (6.18): a thread of the kernel's is to do so. */
static void leave_terminals_to_workers(struct io_uring_sqe *sqe, int fd)
{
    struct stat status;

    if (fstat(fd, &status) == 0 && S_ISCHR(status.st_mode))
        sqe->flags |= IOSQE_ASYNC;
}

static void prepare_names(struct io_uring_sqe *sqe, const rp_op *op)
{
    const char *from = op->u.paths.from, *to = op->u.paths.to;
    rp_fd to_directory = op->u.paths.to_directory;

    switch (op->kind) {
    case RP_OP_RENAMEAT:
        io_uring_prep_renameat(sqe, op->fd, from, to_directory, to, (unsigned)op->u.paths.flags);
        break;
    case RP_OP_UNLINKAT:
        io_uring_prep_unlinkat(sqe, op->fd, op->u.path.path, op->u.path.flags);
        break;
    case RP_OP_MKDIRAT:
        io_uring_prep_mkdirat(sqe, op->fd, op->u.path.path, op->u.path.mode);
        break;
    case RP_OP_SYMLINKAT:
        io_uring_prep_symlinkat(sqe, from, to_directory, to);
        break;
    case RP_OP_LINKAT:
        io_uring_prep_linkat(sqe, op->fd, from, to_directory, to, op->u.paths.flags);
        break;
    default:
        io_uring_prep_rw(OP_FTRUNCATE, sqe, op->fd, NULL, 0, (uint64_t)op->u.truncate.length);
        break;
    }
}

void uring_entry_prepare(struct io_uring_sqe *sqe, const rp_op *op)
{
    unsigned length = clamp_length(op->u.buffer.length);

    switch (op->kind) {
    case RP_OP_NOP:
        io_uring_prep_nop(sqe);
        break;
    case RP_OP_CLOSE:
        io_uring_prep_close(sqe, op->fd);
        break;
    case RP_OP_POLL:
    case RP_OP_WAIT_CHILD:
        uring_entry_prepare_poll(sqe, op, false);
        break;
    case RP_OP_POLL_MULTI:
    case RP_OP_RECV_STREAM:
        uring_entry_prepare_poll(sqe, op, true);
        break;
    case RP_OP_READ:
        io_uring_prep_read(sqe, op->fd, op->u.buffer.base, length, (uint64_t)op->u.buffer.offset);
        break;
    case RP_OP_WRITE:
        io_uring_prep_write(sqe, op->fd, op->u.buffer.base, length, (uint64_t)op->u.buffer.offset);
        leave_terminals_to_workers(sqe, op->fd);
        break;
    case RP_OP_READV:
        io_uring_prep_readv(sqe, op->fd, op->u.io.vector, (unsigned)op->u.io.count, (uint64_t)op->u.io.offset);
        break;
    case RP_OP_WRITEV:
        io_uring_prep_writev(sqe, op->fd, op->u.io.vector, (unsigned)op->u.io.count, (uint64_t)op->u.io.offset);
        leave_terminals_to_workers(sqe, op->fd);
        break;
    case RP_OP_FSYNC:
        io_uring_prep_fsync(sqe, op->fd, op->u.fsync.data_only ? IORING_FSYNC_DATASYNC : 0);
        break;
    case RP_OP_OPENAT:
        io_uring_prep_openat(sqe, op->fd, op->u.path.path, op->u.path.flags | O_CLOEXEC, op->u.path.mode);
        break;
    case RP_OP_STATX:
        io_uring_prep_statx(sqe, op->fd, op->u.path.path, op->u.path.flags, op->u.path.mode, op->u.path.statx);
        break;
    default:
        if (rp_op_is_of_names(op))
            prepare_names(sqe, op);
        else
            prepare_network(sqe, op);
        break;
    }
}
