/*
 * child_posix.c - a wait for a child: a pidfd tells of its end, waitpid() how it ended.
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
    op->fd = pidfd_open((pid_t)op->u.child.pid, 0);
    if (op->fd >= 0)
        return 0;
    /* Gone, or never there, or the number of a thread: it is nobody's child, as waitpid() says. */
    return errno == ESRCH || errno == EINVAL || errno == ENOENT ? -ECHILD : -errno;
}

int64_t rp_child_reap(const rp_op *op)
{
    int status = 0;
    pid_t pid;

    do
        pid = waitpid((pid_t)op->u.child.pid, &status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    if (pid == 0)
        return -EAGAIN;
    return pid < 0 ? -errno : status;
}

void rp_child_close(rp_op *op)
{
    close(op->fd);
    op->fd = -1;
}
