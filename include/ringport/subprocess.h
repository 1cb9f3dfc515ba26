/*
 * subprocess.h - child processes for coroutines: their pipes are streams, and a task waits for their end. Mirrors
 * asyncio.subprocess.
 *
 *     const char *argv[] = {"sort", NULL};
 *     rp_process_options options = {.argv = argv, .in.kind = RP_STDIO_PIPE, .out.kind = RP_STDIO_PIPE};
 *     rp_communication said = {.input = "b\na\n", .input_length = 4};
 *
 *     RP_TRY(rp_create_subprocess_exec(co, &sort, &options));
 *     rc = rp_subprocess_communicate(co, sort, &said);
 *     ... said.out, said.out_length ...
 *     rp_subprocess_free(sort);
 *
 * Whether a process has ended, and what comes out of its pipes, are two things: what it has started itself may hold the
 * pipes open for longer. rp_subprocess_wait() waits for the process alone.
 *
 * Threads. All functions are for the loop's thread.
 *
 * Errors that are listed below without a reason mean the same everywhere:
 *   -ECANCELED   the calling task was cancelled
 *   -ENOMEM      there is no memory
 * Every call that takes `co` also returns
 *   RP_ENOTASK   `co` is NULL, or does not run here (co.h); nothing has changed
 *   RP_EFORK     this is a child of fork(), and the loop is its parent's
 */
#ifndef RINGPORT_SUBPROCESS_H
#define RINGPORT_SUBPROCESS_H

#include "process.h"
#include "stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A child process, and its pipes as streams. Mirrors asyncio.subprocess.Process. */
typedef struct rp_subprocess rp_subprocess;

/*
 * Starts a program.
 * *subprocess is the caller's, who frees it by rp_subprocess_free().
 * The loop's close frees what is left, and leaves the process alone.
 * Never suspends, as rp_process_spawn() does not. A cancellation that is pending stays so.
 * Errors: as of rp_process_spawn().
 * Mirrors asyncio.create_subprocess_exec().
 */
RP_API int rp_create_subprocess_exec(rp_co *co, rp_subprocess **subprocess, const rp_process_options *options);

/*
 * Has the shell run a command: /bin/sh -c; on Windows %ComSpec% /d /s /c.
 * `options` may be NULL. Their program, argv and command_line are not used.
 * The command is the shell's to read: whatever comes from outside wants quotes, or rp_create_subprocess_exec().
 * A signal is sent to the shell, which may not pass it on.
 * Never suspends.
 * Errors:
 *   -EINVAL   the command is NULL
 *   those of rp_process_spawn()
 * Mirrors asyncio.create_subprocess_shell().
 */
RP_API int rp_create_subprocess_shell(rp_co *co, rp_subprocess **subprocess, const char *command,
                                      const rp_process_options *options);

/* ---- its pipes ---- */

/*
 * Its stdin, to be written to; its stdout and stderr, to be read.
 * They are lent, and live as long as `subprocess`: do not free them.
 * To close its stdin by rp_stream_close() is how the child sees the end of its input.
 * NULL if that is no pipe.
 * Mirror Process.stdin, stdout and stderr.
 */
RP_API rp_stream *rp_subprocess_stdin(const rp_subprocess *subprocess);
RP_API rp_stream *rp_subprocess_stdout(const rp_subprocess *subprocess);
RP_API rp_stream *rp_subprocess_stderr(const rp_subprocess *subprocess);

/*
 * What rp_subprocess_communicate() is to say, and what it has heard. Zeroed but for the input, there is no limit.
 * What was heard is lent, until the subprocess is freed or communicates again.
 * Behind it there is a '\0', which does not count.
 * It is NULL, and 0 bytes, of what is no pipe.
 */
typedef struct rp_communication {
    const void *input;   /* NULL: none */
    size_t input_length; /* in bytes */
    size_t limit;        /* for each output, in bytes; 0: none */
    int64_t timeout;     /* in nanoseconds; 0: none */
    const char *out, *err;
    size_t out_length, err_length;
} rp_communication;

/*
 * Writes the input to the child's stdin and closes that, reads stdout and stderr to their ends, all at once, and then
 * waits for the process's end.
 * Suspends meanwhile.
 * Of what is no pipe nothing is written or read. A child that does not want its input is no error.
 * `communication` may be NULL: nothing is said, and what is heard is dropped.
 *
 * After any error, and a cancellation is one, nothing is lost:
 *   `communication` tells what was heard so far
 *   another call with the same input goes on where this one has ended
 * The input is read from during the call only.
 * What the child has started itself may keep the outputs open when the child has ended: a timeout ends that wait.
 * Errors:
 *   -ETIMEDOUT   the time was up; the process goes on
 *   RP_ELIMIT    there is more output than the limit; the process goes on, and is held back when the pipe is full
 *   -EBUSY       another task communicates, or reads from one of the streams
 *   -EPIPE       the subprocess was freed meanwhile, or an output's stream is closed
 *   -ECANCELED, -ENOMEM
 *   what reading or writing has failed with
 *   those of rp_subprocess_wait()
 * Mirrors Process.communicate().
 */
RP_API int rp_subprocess_communicate(rp_co *co, rp_subprocess *subprocess, rp_communication *communication);

/* ---- its end ---- */

/*
 * Suspends until the process has ended, whatever holds its pipes open.
 * *code is how it ended, as rp_process_returncode() has it. `code` may be NULL.
 * A child whose output nobody reads stops when the pipe is full, and does not end: read it, or communicate.
 * Errors:
 *   -ECANCELED, -ENOMEM
 *   those of rp_process_returncode()
 * Mirrors Process.wait().
 */
RP_API int rp_subprocess_wait(rp_co *co, rp_subprocess *subprocess, int *code);

/*
 * How the process ended, if it has: rp_process_returncode().
 * Never suspends.
 * Errors: as of rp_process_returncode(); RP_EINVALIDSTATE while it runs.
 * Mirrors Process.returncode.
 */
RP_API int rp_subprocess_returncode(const rp_subprocess *subprocess, int *code);

/*
 * Send a signal to the process; SIGTERM; SIGKILL. On Windows all of them but 0 end it.
 * Never suspend.
 * Errors: as of rp_process_send_signal().
 * Mirror Process.send_signal(), terminate() and kill().
 */
RP_API int rp_subprocess_send_signal(rp_subprocess *subprocess, int signal);
RP_API int rp_subprocess_terminate(rp_subprocess *subprocess);
RP_API int rp_subprocess_kill(rp_subprocess *subprocess);

/* The process's number, also when it has ended. Mirrors Process.pid. */
RP_API int64_t rp_subprocess_pid(const rp_subprocess *subprocess);

/* The process itself, lent. */
RP_API rp_process *rp_subprocess_process(const rp_subprocess *subprocess);

/*
 * Gives the subprocess up: closes its streams, and kills the process if it still runs. The loop reaps it.
 * What was written to stdin is still sent, for as long as somebody reads it.
 * Tasks that are in a call on it go on: those that read get -EPIPE, those that wait are told of its end.
 * NULL is ignored.
 * Never suspends, never fails.
 * Mirrors SubprocessTransport.close().
 */
RP_API void rp_subprocess_free(rp_subprocess *subprocess);

/*
 * The same, but the process goes on by itself.
 * NULL is ignored.
 * Never suspends, never fails.
 * asyncio has nothing like it.
 */
RP_API void rp_subprocess_detach(rp_subprocess *subprocess);

#ifdef __cplusplus
}
#endif

#endif
