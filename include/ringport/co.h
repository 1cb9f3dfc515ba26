/*
 * co.h - coroutines and tasks: straight-line code that suspends. Mirrors asyncio's tasks, TaskGroup, timeout, run.
 *
 * A coroutine is a plain function whose first parameter is `rp_co *co`. Whatever may suspend takes `co` first.
 * Other tasks and callbacks run while a function is suspended, and at no other time.
 * `co` belongs to the running task: hand it down the calls, never to another task, thread or callback.
 *
 * Stacks. A task's stack is 64 KiB (Windows: 128 KiB), unless its loop or the task asks for another size.
 * It does not grow, so large buffers belong on the heap. Its memory is taken as it is used.
 * A task that runs over its end ends the process, with the task's name: 64 KiB below each stack are a guard.
 * A larger frame may leap over the guard, unless the program is compiled with -fstack-clash-protection.
 *
 * Cancellation is an error return. The suspending call in which the task waits returns -ECANCELED; if it waits in none,
 * its next one does.
 * That happens once for each rp_task_cancel(); requests that meet before one is delivered are delivered as one.
 * The task then cleans up and returns the error. Clean-up may suspend.
 * A call that was cancelled has let go of its buffers when it returns.
 * If its operation finished first, the call returns that result, and the cancellation comes at the next suspension.
 *
 * Threads. All functions are for the loop's thread, unless they say "Any thread.".
 *
 * Errors that are listed below without a reason mean the same everywhere:
 *   -ECANCELED   the calling task was cancelled; nothing else gives this error
 *   -ENOMEM      there is no memory
 *   -EDEADLK     a task waits for itself
 *   RP_ENOLOOP   no loop runs in this thread
 *   RP_ECLOSED   the loop is closed
 *   RP_EFORK     this is a child of fork(), and the loop is its parent's
 *   RP_ETHREAD   another thread runs the loop: checked in debug mode only
 * Every call that may suspend also returns
 *   RP_ENOTASK   `co` is NULL, or does not run here
 *   RP_EFORK
 *
 * C++ exceptions. Each task has exceptions of its own: it may suspend in a catch block, or in a destructor during
 * unwinding, and std::current_exception() and std::uncaught_exceptions() tell of this task alone.
 * An exception that leaves a coroutine ends the process by std::terminate(), before any frame is unwound: catch it, and
 * return an error.
 * For exceptions of callbacks see loop.h.
 * A task that never ends is not unwound: its destructors do not run.
 * The C++ runtime is the program's, or in a C program that of a library that it uses.
 * If such a library is loaded while tasks run, its runtime is found when the next task of a new coroutine function
 * starts.
 * A runtime that a library contains but does not export (-static-libstdc++) is not found.
 */
#ifndef RINGPORT_CO_H
#define RINGPORT_CO_H

#include "future.h"
#include "loop.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A running coroutine, as the calls see it that may suspend it. */
typedef struct rp_co rp_co;

/* A coroutine. It returns 0 or more, or a negative error; that is its task's result. */
typedef int rp_coro(rp_co *co, void *arg);

/* ---- running ---- */

/*
 * Runs a coroutine as a program's main task, on a loop of its own, and returns its result.
 * In every case, before it returns:
 *   tasks that are left are cancelled and awaited
 *   asynchronous generators and the default executor are shut down
 *   the loop is closed
 * SIGINT cancels the main task, if this is the main thread; a second SIGINT ends the process.
 * Windows knows no main thread: there SIGINT (Ctrl-C) is that of the run that began first, in whichever thread.
 * There the end of the console or of the machine cancels the main tasks of all runs, if no loop has asked for SIGTERM.
 * The process then lives until the loops are closed, and a second more, if the system lets it (some 5 s).
 * Blocks the calling thread.
 * Errors:
 *   -EINTR        SIGINT, or such an end, cancelled the main task, which ended by that
 *   -ECANCELED    the main task was cancelled otherwise
 *   -EINVAL       the coroutine is NULL
 *   RP_ERUNNING   a loop runs in this thread
 *   the main task's error, or why no loop could be made
 * Mirrors asyncio.run().
 */
RP_API int rp_run(rp_coro *coro, void *arg);

/*
 * Runs a coroutine on `count` loops (1 to RP_WORKERS_MAX) in as many threads, each as rp_run() does.
 * The calling thread is one of them. A task stays on the thread that it began on.
 * Nothing of one loop may be used from another.
 * Blocks the calling thread until all workers have ended, and their threads are gone.
 * Returns 0 or the first error.
 * The first error cancels the main tasks of the other workers, and so does SIGINT, while the calling thread's worker
 * runs, if that is the main thread (on Windows: any).
 *
 * rp_start_server() in a worker listens on an address that all workers share:
 *   The kernel spreads the connections, by a hash of the client's address.
 *   On Windows, and elsewhere with the option `balance`, one more thread accepts, and hands each connection to the
 *     server that has the fewest. When a server closes, connections on their way to it go to another one, or are closed
 *     if there is none.
 *   Port 0 is the same port for all: the nth server on port 0 of each worker gets the group's nth port. A start that
 *     fails does not count. After 64 such ports a start fails with -ENOBUFS.
 *   A Unix socket has one listener: start it in one worker.
 * Errors:
 *   -EINTR        SIGINT ended the main tasks
 *   -EINVAL       `count` is out of bounds, or the coroutine is NULL
 *   -EAGAIN       a thread cannot be started
 *   RP_ERUNNING   a loop runs in this thread
 *   -ENOMEM
 *   a main task's error
 * asyncio has nothing like it.
 */
#define RP_WORKERS_MAX 1024
RP_API int rp_run_workers(unsigned count, rp_coro *coro, void *arg);

/* Which worker of rp_run_workers() this thread is, from 0; -1: none. Any thread. */
RP_API int rp_worker_index(void);

/*
 * Runs a coroutine on a runner's loop (loop.h), as rp_run() does, and leaves the loop open.
 * Blocks the calling thread.
 * Errors:
 *   RP_ECLOSED   the runner is closed
 *   RP_ETHREAD   the kernel is at work for the thread of the last run (loop.h); nothing has begun
 *   those of rp_run()
 * Mirrors Runner.run().
 */
RP_API int rp_runner_run(rp_runner *runner, rp_coro *coro, void *arg);

/* ---- tasks ---- */

/*
 * Starts a coroutine as a task on the running loop.
 * Its first step comes in the next turn, even if it is cancelled before.
 * *task gets a reference that the caller owns: drop it by rp_join(), or give it up by rp_task_detach().
 * With a NULL `task` it is given up from the start.
 * `arg` must live as long as the coroutine uses it.
 * Never suspends.
 * Errors:
 *   -EINVAL   the coroutine is NULL
 *   -ENOMEM, RP_ENOLOOP
 * Mirrors asyncio.create_task().
 */
RP_API int rp_create_task(rp_task **task, rp_coro *coro, void *arg);

/*
 * Starts a task with a copy of `size` bytes at `arg`. The copy lies on the task's own stack.
 * Otherwise it is rp_create_task().
 * Never suspends.
 * Errors:
 *   -E2BIG   the copy is larger than a fourth of the stack
 *   those of rp_create_task()
 */
RP_API int rp_create_task_copy(rp_task **task, rp_coro *coro, const void *arg, size_t size);

/*
 * Starts a task on a loop that need not be running yet.
 * Otherwise it is rp_create_task().
 * Never suspends.
 * Errors:
 *   -EINVAL   the coroutine is NULL
 *   -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD
 * Mirrors loop.create_task().
 */
RP_API int rp_loop_create_task(rp_loop *loop, rp_task **task, rp_coro *coro, void *arg);

/* What a task can be created with. Zeroed, it is the default. */
typedef struct rp_task_options {
    /* Bytes, RP_STACK_SIZE_MIN to _MAX; rounded up to a power of two, on Windows to 64 KiB at least. 0: the loop's. */
    size_t stack_size;
    size_t copy_size; /* above 0: so many bytes at `arg` are copied, as by rp_create_task_copy() */
    const char *name; /* as for rp_task_set_name(); NULL: "Task-N" */
} rp_task_options;

/*
 * rp_create_task() and rp_loop_create_task() with options; NULL means the default ones.
 * If there is a task factory, the first task that it makes by rp_task_new() gets the stack.
 * Never suspend.
 * Errors:
 *   -EINVAL   also for a stack size out of bounds
 *   -E2BIG    the copy is larger than a fourth of the stack
 *   those of rp_create_task() and rp_loop_create_task()
 * Mirror asyncio.create_task(name=) and loop.create_task(name=).
 */
RP_API int rp_create_task_with(rp_task **task, rp_coro *coro, const void *arg, const rp_task_options *options);
RP_API int rp_loop_create_task_with(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg,
                                    const rp_task_options *options);

/*
 * Gives up the caller's reference. The task goes on by itself.
 * If it ends with an error, the loop's exception handler is told.
 * NULL is ignored.
 */
RP_API void rp_task_detach(rp_task *task);

/*
 * Asks for the task's end: its suspending call, or else its next one, returns -ECANCELED.
 * Requests are counted.
 * Returns false if the task is done.
 * Mirrors Task.cancel().
 */
RP_API bool rp_task_cancel(rp_task *task);

/* How many cancellations were asked for, and not taken back. Mirrors Task.cancelling(). */
RP_API int rp_task_cancelling(const rp_task *task);

/*
 * Takes a cancellation back: for a task that caught -ECANCELED and means to go on.
 * Returns how many are left; never fails.
 * With the last one, a cancellation that was not delivered yet is dropped.
 * Mirrors Task.uncancel().
 */
RP_API int rp_task_uncancel(rp_task *task);

/*
 * The task's name: a copy of at most 31 bytes is kept. "Task-N" unless set.
 * Mirror Task.set_name() and get_name().
 */
RP_API void rp_task_set_name(rp_task *task, const char *name);
RP_API const char *rp_task_get_name(const rp_task *task);

/* How far a task has come. */
typedef enum rp_task_state {
    RP_TASK_CREATED,   /* not started yet */
    RP_TASK_SCHEDULED, /* to be resumed in this turn or the next */
    RP_TASK_RUNNING,
    RP_TASK_SUSPENDED,
    RP_TASK_DONE, /* rp_future_result() tells how */
} rp_task_state;

/* How far the task has come by now. */
RP_API rp_task_state rp_task_get_state(const rp_task *task);

/* Whether a future is a task. */
RP_API bool rp_is_task(const rp_future *future);

/* The task that runs in this thread, lent; NULL outside of tasks. Any thread. Mirrors asyncio.current_task(). */
RP_API rp_task *rp_current_task(void);

/*
 * The tasks of a loop that are not done: stores up to `capacity` of them, lent.
 * Returns how many there are.
 * Mirrors asyncio.all_tasks().
 */
RP_API size_t rp_all_tasks(rp_loop *loop, rp_task **tasks, size_t capacity);

/* The loop that a coroutine runs on, and its task; both lent. */
RP_API rp_loop *rp_co_loop(const rp_co *co);
RP_API rp_task *rp_co_task(const rp_co *co);

/*
 * Replaces how tasks are made: every function that creates a task calls the factory.
 * Most factories use rp_task_new().
 * NULL restores the default factory.
 * Mirror loop.set_task_factory() and get_task_factory().
 */
typedef int rp_task_factory(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg, size_t copy_size,
                            void *data);
RP_API void rp_set_task_factory(rp_loop *loop, rp_task_factory *factory, void *data);
RP_API rp_task_factory *rp_get_task_factory(const rp_loop *loop, void **data);

/*
 * What the default factory does: makes a task.
 * With a copy_size above 0, that many bytes at `arg` are copied; else `arg` is passed on.
 * Never suspends.
 * Errors: as of rp_loop_create_task() and rp_create_task_copy().
 */
RP_API int rp_task_new(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg, size_t copy_size);

/* ---- waiting ---- */

/*
 * Suspends until the future or task is done, and returns its result (rp_future_result); at once if it is done.
 * The reference stays the caller's.
 * If the caller is cancelled meanwhile, so is the future, and that is waited for.
 * Errors:
 *   -ECANCELED        the caller was cancelled, and the future ended by that
 *   RP_EFUTCANCELED   the future was cancelled by somebody else
 *   -EINVAL           the future is another loop's
 *   -EDEADLK
 *   the future's error
 * Mirrors await.
 */
RP_API int rp_await(rp_co *co, rp_future *future);

/*
 * rp_await() that drops the caller's reference in every case: for a task that was created to be joined.
 * Suspends until the task is done.
 * Errors: as of rp_await().
 */
RP_API int rp_join(rp_co *co, rp_task *task);

/*
 * Asks for the task's end, suspends until it has ended, and drops the caller's reference in every case.
 * Returns 0 if the task ended by being cancelled, now or before; else its result, since it may have been quicker.
 * NULL is ignored: 0.
 * Errors:
 *   -ECANCELED   the caller was cancelled meanwhile, and the task ended by being cancelled
 *   those of rp_await()
 * Mirrors Task.cancel() and an await of the task.
 */
RP_API int rp_cancel_and_join(rp_co *co, rp_task *task);

/*
 * Suspends for `duration` nanoseconds; for 0 or less, until the next turn.
 * Errors: -ECANCELED.
 * Mirrors asyncio.sleep().
 */
RP_API int rp_sleep(rp_co *co, int64_t duration);

/*
 * Suspends until the loop's clock has reached `when`.
 * Errors: -ECANCELED.
 */
RP_API int rp_sleep_until(rp_co *co, int64_t when);

/*
 * Submits an operation, suspends until its completion, and returns its result.
 * Its callback and data are overwritten.
 * If the task is cancelled, so is the operation, and that is waited for.
 * Errors:
 *   -ECANCELED        the task was cancelled, and the operation ended by that
 *   RP_EFUTCANCELED   somebody else cancelled the operation, by rp_cancel()
 *   -EINVAL           it is a multishot operation
 *   -EBUSY            it is in flight already
 *   the operation's error
 * With rp_op_accept() and the like it mirrors loop.sock_accept(), sock_connect(), sock_sendall().
 */
RP_API int64_t rp_op_await(rp_co *co, rp_op *op);

/*
 * rp_await() with a time limit: after `timeout` nanoseconds the future is cancelled, and that is waited for.
 * If the future ends otherwise all the same, its result is returned: a job that an executor runs is waited for.
 * Suspends until the future is done.
 * Errors:
 *   -ETIMEDOUT   the time was up, and the future ended by being cancelled
 *   those of rp_await()
 * Mirrors asyncio.wait_for().
 */
RP_API int rp_wait_for(rp_co *co, rp_future *future, int64_t timeout);

/*
 * rp_await() that leaves the future alone if the caller is cancelled, and returns at once then.
 * Suspends until the future is done.
 * Errors: as of rp_await().
 * Mirrors asyncio.shield().
 */
RP_API int rp_shield(rp_co *co, rp_future *future);

/* For the flags of rp_gather(). */
enum {
    RP_RETURN_EXCEPTIONS = 1 << 0, /* rp_gather: errors are results like any other */
};

/*
 * Suspends until all futures are done, and returns 0.
 * results[i] becomes the result of futures[i], unless `results` is NULL.
 * References stay the caller's.
 * Without RP_RETURN_EXCEPTIONS it returns the first error as soon as that comes. The other futures go on, and their
 * results are RP_EINVALIDSTATE.
 * If the caller is cancelled, so are all futures, and that is waited for.
 * Errors:
 *   -EINVAL   a future is another loop's
 *   -ECANCELED, -EDEADLK, -ENOMEM
 *   the first future's that failed
 * Mirrors asyncio.gather().
 */
RP_API int rp_gather(rp_co *co, rp_future *const *futures, size_t count, int *results, unsigned flags);

/* When rp_wait() returns. Mirrors asyncio.ALL_COMPLETED, FIRST_COMPLETED and FIRST_EXCEPTION. */
typedef enum rp_return_when {
    RP_ALL_COMPLETED,
    RP_FIRST_COMPLETED,
    RP_FIRST_EXCEPTION,
} rp_return_when;

/*
 * Suspends until the futures are done as `when` says, or `timeout` nanoseconds have passed (RP_NEVER: no limit).
 * Returns how many are done; rp_future_done() tells which.
 * None of them is cancelled. References stay the caller's.
 * Errors:
 *   -EINVAL   a future is another loop's
 *   -ECANCELED, -EDEADLK, -ENOMEM
 * Mirrors asyncio.wait().
 */
RP_API int64_t rp_wait(rp_co *co, rp_future *const *futures, size_t count, int64_t timeout, rp_return_when when);

/*
 * Futures one by one, in the order in which they end:
 *
 *     RP_TRY(rp_as_completed_begin(co, &it, futures, count, RP_NEVER));
 *     while ((rc = rp_as_completed_next(co, it, &future, &index)) > 0)
 *         ... rp_future_result(future) is that of futures[index] ...
 *     rp_as_completed_end(it);
 *
 * It is for the task that began it. Mirrors asyncio.as_completed().
 */
typedef struct rp_as_completed rp_as_completed;

/*
 * Begins. The array is not used after the return.
 * The caller keeps a reference to each future until that future was handed out, or rp_as_completed_end() is called.
 * After `timeout` nanoseconds (RP_NEVER: no limit), futures that have not ended are left alone.
 * Never suspends.
 * Errors:
 *   -EINVAL   a future is another loop's
 *   -ENOMEM, -EDEADLK
 * Mirrors asyncio.as_completed().
 */
RP_API int rp_as_completed_begin(rp_co *co, rp_as_completed **it, rp_future *const *futures, size_t count,
                                 int64_t timeout);

/*
 * Suspends until the next future has ended, and returns 1; or 0 when all were handed out.
 * *future is lent; *index is its place in the array. Either pointer may be NULL.
 * Errors:
 *   -ETIMEDOUT   time is up, and all that ended before were handed out
 *   -ECANCELED   no future is cancelled, and the next call goes on
 */
RP_API int rp_as_completed_next(rp_co *co, rp_as_completed *it, rp_future **future, size_t *index);

/*
 * Ends it, at any point, and frees it.
 * NULL is ignored.
 */
RP_API void rp_as_completed_end(rp_as_completed *it);

/*
 * Runs a blocking function on the default executor, suspends until it has ended, and returns what it returns.
 * Task locals are visible to the function.
 * If the task is cancelled while the function runs, the function is waited for, since it may use the task's memory; its
 * result is returned.
 * Errors:
 *   -EINVAL        the function is NULL
 *   -EAGAIN        no thread could be started
 *   RP_ESHUTDOWN   the executor is shut down
 *   -ECANCELED, -ENOMEM
 * Mirrors asyncio.to_thread().
 */
RP_API int rp_to_thread(rp_co *co, rp_blocking *function, void *arg);

/*
 * rp_to_thread() on a given executor; NULL means the default one.
 * The executor may be freed as soon as this has begun: what it was given still runs.
 * Suspends until the function has ended.
 * Errors: as of rp_to_thread().
 * Mirrors await loop.run_in_executor(executor, function).
 */
RP_API int rp_to_executor(rp_co *co, rp_executor *executor, rp_blocking *function, void *arg);

/*
 * Runs a coroutine as a task of a loop that runs in another thread, and returns its result.
 * It is for a function of rp_to_thread() that needs something of the loop, or for a thread of the program's own.
 * Blocks the calling thread until the task has ended. A loop that does not run yet is waited for.
 * The loop must not be freed before this has begun.
 * `arg` is not used after the return.
 * Any thread but the loop's.
 * Errors:
 *   RP_EFUTCANCELED   the task was cancelled
 *   RP_ECLOSED        the loop is closed, or was closed before the coroutine had ended, which does not go on then
 *   -EDEADLK          called in the thread that runs the loop, which would wait for itself
 *   -EINVAL           the coroutine is NULL
 *   -ENOMEM, RP_EFORK
 * Mirrors asyncio.run_coroutine_threadsafe(coro, loop).result().
 */
RP_API int rp_run_coroutine_threadsafe(rp_loop *loop, rp_coro *coro, void *arg);

/*
 * Shuts the default executor down, and suspends until its threads have ended, for `timeout` nanoseconds at most.
 * Errors:
 *   -ETIMEDOUT   the threads have not ended; they are left behind
 *   -ECANCELED, -ENOMEM
 * Mirrors await loop.shutdown_default_executor().
 */
RP_API int rp_shutdown_default_executor_wait(rp_co *co, int64_t timeout);

/* ---- structure: groups and timeouts ---- */

/*
 * Tasks that end together. Embed it, or keep it on the stack, until rp_group_end() has returned.
 * Mirrors asyncio.TaskGroup.
 */
typedef struct rp_group {
    rp_node tasks;
    rp_task *parent;
    size_t count;
    int error;
    int cancelling;
    bool aborting;
    bool ending;
    bool parent_cancelled;
} rp_group;

/* Begins a group in this task. Never suspends, never fails. Mirrors TaskGroup.__aenter__(). */
RP_API void rp_group_begin(rp_co *co, rp_group *group);

/*
 * Starts a coroutine as a task of the group, which holds it.
 * When a task fails, the others are cancelled, and the parent's suspending call returns -ECANCELED, so that it comes to
 * rp_group_end().
 * A task that ends by being cancelled has not failed.
 * *task gets a reference that the caller owns, unless `task` is NULL. Drop it by rp_join() or rp_task_detach().
 * With the reference a task can be named, cancelled or awaited alone, and asked for its result even after
 * rp_group_end().
 * Never suspends.
 * Errors:
 *   -EINVAL      the coroutine is NULL
 *   -ECANCELED   the group is on its way out already
 *   -ENOMEM
 * Mirrors TaskGroup.create_task().
 */
RP_API int rp_group_create_task(rp_group *group, rp_task **task, rp_coro *coro, void *arg);

/*
 * Starts a task of the group with a copy of `size` bytes at `arg`, which may be a loop's variable.
 * Otherwise it is rp_group_create_task().
 * Never suspends.
 * Errors:
 *   -E2BIG   the copy is larger than a fourth of the stack
 *   those of rp_group_create_task()
 */
RP_API int rp_group_create_task_copy(rp_group *group, rp_task **task, rp_coro *coro, const void *arg, size_t size);

/*
 * rp_group_create_task() with options, as rp_create_task_with() has them.
 * Never suspends.
 * Errors: as of rp_group_create_task() and rp_create_task_with().
 * Mirrors TaskGroup.create_task(name=).
 */
RP_API int rp_group_create_task_with(rp_group *group, rp_task **task, rp_coro *coro, const void *arg,
                                     const rp_task_options *options);

/*
 * Ends the group early, which is no error: its tasks are cancelled.
 * If the parent is still in the body, so is that: its suspending call, or else its next one, returns -ECANCELED.
 * rp_group_end() takes that back, and returns 0 if the body returned -ECANCELED.
 * It is for the parent, the group's tasks and callbacks, until rp_group_end() has returned.
 * Further calls are ignored.
 * Never suspends.
 * Mirrors TaskGroup.cancel().
 */
RP_API void rp_group_cancel(rp_group *group);

/*
 * Joins the group: suspends until all of its tasks have ended.
 * `rc` is how the body went. If it is negative, the tasks are cancelled.
 * Call it once for each rp_group_begin().
 * Returns the error of the first task that failed, or else `rc`.
 * Errors:
 *   -ECANCELED   the caller was cancelled meanwhile
 *   a task's error
 * Mirrors TaskGroup.__aexit__().
 */
RP_API int rp_group_end(rp_co *co, rp_group *group, int rc);

/* A time limit for what stands between begin and end. Scopes nest. Mirrors asyncio.Timeout. */
typedef struct rp_timeout {
    rp_timer timer;
    rp_task *task;
    int64_t when;
    int cancelling;
    uint8_t state;
} rp_timeout;

/*
 * Begins a scope that may last `duration` nanoseconds (RP_NEVER: no limit).
 * Never suspends, never fails.
 * Mirrors asyncio.timeout().
 */
RP_API void rp_timeout_begin(rp_co *co, rp_timeout *timeout, int64_t duration);

/* Begins a scope that may last until `when`. Never suspends, never fails. Mirrors asyncio.timeout_at(). */
RP_API void rp_timeout_begin_at(rp_co *co, rp_timeout *timeout, int64_t when);

/*
 * Moves the time limit.
 * Errors:
 *   -EINVAL   the scope has ended, or its time was up
 * Mirrors Timeout.reschedule().
 */
RP_API int rp_timeout_reschedule(rp_timeout *timeout, int64_t when);

/*
 * The point in time at which it is up (RP_NEVER: none), and whether it was.
 * Mirror Timeout.when() and expired().
 */
RP_API int64_t rp_timeout_when(const rp_timeout *timeout);
RP_API bool rp_timeout_expired(const rp_timeout *timeout);

/*
 * Ends the scope. `rc` is how the body went.
 * Call it once for each begin.
 * Returns `rc`, unless the time was up.
 * Never suspends.
 * Errors:
 *   -ETIMEDOUT   the time was up: the body was cancelled by that, and returned -ECANCELED
 */
RP_API int rp_timeout_end(rp_co *co, rp_timeout *timeout, int rc);

/* ---- task locals ---- */

/*
 * A variable with a value for each task. A new task inherits the values of the one that creates it. Define it static.
 * Mirrors contextvars.ContextVar.
 */
typedef struct rp_contextvar {
    const char *name;
    void *default_value;
} rp_contextvar;

/* What rp_contextvar_set() replaced, for rp_contextvar_reset(). */
typedef struct rp_contextvar_token {
    rp_contextvar *var;
    void *old_value;
    bool was_set;
} rp_contextvar_token;

/*
 * The running task's value, or the default one.
 * In a function that rp_to_thread() runs, it is the value of the task that called that.
 * Any thread.
 */
RP_API void *rp_contextvar_get(const rp_contextvar *var);

/*
 * Sets the running task's value, which stays the caller's own.
 * `token` may be NULL.
 * Errors:
 *   RP_ENOLOOP   called outside a task
 *   -ENOMEM
 */
RP_API int rp_contextvar_set(rp_contextvar *var, void *value, rp_contextvar_token *token);

/*
 * Restores what rp_contextvar_set() replaced.
 * Errors:
 *   RP_ENOLOOP   called outside a task
 *   -ENOMEM
 */
RP_API int rp_contextvar_reset(const rp_contextvar_token *token);

#ifdef __cplusplus
}
#endif

#endif
