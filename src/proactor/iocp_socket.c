/*
 * iocp_socket.c - what is done with sockets through the completion port.
 *
 * What comes in is received by overlapped operations straight into the owner's buffer, and their cancellation
 * loses nothing. What goes out is different: Windows does not tell how much of a cancelled overlapped send is
 * under way, and the owner must know. So sends never wait in the kernel: they send what there is room for, and
 * poll for more.
 *
 * A receive stream is a receive of no bytes: it ends when there is something, and takes none of it. It is armed
 * again when the owner has found, by a short read, that nothing more is there; since it tells what is there
 * already, too, no edge can be lost.
 */
#include "proactor/iocp_socket.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "proactor/iocp_pipe.h"
#include "proactor/iocp_poll.h"

#include <mstcpip.h>

#ifndef SO_REUSE_UNICASTPORT
#define SO_REUSE_UNICASTPORT 0x3007
#endif

/* Which no header for programs declares. */
NTSYSAPI LONG NTAPI RtlGetVersion(OSVERSIONINFOW *version);

enum {
    GATHERED = 256,                                                      /* buffers in one call */
    OWN_FLAGS = RP_SEND_ALL | MSG_WAITALL | MSG_DONTWAIT | MSG_NOSIGNAL, /* those that Winsock is not told */
};

int64_t iocp_begun(rp_fd fd, bool success)
{
    int error = success ? 0 : WSAGetLastError();

    if (error == 0 || error == WSA_IO_PENDING || error == WSAEMSGSIZE)
        return IOCP_PENDING;
    return rp_winsock_error(fd);
}

/* ---- connect ---- */

/*
 * ConnectEx() wants a socket that has an address: any, if the owner has chosen none. With SO_REUSE_UNICASTPORT its port
 * is chosen when it connects, as connect() has it, and connections to other peers may have the same one. Otherwise
 * there would be no more outgoing connections than dynamic ports. It may fail: Windows has it since version 10.
 */
static int bind_to_any(rp_fd fd, int family)
{
    struct sockaddr_storage address = {.ss_family = (short)family};
    int length = sizeof address, on = 1;

    if (getsockname((SOCKET)fd, (struct sockaddr *)&address, &length) == 0 || WSAGetLastError() != WSAEINVAL)
        return 0;
    address = (struct sockaddr_storage){.ss_family = (short)family};
    length = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    setsockopt((SOCKET)fd, SOL_SOCKET, SO_REUSE_UNICASTPORT, (char *)&on, sizeof on);
    return bind((SOCKET)fd, (struct sockaddr *)&address, length) != 0 ? rp_winsock_error(fd) : 0;
}

static bool is_loopback(const struct sockaddr *address, uint32_t length)
{
    const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;

    if (address->sa_family == AF_INET && length >= sizeof(struct sockaddr_in))
        return ((const struct sockaddr_in *)address)->sin_addr.s_net == 127;
    return address->sa_family == AF_INET6 && length >= sizeof(struct sockaddr_in6) &&
           (IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127));
}

/*
 * Windows asks again, twice, when nobody listens at a port: a connection is refused after 2 s. On the loopback, where
 * nothing is lost, it shall not. Before its build 16299 it asks once again at least.
 */
static void ask_once(rp_fd fd)
{
    OSVERSIONINFOW version = {.dwOSVersionInfoSize = sizeof version};
    TCP_INITIAL_RTO_PARAMETERS parameters = {.Rtt = TCP_INITIAL_RTO_UNSPECIFIED_RTT, .MaxSynRetransmissions = 1};
    DWORD length;

    RtlGetVersion(&version);
    if (version.dwBuildNumber >= 16299)
        parameters.MaxSynRetransmissions = TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS;
    WSAIoctl((SOCKET)fd, SIO_TCP_INITIAL_RTO, &parameters, sizeof parameters, NULL, 0, &length, NULL, NULL);
}

/* What ConnectEx() does not serve: datagrams, which are connected at once, and Unix sockets. */
static int64_t connect_plainly(iocp *i, rp_op *op)
{
    int rc = rp_kernel_set_nonblocking(i->base.kernel, op->fd);

    if (rc < 0)
        return rc;
    if (connect((SOCKET)op->fd, op->u.connect.address, (int)op->u.connect.length) == 0)
        return 0;
    if (WSAGetLastError() != WSAEWOULDBLOCK)
        return rp_winsock_error(op->fd);
    return iocp_poll_start(i, op, &iocp_extra_of(op)->u.transfer.poll, RP_POLL_OUT);
}

/* Windows would say that an argument is invalid, and not which. */
static bool is_abstract(const struct sockaddr *address, uint32_t length)
{
    return address->sa_family == AF_UNIX && length > offsetof(struct sockaddr_un, sun_path) &&
           ((const struct sockaddr_un *)address)->sun_path[0] == '\0';
}

static int64_t connect_start(iocp *i, rp_op *op)
{
    WSAPROTOCOL_INFOW info;
    int length = sizeof info;

    if (!op->u.connect.address)
        return iocp_pipe_listen(i, op);
    int family = op->u.connect.address->sa_family;
    if (getsockopt((SOCKET)op->fd, SOL_SOCKET, SO_PROTOCOL_INFOW, (char *)&info, &length) != 0)
        return rp_winsock_error(op->fd);
    if (info.iAddressFamily != family)
        return -EAFNOSUPPORT;
    if (is_abstract(op->u.connect.address, op->u.connect.length))
        return -ENOTSUP;
    if (info.iSocketType != SOCK_STREAM || family == AF_UNIX)
        return connect_plainly(i, op);
    int rc = bind_to_any(op->fd, family);
    if (rc == 0)
        rc = iocp_associate(i, op->fd);
    if (rc < 0)
        return rc;
    if (is_loopback(op->u.connect.address, op->u.connect.length))
        ask_once(op->fd);
    return iocp_begun(op->fd, i->connect((SOCKET)op->fd, op->u.connect.address, (int)op->u.connect.length, NULL, 0,
                                         NULL, &iocp_extra_of(op)->overlapped));
}

static int64_t connect_collect(iocp *i, rp_op *op, NTSTATUS status, size_t bytes)
{
    int error, length = sizeof error;

    if (op->phase & IOCP_PIPE)
        return iocp_pipe_collect(op, status);
    if (op->phase & IOCP_POLLING) {
        int64_t events = iocp_poll_result(op, &iocp_extra_of(op)->u.transfer.poll, status);
        if (events < 0)
            return events;
        if (getsockopt((SOCKET)op->fd, SOL_SOCKET, SO_ERROR, (char *)&error, &length) != 0)
            return rp_winsock_error(op->fd);
        WSASetLastError(error);
        return error != 0 ? rp_winsock_error(op->fd) : 0;
    }
    int rc = iocp_error(op, status);
    if (rc == 0)
        setsockopt((SOCKET)op->fd, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0);
    return rc;
}

const iocp_method iocp_connect = {.start = connect_start, .collect = connect_collect};

/* ---- buffers ---- */

int iocp_gather(const rp_op *op, size_t done, WSABUF *out, int room)
{
    struct iovec single;
    const struct iovec *vector = &single;
    size_t count = 1, total = 0;
    int n = 0;

    if (op->kind == RP_OP_SENDMSG || op->kind == RP_OP_RECVMSG) {
        vector = op->u.message.header->msg_iov;
        count = op->u.message.header->msg_iovlen;
    } else if (rp_op_has_vector(op)) {
        vector = op->u.io.vector;
        count = (size_t)op->u.io.count;
    } else {
        single = (struct iovec){.iov_base = op->u.buffer.base, .iov_len = op->u.buffer.length};
    }
    for (size_t k = 0; k < count && n < room && total < INT_MAX; k++) {
        size_t skipped = vector[k].iov_len < done ? vector[k].iov_len : done;
        size_t length = vector[k].iov_len - skipped;

        done -= skipped;
        if (length > INT_MAX - total)
            length = INT_MAX - total;
        if (length > 0)
            out[n++] = (WSABUF){.len = (ULONG)length, .buf = (char *)vector[k].iov_base + skipped};
        total += length;
    }
    return n;
}

static bool is_message(const rp_op *op)
{
    return op->kind == RP_OP_SENDMSG || op->kind == RP_OP_RECVMSG;
}

static int flags_of(const rp_op *op)
{
    if (is_message(op))
        return op->u.message.flags;
    return op->kind == RP_OP_RECV || op->kind == RP_OP_SEND ? op->u.buffer.flags : 0;
}

/* ---- receiving ---- */

static int64_t recv_once(rp_op *op)
{
    iocp_extra *extra = iocp_extra_of(op);
    WSABUF buffers[GATHERED];
    int count = iocp_gather(op, extra->u.transfer.done, buffers, GATHERED);
    struct msghdr *header = is_message(op) ? op->u.message.header : NULL;
    int rc;

    memset(&extra->overlapped, 0, sizeof extra->overlapped);
    extra->u.transfer.flags = (DWORD)(flags_of(op) & ~OWN_FLAGS);
    if (count == 0)
        buffers[count++] = (WSABUF){0}; /* a datagram is taken all the same */
    if (header)
        header->msg_namelen = extra->u.transfer.name_room;
    if (header && header->msg_name)
        rc = WSARecvFrom((SOCKET)op->fd, buffers, (DWORD)count, NULL, &extra->u.transfer.flags, header->msg_name,
                         (int *)&header->msg_namelen, &extra->overlapped, NULL);
    else
        rc = WSARecv((SOCKET)op->fd, buffers, (DWORD)count, NULL, &extra->u.transfer.flags, &extra->overlapped,
                     NULL);
    return iocp_begun(op->fd, rc == 0);
}

static int64_t recv_issue(iocp *i, rp_op *op)
{
    int64_t result;

    do
        result = recv_once(op);
    while (result != IOCP_PENDING && (result = rp_winsock_datagram_error(op->fd, result)) == 0);
    if (result == IOCP_PENDING && flags_of(op) & MSG_DONTWAIT) {
        op->phase |= IOCP_CANCELLED;
        CancelIoEx((HANDLE)op->fd, &iocp_extra_of(op)->overlapped);
    }
    return result;
}

static int64_t recv_start(iocp *i, rp_op *op)
{
    WSABUF first;
    int rc = iocp_associate(i, op->fd), type;

    if (rc < 0)
        return rc == -EBUSY && (type = rp_kernel_type(i->base.kernel, op->fd)) < 0 ? type : rc;
    if (is_message(op) && op->u.message.header->msg_iovlen > GATHERED)
        return -EMSGSIZE;
    if (iocp_gather(op, 0, &first, 1) == 0 && rp_kernel_type(i->base.kernel, op->fd) == SOCK_STREAM)
        return 0; /* else it would wait for something to come, and take none of it */
    iocp_extra_of(op)->u.transfer.fills =
        rp_op_fills_buffer(op) && rp_kernel_type(i->base.kernel, op->fd) == SOCK_STREAM;
    if (is_message(op))
        iocp_extra_of(op)->u.transfer.name_room = op->u.message.header->msg_namelen;
    return recv_issue(i, op);
}

static int64_t recv_collect(iocp *i, rp_op *op, NTSTATUS status, size_t bytes)
{
    size_t *done = &iocp_extra_of(op)->u.transfer.done;
    int rc = status == IOCP_STATUS_OVERFLOW ? 0 : iocp_error(op, status);
    WSABUF rest;

    if (rc == -ECANCELED && flags_of(op) & MSG_DONTWAIT)
        rc = -EAGAIN;
    if (rc < 0 && (rc = (int)rp_winsock_datagram_error(op->fd, rc)) == 0)
        return op->phase & IOCP_CANCELLED && !(flags_of(op) & MSG_DONTWAIT) ? -ECANCELED : recv_issue(i, op);
    if (rc < 0)
        return *done > 0 ? (int64_t)*done : rc;
    if (is_message(op)) {
        op->u.message.header->msg_flags = status == IOCP_STATUS_OVERFLOW ? MSG_TRUNC : 0;
        op->u.message.header->msg_controllen = 0;
    }
    *done += bytes;
    if (!iocp_extra_of(op)->u.transfer.fills || op->phase & IOCP_CANCELLED || bytes == 0 ||
        iocp_gather(op, *done, &rest, 1) == 0)
        return (int64_t)*done;
    int64_t result = recv_issue(i, op);
    return result == IOCP_PENDING ? result : (int64_t)*done;
}

const iocp_method iocp_recv = {.start = recv_start, .collect = recv_collect};

/* ---- receive streams ---- */

static int64_t stream_arm(rp_op *op)
{
    iocp_extra *extra = iocp_extra_of(op);
    WSABUF nothing = {0};
    DWORD flags = 0;

    memset(&extra->overlapped, 0, sizeof extra->overlapped);
    op->state = RP_OP_SUBMITTED;
    return iocp_begun(op->fd, WSARecv((SOCKET)op->fd, &nothing, 1, NULL, &flags, &extra->overlapped, NULL) == 0);
}

static int64_t stream_start(iocp *i, rp_op *op)
{
    int64_t rc = rp_kernel_type(i->base.kernel, op->fd);

    if (rc >= 0) /* a receive of no bytes would take a datagram */
        rc = rc == SOCK_STREAM ? rp_kernel_set_nonblocking(i->base.kernel, op->fd) : -ENOTSUP;
    if (rc == 0)
        rc = iocp_associate(i, op->fd);
    if (rc < 0)
        return rc;
    rc = stream_arm(op);
    if (rc != IOCP_PENDING) { /* the connection has an error: to be found by the one who reads */
        iocp_extra_of(op)->u.stream.error = (int)rc;
        iocp_post(i->port, op, 0);
    }
    return IOCP_PENDING;
}

static int64_t stream_collect(iocp *i, rp_op *op, NTSTATUS status, size_t bytes)
{
    int rc = iocp_error(op, status);

    if (op->phase & IOCP_CANCELLED)
        return -ECANCELED; /* whatever has come is still in the socket */
    if (rc == -EBADF)
        return rc;
    if (rc < 0)
        iocp_extra_of(op)->u.stream.error = rc;
    op->ready = RP_READY_INPUT;
    return RP_POLL_IN;
}

static void stream_resume(iocp *i, rp_op *op)
{
    op->state = RP_OP_QUEUED;
}

const iocp_method iocp_recv_stream = {.start = stream_start, .collect = stream_collect, .resume = stream_resume};

static int64_t take(rp_fd fd, void *buffer, size_t length)
{
    int n = recv((SOCKET)fd, buffer, length < INT_MAX ? (int)length : INT_MAX, 0);

    return n < 0 ? rp_winsock_error(fd) : n;
}

int64_t iocp_receive(rp_op *op, void *buffer, size_t length)
{
    int *error = &iocp_extra_of(op)->u.stream.error;

    if (!(op->ready & RP_READY_INPUT))
        return -EAGAIN;
    int64_t n = take(op->fd, buffer, length);
    if (n <= 0 && *error != 0)
        return *error;
    if (n != -EAGAIN && (n <= 0 || (size_t)n == length))
        return n;
    op->ready = 0;
    if (op->state != RP_OP_QUEUED)
        return n;
    int64_t rc = stream_arm(op);
    if (rc != IOCP_PENDING) {
        op->state = RP_OP_QUEUED;
        op->ready = RP_READY_INPUT;
        *error = (int)rc;
        if (n < 0)
            return rc;
    }
    return n;
}

/* ---- sending ---- */

static int64_t send_once(rp_op *op)
{
    WSABUF buffers[GATHERED];
    int count = iocp_gather(op, iocp_extra_of(op)->u.transfer.done, buffers, GATHERED);
    const struct msghdr *header = is_message(op) ? op->u.message.header : NULL;
    DWORD flags = (DWORD)(flags_of(op) & ~OWN_FLAGS), sent;
    int rc;

    if (count == 0)
        buffers[count++] = (WSABUF){0};
    if (header && header->msg_name)
        rc = WSASendTo((SOCKET)op->fd, buffers, (DWORD)count, &sent, flags, header->msg_name,
                       (int)header->msg_namelen, NULL, NULL);
    else
        rc = WSASend((SOCKET)op->fd, buffers, (DWORD)count, &sent, flags, NULL, NULL);
    return rc != 0 ? rp_winsock_error(op->fd) : (int64_t)sent;
}

/* One call that does not wait: bytes, -EAGAIN or an error. */
static int64_t send_now(iocp *i, rp_op *op)
{
    int64_t n = send_once(op);

    if ((n == -ECONNRESET || n == -ENETRESET) && (n = rp_winsock_datagram_error(op->fd, n)) == 0)
        n = send_once(op);
    return n;
}

static int64_t send_on(iocp *i, rp_op *op)
{
    size_t *done = &iocp_extra_of(op)->u.transfer.done;
    bool whole = flags_of(op) & (RP_SEND_ALL | MSG_WAITALL);
    WSABUF rest;

    for (;;) {
        int64_t n = send_now(i, op);

        if (n == -EAGAIN && !(flags_of(op) & MSG_DONTWAIT))
            n = iocp_poll_start(i, op, &iocp_extra_of(op)->u.transfer.poll, RP_POLL_OUT);
        if (n == IOCP_PENDING)
            return n;
        if (n < 0)
            return *done > 0 ? (int64_t)*done : n;
        *done += (size_t)n;
        if (!whole || iocp_gather(op, *done, &rest, 1) == 0)
            return (int64_t)*done;
    }
}

/* The socket may be the program's, and block. */
static int64_t send_start(iocp *i, rp_op *op)
{
    int rc = rp_kernel_set_nonblocking(i->base.kernel, op->fd);

    if (rc < 0)
        return rc;
    if (is_message(op) && op->u.message.header->msg_iovlen > GATHERED)
        return -EMSGSIZE;
    return send_on(i, op);
}

static int64_t send_collect(iocp *i, rp_op *op, NTSTATUS status, size_t bytes)
{
    iocp_extra *extra = iocp_extra_of(op);
    int64_t events = iocp_poll_result(op, &extra->u.transfer.poll, status);

    if (events < 0 || op->phase & IOCP_CANCELLED)
        return extra->u.transfer.done > 0 ? (int64_t)extra->u.transfer.done : events < 0 ? events : -ECANCELED;
    op->phase &= (uint8_t)~IOCP_POLLING;
    return send_on(i, op);
}

const iocp_method iocp_send = {.start = send_start, .collect = send_collect};

/* ---- shutdown ---- */

static int64_t shutdown_start(iocp *i, rp_op *op)
{
    int rc = rp_kernel_type(i->base.kernel, op->fd);

    if (rc < 0)
        return rc;
    return shutdown((SOCKET)op->fd, op->u.shutdown.how) != 0 ? rp_winsock_error(op->fd) : 0;
}

const iocp_method iocp_shutdown = {.start = shutdown_start};
