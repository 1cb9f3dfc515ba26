/*
 * receive_stream.c - receive streams where they are made of readiness: what an edge means, and when there is no more to
 * take before the next one.
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/socket.h"
#include "proactor/proactor.h"

void rp_receive_begin(rp_op *op)
{
    int domain;
    socklen_t length = sizeof domain;

    if (getsockopt(op->fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX)
        op->ready = RP_READY_UNIX;
}

void rp_receive_signal(rp_op *op, uint32_t events)
{
    op->ready |= RP_READY_INPUT;
    if (events & (RP_POLL_RDHUP | RP_POLL_HUP | RP_POLL_ERR | RP_POLL_PRI))
        op->ready |= RP_READY_UNSURE;
}

/* recv(), and whether descriptors or credentials came along, which end a read early. */
static int64_t receive_piece(rp_op *op, void *buffer, size_t length, bool *accompanied)
{
    struct iovec vector = {.iov_base = buffer, .iov_len = length};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    ssize_t n;

    do
        n = recvmsg(op->fd, &message, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    *accompanied = n >= 0 && (message.msg_flags & MSG_CTRUNC);
    return n < 0 ? rp_socket_error() : n;
}

int64_t rp_receive_when_ready(rp_op *op, void *buffer, size_t length)
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
        n = rp_socket_recv(op->fd, buffer, length);
    }
    /* A short read has emptied the socket, most often: what comes later is announced anew. */
    if (n == -EAGAIN || (n > 0 && (size_t)n < length && !unsure))
        op->ready &= RP_READY_UNIX;
    return n;
}
