/*
 * iocp_accept.c - accepting through the completion port: by one AcceptEx(), or by many for a multishot accept.
 *
 * AcceptEx() takes a socket that is there before its connection. A connection that finds none waits in the listener's
 * backlog, and Windows resets what finds that full (200 on its editions for clients, whatever was asked for). A loop
 * that is busy for a moment is not to lose connections by that. So a multishot accept has many outstanding: parts, each
 * a single accept, which is begun again when its connection has been delivered.
 *
 * What must stay true: a multishot accept ends, and gives back the memory of its parts, when none of them is in flight.
 * If it is cancelled or fails it cancels them, and what they have accepted by then is delivered first.
 */
#include "proactor/iocp_accept.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "proactor/iocp_socket.h"

enum { ADDRESS_ROOM = sizeof(struct sockaddr_storage) + 16 };

/* ---- one accept ---- */

/* Learns what the connections' sockets are to be, and associates the listener: as iocp_associate(). */
static int ask_listener(iocp *i, rp_op *op)
{
    iocp_extra *extra = iocp_extra_of(op);
    WSAPROTOCOL_INFOW info;
    int length = sizeof info;

    if (getsockopt((SOCKET)op->fd, SOL_SOCKET, SO_PROTOCOL_INFOW, (char *)&info, &length) != 0)
        return rp_winsock_error(op->fd);
    if (info.iSocketType != SOCK_STREAM)
        return -ENOTSUP;
    extra->u.accept.family = info.iAddressFamily;
    extra->u.accept.protocol = info.iProtocol;
    return iocp_associate(i, op->fd);
}

/* Whether the peer has not waited to be accepted, or cannot be reached any more: the next one, please. */
static bool peer_has_left(int64_t error)
{
    switch (error) {
    case -ECONNRESET:
    case -ECONNABORTED:
    case -ENOTCONN:
    case -EPIPE: /* it has ended in order */
    case -ENETRESET:
    case -ENETUNREACH:
    case -EHOSTUNREACH:
    case -ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

/*
 * Makes a socket, and has it wait for a connection: IOCP_PENDING or an error. It asks first whether the listener
 * listens: if that has been closed, the new socket may have got its number.
 */
static int64_t begin(iocp *i, rp_op *op)
{
    iocp_extra *extra = iocp_extra_of(op);
    int64_t rc;
    DWORD length;

    do {
        rc = rp_kernel_listens(i->base.kernel, op->fd);
        if (rc <= 0)
            return rc < 0 ? rc : -EINVAL;
        rc = rp_kernel_open(i->base.kernel, extra->u.accept.family, SOCK_STREAM, extra->u.accept.protocol,
                            &extra->u.accept.socket);
        if (rc < 0)
            return rc;
        memset(&extra->overlapped, 0, sizeof extra->overlapped);
        rc = iocp_begun(op->fd, i->accept((SOCKET)op->fd, (SOCKET)extra->u.accept.socket, i->accept_sink, 0,
                                          ADDRESS_ROOM, ADDRESS_ROOM, &length, &extra->overlapped));
        if (rc != IOCP_PENDING)
            rp_kernel_close(i->base.kernel, extra->u.accept.socket);
    } while (rc == -ECONNRESET); /* told at once: the peer has left before. Anything else might not go away. */
    return rc;
}

/* Whether the listener is still there: 0 or an error. If its number is another one's, that was not associated yet. */
static int64_t ask_again(iocp *i, rp_op *op)
{
    int rc = ask_listener(i, op);

    return rc > 0 ? -EBADF : rc;
}

/* Its packet has come: the connection or an error. */
static int64_t take(iocp *i, const rp_op *op, NTSTATUS status, rp_fd fd)
{
    SOCKET listener = (SOCKET)op->fd;
    int rc = iocp_error(op, status);

    if (rc < 0) {
        rp_kernel_close(i->base.kernel, fd);
        return rc;
    }
    /* This fails if the listener has been closed meanwhile (asyncio's stopped_serving): the connection stands. */
    setsockopt((SOCKET)fd, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, (char *)&listener, sizeof listener);
    return fd;
}

/* ---- single ---- */

static int64_t accept_start(iocp *i, rp_op *op)
{
    int rc = ask_listener(i, op);

    return rc < 0 ? rc : begin(i, op);
}

static void store_peer(const rp_op *op, rp_fd fd)
{
    struct sockaddr_storage peer;
    int length = sizeof peer;

    if (getpeername((SOCKET)fd, (struct sockaddr *)&peer, &length) != 0)
        length = 0;
    memcpy(op->u.accept.address, &peer,
           (unsigned)length < *op->u.accept.length ? (unsigned)length : *op->u.accept.length);
    *op->u.accept.length = (uint32_t)length;
}

static int64_t accept_collect(iocp *i, rp_op *op, NTSTATUS status, size_t bytes)
{
    int64_t result = take(i, op, status, iocp_extra_of(op)->u.accept.socket);

    if (peer_has_left(result) && op->phase & IOCP_CANCELLED)
        return -ECANCELED;
    if (peer_has_left(result)) {
        result = ask_again(i, op);
        return result < 0 ? result : begin(i, op);
    }
    if (result >= 0 && op->u.accept.address)
        store_peer(op, (rp_fd)result);
    return result;
}

const iocp_method iocp_accept = {.start = accept_start, .collect = accept_collect};

/* ---- multishot ---- */

static iocp_accept_parts *parts_of(rp_op *op)
{
    return iocp_extra_of(op)->u.accept.parts;
}

static int64_t end(rp_op *op, int64_t error)
{
    rp_free(parts_of(op));
    return error;
}

/* No more parts are begun, and those in flight are cancelled: it will end with this error. */
static void stop(rp_op *op, int64_t error)
{
    iocp_accept_parts *parts = parts_of(op);

    if (parts->error != 0)
        return;
    parts->error = (int)error;
    for (int k = 0; k < IOCP_ACCEPTS; k++) {
        rp_op *part = &parts->ops[k];

        if (part->state == RP_OP_SUBMITTED)
            CancelIoEx((HANDLE)op->fd, &iocp_extra_of(part)->overlapped);
    }
}

/*
 * Whether the listener is still there: 0 or an error. While a part waits, it is. To close it ends those that wait, and
 * its number may be that of another one now.
 */
static int64_t look_after_listener(iocp *i, rp_op *op)
{
    for (int k = 0; k < IOCP_ACCEPTS; k++) {
        const OVERLAPPED *overlapped = &iocp_extra_of(&parts_of(op)->ops[k])->overlapped;
        NTSTATUS status = (NTSTATUS)overlapped->Internal;

        if (!HasOverlappedIoCompleted(overlapped))
            return 0;
        if (status == IOCP_STATUS_CANCELLED || status == IOCP_STATUS_HANDLES_CLOSED)
            return -EBADF;
    }
    return ask_again(i, op);
}

/*
 * Begins the parts that are idle, or waits for the last one that is not: IOCP_PENDING, or how it has ended. What cannot
 * be begun now, for want of memory perhaps, is tried again after the next connection, as long as there are others.
 */
static int64_t go_on(iocp *i, rp_op *op)
{
    iocp_accept_parts *parts = parts_of(op);
    int64_t rc = parts->error;

    for (int k = 0; rc == 0 && k < IOCP_ACCEPTS; k++) {
        rp_op *part = &parts->ops[k];
        int64_t begun = part->state == RP_OP_IDLE ? begin(i, part) : 0;

        if (begun == IOCP_PENDING) {
            part->state = RP_OP_SUBMITTED;
            parts->in_flight++;
        } else {
            rc = begun;
        }
    }
    return parts->in_flight > 0 ? IOCP_PENDING : end(op, rc);
}

static int64_t multi_start(iocp *i, rp_op *op)
{
    iocp_extra *extra = iocp_extra_of(op);
    iocp_accept_parts *parts;
    int rc = ask_listener(i, op);

    if (rc < 0)
        return rc;
    parts = extra->u.accept.parts = rp_calloc(sizeof *parts);
    if (!parts)
        return -ENOMEM;
    for (int k = 0; k < IOCP_ACCEPTS; k++) {
        rp_op *part = &parts->ops[k];

        *part = (rp_op){.kind = IOCP_OP_ACCEPT_PART, .fd = op->fd, .owner = i, .data = op};
        iocp_extra_of(part)->u.accept.family = extra->u.accept.family;
        iocp_extra_of(part)->u.accept.protocol = extra->u.accept.protocol;
    }
    return go_on(i, op);
}

/* The same, later. */
static int64_t go_on_if_listening(iocp *i, rp_op *op)
{
    if (parts_of(op)->error == 0) {
        int64_t rc = look_after_listener(i, op);

        if (rc < 0)
            stop(op, rc);
    }
    return go_on(i, op);
}

/* The result is that of the whole. */
static int64_t part_collect(iocp *i, rp_op *part, NTSTATUS status, size_t bytes)
{
    rp_op *op = part->data;
    int64_t result = take(i, part, status, iocp_extra_of(part)->u.accept.socket);

    part->state = RP_OP_IDLE;
    parts_of(op)->in_flight--;
    if (result >= 0)
        return result;
    if (!peer_has_left(result))
        stop(op, result);
    return go_on_if_listening(i, op);
}

static void multi_resume(iocp *i, rp_op *op)
{
    int64_t rc = go_on_if_listening(i, op);

    if (rc != IOCP_PENDING)
        rp_op_finish(&i->base, op, rc);
}

static void multi_cancel(iocp *i, rp_op *op)
{
    stop(op, -ECANCELED);
}

const iocp_method iocp_accept_multi = {.start = multi_start, .resume = multi_resume, .cancel = multi_cancel};
const iocp_method iocp_accept_part = {.collect = part_collect};
