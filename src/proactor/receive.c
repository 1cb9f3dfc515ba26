/*
 * receive.c - receive streams where they are made of readiness: what an edge means, and when there is no more to take
 * before the next one.
 */
#include "base/socket.h"
#include "proactor/proactor.h"

void rp_receive_begin(rp_op *op)
{
    int domain;
    socklen_t length = sizeof domain;

    if (getsockopt(op->fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX)
        op->ready = RP_READY_PIECES;
}

void rp_receive_signal(rp_op *op, uint32_t events)
{
    op->ready |= RP_READY_INPUT;
    if (events & (RP_POLL_RDHUP | RP_POLL_HUP | RP_POLL_ERR | RP_POLL_PRI))
        op->ready |= RP_READY_UNSURE;
}

int64_t rp_receive_when_ready(rp_op *op, void *buffer, size_t length)
{
    int64_t n = op->ready & RP_READY_INPUT ? rp_socket_recv(op->fd, buffer, length) : -EAGAIN;

    if (n == -EAGAIN)
        op->ready &= RP_READY_PIECES;
    /* A short read has emptied the socket, most often: what comes later is announced anew. */
    else if (n > 0 && (size_t)n < length && !(op->ready & (RP_READY_UNSURE | RP_READY_PIECES)))
        op->ready = 0;
    return n;
}
