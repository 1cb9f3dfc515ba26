/*
 * socket_posix.c - the socket calls as POSIX has them: see socket.h.
 */
#include "base/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

int rp_socket_error(void)
{
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

int rp_socket_start(void)
{
    return 0;
}

int rp_socket_open(int family, int type, int protocol, rp_fd *fd)
{
    *fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    return *fd < 0 ? -errno : 0;
}

void rp_socket_close(rp_fd fd)
{
    if (fd >= 0)
        close(fd);
}

void rp_file_close(rp_fd fd)
{
    rp_socket_close(fd);
}

int rp_socket_set_nonblocking(rp_fd fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
        return -errno;
    return 0;
}

int64_t rp_socket_recv(rp_fd fd, void *buffer, size_t length)
{
    ssize_t n;

    do
        n = recv(fd, buffer, length, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? rp_socket_error() : n;
}

int64_t rp_socket_send(rp_fd fd, const void *buffer, size_t length)
{
    ssize_t n;

    do
        n = send(fd, buffer, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? rp_socket_error() : n;
}

int64_t rp_socket_sendv(rp_fd fd, const struct iovec *vector, int count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)vector,
                             .msg_iovlen = count < IOV_MAX ? count : IOV_MAX};
    ssize_t n;

    do
        n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? rp_socket_error() : n;
}

int rp_socket_shutdown_write(rp_fd fd)
{
    return shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
}

bool rp_socket_has_ended(rp_fd fd)
{
    struct pollfd entry = {.fd = fd};

    return poll(&entry, 1, 0) > 0 && entry.revents & POLLHUP;
}

int rp_socket_name(rp_fd fd, struct sockaddr *address, uint32_t *length)
{
    return getsockname(fd, address, length) < 0 ? -errno : 0;
}

int rp_socket_peer(rp_fd fd, struct sockaddr *address, uint32_t *length)
{
    return getpeername(fd, address, length) < 0 ? -errno : 0;
}

int rp_socket_type(rp_fd fd)
{
    int type;
    socklen_t length = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 ? -errno : type;
}

int rp_socket_listens(rp_fd fd)
{
    int listens;
    socklen_t length = sizeof listens;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0 ? -errno : listens != 0;
}

int rp_socket_set(rp_fd fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) < 0 ? -errno : 0;
}

int rp_socket_reuse_address(rp_fd fd)
{
    return rp_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
}

int rp_socket_reuse_port(rp_fd fd)
{
    return rp_socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
}
