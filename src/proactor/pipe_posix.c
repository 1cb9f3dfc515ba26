/*
 * pipe_posix.c - the system's pipes, FIFOs, terminals and the like, read and written without blocking.
 *
 * An anonymous pipe is asked not to block by each call (RWF_NOWAIT). FIFOs and terminals refuse that. So they are
 * opened once more, by /proc/self/fd, and that description does not block. Readiness is asked of the given descriptor
 * all the same: a FIFO hides from whoever opens it that its writers have gone before.
 *
 * A few have neither way: the master of a pseudo-terminal, which would be opened as a new one; a device, to which being
 * opened may mean something; and what this process may not open. Only these are made non-blocking for all that share
 * them, as asyncio does with all, and before each call again.
 */
#include "proactor/pipe_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#include "ringport/error.h"

#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100 /* Linux 6.18 */
#endif

/* ---- which way ---- */

static int share(rp_pipe *pipe)
{
    int flags = fcntl(pipe->fd, F_GETFL);

    pipe->way = RP_PIPE_SHARED;
    if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(pipe->fd, F_SETFL, flags | O_NONBLOCK) < 0))
        return -errno;
    return 0;
}

/* A terminal that can be opened once more: any but the master of a pseudo-terminal. */
static bool is_openable_terminal(int fd)
{
    unsigned number;

    return isatty(fd) && ioctl(fd, TIOCGPTN, &number) < 0;
}

int rp_pipe_posix_open_again(int fd, bool writes)
{
    struct stat status;
    char path[32];
    int own;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISFIFO(status.st_mode) && !is_openable_terminal(fd))
        return -ENOTSUP;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    own = open(path, (writes ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return own < 0 ? -errno : own;
}

/* Without descriptors or memory that is the caller's to know; anything else means that it cannot be had. */
static int open_own(rp_pipe *pipe)
{
    int own = rp_pipe_posix_open_again(pipe->fd, pipe->writes);

    if (own < 0)
        return own == -EMFILE || own == -ENFILE || own == -ENOMEM ? own : share(pipe);
    pipe->own = own;
    pipe->way = RP_PIPE_OWN;
    return 0;
}

static bool is_anonymous(int fd)
{
    struct statfs status;

    return fstatfs(fd, &status) == 0 && status.f_type == PIPEFS_MAGIC;
}

static int choose_way(rp_pipe *pipe, mode_t mode)
{
    int type;
    socklen_t length = sizeof type;

    if (S_ISSOCK(mode)) {
        pipe->way = RP_PIPE_SOCKET;
        if (getsockopt(pipe->fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
            return -errno;
        pipe->streams = type == SOCK_STREAM;
        return 0;
    }
    pipe->way = RP_PIPE_ASKED;
    pipe->streams = S_ISFIFO(mode);
    return S_ISFIFO(mode) && is_anonymous(pipe->fd) ? 0 : open_own(pipe);
}

int rp_pipe_posix_open(rp_pipe *pipe, rp_fd fd, bool writes)
{
    struct stat status;
    int flags;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode) && !S_ISSOCK(status.st_mode))
        return -EINVAL;
    flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    if (flags & O_PATH || (flags & O_ACCMODE) == (writes ? O_RDONLY : O_WRONLY))
        return -EBADF;
    *pipe = (rp_pipe){.fd = fd, .own = -1, .writes = writes, .tells_end = !S_ISCHR(status.st_mode)};
    return choose_way(pipe, status.st_mode);
}

void rp_pipe_posix_close(const rp_pipe *pipe)
{
    if (pipe->own >= 0)
        close(pipe->own);
}

/* The descriptor to move bytes by, and how to ask for it. */
static int ready_way(rp_pipe *pipe, int *flags)
{
    *flags = pipe->way == RP_PIPE_ASKED ? RWF_NOWAIT : 0;
    if (pipe->way == RP_PIPE_SHARED)
        RP_TRY(share(pipe));
    return pipe->own >= 0 ? pipe->own : pipe->fd;
}

/* ---- reading ---- */

/* What of it holds now, POLLHUP and POLLERR besides. */
static int ask(const rp_pipe *pipe, short events)
{
    struct pollfd entry = {.fd = pipe->fd, .events = events};

    return poll(&entry, 1, 0) > 0 ? entry.revents : 0;
}

static int64_t receive(const rp_pipe *pipe, void *buffer, size_t length)
{
    ssize_t n;

    do
        n = recv(pipe->fd, buffer, length, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* A terminal that the other side has hung up ends so. */
static int64_t end_or_error(rp_pipe *pipe, int error)
{
    pipe->hung_up = error == EIO && ask(pipe, POLLIN) & POLLHUP;
    return pipe->hung_up ? 0 : -error;
}

static int64_t read_now(rp_pipe *pipe, void *buffer, size_t length)
{
    struct iovec vector = {.iov_base = buffer, .iov_len = length};

    for (;;) {
        int flags, fd = ready_way(pipe, &flags);

        if (fd < 0)
            return fd;
        ssize_t n = preadv2(fd, &vector, 1, -1, flags);
        if (n >= 0)
            return n;
        if (errno == EOPNOTSUPP && pipe->way == RP_PIPE_ASKED)
            RP_TRY(open_own(pipe));
        else if (errno != EINTR)
            return end_or_error(pipe, errno);
    }
}

/* A short read does not tell that it is empty: there may be packets in a pipe, and lines in a terminal. */
int64_t rp_pipe_posix_read(rp_pipe *pipe, void *buffer, size_t length, bool *more)
{
    int64_t n = pipe->way == RP_PIPE_SOCKET ? receive(pipe, buffer, length) : read_now(pipe, buffer, length);

    *more = n != -EAGAIN;
    if (n > 0 && (size_t)n < length)
        *more = ask(pipe, POLLIN | POLLRDHUP) != 0;
    return n;
}

/* ---- writing ---- */

static int64_t send_message(const rp_pipe *pipe, const struct iovec *vector, int count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)vector, .msg_iovlen = (size_t)count};
    ssize_t n;

    do
        n = sendmsg(pipe->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* The signal that comes of it is taken back, unless somebody has sent one before. */
static ssize_t write_blocking_signal(int fd, const struct iovec *vector, int count, int flags)
{
    sigset_t broken, mask, pending;
    ssize_t n;
    int error;

    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &broken, &mask);
    n = pwritev2(fd, vector, count, -1, flags);
    error = errno;
    if (n < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE))
        while (sigtimedwait(&broken, NULL, &(struct timespec){0}) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    errno = error;
    return n;
}

/* Nobody reads any more: that is an error, and no signal, which would end most programs. */
static ssize_t write_without_signal(int fd, const struct iovec *vector, int count, int flags)
{
    static atomic_bool refused; /* an older kernel does not know the flag */
    ssize_t n;

    if (!atomic_load_explicit(&refused, memory_order_relaxed)) {
        n = pwritev2(fd, vector, count, -1, flags | RWF_NOSIGNAL);
        if (n >= 0 || (errno != EOPNOTSUPP && errno != EINVAL))
            return n;
    }
    n = write_blocking_signal(fd, vector, count, flags);
    if (n >= 0)
        atomic_store_explicit(&refused, true, memory_order_relaxed);
    return n;
}

static int64_t write_now(rp_pipe *pipe, const struct iovec *vector, int count)
{
    for (;;) {
        int flags, fd = ready_way(pipe, &flags);

        if (fd < 0)
            return fd;
        ssize_t n = write_without_signal(fd, vector, count, flags);
        if (n >= 0)
            return n > 0 ? n : -EAGAIN;
        if (errno == EOPNOTSUPP && pipe->way == RP_PIPE_ASKED)
            RP_TRY(open_own(pipe));
        else if (errno != EINTR)
            return -errno;
    }
}

int64_t rp_pipe_posix_write(rp_pipe *pipe, const struct iovec *vector, int count)
{
    if (count > IOV_MAX)
        count = IOV_MAX;
    return pipe->way == RP_PIPE_SOCKET ? send_message(pipe, vector, count) : write_now(pipe, vector, count);
}
