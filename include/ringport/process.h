/*
 * process.h - child processes: starting one, its pipes, signals to it, and its end. Mirrors asyncio's subprocess
 * transports, by callbacks.
 *
 * rp_process_spawn() starts a program at once. The loop then waits for the process's end, and reaps it.
 * Programs that use coroutines want subprocess.h, which stands on this header.
 *
 * The cost of a start does not depend on how much memory the parent has: the child borrows it until it executes.
 * On Linux the process is known by a pidfd. So no signal reaches another process that has got its number, no handler of
 * SIGCHLD is needed, and loops in any thread have children.
 *
 * Threads. All functions are for the loop's thread. None of them suspends.
 *
 * Errors that are listed below without a reason mean the same everywhere:
 *   -ENOMEM      there is no memory
 *   RP_ECLOSED   the loop is closed
 *   RP_EFORK     this is a child of fork(), and the loop is its parent's
 *   RP_ETHREAD   another thread runs the loop: checked in debug mode only
 */
#ifndef RINGPORT_PROCESS_H
#define RINGPORT_PROCESS_H

#include "future.h"
#include "loop.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A child process, from its start until nobody refers to it. Mirrors asyncio.SubprocessTransport. */
typedef struct rp_process rp_process;

/* What one of the child's descriptors 0, 1 and 2 is. Mirrors subprocess.PIPE, DEVNULL and STDOUT. */
typedef enum rp_stdio_kind {
    RP_STDIO_INHERIT,   /* the parent's; closed, if that is, or on Windows the null device */
    RP_STDIO_PIPE,      /* one end of a pipe; rp_process_take_pipe() gives the other */
    RP_STDIO_NULL,      /* the null device */
    RP_STDIO_TO_STDOUT, /* what the child's stdout is; for stderr only */
    RP_STDIO_FD,        /* the descriptor `fd`, which stays the caller's */
} rp_stdio_kind;

/* The same with its descriptor. Zeroed, it is inherited. */
typedef struct rp_stdio {
    rp_stdio_kind kind;
    rp_fd fd; /* of RP_STDIO_FD */
} rp_stdio;

/* Which options of a start count. Windows has a new session or group, which are one to it, and the last two. */
enum {
    RP_PROCESS_NEW_SESSION = 1 << 0,   /* setsid() */
    RP_PROCESS_GROUP = 1 << 1,         /* setpgid() to `process_group` */
    RP_PROCESS_UID = 1 << 2,           /* `uid`, as the real, effective and saved one */
    RP_PROCESS_GID = 1 << 3,           /* `gid`, likewise */
    RP_PROCESS_GROUPS = 1 << 4,        /* setgroups() to `groups` */
    RP_PROCESS_UMASK = 1 << 5,         /* `umask` */
    RP_PROCESS_TERMINAL = 1 << 6,      /* `terminal` becomes the controlling one; needs RP_PROCESS_NEW_SESSION */
    RP_PROCESS_KEEP_FDS = 1 << 7,      /* what is not close-on-exec is inherited: subprocess' close_fds=False */
    RP_PROCESS_KEEP_SIGNALS = 1 << 8,  /* SIGPIPE and SIGXFSZ stay ignored if they are: restore_signals=False */
    RP_PROCESS_KEEP_NONBLOCK = 1 << 9, /* descriptors 0 to 2 that do not block are handed over so */
    RP_PROCESS_HIDE = 1 << 10,         /* on Windows: no window, no console */
    RP_PROCESS_DETACHED = 1 << 11,     /* on Windows: it lives on when the parent ends, in a group of its own */
};

/* How to start a process. Zeroed but for argv, it runs argv[0] with all that the parent has. */
typedef struct rp_process_options {
    const char *program;     /* the file to execute; NULL: argv[0]. Without a '/' it is looked for in PATH */
    const char *const *argv; /* the arguments, the first is the program's name; NULL ends them */
    const char *const *env;  /* the environment, "NAME=value" each; NULL ends it; NULL: the parent's */
    const char *cwd;         /* the directory to run in; NULL: the parent's */
    rp_stdio in, out, err;   /* the child's descriptors 0, 1 and 2 */
    const rp_fd *pass_fds;   /* further descriptors that the child is to have, under the same numbers */
    size_t pass_fd_count;
    unsigned flags;        /* RP_PROCESS_* */
    int64_t process_group; /* 0: one of its own; else one to join */
    uint32_t uid, gid;
    const uint32_t *groups; /* supplementary groups */
    size_t group_count;
    uint32_t umask;
    rp_fd terminal;
    const char *command_line; /* on Windows: the command line as it is, in place of argv */
} rp_process_options;

/* Called once, on the loop, when the process has ended, whatever its pipes do. It may drop the last reference. */
typedef void rp_process_exited(rp_process *process, void *arg);

/*
 * Starts a process.
 * *process gets a reference that the caller owns.
 * All that `options` names is used until this returns, and no longer.
 * What the program's start fails with is returned here. Then there is no process, and nothing is left open.
 * The calling thread waits until the child has executed the program, some hundred microseconds.
 * The child has descriptors 0 to 2, `pass_fds`, and no others, whatever other threads open meanwhile.
 * Descriptors 0 to 2 block: O_NONBLOCK is taken off, also for whoever shares them.
 * It blocks no signals. Signals that the parent handles do there what they do by default; ignored ones stay ignored,
 * but for SIGPIPE and SIGXFSZ.
 * `exited` may be NULL.
 * PATH is that of `env`, if that is given; without one it is /bin:/usr/bin. An empty part is the child's directory.
 * A script needs a line that begins with #!: there is no shell to run others.
 * Whoever changes `uid` wants to set `gid` and `groups` too: the parent's remain.
 * docs/windows.md says what differs on Windows.
 * Dropping the last reference does not end the process.
 * When the loop is closed the process goes on, and `exited` is not called.
 * Errors:
 *   -ENOENT    there is no such program, or interpreter of a script, or directory `cwd`
 *   -EACCES    it cannot be executed
 *   -ENOEXEC   it is no program
 *   -EPERM     such ids, a session or a group are not permitted
 *   -EBADF     a descriptor is not open
 *   -EINVAL    there are no arguments; or RP_STDIO_TO_STDOUT is not for stderr; or a terminal is given without a
 *              session; or an id or a group cannot be one
 *   -EMFILE    there are no more descriptors
 *   -EAGAIN    there can be no more processes
 *   -ENOTSUP   Windows has no such thing
 *   -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD
 *   others of the system calls that the child makes
 * Mirrors loop.subprocess_exec().
 */
RP_API int rp_process_spawn(rp_loop *loop, const rp_process_options *options, rp_process_exited *exited, void *arg,
                            rp_process **process);

/*
 * Takes another reference, and gives one up. The loop holds one of its own until the process has ended.
 * rp_process_ref() returns its argument. rp_process_unref() ignores NULL.
 * A pipe that nobody has taken is closed with the last reference.
 */
RP_API rp_process *rp_process_ref(rp_process *process);
RP_API void rp_process_unref(rp_process *process);

/*
 * The process's number, also when it has ended.
 * Never fails.
 * Mirrors SubprocessTransport.get_pid().
 */
RP_API int64_t rp_process_pid(const rp_process *process);

/*
 * How the process ended: *code gets what it handed to exit(), or the negative number of the signal that killed it.
 * `code` may be NULL.
 * Returns 0.
 * Errors:
 *   RP_EINVALIDSTATE   it has not ended, as far as the loop knows
 *   -ECHILD            nobody can say: this program ignores SIGCHLD, or has reaped the process elsewhere
 *   RP_ECLOSED         the loop was closed first
 *   what waiting for it failed with
 * Mirrors SubprocessTransport.get_returncode().
 */
RP_API int rp_process_returncode(const rp_process *process, int *code);

/*
 * Makes a future of the process's end.
 * *future gets a reference that the caller owns.
 * Its result is 0, or what rp_process_returncode() fails with: ask that for the code.
 * Each call makes another one. Cancelling it does nothing to the process.
 * It is cancelled if the loop is closed first.
 * Errors: -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD.
 * Mirrors asyncio.subprocess.Process.wait().
 */
RP_API int rp_process_wait(rp_process *process, rp_future **future);

/*
 * Sends a signal to the process, and to no other one; SIGTERM; SIGKILL.
 * On Windows SIGINT, SIGTERM, SIGABRT and SIGKILL (9) end the process at once, with 1 as its exit code.
 * SIGBREAK is a Ctrl-Break there, for all of the process's group: it needs one of its own (RP_PROCESS_GROUP).
 * Errors:
 *   -ESRCH    it has ended
 *   -EINVAL   there is no such signal
 *   -EPERM    it has become another user's
 *   RP_EFORK
 * Mirror SubprocessTransport.send_signal(), terminate() and kill().
 */
RP_API int rp_process_send_signal(rp_process *process, int signal);
RP_API int rp_process_terminate(rp_process *process);
RP_API int rp_process_kill(rp_process *process);

/*
 * Takes the parent's end of a pipe: of stdin (0), which is for writing, or of stdout or stderr (1, 2), for reading.
 * It is the caller's from then on. It does not block, and is not inherited.
 * Returns the descriptor, or -1 if there is no such pipe, or it was taken before. Never fails otherwise.
 * Mirrors Popen.stdin, stdout and stderr.
 */
RP_API rp_fd rp_process_take_pipe(rp_process *process, int number);

#ifdef __cplusplus
}
#endif

#endif
