/*
 * iocp_transfer.c - reading and writing files and pipes, piece by piece.
 *
 * There is no gathering of any buffers into one operation on a file: each buffer is a piece of its own.
 *
 * A synchronous handle keeps a position, which the kernel moves with each read or write of it; with those that are told
 * an offset as well, so that we put it back. An overlapped one has a position that nobody moves but us. Whoever moves
 * a position, or needs it to stand still, holds the lock of the file: of the file and not of the handle, since
 * duplicates share one position, and other loops may have them.
 */
#include "proactor/iocp_transfer.h"

#include <errno.h>
#include <string.h>

#include "base/error_windows.h"
#include "proactor/iocp_socket.h"

enum {
    ACCESS_INFORMATION = 8,
    LOCKS = 64, /* of positions; files that share one wait for each other now and then */
};

/* ---- pieces ---- */

/* Begins to transfer one: 0 if it is done or under way, or the error, which at the end of what is read is -EPIPE. */
static int begin_piece(const rp_op *op, const WSABUF *piece, DWORD *bytes, OVERLAPPED *overlapped)
{
    HANDLE file = (HANDLE)op->fd;
    BOOL ok = rp_op_reads(op) ? ReadFile(file, piece->buf, piece->len, bytes, overlapped)
                              : WriteFile(file, piece->buf, piece->len, bytes, overlapped);
    DWORD error = ok ? 0 : GetLastError();

    if (error == 0 || error == ERROR_IO_PENDING || error == ERROR_MORE_DATA)
        return 0;
    return error == ERROR_HANDLE_EOF ? -EPIPE : rp_error_from_windows(error);
}

/* The OVERLAPPED of a piece at this place; pipes have none. */
static void prepare_piece(rp_op *op, int64_t place, HANDLE event)
{
    iocp_extra *extra = iocp_extra_of(op);
    LARGE_INTEGER at = {.QuadPart = extra->u.file.is_disk ? place : 0};

    extra->overlapped = (OVERLAPPED){.Offset = at.LowPart, .OffsetHigh = (DWORD)at.HighPart, .hEvent = event};
}

/* Whether another piece follows one that is done. A pipe is asked for the next buffer's bytes only if it has some. */
static bool goes_on(const rp_op *op, bool is_disk)
{
    DWORD available = 0;

    return is_disk || !rp_op_reads(op) ||
           (PeekNamedPipe((HANDLE)op->fd, NULL, 0, NULL, &available, NULL) && available > 0);
}

/* An error, as it is called elsewhere. */
static int64_t error_of(const rp_op *op, bool is_disk, int error)
{
    BY_HANDLE_FILE_INFORMATION information;

    if (is_disk && GetFileInformationByHandle((HANDLE)op->fd, &information) &&
        information.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)
        return -EISDIR;
    return error == -EACCES ? -EBADF : error; /* it was opened for the other */
}

/* The end, with the error that the last piece has had, or 0: what was done before it counts. */
static int64_t result_of(const rp_op *op, bool is_disk, size_t done, int error)
{
    if (error == 0 || done > 0 || (error == -EPIPE && rp_op_reads(op)))
        return (int64_t)done;
    return error == -ECANCELED ? error : error_of(op, is_disk, error);
}

/* ---- by the port ---- */

int64_t iocp_transfer_go_on(rp_op *op)
{
    iocp_extra *extra = iocp_extra_of(op);
    size_t done = extra->u.file.port.done;
    WSABUF piece;
    int rc;

    if (iocp_gather(op, done, &piece, 1) == 0)
        return result_of(op, extra->u.file.is_disk, done, 0);
    extra->u.file.port.piece = piece.len;
    prepare_piece(op, rp_op_offset(op) + (int64_t)done, NULL);
    rc = begin_piece(op, &piece, NULL, &extra->overlapped);
    return rc == 0 ? IOCP_PENDING : result_of(op, extra->u.file.is_disk, done, rc);
}

int64_t iocp_transfer_collect(rp_op *op, NTSTATUS status, size_t bytes)
{
    iocp_extra *extra = iocp_extra_of(op);
    bool is_disk = extra->u.file.is_disk;
    int rc = status == IOCP_STATUS_OVERFLOW      ? 0
             : status == IOCP_STATUS_END_OF_FILE ? -EPIPE
                                                 : iocp_error(op, status);

    if (rc == 0)
        extra->u.file.port.done += bytes;
    if (rc < 0 || bytes < extra->u.file.port.piece || op->phase & IOCP_CANCELLED || !goes_on(op, is_disk))
        return result_of(op, is_disk, extra->u.file.port.done, rc);
    return iocp_transfer_go_on(op);
}

/* ---- by blocking ---- */

/* At the handle's own position, or in a pipe: bytes or an error. The handle is a synchronous one. */
static int64_t perform_here(const rp_op *op, const WSABUF *piece)
{
    DWORD bytes = 0;
    int rc = begin_piece(op, piece, &bytes, NULL);

    return rc < 0 ? rc : (int64_t)bytes;
}

/* At a place: bytes or an error. */
static int64_t perform_at(rp_op *op, int64_t place, HANDLE event, const WSABUF *piece)
{
    OVERLAPPED *overlapped = &iocp_extra_of(op)->overlapped;
    DWORD bytes = 0;

    /* The mark: its packet is not to go to any port. */
    prepare_piece(op, place, (HANDLE)((uintptr_t)event | 1));
    int rc = begin_piece(op, piece, NULL, overlapped);
    if (rc < 0)
        return rc;
    if (GetOverlappedResult((HANDLE)op->fd, overlapped, &bytes, TRUE) || GetLastError() == ERROR_MORE_DATA)
        return bytes;
    return GetLastError() == ERROR_HANDLE_EOF ? -EPIPE : rp_error_last();
}

/* All pieces, from `start` on, or with -1 wherever the kernel has the position. *moved: so many bytes. */
static int64_t perform_pieces(rp_op *op, int64_t start, HANDLE event, size_t *moved)
{
    bool is_disk = iocp_extra_of(op)->u.file.is_disk;
    size_t done = 0;
    int64_t n = 0;
    WSABUF piece;

    while (iocp_gather(op, done, &piece, 1) != 0) {
        n = start < 0 ? perform_here(op, &piece) : perform_at(op, start + (int64_t)done, event, &piece);
        if (n > 0)
            done += (size_t)n;
        if (n < (int64_t)piece.len || !goes_on(op, is_disk))
            break;
    }
    *moved = done;
    return result_of(op, is_disk, done, n < 0 ? (int)n : 0);
}

static int64_t perform_with_event(rp_op *op, int64_t start, size_t *moved)
{
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);

    *moved = 0;
    if (!event)
        return rp_error_last();
    int64_t result = perform_pieces(op, start, event, moved);
    CloseHandle(event);
    return result;
}

/* ---- positions ---- */

static rp_mutex locks[LOCKS]; /* zeroed, none is held */

static rp_mutex *lock_of(HANDLE file)
{
    BY_HANDLE_FILE_INFORMATION information;

    if (!GetFileInformationByHandle(file, &information))
        return &locks[0];
    return &locks[(information.nFileIndexLow ^ information.nFileIndexHigh ^ information.dwVolumeSerialNumber) %
                  LOCKS];
}

static int64_t position(HANDLE file)
{
    LARGE_INTEGER zero = {0}, now;

    return SetFilePointerEx(file, zero, &now, FILE_CURRENT) ? now.QuadPart : 0;
}

static void set_position(HANDLE file, int64_t position)
{
    LARGE_INTEGER to = {.QuadPart = position};

    SetFilePointerEx(file, to, NULL, FILE_BEGIN);
}

/* Whether what is written goes to the end of the file, wherever it is told to go. */
static bool is_appended(HANDLE file)
{
    IO_STATUS_BLOCK result;
    ACCESS_MASK access;

    return NtQueryInformationFile(file, &result, &access, sizeof access,
                                  (FILE_INFORMATION_CLASS)ACCESS_INFORMATION) == 0 &&
           !(access & FILE_WRITE_DATA);
}

/* Of an overlapped handle, which the kernel does not move: where the next bytes are. */
static int64_t perform_at_position(rp_op *op)
{
    HANDLE file = (HANDLE)op->fd;
    int64_t start = position(file);
    LARGE_INTEGER size;
    size_t moved;
    int64_t result = perform_with_event(op, start, &moved);

    if (moved == 0)
        return result;
    if (!rp_op_reads(op) && is_appended(file) && GetFileSizeEx(file, &size))
        set_position(file, size.QuadPart);
    else
        set_position(file, start + (int64_t)moved);
    return result;
}

static int64_t perform_on_disk(rp_op *op)
{
    HANDLE file = (HANDLE)op->fd;
    bool synchronous = iocp_extra_of(op)->u.file.is_synchronous;
    int64_t offset = rp_op_offset(op), result, before;
    rp_mutex *lock;
    size_t moved;

    if (!synchronous && offset >= 0)
        return perform_with_event(op, offset, &moved);
    lock = lock_of(file);
    rp_mutex_lock(lock);
    if (!synchronous) {
        result = perform_at_position(op);
    } else if (offset < 0) {
        result = perform_pieces(op, -1, NULL, &moved);
    } else {
        before = position(file);
        result = perform_with_event(op, offset, &moved);
        set_position(file, before);
    }
    rp_mutex_unlock(lock);
    return result;
}

int64_t iocp_transfer_perform(rp_op *op)
{
    const iocp_extra *extra = iocp_extra_of(op);
    size_t moved;

    if (extra->u.file.is_disk)
        return perform_on_disk(op);
    return extra->u.file.is_synchronous ? perform_pieces(op, -1, NULL, &moved) : perform_with_event(op, 0, &moved);
}
