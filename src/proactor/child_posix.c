/*
 * child_posix.c - a wait for a child: a pidfd tells of its end, waitid() how it ended.
 *
 * The pidfd is the op's own, or lent by whoever started the child. It names one process for ever, where a number is
 * given to another one as soon as somebody has reaped the child.
 */
#include "proactor/child_posix.h"

#include <errno.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

int rp_child_open(rp_op *op)
{
    if (op->u.child.pid <= 0 || op->u.child.pid > INT32_MAX)
        return -EINVAL;
    op->fd = op->u.child.process;
    if (op->fd < 0)
        op->fd = pidfd_open((pid_t)op->u.child.pid, 0);
    if (op->fd >= 0)
        return 0;
    /* Gone, or never there, or the number of a thread: it is nobody's child, as waitpid() says. */
    return errno == ESRCH || errno == EINVAL || errno == ENOENT ? -ECHILD : -errno;
}

/* As waitpid() has it. */
static int wait_status(const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED)
        return (info->si_status & 0xff) << 8;
    return info->si_status | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}

/* Kernels before 5.4 have pidfds, but do not reap by them. */
static int64_t reap_by_number(pid_t pid)
{
    int status = 0;

    do
        pid = waitpid(pid, &status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    if (pid == 0)
        return -EAGAIN;
    return pid < 0 ? -errno : status;
}

int64_t rp_child_reap(const rp_op *op)
{
    siginfo_t info = {0};

    while (waitid(P_PIDFD, (id_t)op->fd, &info, WEXITED | WNOHANG) < 0) {
        if (errno == EINVAL)
            return reap_by_number((pid_t)op->u.child.pid);
        if (errno != EINTR)
            return -errno;
    }
    return info.si_pid == 0 ? -EAGAIN : wait_status(&info);
}

void rp_child_close(rp_op *op)
{
    if (op->fd != op->u.child.process)
        close(op->fd);
    op->fd = -1;
}
