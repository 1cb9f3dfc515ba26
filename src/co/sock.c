/*
 * sock.c - operations on sockets of the program's own: asyncio's loop.sock_recv() and its like.
 *
 * Each is an operation on the coroutine's stack. Sending all is one after the other, since an operation that sends all
 * would tell either how much has gone or why the rest has not.
 */
#include "co/await.h"
#include "ringport/io.h"

ssize_t rp_sock_recv(rp_co *co, rp_fd fd, void *buffer, size_t length)
{
    rp_op op;

    rp_op_recv(&op, fd, buffer, length, 0, NULL, NULL);
    return (ssize_t)rp_op_await(co, &op);
}

ssize_t rp_sock_recv_into(rp_co *co, rp_fd fd, void *buffer, size_t length)
{
    return rp_sock_recv(co, fd, buffer, length);
}

ssize_t rp_sock_recvfrom(rp_co *co, rp_fd fd, void *buffer, size_t length, struct sockaddr *address,
                         uint32_t *address_length)
{
    return rp_recvfrom(co, fd, buffer, length, 0, address, address_length);
}

int rp_sock_sendall(rp_co *co, rp_fd fd, const void *data, size_t length, size_t *sent)
{
    size_t done = 0;
    int64_t n;

    do {
        rp_op op;

        rp_op_send(&op, fd, (const char *)data + done, length - done, 0, NULL, NULL);
        n = rp_op_await(co, &op);
        if (n > 0)
            done += (size_t)n;
    } while (n > 0 && done < length);
    if (sent)
        *sent = done;
    return n < 0 ? (int)n : 0;
}

ssize_t rp_sock_sendto(rp_co *co, rp_fd fd, const void *data, size_t length, const struct sockaddr *address,
                       uint32_t address_length)
{
    return rp_sendto(co, fd, data, length, 0, address, address_length);
}

int rp_sock_connect(rp_co *co, rp_fd fd, const struct sockaddr *address, uint32_t address_length)
{
    rp_op op;

    if (!address)
        return -EINVAL;
    rp_op_connect(&op, fd, address, address_length, NULL, NULL);
    return (int)rp_op_await(co, &op);
}

rp_fd rp_sock_accept(rp_co *co, rp_fd fd, struct sockaddr *address, uint32_t *address_length)
{
    rp_op op;

    if (address && !address_length)
        return -EINVAL;
    rp_op_accept(&op, fd, address, address_length, NULL, NULL);
    op.u.accept.shared = true; /* it is the program's own, as that of a server which has forked its workers */
    return (rp_fd)rp_op_await(co, &op);
}
