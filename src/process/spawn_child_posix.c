/*
 * spawn_child_posix.c - what a child does from its birth until it executes the program, step by step.
 *
 * It may run in its parent's memory, on a stack of its own, while the parent's other threads go on. So it allocates
 * nothing, takes no lock, and calls what is async-signal-safe alone. All signals are blocked when it begins: none of
 * the parent's handlers may run here, and they are taken away before signals are let through.
 *
 * Its descriptors are a copy of the parent's: what is done to their numbers and their close-on-exec flags is nobody
 * else's business. O_NONBLOCK belongs to what a descriptor refers to, which the parent may have too.
 */
#include "process/spawn_child_posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/close_range.h, which older headers lack. */
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

static int failed(int result)
{
    return result < 0 ? -errno : result;
}

/* ---- signals ---- */

/* The C library's own two signals it refuses to name. */
static void reset_handlers(const rp_process_options *options)
{
    bool restore = !(options->flags & RP_PROCESS_KEEP_SIGNALS);

    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;

        if (sigaction(number, NULL, &action) < 0 || action.sa_handler == SIG_DFL)
            continue;
        if (action.sa_handler == SIG_IGN && !(restore && (number == SIGPIPE || number == SIGXFSZ)))
            continue;
        sigaction(number, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    }
}

/* ---- descriptors ---- */

/* The numbers 0 to 2 are about to get other files. */
static int move_up(int *fd)
{
    if (*fd < 0 || *fd > 2)
        return 0;
    *fd = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
    return failed(*fd);
}

static int set_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || !(flags & O_NONBLOCK)) /* it may be closed */
        return 0;
    return failed(fcntl(fd, F_SETFL, flags & ~O_NONBLOCK));
}

static int place(int number, int source)
{
    if (source == RP_SOURCE_INHERIT)
        return 0;
    if (source == RP_SOURCE_STDOUT)
        source = STDOUT_FILENO;
    if (source == RP_SOURCE_NULL)
        source = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (source == number)
        return failed(fcntl(number, F_SETFD, 0));
    return source < 0 ? -errno : failed(dup2(source, number));
}

static int place_all(rp_spawn_plan *plan, int *terminal)
{
    RP_TRY(move_up(terminal));
    for (int i = 0; i < 3; i++)
        if (plan->sources[i] != i)
            RP_TRY(move_up(&plan->sources[i]));
    for (int i = 0; i < 3; i++) {
        RP_TRY(place(i, plan->sources[i]));
        if (!(plan->options->flags & RP_PROCESS_KEEP_NONBLOCK))
            RP_TRY(set_blocking(i));
    }
    return 0;
}

static void close_on_exec(int fd)
{
    int flags = fcntl(fd, F_GETFD);

    if (flags >= 0 && !(flags & FD_CLOEXEC))
        fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
}

/* The number that a name of /proc/self/fd is; -1: none. */
static int number_of(const char *name)
{
    int number = 0;

    for (; *name >= '0' && *name <= '9'; name++)
        number = number * 10 + (*name - '0');
    return *name == '\0' ? number : -1;
}

/* Without close_range(), of Linux 5.11: those that /proc lists, or else all that there can be. */
static void close_others_slowly(void)
{
    int directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _Alignas(struct dirent64) char buffer[2048];
    long length;

    if (directory < 0) {
        for (long fd = 3, end = sysconf(_SC_OPEN_MAX); fd < end; fd++)
            close_on_exec((int)fd);
        return;
    }
    while ((length = syscall(SYS_getdents64, directory, buffer, sizeof buffer)) > 0) {
        const struct dirent64 *entry;

        for (long at = 0; at < length; at += entry->d_reclen) {
            entry = (const struct dirent64 *)(buffer + at);
            if (number_of(entry->d_name) > 2)
                close_on_exec(number_of(entry->d_name));
        }
    }
}

/* All others close when the program is executed; `report` as well, which tells the parent of that. */
static int close_others(const rp_process_options *options)
{
    if (!(options->flags & RP_PROCESS_KEEP_FDS) && syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        close_others_slowly();
    for (size_t i = 0; i < options->pass_fd_count; i++)
        RP_TRY(failed(fcntl(options->pass_fds[i], F_SETFD, 0)));
    return 0;
}

/* ---- whose it is, and where ---- */

static int enter_session(const rp_process_options *options, int terminal)
{
    if (options->flags & RP_PROCESS_NEW_SESSION)
        RP_TRY(failed(setsid()));
    if (options->flags & RP_PROCESS_GROUP)
        RP_TRY(failed(setpgid(0, (pid_t)options->process_group)));
    if (options->flags & RP_PROCESS_TERMINAL)
        RP_TRY(failed(ioctl(terminal, TIOCSCTTY, 0)));
    return 0;
}

/* Not by the C library, which would have all threads of the process do the same: they are the parent's. */
static int change_ids(const rp_process_options *options)
{
    if (options->flags & RP_PROCESS_GROUPS)
        RP_TRY(failed((int)syscall(SYS_setgroups, options->group_count, options->groups)));
    if (options->flags & RP_PROCESS_GID)
        RP_TRY(failed((int)syscall(SYS_setresgid, options->gid, options->gid, options->gid)));
    if (options->flags & RP_PROCESS_UID)
        RP_TRY(failed((int)syscall(SYS_setresuid, options->uid, options->uid, options->uid)));
    return 0;
}

/* ---- the program ---- */

/* Returns if none of the paths can be executed: why, of those at which there is something. */
static int execute(const rp_spawn_plan *plan)
{
    int error = 0;

    for (char *const *path = plan->paths; *path; path++) {
        execve(*path, (char *const *)plan->options->argv, plan->env);
        if (error == 0 || error == ENOENT || error == ENOTDIR)
            error = errno;
    }
    return -error;
}

static int run(rp_spawn_plan *plan)
{
    const rp_process_options *options = plan->options;
    int terminal = options->flags & RP_PROCESS_TERMINAL ? options->terminal : -1;

    reset_handlers(options);
    RP_TRY(place_all(plan, &terminal));
    plan->step = RP_SPAWN_CHDIR;
    if (options->cwd)
        RP_TRY(failed(chdir(options->cwd)));
    plan->step = RP_SPAWN_PREPARE;
    if (options->flags & RP_PROCESS_UMASK)
        umask((mode_t)options->umask);
    RP_TRY(enter_session(options, terminal));
    RP_TRY(change_ids(options));
    RP_TRY(close_others(options));
    plan->step = RP_SPAWN_EXECUTE;
    sigprocmask(SIG_SETMASK, plan->mask, NULL);
    return execute(plan);
}

_Noreturn void rp_spawn_child(rp_spawn_plan *plan)
{
    plan->error = run(plan);
    if (plan->report >= 0) {
        int told[] = {plan->error, (int)plan->step};

        while (write(plan->report, told, sizeof told) < 0 && errno == EINTR) {
        }
    }
    _exit(127);
}
