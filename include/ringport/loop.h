/*
 * loop.h - the event loop: callbacks, timers, readers, signals, the executor, policy. Mirrors asyncio's loop methods.
 *
 * A loop belongs to the thread that runs it. Only rp_call_soon_threadsafe() and rp_run_coroutine_threadsafe() (co.h)
 * may be called from another thread; every other function is for the loop's thread, or for any one thread while the
 * loop does not run. In debug mode a call from elsewhere returns RP_ETHREAD. After fork() the child may not use its
 * parent's loop: functions that return an error return RP_EFORK there.
 *
 * Between two runs a loop may move to another thread, whether the old one lives or not, with all that waits in it:
 * callbacks, timers, posts, futures, tasks, readers and writers, signal handlers, servers, connections. Whatever
 * happens meanwhile is delivered once.
 * On io_uring, some operations cannot move once the kernel has begun them: a single accept, connect, receive or send by
 * rp_op_*, a file operation, and the rest of what a connection has to send. While there are any, a run in another
 * thread returns RP_ETHREAD. Nothing is lost by that, and a run in the old thread goes on.
 * On io_uring a move takes as long as the kernel needs to end what waits in the old thread's ring: some 40 ms.
 *
 * One turn: wait for completions until the first timer is due (not at all if a callback is ready); deliver them; move
 * due timers to the ready queue; run the callbacks that were ready when this last step began.
 *
 * In C++, an exception may leave a callback that the loop calls: of a handle, a timer, a reader, a signal, a future, an
 * operation, or a protocol of net.h. It ends the run, and comes out of the function that runs the loop. That callback
 * has been called; what was to come after it comes in the next run, or goes with the loop's close. So
 *   rp_run_forever(), rp_run_until_complete()   leave the loop to be run again, or closed;
 *   rp_runner_run()    leaves the main task pending, until the runner runs again or is closed;
 *   rp_run()           ends the tasks and the loop first, as always;
 *   rp_run_workers()   stops and awaits the other workers first (if it is the calling thread's worker that is left).
 * It ends the process by std::terminate() if it leaves a coroutine (co.h), a blocking function on a thread, or a worker
 * on a thread of its own. It may not leave an exception handler, a policy, a hook, a task factory or an allocator.
 */
#ifndef RINGPORT_LOOP_H
#define RINGPORT_LOOP_H

#include "base.h"
#include "error.h"
#include "op.h"
#include "proactor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What this header and those above it deal in; each is opaque. */
typedef struct rp_loop rp_loop;
typedef struct rp_future rp_future;
typedef rp_future rp_task; /* a task is a future: of a coroutine's end (see co.h) */
typedef struct rp_executor rp_executor;
typedef struct rp_transport rp_transport;

/* What the loop calls; `arg` is what was given along with it. */
typedef void rp_callback(void *arg);

/* ---- making and running a loop ---- */

/* The smallest and the largest stack that a task can ask for, in bytes. */
#define RP_STACK_SIZE_MIN ((size_t)16 * 1024)
#define RP_STACK_SIZE_MAX ((size_t)1024 * 1024 * 1024)

/* How a loop is made. Zeroed, it is the default. */
typedef struct rp_loop_options {
    const char *backend;   /* "io_uring", "epoll", "iocp"; NULL: RINGPORT_PROACTOR's, else the best there is */
    rp_proactor *proactor; /* a ready one, instead; the loop owns it from then on, if rp_loop_new succeeds */
    rp_proactor_options proactor_options;
    bool debug;        /* also set by RINGPORT_DEBUG=1 in the environment */
    size_t stack_size; /* of each task, as in rp_task_options (co.h); 0: 64 KiB, on Windows 128 KiB */
} rp_loop_options;

/*
 * Makes a loop; options may be NULL. -EINVAL, -ENOMEM, -EMFILE, or the error of a backend that was asked for by name
 * (here or in the environment) and cannot be opened. Mirrors asyncio.new_event_loop(), ProactorEventLoop(proactor).
 */
RP_API int rp_loop_new(const rp_loop_options *options, rp_loop **loop);

/*
 * Closes the loop: what is ready or scheduled is dropped, transports and servers still open are closed and their
 * memory is given back, operations in flight are cancelled and waited for, the default executor is shut down without
 * waiting (what it has queued still runs, in its threads). No callback runs from then on: not those of handles, nor of
 * operations, nor connection_lost; run the loop until they have if they own something. Tasks that have not ended, and
 * errors of tasks and futures that nobody has read, are reported to the exception handler, even if somebody still holds
 * a reference to them. Tasks, and in debug mode the transports that were left open, are reported before any of these is
 * freed: the handler may look at all of them. Closing twice is ignored.
 * RP_ERUNNING while it runs, and nothing is done; RP_EFORK in a child of fork() that a callback or task made, until
 * that returns. Mirrors loop.close().
 */
RP_API int rp_loop_close(rp_loop *loop);

/*
 * Closes the loop if it is open, and frees it. NULL is ignored.
 * While it runs, nothing is done; in one of its own callbacks or tasks, that is told to the exception handler.
 * In a child of fork() that one of these made, the copy is freed as soon as the callback or task returns.
 */
RP_API void rp_loop_free(rp_loop *loop);

/*
 * Runs until rp_loop_stop(). 0, or RP_ERUNNING (it runs already, or another loop runs in this thread), RP_ECLOSED,
 * RP_EFORK, or what the backend's wait failed with: RP_ETHREAD if the kernel is at work for the thread of the last run
 * (see above). Mirrors loop.run_forever().
 *
 * While callbacks are ready in each turn and no input comes, epoll is not asked for input in every turn, where asyncio
 * would. Input and signals are seen within 64 turns, and by the first turn that begins 50 us after the last look or
 * later. The first turn of a run always looks.
 */
RP_API int rp_run_forever(rp_loop *loop);

/*
 * Runs until the future is done and returns its result (rp_future_result), with RP_EFUTCANCELED if it was cancelled.
 * RP_ESTOPPED if the loop was stopped before that, -EINVAL for NULL or another loop's future; else as rp_run_forever.
 * Mirrors loop.run_until_complete().
 */
RP_API int rp_run_until_complete(rp_loop *loop, rp_future *future);

/*
 * Ends the run after the current turn; if the loop does not run, its next run ends after one turn. Not thread-safe:
 * from another thread, call it through rp_call_soon_threadsafe(). Mirrors loop.stop().
 */
RP_API void rp_loop_stop(rp_loop *loop);

/* Whether it runs now; whether it was closed. Mirror loop.is_running() and is_closed(). */
RP_API bool rp_loop_is_running(const rp_loop *loop);
RP_API bool rp_loop_is_closed(const rp_loop *loop);

/* The loop's clock, read now: monotonic nanoseconds. Mirrors loop.time(). */
RP_API int64_t rp_loop_time(const rp_loop *loop);

/* "io_uring", "epoll" or "iocp". */
RP_API const char *rp_loop_backend_name(const rp_loop *loop);

/* The proactor below, for programs that submit to it directly; lent. */
RP_API rp_proactor *rp_loop_proactor(rp_loop *loop);

/* What a loop has done since it was made, and what it has to do. */
typedef struct rp_loop_stats {
    uint64_t turns;
    uint64_t callbacks;        /* handles run */
    uint64_t completions;      /* delivered */
    uint64_t kernel_entries;   /* system calls that submitted to or waited on the port */
    uint64_t wakeups;          /* calls of rp_call_soon_threadsafe that had to wake a sleeping loop */
    uint64_t busy_polls;       /* polls before a sleep, see rp_proactor_options.busy_poll */
    uint64_t busy_polls_found; /* those of them that found something */
    uint64_t timers_scheduled;
    uint64_t timers_cancelled; /* asyncio's _timer_cancelled_count */
    uint64_t timers_pending;
    uint64_t operations_in_flight;
    uint64_t tasks;       /* not done yet */
    int64_t longest_turn; /* nanoseconds, without the wait */
    const char *backend;
    const char *fallback_reason; /* why a better backend was passed over; NULL if none was */
} rp_loop_stats;

/* Fills in the statistics as they are now. The loop's thread. */
RP_API void rp_loop_get_stats(const rp_loop *loop, rp_loop_stats *stats);

/* ---- callbacks and timers ---- */

/*
 * A callback that is to run. Embed it in what it acts for, and zero it before its first use. From scheduling until its
 * callback is called or it is cancelled, it belongs to the loop and must stay where it is. The callback may already
 * schedule it again, or free it.
 */
typedef struct rp_handle {
    rp_node link;
    rp_callback *callback;
    void *arg;
    rp_loop *loop;
    void *origin; /* debug mode: where it was scheduled */
    uint32_t state;
} rp_handle;

/* A callback that is to run at a point in time. The same rules. */
typedef struct rp_timer {
    rp_handle handle;
    int64_t when;
} rp_timer;

/*
 * Runs callback(arg) in the next turn, first come, first served. With a NULL handle the loop allocates one, which then
 * cannot be cancelled. -EBUSY if the handle is scheduled already, -EINVAL, -ENOMEM, RP_ECLOSED, RP_EFORK; RP_ETHREAD in
 * debug mode from a thread that does not run the loop. Mirrors loop.call_soon().
 */
RP_API int rp_call_soon(rp_loop *loop, rp_handle *handle, rp_callback *callback, void *arg);

/*
 * The same from any thread; wakes the loop if it sleeps. The handle must live until it has run, and may not be
 * posted again before (-EBUSY): calls do not merge into one as those of libuv's uv_async_send() do. With a NULL handle
 * each of them runs. RP_ECLOSED if the loop is closed. Mirrors loop.call_soon_threadsafe().
 */
RP_API int rp_call_soon_threadsafe(rp_loop *loop, rp_handle *handle, rp_callback *callback, void *arg);

/* Runs callback(arg) after `delay` nanoseconds; otherwise as rp_call_at. Mirrors loop.call_later(). */
RP_API int rp_call_later(rp_loop *loop, rp_timer *timer, int64_t delay, rp_callback *callback, void *arg);

/*
 * Runs callback(arg) once the loop's clock has reached `when`: in order of time, ties in order of scheduling; at
 * RP_NEVER not at all. A NULL timer and errors as in rp_call_soon. Mirrors loop.call_at().
 */
RP_API int rp_call_at(rp_loop *loop, rp_timer *timer, int64_t when, rp_callback *callback, void *arg);

/*
 * Takes a handle back: its callback will not run, and its memory is the caller's again at once. Returns whether it was
 * scheduled. The loop's thread, also for a handle that another thread scheduled. Mirrors Handle.cancel().
 */
RP_API bool rp_handle_cancel(rp_handle *handle);
RP_API bool rp_timer_cancel(rp_timer *timer);

/* Whether it is scheduled: neither run nor cancelled since. */
RP_API bool rp_handle_scheduled(const rp_handle *handle);
RP_API bool rp_timer_scheduled(const rp_timer *timer);

/* The time it was scheduled for. Mirrors TimerHandle.when(). */
RP_API int64_t rp_timer_when(const rp_timer *timer);

/* ---- operations and descriptors ---- */

/*
 * Starts an operation on the loop's proactor; its callback runs on the loop's thread, once for each completion.
 * -EBUSY if it is in flight already, -EINVAL, RP_ECLOSED, RP_EFORK; RP_ETHREAD in debug mode.
 */
RP_API int rp_submit(rp_loop *loop, rp_op *op);

/*
 * Asks for an operation's end. Its callback is still called: with the result if that won the race, else with
 * -ECANCELED. An operation that is not in flight is left alone.
 */
RP_API void rp_cancel(rp_loop *loop, rp_op *op);

/* What is called when a descriptor is ready: with that, and with what was given along with it. */
typedef void rp_reader_callback(rp_fd fd, void *arg);

/*
 * Calls callback(fd, arg) in every turn in which the descriptor is readable, or writable (level-triggered), until
 * removed. A second call replaces the callback. Remove it before you close the descriptor. -EBADF, -EINVAL without a
 * callback, -ENOMEM, RP_ECLOSED, RP_EFORK; RP_ETHREAD in debug mode. Mirrors loop.add_reader() and add_writer().
 */
RP_API int rp_add_reader(rp_loop *loop, rp_fd fd, rp_reader_callback *callback, void *arg);
RP_API int rp_add_writer(rp_loop *loop, rp_fd fd, rp_reader_callback *callback, void *arg);

/*
 * The callback will not be called again. Returns 1, 0 if there was none, or an error: RP_ECLOSED, RP_EFORK; RP_ETHREAD
 * in debug mode. Mirrors loop.remove_reader().
 */
RP_API int rp_remove_reader(rp_loop *loop, rp_fd fd);
RP_API int rp_remove_writer(rp_loop *loop, rp_fd fd);

/*
 * Calls callback(arg) on the loop, not in signal context, after each arrival (or run of arrivals) of the signal.
 * A second call replaces the callback. Signals go to the loop that asked last.
 * While tasks wait for the signal (rp_wait_signal in io.h), it is theirs, and the callback is not called.
 * Windows has SIGINT (Ctrl-C), SIGBREAK, and SIGTERM for the console's end.
 * Errors:
 *   RP_ETHREAD   not called in the main thread
 *   -EINVAL      no signal, SIGKILL or SIGSTOP; SIGABRT, or one that a fault raises, after which no loop goes on:
 *                SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS
 *   -ENOMEM, -EMFILE, RP_ECLOSED, RP_EFORK
 * Mirrors loop.add_signal_handler().
 */
RP_API int rp_add_signal_handler(rp_loop *loop, int signal, rp_callback *callback, void *arg);

/*
 * Restores what stood before any loop asked for the signal, but not while tasks wait for it: it stays theirs. Returns
 * 1, 0 if there was no handler, or an error: -EINVAL, RP_ECLOSED, RP_EFORK; RP_ETHREAD if not called in the main
 * thread. Mirrors loop.remove_signal_handler().
 */
RP_API int rp_remove_signal_handler(rp_loop *loop, int signal);

/* ---- executors: blocking work on threads ---- */

/* A blocking function: runs on another thread. Of the loop it may only use the functions that end in _threadsafe. */
typedef int rp_blocking(void *arg);

/*
 * An executor of at most max_workers threads (0: min(32, cpus + 4)), started as they are needed and reused when idle.
 * -ENOMEM. Mirrors concurrent.futures.ThreadPoolExecutor.
 */
RP_API int rp_executor_new(unsigned max_workers, rp_executor **executor);

/*
 * Refuses further work; what is queued still runs. Waits up to `timeout` nanoseconds for the threads to end:
 * -ETIMEDOUT if they have not; RP_EFORK. Blocks. Not from one of its own threads. Mirrors Executor.shutdown().
 */
RP_API int rp_executor_shutdown(rp_executor *executor, int64_t timeout);

/* Shuts it down without waiting, if that has not been done; threads that still work free it when they end. */
RP_API void rp_executor_free(rp_executor *executor);

/*
 * Runs function(arg) on a thread of the executor (NULL: the loop's default one, made on first use), under the caller's
 * signal mask. *future gets the caller's reference to a future whose result is what the function returns.
 * Cancelling it takes the job from the queue; a job that runs already goes on, and its result comes: `arg` must live
 * until the future is done. Only closing the loop ends the future before that: the function may still run then, or even
 * begin, so shut the executor down first.
 * RP_ESHUTDOWN, RP_ECLOSED, RP_EFORK (also of an executor that was made before the fork), -EAGAIN (no thread could be
 * started), -ENOMEM; RP_ETHREAD in debug mode. Mirrors loop.run_in_executor().
 */
RP_API int rp_run_in_executor(rp_loop *loop, rp_executor *executor, rp_blocking *function, void *arg,
                              rp_future **future);

/*
 * Replaces the default executor, and frees the old one; the loop owns the new one then. -EINVAL if NULL, RP_ECLOSED,
 * RP_EFORK; RP_ETHREAD in debug mode. Mirrors loop.set_default_executor().
 */
RP_API int rp_set_default_executor(rp_loop *loop, rp_executor *executor);

/*
 * Shuts the default executor down, running the loop until its threads have ended or `timeout` nanoseconds have passed
 * (-ETIMEDOUT: they are left behind). From a task use rp_shutdown_default_executor_wait() in co.h. RP_ERUNNING while
 * the loop runs, RP_ETHREAD as from rp_run_forever. Mirrors loop.shutdown_default_executor(timeout).
 */
RP_API int rp_shutdown_default_executor(rp_loop *loop, int64_t timeout);

/* ---- errors nobody waits for, debug mode ---- */

/* What went wrong where no caller could be told. Mirrors the context dict of asyncio's handlers. */
typedef struct rp_exception_context {
    const char *message;     /* never NULL */
    int error;               /* the error behind it, or 0 */
    const char *name;        /* of the task or callback it is about, or NULL */
    rp_future *future;       /* the future or task it is about, or NULL; lent for the call */
    rp_transport *transport; /* the same */
    void *const *origin;     /* debug mode: return addresses of where that was created, or NULL */
    int origin_depth;
} rp_exception_context;

/* Is told of it, on the loop's thread; the context is lent for the call. */
typedef void rp_exception_handler(rp_loop *loop, const rp_exception_context *context, void *arg);

/* NULL restores the default handler, which writes to stderr. Mirrors loop.set_exception_handler(). */
RP_API void rp_set_exception_handler(rp_loop *loop, rp_exception_handler *handler, void *arg);

/* The handler that is set, NULL for the default one; its argument through `arg` unless that is NULL. */
RP_API rp_exception_handler *rp_get_exception_handler(const rp_loop *loop, void **arg);

/* Hands a context to the handler that is set. Mirrors loop.call_exception_handler(). */
RP_API void rp_call_exception_handler(rp_loop *loop, const rp_exception_context *context);

/* Writes the context to stderr. Mirrors loop.default_exception_handler(). */
RP_API void rp_default_exception_handler(rp_loop *loop, const rp_exception_context *context);

/*
 * Debug mode reports to the exception handler:
 *   callbacks that run longer than the slow-callback duration (100 ms), by name, and where they were scheduled
 *   transports that were never closed
 *   tasks that wait for nothing that can come: no timer, operation, job or signal is under way, and no other thread has
 *     posted so far; by name, with what they wait for
 *   tasks that have not ended three seconds after a runner's end cancelled them
 *   tasks that end in a group or timeout which they have begun
 *   calls on streams that were freed, see rp_stream_free()
 * It refuses calls from foreign threads. Errors that nobody reads, and tasks that are left when a loop is closed, are
 * reported in any mode.
 * Mirrors loop.set_debug(), loop.get_debug(), loop.slow_callback_duration.
 */
RP_API void rp_set_debug(rp_loop *loop, bool enabled);
RP_API bool rp_get_debug(const rp_loop *loop);
RP_API void rp_set_slow_callback_duration(rp_loop *loop, int64_t duration);
RP_API int64_t rp_get_slow_callback_duration(const rp_loop *loop);

/*
 * How many return addresses are kept of where a task, a future, a handle or a transport was created, in debug mode:
 * 0 to 64 (else -EINVAL), 10 unless set. Process-wide, any thread. Mirrors sys.set_coroutine_origin_tracking_depth().
 */
RP_API int rp_set_coroutine_origin_tracking_depth(int depth);
RP_API int rp_get_coroutine_origin_tracking_depth(void);

/*
 * A hook that rp_shutdown_asyncgens() calls: whoever implements asynchronous generators on this loop ends them in it
 * and returns a future (the caller's reference) that is done when they are, or NULL. That is waited for as by
 * rp_run_until_complete: RP_ERUNNING while the loop runs. Mirrors loop.shutdown_asyncgens().
 */
typedef rp_future *rp_asyncgens_hook(rp_loop *loop, void *arg);
RP_API void rp_set_asyncgens_hook(rp_loop *loop, rp_asyncgens_hook *hook, void *arg);
RP_API int rp_shutdown_asyncgens(rp_loop *loop);

/* ---- policy ---- */

/* The loop that runs in this thread, or NULL. Any thread. Mirrors asyncio.get_running_loop(). */
RP_API rp_loop *rp_get_running_loop(void);

/*
 * How a program makes loops and keeps one for each thread. Install one of your own to change that; it must outlive its
 * installation. Each function gets the policy itself. Mirrors asyncio.AbstractEventLoopPolicy.
 */
typedef struct rp_event_loop_policy rp_event_loop_policy;
struct rp_event_loop_policy {
    int (*new_event_loop)(rp_event_loop_policy *policy, rp_loop **loop);
    int (*get_event_loop)(rp_event_loop_policy *policy, rp_loop **loop); /* RP_ENOLOOP if none is set */
    int (*set_event_loop)(rp_event_loop_policy *policy, rp_loop *loop);  /* NULL: none */
    void *data;
};

/* The process's policy. Never NULL. Any thread. Mirrors asyncio.get_event_loop_policy(). */
RP_API rp_event_loop_policy *rp_get_event_loop_policy(void);

/* NULL restores the default policy. Any thread. Mirrors asyncio.set_event_loop_policy(). */
RP_API void rp_set_event_loop_policy(rp_event_loop_policy *policy);

/* Makes a loop by the policy; it is not set. The policy's errors. Mirrors asyncio.new_event_loop(). */
RP_API int rp_new_event_loop(rp_loop **loop);

/* Sets this thread's loop; it is not owned: free it yourself. NULL: none. Mirrors asyncio.set_event_loop(). */
RP_API int rp_set_event_loop(rp_loop *loop);

/*
 * The running loop if there is one, else the one set for this thread. RP_ENOLOOP if there is none (the default policy
 * makes none by itself, as in Python 3.14). Mirrors asyncio.get_event_loop().
 */
RP_API int rp_get_event_loop(rp_loop **loop);

/* ---- the runner ---- */

/* How a runner makes its loop. Zeroed, it is the default. */
typedef struct rp_runner_options {
    bool debug;                                     /* asyncio.Runner(debug=) */
    int (*loop_factory)(rp_loop **loop, void *arg); /* NULL: the policy's new_event_loop, and set_event_loop */
    void *loop_factory_arg;
    int64_t executor_timeout; /* how long the default executor may take to end; 0: 300 s */
} rp_runner_options;

/* Several runs on one loop: rp_runner_run() in co.h. Mirrors asyncio.Runner. */
typedef struct rp_runner rp_runner;

/* Makes a runner; its loop is made at its first use. options may be NULL. -ENOMEM. Mirrors asyncio.Runner(). */
RP_API int rp_runner_new(const rp_runner_options *options, rp_runner **runner);

/* The runner's loop, lent; made if need be. RP_ECLOSED, or why none could be made. Mirrors Runner.get_loop(). */
RP_API int rp_runner_get_loop(rp_runner *runner, rp_loop **loop);

/*
 * Ends as rp_run does: tasks that are left are cancelled and awaited, generators and the default executor are shut
 * down, the loop is closed. RP_ERUNNING while it runs, or another loop in this thread. Closing twice is ignored.
 * Where the loop cannot run (RP_ETHREAD, see above) tasks are dropped instead, and the exception handler is told.
 * Mirrors Runner.close().
 */
RP_API int rp_runner_close(rp_runner *runner);

/* Closes it if need be, and frees it; while it runs, nothing is done. NULL is ignored. */
RP_API void rp_runner_free(rp_runner *runner);

#ifdef __cplusplus
}
#endif

#endif
