/*
 * file_posix.c - file operations as plain system calls: what blocks, and what can be had without.
 */
#include "proactor/file_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int64_t result_of(int64_t rc)
{
    return rc < 0 ? -errno : rc;
}

bool rp_file_is_always_ready(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 &&
           (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode));
}

bool rp_file_has_readiness(int fd)
{
    struct epoll_event event = {.events = 0};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    bool refused = epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 && errno == EPERM;

    if (epoll >= 0)
        close(epoll);
    return !refused && !rp_file_is_always_ready(fd);
}

/* The buffers of a read or write, whichever form it has: `single` is room for the one of the simple form. */
static const struct iovec *buffers(const rp_op *op, struct iovec *single, int *count, int64_t *offset)
{
    if (rp_op_has_vector(op)) {
        *count = op->u.io.count;
        *offset = op->u.io.offset;
        return op->u.io.vector;
    }
    *single = (struct iovec){.iov_base = op->u.buffer.base, .iov_len = op->u.buffer.length};
    *count = 1;
    *offset = op->u.buffer.offset;
    return single;
}

static size_t total_length(const struct iovec *vector, int count)
{
    size_t total = 0;

    for (int i = 0; i < count; i++)
        total += vector[i].iov_len;
    return total;
}

/* ---- what can be had without blocking ---- */

/* Whether an error is the call's own, which a socket tells once only; else that it has to be done in another way. */
static bool is_answer(int error)
{
    return error != EAGAIN && error != EINTR && error != EOPNOTSUPP && error != ESPIPE && error != EINVAL &&
           error != ENOSYS && error != EPERM;
}

/*
 * Whether it goes around the cache: preadv2() waits for the disk then, whatever its flags. What is not aligned cannot,
 * so that most are spared the question.
 */
static bool is_direct(int fd, const struct iovec *vector, int64_t offset)
{
    enum { SECTOR = 512 };

    if (((offset > 0 ? (uint64_t)offset : 0) | vector->iov_len) % SECTOR != 0)
        return false;
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && flags & O_DIRECT;
}

/*
 * Whether a read that ends here, and is short, has all there is: up to a file's end, or of what no disk keeps. The size
 * is the one that is known here: nobody else is asked for it.
 */
static bool has_all(int fd, int64_t end)
{
    struct statx status;

    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE, &status) < 0)
        return !rp_file_is_always_ready(fd);
    if (S_ISREG(status.stx_mode))
        return status.stx_size > 0 && (uint64_t)end >= status.stx_size; /* files of the kernel's own say 0 */
    return !S_ISBLK(status.stx_mode);
}

static int64_t try_read(rp_op *op)
{
    struct iovec single;
    int count;
    int64_t offset;
    const struct iovec *vector = buffers(op, &single, &count, &offset);

    if (op->kind == RP_OP_READ && op->u.buffer.flags & RP_READ_BY_THREAD)
        return -EOPNOTSUPP;
    if (is_direct(op->fd, vector, offset))
        return -EAGAIN;
    ssize_t n = preadv2(op->fd, vector, count, offset, RWF_NOWAIT);
    if (n < 0)
        return is_answer(errno) || errno == EOPNOTSUPP ? -errno : -EAGAIN;
    /*
     * Linux 5.9 and 5.10 say 0 where the page cache holds nothing, too. What has none is to be believed: an empty
     * datagram is gone when it has been read.
     */
    if (n == 0)
        return rp_file_is_always_ready(op->fd) ? -EAGAIN : 0;
    /* At the file's own position a short read has moved it, and must stand. */
    if (offset < 0 || (size_t)n == total_length(vector, count) || has_all(op->fd, offset + n))
        return n;
    op->outcome = n;
    return -EOPNOTSUPP;
}

/*
 * Not at the file's own position, whose lock another thread may hold while it waits for the disk. What is to be on the
 * disk when the call returns (O_SYNC, O_DSYNC) is a thread's: some file systems take the bytes without waiting, and
 * then flush them all the same.
 */
static int64_t try_write(rp_op *op)
{
    struct iovec single;
    int count;
    int64_t offset;
    const struct iovec *vector = buffers(op, &single, &count, &offset);

    if (offset < 0)
        return -EAGAIN;
    int flags = fcntl(op->fd, F_GETFL);
    if (flags >= 0 && flags & (O_DIRECT | O_DSYNC))
        return flags & O_DSYNC ? -EOPNOTSUPP : -EAGAIN;
    ssize_t n = pwritev2(op->fd, vector, count, offset, RWF_NOWAIT);
    if (n <= 0)
        return n < 0 && (is_answer(errno) || errno == EOPNOTSUPP) ? -errno : -EAGAIN;
    if ((size_t)n == total_length(vector, count))
        return n;
    op->outcome = n;
    return -EOPNOTSUPP;
}

/* Whether finding a file by a path has failed for a reason of the path's. */
static bool is_of_path(int error)
{
    return error == ENOENT || error == ENOTDIR || error == EACCES || error == ELOOP || error == ENAMETOOLONG ||
           error == EBADF;
}

/*
 * The status of an open file, or one that was opened for nothing else. Only that of a disk's file system is in memory:
 * others (major number 0) may ask a server, or another process.
 */
static int64_t try_open_status(int fd, const rp_op *op)
{
    struct statx status;
    int flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;

    if (statx(fd, "", flags, op->u.path.mode, &status) < 0)
        return errno == EBADF ? -EBADF : -EAGAIN;
    if (status.stx_dev_major == 0)
        return -EAGAIN;
    *op->u.path.statx = status;
    return 0;
}

static int64_t try_status(const rp_op *op)
{
    const char *path = op->u.path.path;
    int flags = op->u.path.flags;
    struct open_how how = {
        .flags = O_PATH | O_CLOEXEC | (flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0),
        .resolve = RESOLVE_CACHED, /* names that the kernel knows */
    };

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EAGAIN;
    if (flags & AT_EMPTY_PATH && path[0] == '\0')
        return op->fd == AT_FDCWD ? -EAGAIN : try_open_status(op->fd, op);
    int fd = (int)syscall(SYS_openat2, op->fd, path, &how, sizeof how);
    if (fd < 0)
        return is_of_path(errno) ? -errno : -EAGAIN;
    int64_t result = try_open_status(fd, op);
    close(fd);
    return result;
}

int64_t rp_file_try(rp_op *op)
{
    switch (op->kind) {
    case RP_OP_READ:
    case RP_OP_READV:
        return try_read(op);
    case RP_OP_WRITE:
    case RP_OP_WRITEV:
        return try_write(op);
    case RP_OP_STATX:
        return try_status(op);
    default:
        return -EAGAIN;
    }
}

/* ---- blocking ---- */

static int64_t read_or_write(const rp_op *op, int flags)
{
    struct iovec single;
    int count;
    int64_t offset;
    const struct iovec *vector = buffers(op, &single, &count, &offset);
    bool reads = rp_op_reads(op);
    ssize_t n;

    for (;;) {
        n = reads ? preadv2(op->fd, vector, count, offset, flags) : pwritev2(op->fd, vector, count, offset, flags);
        if (n < 0 && errno == ESPIPE && offset >= 0)
            offset = -1; /* pipes and sockets have no positions: io_uring ignores the offset, and so do we */
        else if (n >= 0 || errno != EINTR)
            return result_of(n);
    }
}

bool rp_file_needs_no_wait(const rp_op *op)
{
    struct iovec single;
    int count;
    int64_t offset;
    const struct iovec *vector = buffers(op, &single, &count, &offset);

    return offset < -1 || count <= 0 || !vector || total_length(vector, count) == 0;
}

int64_t rp_file_attempt(const rp_op *op)
{
    return read_or_write(op, RWF_NOWAIT);
}

/* The next calls tell of an end, or an error, that comes after what is done. */
int64_t rp_file_do_rest(const rp_op *op)
{
    struct iovec single;
    int count;
    int64_t offset, done = op->outcome;
    const struct iovec *piece = buffers(op, &single, &count, &offset);
    size_t before = (size_t)done;

    for (; count > 0; piece++, count--) {
        if (before >= piece->iov_len) {
            before -= piece->iov_len;
            continue;
        }
        char *data = (char *)piece->iov_base + before;
        size_t length = piece->iov_len - before;
        ssize_t n;

        do
            n = rp_op_reads(op) ? pread(op->fd, data, length, offset + done)
                                : pwrite(op->fd, data, length, offset + done);
        while (n < 0 && errno == EINTR);
        done += n > 0 ? n : 0;
        if (n < 0 || (size_t)n < length)
            break;
        before = 0;
    }
    return done;
}

/* What changes names, or tells them. */
static int64_t change_names(const rp_op *op)
{
    const char *from = op->u.paths.from, *to = op->u.paths.to;

    switch (op->kind) {
    case RP_OP_RENAMEAT:
        return renameat2(op->fd, from, op->u.paths.to_directory, to, (unsigned)op->u.paths.flags);
    case RP_OP_UNLINKAT:
        return unlinkat(op->fd, op->u.path.path, op->u.path.flags);
    case RP_OP_MKDIRAT:
        return mkdirat(op->fd, op->u.path.path, op->u.path.mode);
    case RP_OP_SYMLINKAT:
        return symlinkat(from, op->u.paths.to_directory, to);
    case RP_OP_LINKAT:
        return linkat(op->fd, from, op->u.paths.to_directory, to, op->u.paths.flags);
    case RP_OP_READLINKAT:
        return readlinkat(op->fd, op->u.link.path, op->u.link.target, op->u.link.size);
    default:
        errno = EINVAL;
        return -1;
    }
}

/* The one of these calls that a signal may interrupt, and on file systems of a network only. */
static int64_t truncate_file(const rp_op *op)
{
    int rc;

    do
        rc = op->kind == RP_OP_TRUNCATE ? truncate(op->u.truncate.path, op->u.truncate.length)
                                        : ftruncate(op->fd, op->u.truncate.length);
    while (rc < 0 && errno == EINTR);
    return result_of(rc);
}

int64_t rp_file_perform(const rp_op *op)
{
    switch (op->kind) {
    case RP_OP_READ:
    case RP_OP_READV:
    case RP_OP_WRITE:
    case RP_OP_WRITEV:
        return read_or_write(op, 0);
    case RP_OP_FSYNC:
        return result_of(op->u.fsync.data_only ? fdatasync(op->fd) : fsync(op->fd));
    case RP_OP_OPENAT:
        return result_of(openat(op->fd, op->u.path.path, op->u.path.flags | O_CLOEXEC, op->u.path.mode));
    case RP_OP_STATX:
        return result_of(statx(op->fd, op->u.path.path, op->u.path.flags, op->u.path.mode, op->u.path.statx));
    case RP_OP_TRUNCATE:
    case RP_OP_FTRUNCATE:
        return truncate_file(op);
    default:
        return result_of(change_names(op));
    }
}
