/*
 * receive_stream.c - receive streams where they are made of readiness: what an edge means, and when there is no more to
 * take before the next one.
 */
#include "proactor/receive_stream.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/rare.h"

/* What is no socket has no family; where it cannot be waited for, the backend finds that out. */
int rp_receive_stream_begin(rp_op *op)
{
    int family = op->u.stream.family, type;
    socklen_t length = sizeof family;

    if (family == 0) {
        if (getsockopt(op->fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
            return 0;
        if (type != SOCK_STREAM)
            return -ENOTSUP;
        getsockopt(op->fd, SOL_SOCKET, SO_DOMAIN, &family, &length);
    }
    if (family == AF_UNIX)
        op->ready = RP_READY_UNIX;
    return 0;
}

void rp_receive_stream_signal(rp_op *op, uint32_t events)
{
    op->ready |= RP_READY_INPUT;
    if (events & (RP_POLL_RDHUP | RP_POLL_HUP | RP_POLL_ERR | RP_POLL_PRI))
        op->ready |= RP_READY_UNSURE;
}

static int64_t receive(const rp_op *op, void *buffer, size_t length)
{
    ssize_t n;

    do
        n = recv(op->fd, buffer, length, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* The same, and whether descriptors or credentials came along, which end a read early. */
static int64_t receive_piece(const rp_op *op, void *buffer, size_t length, bool *accompanied)
{
    struct iovec vector = {.iov_base = buffer, .iov_len = length};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    ssize_t n;

    do
        n = recvmsg(op->fd, &message, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    *accompanied = n >= 0 && (message.msg_flags & MSG_CTRUNC);
    return n < 0 ? -errno : n;
}

/* Where a short read does not tell for sure that the socket is empty. */
RP_APART static int64_t take_unsure(rp_op *op, void *buffer, size_t length)
{
    bool unsure = op->ready & RP_READY_UNSURE;
    int64_t n;

    if (!(op->ready & RP_READY_INPUT))
        return -EAGAIN;
    if (op->ready & RP_READY_UNIX) {
        bool accompanied;

        n = receive_piece(op, buffer, length, &accompanied);
        unsure = unsure || accompanied;
    } else {
        n = receive(op, buffer, length);
    }
    if (n == -EAGAIN || (n > 0 && (size_t)n < length && !unsure))
        op->ready &= RP_READY_UNIX;
    return n;
}

/* A short read has emptied the socket, most often: what comes later is announced anew. */
int64_t rp_receive_stream_take(rp_op *op, void *buffer, size_t length)
{
    int64_t n;

    if (op->ready != RP_READY_INPUT)
        return take_unsure(op, buffer, length);
    n = receive(op, buffer, length);
    if (n == -EAGAIN || (n > 0 && (size_t)n < length))
        op->ready = 0;
    return n;
}
