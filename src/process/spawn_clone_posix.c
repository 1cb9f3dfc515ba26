/*
 * spawn_clone_posix.c - making a child that executes a program: one that borrows the parent's memory, or a copy.
 *
 * To copy a parent of 4 GiB takes 60 ms, to lend its memory nothing: clone(CLONE_VM | CLONE_VFORK) suspends the calling
 * thread until the child has executed the program, and the child runs on a stack of its own. What it tells stands in
 * the plan then.
 *
 * Where memory is not lent (qemu-user and Valgrind make a copy all the same) or a tool cannot follow (sanitizers), it
 * is fork(), and a pipe tells. Which of the two holds for a process is found out once, by a child that only writes to
 * memory.
 */
#include "process/spawn_clone_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitized.h"
#include "base/thread.h"

enum { STACK_SIZE = 64 * 1024 };

/* ---- what both ways need ---- */

/* How the calling thread is while it has a child made: no signal interrupts it, and no pthread_cancel() ends it. */
typedef struct calm {
    sigset_t mask;
    int cancel_state;
} calm;

static void calm_begin(calm *c)
{
    sigset_t all;

    sigfillset(&all);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &c->cancel_state);
    pthread_sigmask(SIG_BLOCK, &all, &c->mask);
}

static void calm_end(const calm *c)
{
    pthread_sigmask(SIG_SETMASK, &c->mask, NULL);
    pthread_setcancelstate(c->cancel_state, NULL);
}

int rp_spawn_above_stdio(int fd)
{
    int higher;

    if (fd < 0 || fd > 2)
        return fd;
    higher = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (higher < 0)
        return fd;
    close(fd);
    return higher;
}

void rp_spawn_await(pid_t pid, int process, int flags)
{
    siginfo_t info;
    int rc = process >= 0 ? waitid(P_PIDFD, (id_t)process, &info, WEXITED | flags) : -1;

    if (rc < 0 && (process < 0 || errno == EINVAL)) /* kernels before 5.4 do not wait by a pidfd */
        waitpid(pid, NULL, flags);
}

/* For a child that was made without: its descriptor, -1 if others have reaped it, or an error. */
static int open_process(pid_t pid, int *process)
{
    *process = pidfd_open(pid, 0);
    return *process >= 0 || errno == ESRCH ? 0 : -errno;
}

/* ---- lending ---- */

/* A child of this thread, which goes on when that has executed a program or ended: its number, or an error. */
static int clone_lent(int (*function)(void *arg), void *arg, int flags, int *process)
{
    char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    int rc;

    if (stack == MAP_FAILED)
        return -errno;
    rc = clone(function, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | flags, arg, process);
    rc = rc < 0 ? -errno : rc;
    munmap(stack, STACK_SIZE);
    return rc;
}

static int follow(void *arg)
{
    rp_spawn_child(arg);
}

static int clone_by_lending(rp_spawn_plan *plan, pid_t *pid, int *process)
{
    *pid = clone_lent(follow, plan, CLONE_PIDFD | SIGCHLD, process);
    if (*pid == -EINVAL || *pid == -EPERM ||
        *pid == -ENOSYS) /* no such flag here, or a filter that does not know it */
        *pid = clone_lent(follow, plan, SIGCHLD, NULL);
    if (*pid < 0)
        return *pid;
    return *process >= 0 || plan->error < 0 ? 0 : open_process(*pid, process);
}

/*
 * When a process's ids change, the kernel marks its memory as not dumpable, so that the new user cannot reach into it.
 * Here that memory is the parent's, too, which gets its mark back. Such children are made one after the other: no mark
 * is taken off while it protects another one.
 */
static rp_mutex marking = RP_MUTEX_INIT;

__attribute__((constructor)) static void hold_marking_in_forks(void)
{
    rp_mutex_hold_in_forks(&marking);
}

static int clone_with_other_ids(rp_spawn_plan *plan, pid_t *pid, int *process)
{
    int rc;

    rp_mutex_lock(&marking);
    bool dumpable = prctl(PR_GET_DUMPABLE) == 1;
    rc = clone_by_lending(plan, pid, process);
    if (dumpable)
        prctl(PR_SET_DUMPABLE, 1);
    rp_mutex_unlock(&marking);
    return rc;
}

/* ---- copying ---- */

static int clone_by_copying(rp_spawn_plan *plan, pid_t *pid, int *process)
{
    int told[2] = {0}, ends[2], rc;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    ends[0] = rp_spawn_above_stdio(ends[0]);
    plan->report = ends[1] = rp_spawn_above_stdio(ends[1]);
    *pid = fork();
    if (*pid == 0)
        rp_spawn_child(plan);
    rc = *pid < 0 ? -errno : open_process(*pid, process);
    close(ends[1]);
    while (rc == 0 && read(ends[0], told, sizeof told) < 0 && errno == EINTR) {
    }
    close(ends[0]);
    plan->error = told[0];
    plan->step = (rp_spawn_step)told[1];
    return rc;
}

/* ---- which ---- */

enum { UNKNOWN, LENDING, COPYING };

static int touch(void *arg)
{
    atomic_store((atomic_int *)arg, 1);
    _exit(0);
}

/* A child without a signal for its end is seen by __WALL alone: by nobody who waits for children of his own. */
static int find_out(void)
{
    atomic_int touched = 0;
    int pid = clone_lent(touch, &touched, 0, NULL);

    if (pid == -EAGAIN || pid == -ENOMEM)
        return UNKNOWN;
    while (pid > 0 && waitpid(pid, NULL, __WALL) < 0 && errno == EINTR) {
    }
    return atomic_load(&touched) ? LENDING : COPYING;
}

static bool lends(void)
{
#if defined(RP_ASAN) || defined(RP_TSAN)
    static atomic_int found = COPYING;
#else
    static atomic_int found = UNKNOWN;
#endif

    if (atomic_load(&found) == UNKNOWN)
        atomic_store(&found, find_out());
    return atomic_load(&found) == LENDING;
}

static int make(rp_spawn_plan *plan, pid_t *pid, int *process)
{
    if (!lends())
        return clone_by_copying(plan, pid, process);
    if (plan->options->flags & (RP_PROCESS_UID | RP_PROCESS_GID))
        return clone_with_other_ids(plan, pid, process);
    return clone_by_lending(plan, pid, process);
}

int rp_spawn_clone(rp_spawn_plan *plan, pid_t *pid, int *process)
{
    calm c;
    int rc;

    *pid = *process = -1;
    plan->report = -1;
    plan->error = 0;
    calm_begin(&c);
    if (!plan->mask)
        plan->mask = &c.mask;
    rc = make(plan, pid, process);
    if (*pid > 0 && rc < 0)
        kill(*pid, SIGKILL);
    if (*pid > 0 && (rc < 0 || plan->error < 0)) {
        rp_spawn_await(*pid, *process, 0);
        if (*process >= 0)
            close(*process);
    }
    calm_end(&c);
    return rc < 0 ? rc : plan->error;
}
