/*
 * iocp_poll.c - readiness of sockets, asked of the socket driver itself: a poll request that ends in the port.
 *
 * It is what select() does behind its back, for one socket and without waiting. The request has the layout that
 * the driver (AFD) has had since Windows NT; well-known libraries rely on it.
 *
 * The answer is level-triggered: nothing tells when readiness ends and begins anew. So a multishot poll that has
 * told of some asks again, and tells it once a turn as long as it holds: once too often is better than once too few.
 */
#include "proactor/iocp_poll.h"

#include <errno.h>
#include <string.h>

#include "base/error_windows.h"

#define IOCTL_AFD_POLL 0x00012024

/* The driver's events. */
enum {
    AFD_RECEIVE = 1 << 0,
    AFD_EXPEDITED = 1 << 1,
    AFD_SEND = 1 << 2,
    AFD_DISCONNECT = 1 << 3,
    AFD_ABORT = 1 << 4,
    AFD_LOCAL_CLOSE = 1 << 5,
    AFD_ACCEPT = 1 << 7,
    AFD_CONNECT_FAIL = 1 << 8,
};

enum {
    ALWAYS = RP_POLL_ERR | RP_POLL_HUP,
    FILE_EVENTS = RP_POLL_IN | RP_POLL_OUT,
};

/* Once the connection has failed or is reset, nothing else will come: whatever was asked for, the poll ends. */
static ULONG to_afd(uint32_t events)
{
    ULONG afd = AFD_LOCAL_CLOSE | AFD_ABORT | AFD_CONNECT_FAIL;

    if (events & RP_POLL_IN)
        afd |= AFD_RECEIVE | AFD_ACCEPT | AFD_DISCONNECT;
    if (events & RP_POLL_PRI)
        afd |= AFD_EXPEDITED;
    if (events & RP_POLL_OUT)
        afd |= AFD_SEND;
    if (events & RP_POLL_RDHUP)
        afd |= AFD_DISCONNECT;
    return afd;
}

static uint32_t from_afd(ULONG afd)
{
    uint32_t events = 0;

    if (afd & (AFD_RECEIVE | AFD_ACCEPT | AFD_DISCONNECT | AFD_ABORT | AFD_CONNECT_FAIL))
        events |= RP_POLL_IN;
    if (afd & AFD_EXPEDITED)
        events |= RP_POLL_PRI;
    if (afd & (AFD_SEND | AFD_ABORT | AFD_CONNECT_FAIL))
        events |= RP_POLL_OUT;
    if (afd & (AFD_DISCONNECT | AFD_ABORT))
        events |= RP_POLL_RDHUP;
    if (afd & AFD_ABORT)
        events |= RP_POLL_HUP;
    if (afd & AFD_CONNECT_FAIL)
        events |= RP_POLL_ERR;
    return events;
}

/* ---- a poll ---- */

static int open_driver(iocp *i)
{
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK result;
    HANDLE afd;

    RtlInitUnicodeString(&name, L"\\Device\\Afd\\Ringport");
    InitializeObjectAttributes(&attributes, &name, 0, NULL, NULL);
    NTSTATUS status = NtCreateFile(&afd, SYNCHRONIZE, &attributes, &result, NULL, 0,
                                   FILE_SHARE_READ | FILE_SHARE_WRITE, FILE_OPEN, 0, NULL, 0);
    if (status != 0)
        return rp_error_from_windows((unsigned long)status);
    int rc = iocp_associate(i, (rp_fd)afd);
    if (rc < 0)
        CloseHandle(afd);
    else
        i->afd = afd;
    return rc;
}

static bool ask_handle(SOCKET socket, DWORD which, SOCKET *below)
{
    DWORD length;

    return WSAIoctl(socket, which, NULL, 0, below, sizeof *below, &length, NULL, NULL) == 0;
}

/*
 * The driver's own socket, where other providers have put themselves in front of it. A provider is not to answer
 * SIO_BASE_HANDLE itself. Those made with a certain kit do (Komodia's, in VPN clients for example), with an error; they
 * still tell the socket below theirs, for WSAPoll(). So it is asked of that one, layer by layer.
 */
static HANDLE base_handle(rp_fd fd)
{
    SOCKET socket = (SOCKET)fd, below;

    for (int layer = 0; layer < MAX_PROTOCOL_CHAIN; layer++) {
        if (ask_handle(socket, SIO_BASE_HANDLE, &below))
            return (HANDLE)below;
        if (!ask_handle(socket, SIO_BSP_HANDLE_POLL, &below))
            break;
        socket = below;
    }
    return (HANDLE)socket;
}

int64_t iocp_poll_start(iocp *i, rp_op *op, iocp_poll *poll, uint32_t events)
{
    OVERLAPPED *overlapped = &iocp_extra_of(op)->overlapped;
    int rc = i->afd ? 0 : open_driver(i);

    if (rc < 0)
        return rc;
    *poll = (iocp_poll){
        .timeout.QuadPart = INT64_MAX, .count = 1, .handle = base_handle(op->fd), .events = to_afd(events)};
    memset(overlapped, 0, sizeof *overlapped);
    NTSTATUS status = NtDeviceIoControlFile(i->afd, NULL, NULL, overlapped, (IO_STATUS_BLOCK *)overlapped,
                                            IOCTL_AFD_POLL, poll, sizeof *poll, poll, sizeof *poll);
    if (!NT_SUCCESS(status))
        return rp_error_from_windows((unsigned long)status);
    op->phase |= IOCP_POLLING;
    return IOCP_PENDING;
}

void iocp_poll_cancel(iocp *i, rp_op *op)
{
    CancelIoEx(i->afd, &iocp_extra_of(op)->overlapped);
}

int64_t iocp_poll_result(const rp_op *op, const iocp_poll *poll, NTSTATUS status)
{
    int rc = iocp_error(op, status);

    if (rc < 0)
        return rc;
    return poll->count == 0 || poll->events & AFD_LOCAL_CLOSE ? -EBADF : (int64_t)from_afd(poll->events);
}

/* ---- operations ---- */

static bool is_disk(rp_fd fd)
{
    return GetFileType((HANDLE)fd) == FILE_TYPE_DISK;
}

static int64_t poll_start(iocp *i, rp_op *op)
{
    iocp_extra *extra = iocp_extra_of(op);
    int rc = rp_kernel_type(i->base.kernel, op->fd);

    if (rc == -ENOTSOCK && is_disk(op->fd)) { /* always ready, for what a file can be ready for */
        extra->u.poll.is_file = true;
        if (op->u.poll.events & FILE_EVENTS)
            iocp_post(i->port, op, 0);
        else
            op->state = RP_OP_QUEUED;
        return IOCP_PENDING;
    }
    if (rc < 0)
        return rc == -ENOTSOCK ? -ENOTSUP : rc;
    return iocp_poll_start(i, op, &extra->u.poll.poll, op->u.poll.events);
}

static int64_t poll_collect(iocp *i, rp_op *op, NTSTATUS status, size_t bytes)
{
    iocp_extra *extra = iocp_extra_of(op);

    if (extra->u.poll.is_file)
        return op->u.poll.events & FILE_EVENTS;
    int64_t events = iocp_poll_result(op, &extra->u.poll.poll, status);
    return events < 0 ? events : events & (op->u.poll.events | ALWAYS);
}

const iocp_method iocp_poll_once = {.start = poll_start, .collect = poll_collect};

/* ---- multishot ---- */

static int64_t multi_collect(iocp *i, rp_op *op, NTSTATUS status, size_t bytes)
{
    int64_t events = poll_collect(i, op, status, bytes);

    return op->phase & IOCP_CANCELLED ? -ECANCELED : events;
}

static void multi_resume(iocp *i, rp_op *op)
{
    if (iocp_extra_of(op)->u.poll.is_file) {
        op->state = RP_OP_QUEUED; /* nothing will change */
        return;
    }
    int64_t rc = iocp_poll_start(i, op, &iocp_extra_of(op)->u.poll.poll, op->u.poll.events);
    if (rc != IOCP_PENDING)
        rp_op_finish(&i->base, op, rc);
}

const iocp_method iocp_poll_multi = {.start = poll_start, .collect = multi_collect, .resume = multi_resume};
