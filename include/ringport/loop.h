/*
 * loop.h - the event loop: callbacks, timers, readers, signals, the executor, policy. Mirrors asyncio's loop methods.
 *
 * Threads. A loop belongs to the thread that runs it. While it does not run, any one thread may use it.
 * Functions that other threads may call say "Any thread.": rp_call_soon_threadsafe() first of all.
 *
 * Errors that are listed below without a reason mean the same everywhere:
 *   -ENOMEM      there is no memory
 *   RP_ECLOSED   the loop is closed
 *   RP_EFORK     this is a child of fork(), and the loop is its parent's
 *   RP_ETHREAD   another thread runs the loop: checked in debug mode only
 *
 * A turn of the loop has five steps:
 *   1. Wait for completions until the first timer is due. If a callback is ready, do not wait.
 *   2. Deliver the completions: the callbacks of operations run.
 *   3. Fix what else runs in this turn: callbacks that are ready, posts of other threads, timers that are due.
 *   4. Run these callbacks.
 *   5. Run these timers.
 * What steps 4 and 5 schedule runs in the next turn.
 *
 * Between two runs a loop may move to another thread, even if the old thread has ended.
 * All that waits in it moves along: callbacks, timers, posts, futures, tasks, readers and writers, signal handlers,
 * servers, connections.
 * What happens meanwhile is delivered once.
 * On io_uring a move takes some 40 ms: the kernel has to end what waits in the old thread's ring.
 * On io_uring some operations cannot move once the kernel has begun them:
 *   a single accept, connect, receive or send by rp_op_*
 *   a file operation
 *   what a connection still has to send
 * While one of them is under way, a run in another thread returns RP_ETHREAD, in any mode.
 * Nothing is lost by that: a run in the old thread goes on.
 *
 * C++ exceptions may leave the callbacks that a loop calls: those of handles, timers, readers, signals, futures,
 * operations, protocols (net.h) and processes (process.h).
 * The exception ends the run, and comes out of the function that runs the loop.
 * The callback that threw counts as called.
 * What was to run after it runs in the next run, or is dropped when the loop is closed.
 * So an exception that comes out of
 *   rp_run_forever(), rp_run_until_complete()   leaves the loop ready to be run again, or to be closed
 *   rp_runner_run()    leaves the main task pending until the runner runs again or is closed
 *   rp_run()           comes after the tasks have ended and the loop is closed, as always
 *   rp_run_workers()   comes after the other workers have stopped (if the calling thread's worker threw)
 * The process ends by std::terminate() if an exception leaves a coroutine (co.h), a blocking function on a thread, or a
 * worker on a thread of its own.
 * No exception may leave an exception handler, a policy, a hook, a task factory, an allocator, or what a context of TLS
 * calls (tls.h).
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

/* The types of this header and of those that stand on it; each is opaque. */
typedef struct rp_loop rp_loop;
typedef struct rp_future rp_future;
typedef rp_future rp_task; /* a task is the future of a coroutine's end, see co.h */
typedef struct rp_executor rp_executor;
typedef struct rp_transport rp_transport;

/* What the loop calls. `arg` is what was given along with the callback. */
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
    bool no_debug;     /* it stays out of debug mode, whatever the environment and rp_set_debug() say */
    size_t stack_size; /* of each task, as in rp_task_options (co.h); 0: 64 KiB, on Windows 128 KiB */
} rp_loop_options;

/*
 * Makes a loop.
 * The caller owns it, and frees it by rp_loop_free().
 * `options` may be NULL.
 * Any thread.
 * Errors:
 *   -EINVAL    the stack size is out of bounds; or a backend and a proactor are given; or the proactor is in use
 *   -EMFILE    there are no more descriptors
 *   -ENOMEM
 *   those of rp_proactor_open(), if a backend was asked for by name, here or in the environment
 * Mirrors asyncio.new_event_loop() and ProactorEventLoop(proactor).
 */
RP_API int rp_loop_new(const rp_loop_options *options, rp_loop **loop);

/*
 * Closes the loop and drops all that it still has to do.
 * Callbacks that are ready or scheduled are dropped.
 * Operations in flight are cancelled and waited for.
 * Transports and servers that are still open are closed and freed.
 * The default executor is shut down without waiting: its threads still run what it has queued.
 * No callback runs from then on, neither of a handle nor of an operation nor connection_lost. If one of them frees
 * something, run the loop until it has been called.
 * The exception handler is told of
 *   tasks that have not ended
 *   errors of tasks and futures that nobody has read, even if somebody still holds a reference
 *   transports that were left open, in debug mode
 * All of these are told before any of them is freed: the handler may look at the others.
 * Closing twice is ignored.
 * Errors:
 *   RP_ERUNNING   the loop runs; nothing was done
 *   RP_EFORK      a callback or task of this loop made this child by fork(), and has not returned
 * Mirrors loop.close().
 */
RP_API int rp_loop_close(rp_loop *loop);

/*
 * Frees the loop, and closes it first if it is open.
 * While the loop runs, nothing is done. If one of its own callbacks or tasks asks, the exception handler is told.
 * In a child of fork() that a callback or task made, the copy is freed when the callback or task returns.
 * NULL is ignored.
 */
RP_API void rp_loop_free(rp_loop *loop);

/*
 * Runs the loop until rp_loop_stop().
 * While callbacks are ready in each turn and no input comes, epoll is not asked in each turn, as asyncio would.
 * Input and signals are seen within 64 turns, and by the first turn that begins 50 us after the last look or later.
 * The first turn of a run always looks.
 * Errors:
 *   RP_ERUNNING   this loop runs already, or another one runs in this thread
 *   RP_ETHREAD    the kernel is at work for the thread of the last run: see above
 *   RP_ECLOSED, RP_EFORK
 *   what the backend's wait failed with
 * Mirrors loop.run_forever().
 */
RP_API int rp_run_forever(rp_loop *loop);

/*
 * Runs the loop until the future is done, and returns the future's result as rp_future_result() does.
 * Errors:
 *   RP_EFUTCANCELED   the future was cancelled
 *   RP_ESTOPPED       the loop was stopped before the future was done
 *   -EINVAL           the future is NULL, or another loop's
 *   those of rp_run_forever()
 * Mirrors loop.run_until_complete().
 */
RP_API int rp_run_until_complete(rp_loop *loop, rp_future *future);

/*
 * Ends the run after the current turn.
 * If the loop does not run, its next run ends after one turn.
 * From another thread, call it through rp_call_soon_threadsafe().
 * Mirrors loop.stop().
 */
RP_API void rp_loop_stop(rp_loop *loop);

/* Whether the loop runs now; whether it was closed. Mirror loop.is_running() and is_closed(). */
RP_API bool rp_loop_is_running(const rp_loop *loop);
RP_API bool rp_loop_is_closed(const rp_loop *loop);

/* The loop's clock, read now, in monotonic nanoseconds. Mirrors loop.time(). */
RP_API int64_t rp_loop_time(const rp_loop *loop);

/* The backend's name: "io_uring", "epoll" or "iocp". */
RP_API const char *rp_loop_backend_name(const rp_loop *loop);

/* The proactor of the loop, lent: for programs that submit to it directly. */
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

/* Fills in the statistics as they are now. */
RP_API void rp_loop_get_stats(const rp_loop *loop, rp_loop_stats *stats);

/* ---- callbacks and timers ---- */

/*
 * A callback that is to run. Embed it in what it acts for, and zero it before its first use.
 * While it is scheduled it belongs to the loop, and must stay where it is.
 * It is the caller's again when its callback is called, or when it is cancelled: the callback may schedule it again, or
 * free it.
 */
typedef struct rp_handle {
    rp_node link;
    rp_callback *callback;
    void *arg;
    rp_loop *loop;
    void *origin; /* debug mode: where it was scheduled */
    uint32_t state;
} rp_handle;

/* A callback that is to run at a point in time. The rules of rp_handle hold. */
typedef struct rp_timer {
    rp_handle handle;
    int64_t when;
} rp_timer;

/*
 * Runs callback(arg) in the next turn; callbacks run in the order of scheduling.
 * With a NULL handle the loop allocates one, which cannot be cancelled.
 * Errors:
 *   -EBUSY    the handle is scheduled already
 *   -EINVAL   the callback is NULL
 *   -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD
 * Mirrors loop.call_soon().
 */
RP_API int rp_call_soon(rp_loop *loop, rp_handle *handle, rp_callback *callback, void *arg);

/*
 * Runs callback(arg) on the loop's thread, and wakes the loop if it sleeps.
 * The handle must live until it has run.
 * Calls do not merge, as those of libuv's uv_async_send() do. With a NULL handle each of them runs.
 * Any thread.
 * Errors:
 *   -EBUSY    the handle was posted and has not run yet
 *   -EINVAL   the callback is NULL
 *   -ENOMEM, RP_ECLOSED, RP_EFORK
 * Mirrors loop.call_soon_threadsafe().
 */
RP_API int rp_call_soon_threadsafe(rp_loop *loop, rp_handle *handle, rp_callback *callback, void *arg);

/*
 * Runs callback(arg) after `delay` nanoseconds.
 * Otherwise it is rp_call_at(), with the same errors.
 * Errors: as of rp_call_soon().
 * Mirrors loop.call_later().
 */
RP_API int rp_call_later(rp_loop *loop, rp_timer *timer, int64_t delay, rp_callback *callback, void *arg);

/*
 * Runs callback(arg) once the loop's clock has reached `when`; at RP_NEVER, not at all.
 * Timers run in order of time; those of the same time in the order of scheduling.
 * With a NULL timer the loop allocates one, which cannot be cancelled.
 * Errors: as of rp_call_soon().
 * Mirrors loop.call_at().
 */
RP_API int rp_call_at(rp_loop *loop, rp_timer *timer, int64_t when, rp_callback *callback, void *arg);

/*
 * Takes a handle back: its callback will not run, and its memory is the caller's at once.
 * Returns whether it was scheduled.
 * A handle that another thread posted can be cancelled too, on the loop's thread.
 * Mirrors Handle.cancel().
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
 * Starts an operation on the loop's proactor.
 * Its callback runs on the loop's thread, once for each completion.
 * The operation, its buffers and its descriptor belong to the kernel until then: see op.h.
 * Errors:
 *   -EBUSY    the operation is in flight already
 *   -EINVAL   it is of no known kind
 *   RP_ECLOSED, RP_EFORK, RP_ETHREAD
 */
RP_API int rp_submit(rp_loop *loop, rp_op *op);

/*
 * Asks for an operation's end.
 * Its callback is still called: with the operation's result if that was quicker, else with -ECANCELED.
 * An operation that is not in flight is ignored.
 */
RP_API void rp_cancel(rp_loop *loop, rp_op *op);

/* What is called when the descriptor `fd` is ready. `arg` is what was given along with the callback. */
typedef void rp_reader_callback(rp_fd fd, void *arg);

/*
 * Calls callback(fd, arg) in every turn in which the descriptor is readable, or writable (level-triggered).
 * A second call replaces the callback.
 * Remove the callback before you close the descriptor.
 * Errors:
 *   -EBADF    `fd` is no open descriptor
 *   -EINVAL   the callback is NULL
 *   -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD
 * Mirrors loop.add_reader() and add_writer().
 */
RP_API int rp_add_reader(rp_loop *loop, rp_fd fd, rp_reader_callback *callback, void *arg);
RP_API int rp_add_writer(rp_loop *loop, rp_fd fd, rp_reader_callback *callback, void *arg);

/*
 * Removes the callback: it will not be called again.
 * Returns 1, or 0 if there was none.
 * Errors: RP_ECLOSED, RP_EFORK, RP_ETHREAD.
 * Mirrors loop.remove_reader() and remove_writer().
 */
RP_API int rp_remove_reader(rp_loop *loop, rp_fd fd);
RP_API int rp_remove_writer(rp_loop *loop, rp_fd fd);

/*
 * Calls callback(arg) on the loop after each arrival of the signal. It does not run in signal context.
 * Arrivals that come close together may be told by one call.
 * A second call replaces the callback. A signal goes to the loop that asked for it last.
 * While tasks wait for the signal by rp_wait_signal() (io.h), it is theirs, and the callback is not called.
 * Windows has SIGINT (Ctrl-C), SIGBREAK (Ctrl-Break), and SIGTERM for the end of the console or of the machine.
 * After that SIGTERM the process lives until the loop is closed or the handler removed, and a second more.
 * The system puts a limit to that, of some 5 s.
 * Main thread only; on Windows, which knows none, the loop's.
 * Errors:
 *   RP_ETHREAD   called in another thread than the main one, in any mode; not on Windows
 *   -EINVAL      the callback is NULL; or there is no such signal; or it is SIGKILL, SIGSTOP or SIGABRT; or a fault
 *                raises it, after which no loop goes on: SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS
 *   -EMFILE      there are no more descriptors
 *   -ENOMEM, RP_ECLOSED, RP_EFORK
 * Mirrors loop.add_signal_handler().
 */
RP_API int rp_add_signal_handler(rp_loop *loop, int signal, rp_callback *callback, void *arg);

/*
 * Restores what the process did at the signal before any loop asked for it.
 * While tasks wait for the signal, it stays theirs.
 * Returns 1, or 0 if there was no handler.
 * Main thread only; on Windows the loop's.
 * Errors:
 *   RP_ETHREAD   called in another thread than the main one, in any mode; not on Windows
 *   -EINVAL      there is no such signal
 *   RP_ECLOSED, RP_EFORK
 * Mirrors loop.remove_signal_handler().
 */
RP_API int rp_remove_signal_handler(rp_loop *loop, int signal);

/* ---- executors: blocking work on threads ---- */

/* A blocking function. It runs on another thread, so of a loop it may only use what is for any thread. */
typedef int rp_blocking(void *arg);

/*
 * Makes an executor of at most max_workers threads; 0 means min(32, cpus + 4).
 * Threads are started as they are needed, and used again when idle.
 * The caller owns it, and frees it by rp_executor_free().
 * Any thread.
 * Errors: -ENOMEM.
 * Mirrors concurrent.futures.ThreadPoolExecutor.
 */
RP_API int rp_executor_new(unsigned max_workers, rp_executor **executor);

/*
 * Refuses further work, and waits up to `timeout` nanoseconds for the threads to end; what is queued still runs.
 * Blocks the calling thread.
 * Any thread but the executor's own.
 * Errors:
 *   -ETIMEDOUT   the threads have not ended yet
 *   RP_EFORK
 * Mirrors Executor.shutdown().
 */
RP_API int rp_executor_shutdown(rp_executor *executor, int64_t timeout);

/*
 * Gives the executor up, and shuts it down first, without waiting.
 * What is queued still runs. The last thread that ends frees the memory.
 * Any thread.
 */
RP_API void rp_executor_free(rp_executor *executor);

/*
 * Runs function(arg) on a thread of the executor, under the caller's signal mask.
 * With a NULL executor it is the loop's default one, which is made on first use.
 * *future gets a reference that the caller owns. The future's result is what the function returns.
 * `arg` must live until the future is done.
 * Cancelling the future takes the job out of the queue. A job that runs already goes on, and its result comes.
 * Closing the loop ends the future even then, and the function may still run, or begin: shut the executor down first.
 * Errors:
 *   -EINVAL        the function is NULL
 *   -EAGAIN        no thread could be started
 *   RP_ESHUTDOWN   the executor is shut down
 *   RP_EFORK       also of an executor that was made before the fork
 *   -ENOMEM, RP_ECLOSED, RP_ETHREAD
 * Mirrors loop.run_in_executor().
 */
RP_API int rp_run_in_executor(rp_loop *loop, rp_executor *executor, rp_blocking *function, void *arg,
                              rp_future **future);

/*
 * Replaces the default executor, and frees the old one.
 * The loop owns the new one from then on. Other loops may run jobs on it, but cannot have it as their default one.
 * Names are not looked up on it: they have threads of their own (net.h).
 * Errors:
 *   -EINVAL   the executor is NULL, or another loop's default one
 *   RP_ECLOSED, RP_EFORK, RP_ETHREAD
 * Mirrors loop.set_default_executor().
 */
RP_API int rp_set_default_executor(rp_loop *loop, rp_executor *executor);

/*
 * Shuts the default executor down, and runs the loop until its threads have ended.
 * It does so for `timeout` nanoseconds at most.
 * A task calls rp_shutdown_default_executor_wait() (co.h).
 * Errors:
 *   -ETIMEDOUT    the threads have not ended; they are left behind
 *   RP_ERUNNING   the loop runs
 *   those of rp_run_forever()
 * Mirrors loop.shutdown_default_executor(timeout).
 */
RP_API int rp_shutdown_default_executor(rp_loop *loop, int64_t timeout);

/* ---- errors nobody waits for, debug mode ---- */

/* What a report is about. */
typedef enum rp_where {
    RP_WHERE_PROGRAM = 0, /* a context of the program's own */
    /* the loop */
    RP_WHERE_FREE,          /* rp_loop_free() of a loop that runs */
    RP_WHERE_SLOW_CALLBACK, /* debug mode: a callback that ran for too long */
    RP_WHERE_UNREAD_ERROR,  /* a future's error that nobody has read */
    RP_WHERE_READER,        /* a descriptor of rp_add_reader() or rp_add_writer() */
    RP_WHERE_SIGNALS,       /* the receiving of signals */
    RP_WHERE_STALLED_TASKS, /* debug mode: tasks that wait for what can never come */
    /* a runner's end */
    RP_WHERE_UNENDED_TASKS,     /* debug mode: tasks that were cancelled, and have not ended yet */
    RP_WHERE_SHUTDOWN_TASK,     /* a task that ended with an error then */
    RP_WHERE_SHUTDOWN,          /* the wait for the tasks that are left */
    RP_WHERE_SHUTDOWN_EXECUTOR, /* the wait for the default executor */
    /* servers and transports */
    RP_WHERE_ACCEPT,           /* accepting a connection */
    RP_WHERE_PROTOCOL_FACTORY, /* making the protocol of an accepted connection */
    RP_WHERE_HANDSHAKE,        /* debug mode: a handshake of TLS that has failed; else only for want of memory */
    RP_WHERE_BALANCER,         /* the thread that accepts connections for workers */
    RP_WHERE_HAND_OVER,        /* handing a connection to a worker: no memory */
    RP_WHERE_OPEN_TRANSPORT,   /* debug mode: a transport that was never closed */
    RP_WHERE_READ_START,       /* beginning to receive */
    RP_WHERE_READ,             /* receiving */
    RP_WHERE_READ_MEMORY,      /* no memory to receive into */
    RP_WHERE_GET_BUFFER,       /* a protocol's get_buffer() that gave an empty buffer */
    RP_WHERE_WRITE_START,      /* beginning to send */
    RP_WHERE_WRITE,            /* sending */
    RP_WHERE_WRITE_MEMORY,     /* no memory for what is to be sent */
    RP_WHERE_WRITE_EOF,        /* ending the stream */
    /* tasks and streams */
    RP_WHERE_TASK_FACTORY,   /* rp_set_task_factory() */
    RP_WHERE_PENDING_TASK,   /* a task that had not ended when the loop was closed */
    RP_WHERE_UNSTARTED_TASK, /* one that had not even begun */
    RP_WHERE_OPEN_GROUP,     /* a task that ended in a group which it had begun */
    RP_WHERE_OPEN_TIMEOUT,   /* a task that ended in a timeout which it had begun */
    RP_WHERE_PENDING_AGEN,   /* a generator that had begun, and not ended when the loop was closed */
    RP_WHERE_AGEN_CLOSE,     /* a generator that failed when it was closed because nobody has it any more */
    RP_WHERE_LATE_AGEN,      /* one that began when those of its loop had been shut down */
    RP_WHERE_HANDLER,        /* the handler of a server's connection ended with an error */
    RP_WHERE_HANDLER_TASK,   /* making the task of a server's connection */
    RP_WHERE_FREED_STREAM,   /* debug mode: a call on a stream that was freed */
} rp_where;

/* What went wrong where no caller could be told. Mirrors the context dict of asyncio's handlers. */
typedef struct rp_exception_context {
    const char *message;     /* never NULL */
    int error;               /* the error behind it, or 0 */
    const char *name;        /* of the task or callback it is about, or NULL */
    rp_future *future;       /* the future or task it is about, or NULL; lent for the call */
    rp_transport *transport; /* the same */
    void *const *origin;     /* debug mode: return addresses of where that was created, or NULL */
    int origin_depth;
    rp_where where; /* what the message says in words */
} rp_exception_context;

/* Called for each such report, on the loop's thread; the context is lent for the call. */
typedef void rp_exception_handler(rp_loop *loop, const rp_exception_context *context, void *arg);

/*
 * Sets the handler of reports.
 * NULL restores the default handler, which writes to stderr.
 * Mirrors loop.set_exception_handler().
 */
RP_API void rp_set_exception_handler(rp_loop *loop, rp_exception_handler *handler, void *arg);

/*
 * The handler that is set; NULL for the default one.
 * *arg gets its argument, unless `arg` is NULL.
 * Mirrors loop.get_exception_handler().
 */
RP_API rp_exception_handler *rp_get_exception_handler(const rp_loop *loop, void **arg);

/* Hands a report to the handler that is set. Mirrors loop.call_exception_handler(). */
RP_API void rp_call_exception_handler(rp_loop *loop, const rp_exception_context *context);

/* Writes a report to stderr. Mirrors loop.default_exception_handler(). */
RP_API void rp_default_exception_handler(rp_loop *loop, const rp_exception_context *context);

/*
 * Debug mode, and how long a callback may run before it is reported (100 ms unless set).
 * Debug mode refuses calls from other threads, by RP_ETHREAD, and reports to the exception handler:
 *   callbacks that ran for too long: their names, and where they were scheduled
 *   transports that were never closed
 *   tasks that wait for what can never come: their names, and what they wait for
 *     (no timer, operation, job or signal is under way, and no other thread has ever posted)
 *   tasks that have not ended three seconds after a runner cancelled them
 *   tasks that end within a group or timeout that they have begun
 *   calls on streams that were freed: see rp_stream_free()
 * Errors that nobody reads, and tasks that are left when a loop is closed, are reported in any mode.
 * A loop that was made with `no_debug` stays out of debug mode.
 * Never fail.
 * Mirror loop.set_debug(), loop.get_debug(), loop.slow_callback_duration.
 */
RP_API void rp_set_debug(rp_loop *loop, bool enabled);
RP_API bool rp_get_debug(const rp_loop *loop);
RP_API void rp_set_slow_callback_duration(rp_loop *loop, int64_t duration);
RP_API int64_t rp_get_slow_callback_duration(const rp_loop *loop);

/*
 * How many return addresses debug mode keeps of where a task, future, handle or transport was created.
 * From 0 to 64; 10 unless set. It holds for the whole process.
 * Any thread.
 * Errors:
 *   -EINVAL   the depth is out of bounds
 * Mirrors sys.set_coroutine_origin_tracking_depth().
 */
RP_API int rp_set_coroutine_origin_tracking_depth(int depth);
RP_API int rp_get_coroutine_origin_tracking_depth(void);

/*
 * rp_shutdown_asyncgens() closes the generators (agen.h) that have begun on this loop, and runs it until they end.
 * Further ones are reported when they begin. A task calls rp_shutdown_asyncgens_wait() (agen.h).
 * The hook is for another implementation of asynchronous generators, whose turn comes after that.
 * The hook returns a future that is done when they have ended, or NULL. The caller of the hook owns that reference.
 * Errors:
 *   RP_ERUNNING   the loop runs, and there are generators or a hook
 *   those of rp_run_until_complete()
 * Mirrors loop.shutdown_asyncgens().
 */
typedef rp_future *rp_asyncgens_hook(rp_loop *loop, void *arg);
RP_API void rp_set_asyncgens_hook(rp_loop *loop, rp_asyncgens_hook *hook, void *arg);
RP_API int rp_shutdown_asyncgens(rp_loop *loop);

/* ---- policy ---- */

/* The loop that runs in this thread, lent; NULL if none does. Any thread. Mirrors asyncio.get_running_loop(). */
RP_API rp_loop *rp_get_running_loop(void);

/*
 * How a program makes loops, and keeps one for each thread. Install one of your own to change that.
 * It must live as long as it is installed.
 * Each function gets the policy itself.
 * Mirrors asyncio.AbstractEventLoopPolicy.
 */
typedef struct rp_event_loop_policy rp_event_loop_policy;
struct rp_event_loop_policy {
    int (*new_event_loop)(rp_event_loop_policy *policy, rp_loop **loop);
    int (*get_event_loop)(rp_event_loop_policy *policy, rp_loop **loop); /* RP_ENOLOOP if none is set */
    int (*set_event_loop)(rp_event_loop_policy *policy, rp_loop *loop);  /* NULL: none */
    void *data;
};

/* The process's policy, lent; never NULL. Any thread. Mirrors asyncio.get_event_loop_policy(). */
RP_API rp_event_loop_policy *rp_get_event_loop_policy(void);

/* Installs a policy; NULL restores the default one. Any thread. Mirrors asyncio.set_event_loop_policy(). */
RP_API void rp_set_event_loop_policy(rp_event_loop_policy *policy);

/*
 * Makes a loop by the policy, and does not set it.
 * The caller owns it.
 * Any thread.
 * Errors: the policy's; of the default one those of rp_loop_new().
 * Mirrors asyncio.new_event_loop().
 */
RP_API int rp_new_event_loop(rp_loop **loop);

/*
 * Sets this thread's loop; NULL: none.
 * The caller still owns it, and frees it.
 * Any thread.
 * Errors: the policy's; the default one has none.
 * Mirrors asyncio.set_event_loop().
 */
RP_API int rp_set_event_loop(rp_loop *loop);

/*
 * The loop that runs in this thread, or else the one that is set for it; lent.
 * The default policy makes none by itself, as in Python 3.14.
 * Any thread.
 * Errors:
 *   RP_ENOLOOP   there is none
 * Mirrors asyncio.get_event_loop().
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

/*
 * Makes a runner; its loop is made at its first use.
 * The caller owns it, and frees it by rp_runner_free().
 * `options` may be NULL.
 * Any thread.
 * Errors: -ENOMEM.
 * Mirrors asyncio.Runner().
 */
RP_API int rp_runner_new(const rp_runner_options *options, rp_runner **runner);

/*
 * The runner's loop, lent; it is made if there is none yet.
 * Errors:
 *   RP_ECLOSED   the runner is closed
 *   those of the loop factory
 * Mirrors Runner.get_loop().
 */
RP_API int rp_runner_get_loop(rp_runner *runner, rp_loop **loop);

/*
 * Ends as rp_run() does: cancels and awaits the tasks that are left, shuts generators and the default executor down,
 * closes the loop.
 * Where the loop cannot run (RP_ETHREAD, see above), tasks are dropped instead, and the exception handler is told.
 * Closing twice is ignored.
 * Errors:
 *   RP_ERUNNING   the runner runs, or another loop runs in this thread
 * Mirrors Runner.close().
 */
RP_API int rp_runner_close(rp_runner *runner);

/*
 * Frees the runner, and closes it first if it is open.
 * While it runs, nothing is done.
 * NULL is ignored.
 */
RP_API void rp_runner_free(rp_runner *runner);

#ifdef __cplusplus
}
#endif

#endif
