/*
 * io.c - system calls that suspend: each is an operation on the coroutine's stack, and its rp_op_await().
 *
 * Waiting for a signal is no operation: the loop catches the signal.
 */
#include "ringport/io.h"

#include <fcntl.h>

#include "co/await.h"
#include "loop/signals.h"

ssize_t rp_read(rp_co *co, rp_fd fd, void *buffer, size_t length, int64_t offset)
{
    rp_op op;

    rp_op_read(&op, fd, buffer, length, offset, NULL, NULL);
    return (ssize_t)rp_op_await(co, &op);
}

ssize_t rp_write(rp_co *co, rp_fd fd, const void *buffer, size_t length, int64_t offset)
{
    rp_op op;

    rp_op_write(&op, fd, buffer, length, offset, NULL, NULL);
    return (ssize_t)rp_op_await(co, &op);
}

ssize_t rp_readv(rp_co *co, rp_fd fd, const struct iovec *vector, int count, int64_t offset)
{
    rp_op op;

    rp_op_readv(&op, fd, vector, count, offset, NULL, NULL);
    return (ssize_t)rp_op_await(co, &op);
}

ssize_t rp_writev(rp_co *co, rp_fd fd, const struct iovec *vector, int count, int64_t offset)
{
    rp_op op;

    rp_op_writev(&op, fd, vector, count, offset, NULL, NULL);
    return (ssize_t)rp_op_await(co, &op);
}

rp_fd rp_open(rp_co *co, const char *path, int flags, uint32_t mode)
{
    rp_op op;

    rp_op_openat(&op, AT_FDCWD, path, flags, mode, NULL, NULL);
    return (rp_fd)rp_op_await(co, &op);
}

int rp_close(rp_co *co, rp_fd fd)
{
    rp_op op;

    rp_op_close(&op, fd, NULL, NULL);
    return (int)rp_await_op_uncancelled(co, &op);
}

int rp_fsync(rp_co *co, rp_fd fd, bool data_only)
{
    rp_op op;

    rp_op_fsync(&op, fd, data_only, NULL, NULL);
    return (int)rp_op_await(co, &op);
}

int rp_statx(rp_co *co, rp_fd directory, const char *path, int flags, uint32_t mask, struct statx *result)
{
    rp_op op;

    rp_op_statx(&op, directory, path, flags, mask, result, NULL, NULL);
    return (int)rp_op_await(co, &op);
}

int rp_poll_fd(rp_co *co, rp_fd fd, uint32_t events)
{
    rp_op op;

    rp_op_poll(&op, fd, events, NULL, NULL);
    return (int)rp_op_await(co, &op);
}

ssize_t rp_recvfrom(rp_co *co, rp_fd fd, void *buffer, size_t length, int flags, struct sockaddr *address,
                    uint32_t *address_length)
{
    struct iovec vector = {buffer, length};
    struct msghdr header = {.msg_name = address, .msg_iov = &vector, .msg_iovlen = 1};
    int64_t n;
    rp_op op;

    if (address && !address_length)
        return -EINVAL;
    if (address)
        header.msg_namelen = *address_length;
    rp_op_recvmsg(&op, fd, &header, flags, NULL, NULL);
    n = rp_op_await(co, &op);
    if (n >= 0 && address)
        *address_length = header.msg_namelen;
    return (ssize_t)n;
}

ssize_t rp_sendto(rp_co *co, rp_fd fd, const void *buffer, size_t length, int flags,
                  const struct sockaddr *address, uint32_t address_length)
{
    struct iovec vector = {(void *)(uintptr_t)buffer, length};
    struct msghdr header = {.msg_name = (void *)(uintptr_t)address, .msg_iov = &vector, .msg_iovlen = 1};
    rp_op op;

    if (address)
        header.msg_namelen = address_length;
    rp_op_sendmsg(&op, fd, &header, flags, NULL, NULL);
    return (ssize_t)rp_op_await(co, &op);
}

int64_t rp_wait_child(rp_co *co, int64_t pid)
{
    rp_op op;

    rp_op_wait_child(&op, pid, NULL, NULL);
    return rp_op_await(co, &op);
}

/* ---- signals ---- */

typedef struct signal_wait {
    rp_signal_wait wait;
    int signal;
} signal_wait;

static void wake_by_signal(void *arg)
{
    rp_co_wake(arg);
}

static void interrupt_signal(rp_co *co, void *arg)
{
    signal_wait *w = arg;

    rp_signals_stop_waiting(co->future.loop, w->signal, &w->wait);
    rp_co_wake(co);
}

int rp_wait_signal(rp_co *co, int signal)
{
    static const rp_waiting waiting = {interrupt_signal, NULL, "a signal"};
    signal_wait w = {.signal = signal};
    int rc;

    RP_TRY(rp_co_check(co));
    rc = rp_signals_wait(co->future.loop, signal, &w.wait, wake_by_signal, co);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    return rp_co_suspend(co, &waiting, &w) ? rp_co_cancelled(co) : 0;
}
