/*
 * spawn_posix.c - starting a process: the options are checked, its pipes are made, and a child is given a plan.
 *
 * All descriptors that are made here are close-on-exec, and no number of the three standard ones, which the parent may
 * have closed. What the caller names is looked up before any is made: a number that is closed must not become ours.
 */
#include "process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "process/spawn_clone_posix.h"
#include "process/spawn_path_posix.h"

extern char **environ;

/* ---- the options ---- */

static int check_open(rp_fd fd)
{
    return fd < 0 || fcntl(fd, F_GETFD) < 0 ? -EBADF : 0;
}

static int check_stdio(const rp_stdio *stdio, bool may_follow)
{
    switch (stdio->kind) {
    case RP_STDIO_INHERIT:
    case RP_STDIO_PIPE:
    case RP_STDIO_NULL:
        return 0;
    case RP_STDIO_TO_STDOUT:
        return may_follow ? 0 : -EINVAL;
    case RP_STDIO_FD:
        return check_open(stdio->fd);
    }
    return -EINVAL;
}

/* -1 means to the kernel that an id is to stay. */
static int check_ids(const rp_process_options *options)
{
    if (options->flags & RP_PROCESS_GROUP && (options->process_group < 0 || options->process_group > INT_MAX))
        return -EINVAL;
    if ((options->flags & RP_PROCESS_UID && options->uid == UINT32_MAX) ||
        (options->flags & RP_PROCESS_GID && options->gid == UINT32_MAX))
        return -EINVAL;
    return 0;
}

static int check(const rp_process_options *options)
{
    if (options->command_line)
        return -ENOTSUP;
    if (!options->argv || !options->argv[0])
        return -EINVAL;
    RP_TRY(check_stdio(&options->in, false));
    RP_TRY(check_stdio(&options->out, false));
    RP_TRY(check_stdio(&options->err, true));
    for (size_t i = 0; i < options->pass_fd_count; i++)
        RP_TRY(check_open(options->pass_fds[i]));
    if (options->flags & RP_PROCESS_TERMINAL) {
        if (!(options->flags & RP_PROCESS_NEW_SESSION))
            return -EINVAL;
        RP_TRY(check_open(options->terminal));
    }
    return check_ids(options);
}

/* ---- pipes ---- */

/* The parent's end does not block, the child's does. */
static int open_pipe(int number, int *parents, int *childs)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    ends[0] = rp_spawn_above_stdio(ends[0]);
    ends[1] = rp_spawn_above_stdio(ends[1]);
    *parents = number == STDIN_FILENO ? ends[1] : ends[0];
    *childs = number == STDIN_FILENO ? ends[0] : ends[1];
    return fcntl(*parents, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int open_source(const rp_stdio *stdio, int number, int *parents, int *source)
{
    switch (stdio->kind) {
    case RP_STDIO_PIPE:
        return open_pipe(number, parents, source);
    case RP_STDIO_FD:
        *source = stdio->fd;
        break;
    case RP_STDIO_NULL:
        *source = RP_SOURCE_NULL;
        break;
    case RP_STDIO_TO_STDOUT:
        *source = RP_SOURCE_STDOUT;
        break;
    case RP_STDIO_INHERIT:
        break;
    }
    return 0;
}

/* ---- all of it ---- */

static const rp_spawned nothing = {.process = -1, .pipes = {-1, -1, -1}};

static int start(rp_spawn_plan *plan, const rp_stdio *const *stdio, rp_spawned *spawned)
{
    pid_t pid;
    int rc = 0;

    for (int i = 0; i < 3 && rc == 0; i++)
        rc = open_source(stdio[i], i, &spawned->pipes[i], &plan->sources[i]);
    int sources[3] = {plan->sources[0], plan->sources[1], plan->sources[2]}; /* the child changes the plan's */
    if (rc == 0)
        rc = rp_spawn_clone(plan, &pid, &spawned->process);
    for (int i = 0; i < 3; i++)
        if (stdio[i]->kind == RP_STDIO_PIPE)
            rp_spawn_close(sources[i]);
    if (rc == 0) {
        spawned->pid = pid;
        spawned->process = rp_spawn_above_stdio(spawned->process);
        return 0;
    }
    for (int i = 0; i < 3; i++)
        rp_spawn_close(spawned->pipes[i]);
    *spawned = nothing;
    return rc;
}

int rp_spawn(const rp_process_options *options, rp_spawned *spawned, rp_spawn_step *step)
{
    const rp_stdio *const stdio[3] = {&options->in, &options->out, &options->err};
    rp_spawn_plan plan = {.options = options,
                          .sources = {RP_SOURCE_INHERIT, RP_SOURCE_INHERIT, RP_SOURCE_INHERIT}};
    sigset_t none;
    int rc;

    *step = RP_SPAWN_PREPARE;
    *spawned = nothing;
    RP_TRY(check(options));
    const char *program = options->program ? options->program : options->argv[0];
    if (*program == '\0') {
        *step = RP_SPAWN_EXECUTE;
        return -ENOENT;
    }
    char **paths = rp_spawn_paths(program, options->env);
    if (!paths)
        return -ENOMEM;
    sigemptyset(&none);
    plan.paths = paths;
    plan.env = options->env ? (char *const *)options->env : environ;
    plan.mask = options->flags & RP_PROCESS_KEEP_SIGNALS ? NULL : &none;
    rc = start(&plan, stdio, spawned);
    *step = plan.step;
    rp_free(paths);
    return rc;
}

int rp_spawn_open(int64_t pid, rp_spawned *spawned)
{
    *spawned = (rp_spawned){.pid = pid, .process = pidfd_open((pid_t)pid, 0), .pipes = {-1, -1, -1}};
    return spawned->process >= 0 || errno == ESRCH ? 0 : -errno;
}

/* ---- one that runs ---- */

void rp_spawn_reap(const rp_spawned *spawned)
{
    if (spawned->process >= 0)
        rp_spawn_await((pid_t)spawned->pid, spawned->process, WNOHANG);
}

int rp_spawn_signal(const rp_spawned *spawned, int signal)
{
    return pidfd_send_signal(spawned->process, signal, NULL, 0) < 0 ? -errno : 0;
}

int rp_spawn_returncode(int64_t status)
{
    return WIFSIGNALED((int)status) ? -WTERMSIG((int)status) : WEXITSTATUS((int)status);
}

void rp_spawn_close(rp_fd fd)
{
    if (fd >= 0)
        close(fd);
}
