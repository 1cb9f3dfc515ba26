/*
 * iocp_pipe.c - an instance of a named pipe that waits for its client.
 *
 * A client may have come before, and may have gone again: then the instance is made free for the next one.
 */
#include "proactor/iocp_pipe.h"

#include <errno.h>

#include "base/error_windows.h"

enum { STATUS_PIPE_GONE = (int)0xc00000b1 }; /* STATUS_PIPE_CLOSING */

static int64_t begin(const rp_op *op)
{
    OVERLAPPED *overlapped = &iocp_extra_of((rp_op *)(uintptr_t)op)->overlapped;

    for (;;) {
        *overlapped = (OVERLAPPED){0};
        DWORD error = ConnectNamedPipe((HANDLE)op->fd, overlapped) ? ERROR_IO_PENDING : GetLastError();

        if (error == ERROR_IO_PENDING)
            return IOCP_PENDING;
        if (error == ERROR_PIPE_CONNECTED)
            return 0;
        if (error != ERROR_NO_DATA || !DisconnectNamedPipe((HANDLE)op->fd))
            return rp_error_from_windows(error);
    }
}

int64_t iocp_pipe_listen(iocp *i, rp_op *op)
{
    DWORD flags;
    int rc;

    if (rp_kernel_type(i->base.kernel, op->fd) >= 0)
        return -EFAULT;
    if (!GetNamedPipeInfo((HANDLE)op->fd, &flags, NULL, NULL, NULL))
        return rp_error_last() == -EBADF ? -EBADF : -ENOTSOCK;
    if (!(flags & PIPE_SERVER_END))
        return -EINVAL;
    rc = iocp_associate(i, op->fd);
    if (rc < 0)
        return rc;
    op->phase |= IOCP_PIPE;
    return begin(op);
}

int64_t iocp_pipe_collect(rp_op *op, NTSTATUS status)
{
    if (status != STATUS_PIPE_GONE)
        return iocp_error(op, status);
    if (op->phase & IOCP_CANCELLED)
        return -ECANCELED;
    return DisconnectNamedPipe((HANDLE)op->fd) ? begin(op) : rp_error_last();
}
