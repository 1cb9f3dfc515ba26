/*
 * iocp_file.c - what is done with files, pipes and devices: which of it the port does, which a thread, and in what
 * order.
 *
 * Windows blocks to open, to flush, to close and to ask for a status; in all that is done with a handle that was opened
 * for synchronous operations, or belongs to another port; in writes that make a file longer, and in what is done with
 * packed or encrypted files. Threads of pools do these. What is left for the port are pipes that can be overlapped, and
 * reads of files.
 *
 * All operations on files are in lanes: at one position, and in a pipe in each direction, they go one after the other.
 * As long as one is there, the next ones learn from it what the handle is: Windows answers no question about a
 * synchronous handle before the read or write that it is busy with has ended.
 */
#include "proactor/iocp_file.h"

#include <errno.h>
#include <fcntl.h>

#include "base/error_windows.h"
#include "proactor/file_names_windows.h"
#include "proactor/file_windows.h"
#include "proactor/iocp_socket.h"
#include "proactor/iocp_transfer.h"

enum {
    FILE_SYNCHRONOUS = 0x30, /* mode bits of a handle that does not do overlapped operations */
    MODE_INFORMATION = 16,
    BUFFERS = 1024, /* of readv and writev, at most: as many as elsewhere */
};

/* ---- what a handle is ---- */

static bool is_overlapped(rp_fd fd)
{
    IO_STATUS_BLOCK result;
    ULONG mode = 0;

    return NtQueryInformationFile((HANDLE)fd, &result, &mode, sizeof mode,
                                  (FILE_INFORMATION_CLASS)MODE_INFORMATION) == 0 &&
           !(mode & FILE_SYNCHRONOUS);
}

/* Learns what an operation's handle is: 0 or more is a socket, -EBADF none, and anything else a file. */
static int examine(iocp *i, rp_op *op)
{
    iocp_extra *extra = iocp_extra_of(op);
    rp_op *other = rp_lanes_last(&i->lanes, op->fd);

    if (other) {
        extra->u.file.is_disk = iocp_extra_of(other)->u.file.is_disk;
        extra->u.file.is_pipe = iocp_extra_of(other)->u.file.is_pipe;
        extra->u.file.is_synchronous = iocp_extra_of(other)->u.file.is_synchronous;
        return other->kind == RP_OP_CLOSE ? -EBADF : -ENOTSOCK;
    }
    int type = rp_kernel_type(i->base.kernel, op->fd);
    if (type < 0 && type != -EBADF) {
        DWORD kind = GetFileType((HANDLE)op->fd);

        extra->u.file.is_disk = kind == FILE_TYPE_DISK;
        extra->u.file.is_pipe = kind == FILE_TYPE_PIPE;
        extra->u.file.is_synchronous = !is_overlapped(op->fd);
    }
    return type;
}

/* ---- by threads ---- */

/*
 * Windows flushes a file for those alone who may write to it, so that others have to open it again. If that is not
 * permitted, there is nothing of theirs to flush.
 */
static int64_t flush(HANDLE file)
{
    int64_t rc;

    if (FlushFileBuffers(file))
        return 0;
    if (GetLastError() != ERROR_ACCESS_DENIED)
        return rp_error_last();
    HANDLE writable = ReOpenFile(file, GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                                 FILE_FLAG_BACKUP_SEMANTICS);
    if (writable == INVALID_HANDLE_VALUE)
        return GetLastError() == ERROR_ACCESS_DENIED || GetLastError() == ERROR_WRITE_PROTECT ? 0
                                                                                              : rp_error_last();
    rc = FlushFileBuffers(writable) ? 0 : rp_error_last();
    CloseHandle(writable);
    return rc;
}

static int64_t perform(rp_op *op)
{
    switch (op->kind) {
    case RP_OP_FSYNC:
        return flush((HANDLE)op->fd);
    case RP_OP_OPENAT:
        return rp_file_open(op->fd, op->u.path.path, op->u.path.flags, op->u.path.mode);
    case RP_OP_STATX:
        return rp_file_status(op->fd, op->u.path.path, op->u.path.flags, op->u.path.statx);
    case RP_OP_CLOSE:
        return CloseHandle((HANDLE)op->fd) ? 0 : rp_error_last();
    default:
        return rp_op_is_of_names(op) ? rp_file_change(op) : iocp_transfer_perform(op);
    }
}

static void run(rp_work *work)
{
    iocp_extra *extra = rp_container_of(work, iocp_extra, u.file.pool.work);
    rp_op *op = iocp_op_of(&extra->overlapped);
    const iocp *i = op->owner;
    HANDLE port = i->port;

    extra->u.file.pool.result = perform(op);
    iocp_post(port, op, 0); /* from here on it is no more ours */
}

/* Whether it waits for others, perhaps for good. Nothing may have to wait for its thread. */
static bool is_patient(rp_op *op)
{
    return rp_op_transfers(op) && !iocp_extra_of(op)->u.file.is_disk;
}

/* The pool that has it. */
static rp_pool *pool_of(const iocp *i, rp_op *op)
{
    return is_patient(op) ? i->patient : i->pool;
}

static int64_t hand_to_pool(iocp *i, rp_op *op)
{
    rp_work *work = &iocp_extra_of(op)->u.file.pool.work;
    rp_pool **pool = is_patient(op) ? &i->patient : &i->pool;
    int rc = *pool ? 0 : rp_pool_new(is_patient(op) ? RP_POOL_UNBOUNDED : 0, pool);

    *work = (rp_work){.run = run};
    op->phase |= IOCP_POOLED;
    if (rc == 0)
        rc = rp_pool_submit(*pool, work);
    return rc < 0 ? rc : IOCP_PENDING;
}

static int64_t pooled_collect(iocp *i, rp_op *op, NTSTATUS status, size_t bytes)
{
    return iocp_extra_of(op)->u.file.pool.result;
}

/* Unless a thread has it already, it ends; else by itself. */
static void pooled_cancel(iocp *i, rp_op *op)
{
    if (rp_pool_cancel(pool_of(i, op), &iocp_extra_of(op)->u.file.pool.work))
        rp_op_finish(&i->base, op, -ECANCELED);
}

/* ---- lanes ---- */

/* Whether Windows blocks to unpack or decrypt what it reads. */
static bool reading_blocks(HANDLE file)
{
    FILE_ATTRIBUTE_TAG_INFO information;

    return GetFileInformationByHandleEx(file, FileAttributeTagInfo, &information, sizeof information) &&
           information.FileAttributes & (FILE_ATTRIBUTE_COMPRESSED | FILE_ATTRIBUTE_ENCRYPTED);
}

/*
 * Whether the port does it: what does not block. Not devices: Wine tells of the end of NUL twice, by an error and by a
 * packet.
 */
static bool is_for_the_port(rp_op *op)
{
    const iocp_extra *extra = iocp_extra_of(op);

    if (op->kind == RP_OP_FSYNC || extra->u.file.is_synchronous)
        return false;
    if (!extra->u.file.is_disk)
        return extra->u.file.is_pipe;
    return rp_op_reads(op) && rp_op_offset(op) >= 0 && !reading_blocks((HANDLE)op->fd);
}

/* A thread does it: to close what was written to, or lies far away, takes its time. */
static int64_t begin_to_close(iocp *i, rp_op *op)
{
    iocp_forget(i, op->fd);
    if (hand_to_pool(i, op) != IOCP_PENDING)
        return perform(op);
    rp_lanes_leave(&i->lanes, op); /* its number may mean another file before its packet is there */
    return IOCP_PENDING;
}

/* Its turn has come: IOCP_PENDING, or the result. */
static int64_t begin(iocp *i, rp_op *op)
{
    if (op->kind == RP_OP_CLOSE)
        return begin_to_close(i, op);
    int rc = is_for_the_port(op) ? iocp_associate(i, op->fd) : -EBUSY;

    if (rc >= 0)
        return iocp_transfer_go_on(op);
    return rc == -EBUSY ? hand_to_pool(i, op) : rc;
}

static int64_t enter(iocp *i, rp_op *op, uint8_t lane)
{
    int64_t result = rp_lanes_enter(&i->lanes, op, lane) ? begin(i, op) : IOCP_PENDING;

    if (result != IOCP_PENDING)
        rp_lanes_leave(&i->lanes, op); /* nobody has had to wait for it */
    return result;
}

static void leave(iocp *i, rp_op *op)
{
    rp_op *next = rp_lanes_leave(&i->lanes, op);

    while (next) {
        rp_op *begun = next;
        int64_t result = begin(i, begun);

        next = result != IOCP_PENDING ? rp_lanes_leave(&i->lanes, begun) : NULL;
        if (result != IOCP_PENDING)
            rp_op_finish(&i->base, begun, result);
    }
}

/* ---- cancelling ---- */

void iocp_file_interrupt(iocp *i, rp_op *op)
{
    iocp_extra *extra = iocp_extra_of(op);

    if (extra->u.file.is_synchronous)
        rp_pool_interrupt(pool_of(i, op), &extra->u.file.pool.work);
    else
        CancelIoEx((HANDLE)op->fd, &extra->overlapped); /* finds nothing if its packet is in the port */
}

/* Ends it with this error: at once if it has not begun, else by having Windows end what is under way. */
static void end(iocp *i, rp_op *op, int error)
{
    iocp_extra *extra = iocp_extra_of(op);
    bool pooled = op->phase & IOCP_POOLED;

    if (op->state == RP_OP_QUEUED || (pooled && rp_pool_cancel(pool_of(i, op), &extra->u.file.pool.work))) {
        leave(i, op);
        rp_op_finish(&i->base, op, error);
        return;
    }
    if (!rp_node_linked(&extra->u.file.stubborn))
        rp_list_push(&i->stubborn, &extra->u.file.stubborn);
    iocp_file_interrupt(i, op);
}

static void transfer_cancel(iocp *i, rp_op *op)
{
    if (op->phase & IOCP_SOCKET)
        CancelIoEx((HANDLE)op->fd, &iocp_extra_of(op)->overlapped);
    else
        end(i, op, -ECANCELED);
}

/* ---- reading and writing ---- */

static uint8_t lane_of(rp_op *op)
{
    const iocp_extra *extra = iocp_extra_of(op);

    if (!extra->u.file.is_disk)
        return rp_op_reads(op) ? RP_LANE_IN : RP_LANE_OUT;
    return extra->u.file.is_synchronous || rp_op_offset(op) < 0 ? RP_LANE_POSITION : RP_LANE_NONE;
}

static int64_t transfer_start(iocp *i, rp_op *op)
{
    int type = examine(i, op);

    if (type >= 0) {
        op->phase |= IOCP_SOCKET;
        return (rp_op_reads(op) ? iocp_recv : iocp_send).start(i, op);
    }
    if (type == -EBADF)
        return type;
    if (rp_op_offset(op) < -1 || (rp_op_has_vector(op) && (op->u.io.count < 0 || op->u.io.count > BUFFERS)))
        return -EINVAL;
    return enter(i, op, lane_of(op));
}

static int64_t transfer_collect(iocp *i, rp_op *op, NTSTATUS status, size_t bytes)
{
    iocp_extra *extra = iocp_extra_of(op);
    int64_t result;

    if (op->phase & IOCP_SOCKET)
        return (rp_op_reads(op) ? iocp_recv : iocp_send).collect(i, op, status, bytes);
    result = op->phase & IOCP_POOLED ? extra->u.file.pool.result : iocp_transfer_collect(op, status, bytes);
    if (result == IOCP_PENDING)
        return result;
    if (rp_node_linked(&extra->u.file.stubborn))
        rp_list_remove(&extra->u.file.stubborn);
    leave(i, op);
    return result == -ECANCELED ? iocp_error(op, IOCP_STATUS_CANCELLED) : result;
}

const iocp_method iocp_read = {.start = transfer_start, .collect = transfer_collect, .cancel = transfer_cancel};
const iocp_method iocp_write = {.start = transfer_start, .collect = transfer_collect, .cancel = transfer_cancel};

/* ---- the rest ---- */

static int64_t fsync_start(iocp *i, rp_op *op)
{
    int type = examine(i, op);

    if (type == -EBADF)
        return type;
    if (type >= 0 || !iocp_extra_of(op)->u.file.is_disk)
        return -EINVAL; /* of a pipe, Windows would wait until the reader has taken all */
    return enter(i, op, iocp_extra_of(op)->u.file.is_synchronous ? RP_LANE_POSITION : RP_LANE_NONE);
}

/* What is under way on a file ends before it is closed: Windows would wait for it. */
static int64_t close_start(iocp *i, rp_op *op)
{
    int type = examine(i, op);
    rp_op *before;

    if (type == -EBADF)
        return type;
    if (type >= 0) {
        iocp_forget(i, op->fd);
        return closesocket((SOCKET)op->fd) != 0 ? rp_winsock_error(op->fd) : 0;
    }
    for (rp_op *other = rp_lanes_last(&i->lanes, op->fd); other; other = before) {
        before = rp_lanes_before(&i->lanes, other);
        end(i, other, -EBADF);
    }
    return enter(i, op, RP_LANE_END);
}

/* It comes to its end by itself, and must: nobody else closes the handle. */
static void close_cancel(iocp *i, rp_op *op)
{
}

const iocp_method iocp_fsync = {.start = fsync_start, .collect = transfer_collect, .cancel = transfer_cancel};
const iocp_method iocp_by_path = {.start = hand_to_pool, .collect = pooled_collect, .cancel = pooled_cancel};
const iocp_method iocp_close = {.start = close_start, .collect = pooled_collect, .cancel = close_cancel};
