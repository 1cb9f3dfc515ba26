/*
 * iocp_file.c - files and pipes through the completion port, and through threads what Windows does only by blocking.
 *
 * It blocks to open, to flush, to ask for a status, and in all that is done with a handle that was not opened for
 * overlapped operations, or belongs to another port.
 * There is no gathering of any buffers into one operation on a file: a transfer is made piece by piece, one buffer
 * each. An overlapped handle has no position of its own that moves: we ask for it, and move it when all is done.
 */
#include "proactor/iocp_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/error_windows.h"
#include "proactor/file_windows.h"
#include "proactor/iocp_socket.h"

enum {
    FILE_SYNCHRONOUS = 0x30, /* mode bits of a handle that does not do overlapped operations */
    MODE_INFORMATION = 16,
    BUFFERS = 1024, /* of readv and writev, at most: as many as elsewhere */
};

static bool reads(const rp_op *op)
{
    return op->kind == RP_OP_READ || op->kind == RP_OP_READV;
}

static int64_t offset_of(const rp_op *op)
{
    return op->kind == RP_OP_READV || op->kind == RP_OP_WRITEV ? op->u.io.offset : op->u.buffer.offset;
}

static bool is_overlapped(rp_fd fd)
{
    IO_STATUS_BLOCK result;
    ULONG mode = 0;

    return NtQueryInformationFile((HANDLE)fd, &result, &mode, sizeof mode,
                                  (FILE_INFORMATION_CLASS)MODE_INFORMATION) == 0 &&
           !(mode & FILE_SYNCHRONOUS);
}

/* An error of reading or writing, as it is called elsewhere. */
static int transfer_error(rp_fd fd, int error)
{
    BY_HANDLE_FILE_INFORMATION information;

    if (GetFileInformationByHandle((HANDLE)fd, &information) &&
        information.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)
        return -EISDIR;
    return error == -EACCES ? -EBADF : error; /* it was opened for the other */
}

/* ---- a transfer, piece by piece ---- */

static int64_t position(rp_fd fd)
{
    LARGE_INTEGER zero = {0}, now;

    return SetFilePointerEx((HANDLE)fd, zero, &now, FILE_CURRENT) ? now.QuadPart : 0;
}

static void set_position(rp_fd fd, int64_t position)
{
    LARGE_INTEGER to = {.QuadPart = position};

    SetFilePointerEx((HANDLE)fd, to, NULL, FILE_BEGIN);
}

/* Prepares the OVERLAPPED and the buffer for what is to be done next; false: nothing is. */
static bool next_piece(const rp_op *op, OVERLAPPED *overlapped, size_t done, bool is_disk, int64_t start,
                       WSABUF *piece)
{
    LARGE_INTEGER at = {.QuadPart = is_disk ? start + (int64_t)done : 0};

    memset(overlapped, 0, sizeof *overlapped);
    overlapped->Offset = at.LowPart;
    overlapped->OffsetHigh = (DWORD)at.HighPart;
    return iocp_gather(op, done, piece, 1) != 0;
}

/* Begins it: 0 if it is done or under way, or the error; to read at the end of a file or a pipe is -EPIPE. */
static int begin_piece(const rp_op *op, OVERLAPPED *overlapped, const WSABUF *piece)
{
    HANDLE file = (HANDLE)op->fd;
    BOOL ok = reads(op) ? ReadFile(file, piece->buf, piece->len, NULL, overlapped)
                        : WriteFile(file, piece->buf, piece->len, NULL, overlapped);
    DWORD error = ok ? 0 : GetLastError();

    if (error == 0 || error == ERROR_IO_PENDING || error == ERROR_MORE_DATA)
        return 0;
    return error == ERROR_HANDLE_EOF ? -EPIPE : rp_error_from_windows(error);
}

/* A pipe is asked for the next buffer's bytes only if they are there. */
static bool may_read_on(rp_fd fd, bool is_disk)
{
    DWORD available = 0;

    return is_disk || (PeekNamedPipe((HANDLE)fd, NULL, 0, NULL, &available, NULL) && available > 0);
}

/* ---- overlapped ---- */

static int64_t finish(rp_op *op, int error)
{
    iocp_extra *extra = iocp_extra_of(op);
    size_t done = extra->u.file.done;

    if (extra->u.file.is_disk && offset_of(op) < 0 && done > 0)
        set_position(op->fd, extra->u.file.start + (int64_t)done);
    if (error == 0 || done > 0 || (error == -EPIPE && reads(op)))
        return (int64_t)done;
    return transfer_error(op->fd, error);
}

static int64_t go_on(rp_op *op)
{
    iocp_extra *extra = iocp_extra_of(op);
    WSABUF piece;

    if (!next_piece(op, &extra->overlapped, extra->u.file.done, extra->u.file.is_disk, extra->u.file.start,
                    &piece))
        return finish(op, 0);
    extra->u.file.piece = piece.len;
    int rc = begin_piece(op, &extra->overlapped, &piece);
    return rc == 0 ? IOCP_PENDING : finish(op, rc);
}

static int64_t transfer_collect(iocp *i, rp_op *op, NTSTATUS status, size_t bytes)
{
    iocp_extra *extra = iocp_extra_of(op);

    if (op->phase & IOCP_SOCKET)
        return (reads(op) ? iocp_recv : iocp_send).collect(i, op, status, bytes);
    if (op->phase & IOCP_POOLED) {
        int64_t result = extra->u.pool.result;
        return result == -ECANCELED ? iocp_error(op, IOCP_STATUS_CANCELLED) : result;
    }
    int rc = status == IOCP_STATUS_OVERFLOW      ? 0
             : status == IOCP_STATUS_END_OF_FILE ? -EPIPE
                                                 : iocp_error(op, status);
    if (rc < 0)
        return finish(op, rc);
    extra->u.file.done += bytes;
    if (status == IOCP_STATUS_OVERFLOW || bytes < extra->u.file.piece || op->phase & IOCP_CANCELLED ||
        (reads(op) && !may_read_on(op->fd, extra->u.file.is_disk)))
        return finish(op, 0);
    return go_on(op);
}

/* ---- in the pool ---- */

/* Does one piece, and waits for it whichever kind of handle it is: bytes or an error. */
static int64_t perform_piece(rp_op *op, OVERLAPPED *overlapped, HANDLE event, const WSABUF *piece)
{
    DWORD bytes = 0;

    overlapped->hEvent = (HANDLE)((uintptr_t)event | 1); /* the mark: its packet is not to go to any port */
    int rc = begin_piece(op, overlapped, piece);
    if (rc < 0)
        return rc;
    if (GetOverlappedResult((HANDLE)op->fd, overlapped, &bytes, TRUE) || GetLastError() == ERROR_MORE_DATA)
        return bytes;
    return GetLastError() == ERROR_HANDLE_EOF ? -EPIPE : rp_error_last();
}

static int64_t perform_transfer(rp_op *op)
{
    OVERLAPPED *overlapped = &iocp_extra_of(op)->overlapped;
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    bool is_disk = GetFileType((HANDLE)op->fd) == FILE_TYPE_DISK;
    int64_t before = is_disk ? position(op->fd) : 0, n = 0;
    int64_t start = offset_of(op) < 0 ? before : offset_of(op);
    size_t done = 0;
    WSABUF piece;

    if (!event)
        return rp_error_last();
    while (next_piece(op, overlapped, done, is_disk, start, &piece)) {
        n = perform_piece(op, overlapped, event, &piece);
        if (n > 0)
            done += (size_t)n;
        if (n < (int64_t)piece.len || (reads(op) && !may_read_on(op->fd, is_disk)))
            break;
    }
    CloseHandle(event);
    if (is_disk) /* the position of a synchronous handle has moved, even if an offset was given */
        set_position(op->fd, offset_of(op) < 0 ? start + (int64_t)done : before);
    if (n >= 0 || done > 0 || (n == -EPIPE && reads(op)))
        return (int64_t)done;
    return n == -ECANCELED ? n : transfer_error(op->fd, (int)n);
}

static int64_t perform(rp_op *op)
{
    switch (op->kind) {
    case RP_OP_FSYNC:
        return FlushFileBuffers((HANDLE)op->fd) ? 0 : rp_error_last();
    case RP_OP_OPENAT:
        return rp_file_open(op->fd, op->u.path.path, op->u.path.flags, op->u.path.mode);
    case RP_OP_STATX:
        return rp_file_status(op->fd, op->u.path.path, op->u.path.flags, op->u.path.statx);
    default:
        return perform_transfer(op);
    }
}

static void run(rp_work *work)
{
    iocp_extra *extra = rp_container_of(work, iocp_extra, u.pool.work);
    rp_op *op = iocp_op_of(&extra->overlapped);
    const iocp *i = op->owner;
    HANDLE port = i->port;

    extra->u.pool.result = perform(op);
    iocp_post(port, op, 0); /* from here on it is no more ours */
}

static int64_t hand_to_pool(iocp *i, rp_op *op)
{
    iocp_extra *extra = iocp_extra_of(op);
    int rc = i->pool ? 0 : rp_pool_new(0, &i->pool);

    extra->u.pool.work = (rp_work){.run = run};
    op->phase |= IOCP_POOLED;
    if (rc == 0)
        rc = rp_pool_submit(i->pool, &extra->u.pool.work);
    return rc < 0 ? rc : IOCP_PENDING;
}

static int64_t pooled_collect(iocp *i, rp_op *op, NTSTATUS status, size_t bytes)
{
    return iocp_extra_of(op)->u.pool.result;
}

/* ---- reading and writing ---- */

static int64_t transfer_start(iocp *i, rp_op *op)
{
    iocp_extra *extra = iocp_extra_of(op);
    int type = rp_kernel_type(i->base.kernel, op->fd);

    if (type >= 0) {
        op->phase |= IOCP_SOCKET;
        return (reads(op) ? iocp_recv : iocp_send).start(i, op);
    }
    if (type == -EBADF)
        return type;
    if ((op->kind == RP_OP_READV || op->kind == RP_OP_WRITEV) && (op->u.io.count < 0 || op->u.io.count > BUFFERS))
        return -EINVAL;
    int rc = is_overlapped(op->fd) ? iocp_associate(i, op->fd) : -EBUSY;
    if (rc == -EBUSY)
        return hand_to_pool(i, op);
    if (rc < 0)
        return rc;
    extra->u.file.is_disk = GetFileType((HANDLE)op->fd) == FILE_TYPE_DISK;
    extra->u.file.start = offset_of(op) < 0 && extra->u.file.is_disk ? position(op->fd) : offset_of(op);
    return go_on(op);
}

const iocp_method iocp_read = {.start = transfer_start, .collect = transfer_collect};
const iocp_method iocp_write = {.start = transfer_start, .collect = transfer_collect};

/* ---- the rest ---- */

static int64_t fsync_start(iocp *i, rp_op *op)
{
    int type = rp_kernel_type(i->base.kernel, op->fd);

    if (type == -EBADF)
        return type;
    if (type >= 0 || GetFileType((HANDLE)op->fd) == FILE_TYPE_PIPE)
        return -EINVAL; /* Windows would wait until the reader has taken all */
    return hand_to_pool(i, op);
}

static int64_t close_start(iocp *i, rp_op *op)
{
    int type = rp_kernel_type(i->base.kernel, op->fd);

    if (type == -EBADF)
        return type;
    iocp_forget(i, op->fd);
    if (type >= 0)
        return closesocket((SOCKET)op->fd) != 0 ? rp_winsock_error(op->fd) : 0;
    return CloseHandle((HANDLE)op->fd) ? 0 : rp_error_last();
}

const iocp_method iocp_fsync = {.start = fsync_start, .collect = pooled_collect};
const iocp_method iocp_openat = {.start = hand_to_pool, .collect = pooled_collect};
const iocp_method iocp_statx = {.start = hand_to_pool, .collect = pooled_collect};
const iocp_method iocp_close = {.start = close_start};
