/*
 * co.h - coroutines and tasks: straight-line code that suspends. Mirrors asyncio's tasks, TaskGroup, timeout, run.
 *
 * A coroutine is a plain function whose first parameter is `rp_co *co`; whatever may suspend takes `co` first. `co` is
 * the running task's own: hand it down the calls, never to another task, thread or callback. There each call that may
 * suspend returns RP_ENOTASK, as it does for NULL. Other tasks and callbacks run while a function suspends, and at no
 * other time.
 *
 * A task's stack is 64 KiB (Windows: 128 KiB) unless its loop or the task asks for another size, and does not grow:
 * large buffers belong on the heap. Its memory is taken as it is used. Running over its end ends the process, with the
 * task's name: 64 KiB below each stack are a guard. A larger frame may leap over that, unless the program is compiled
 * with -fstack-clash-protection.
 *
 * Cancellation is an error return: the suspending call in which the task waits, or else the next one, returns
 * -ECANCELED, once for each rp_task_cancel() (those that come before one is delivered are delivered as one). Clean up
 * and return it; clean-up may suspend. A call that was cancelled has let go of its buffers when it returns; one whose
 * operation finished first returns its result, and the cancellation comes at the next suspension.
 *
 * In C++, each task has exceptions of its own: it may suspend in a catch block, or in a destructor during unwinding,
 * and std::current_exception() and std::uncaught_exceptions() tell of its own alone. An exception that leaves a
 * coroutine ends the process by std::terminate(), before any frame is unwound: catch it, and return an error. (For
 * those of callbacks see loop.h.) A task that never ends is not unwound: its destructors do not run.
 * The C++ runtime is that of the program, or in a C program that of a library. If the library is loaded while tasks
 * run, its runtime is found when the next task of a new coroutine function starts. One that a library contains but does
 * not export (-static-libstdc++) is not found.
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

/* A coroutine: returns 0 or more, or a negative error, which becomes its task's result. */
typedef int rp_coro(rp_co *co, void *arg);

/* ---- running ---- */

/*
 * Runs a coroutine as a program's main task, on a loop of its own, and returns its result. In every case the tasks that
 * are left are cancelled and awaited, asynchronous generators and the default executor are shut down, the loop is
 * closed. SIGINT (in the main thread) cancels the main task, and rp_run returns -EINTR if it ends by that; a second
 * SIGINT kills. RP_ERUNNING inside a running loop, -EINVAL if coro is NULL, or why no loop could be made.
 * -ECANCELED: the main task cancelled itself, or was cancelled. Not inside a task. Mirrors asyncio.run().
 */
RP_API int rp_run(rp_coro *coro, void *arg);

/*
 * Runs a coroutine on a runner's loop (loop.h), as rp_run does; the loop stays open. RP_ECLOSED after
 * rp_runner_close(). RP_ETHREAD, and nothing has begun, while the kernel is at work for the thread of the last run
 * (loop.h). Mirrors Runner.run().
 */
RP_API int rp_runner_run(rp_runner *runner, rp_coro *coro, void *arg);

/*
 * Runs a coroutine on `count` loops (1 to RP_WORKERS_MAX) in as many threads, the calling one among them, each as
 * rp_run does. A task stays on the thread that it began on, and nothing of one loop may be used from another. Returns
 * when all workers have ended: 0, or the first error, which also stops the others: their main tasks are cancelled.
 * SIGINT (if this is the main thread, while its own worker runs) does so too: -EINTR. -EINVAL, -ENOMEM, -EAGAIN if a
 * thread cannot be started, RP_ERUNNING inside a loop. asyncio has nothing like it.
 *
 * rp_start_server() in it listens on an address that all workers share. The kernel spreads the connections, by a hash
 * of the client's address. On Windows, where it does not, and elsewhere with the option `balance`, one more thread
 * accepts, and hands each connection to the server that has the fewest; those on their way to a server that is closed
 * go to another, and are closed if there is none. Port 0 is the same one for all: the nth server on port 0 of each
 * worker gets the group's nth port (-ENOBUFS after 64); a start that fails does not count. A Unix socket has one
 * listener: start that in one worker.
 */
#define RP_WORKERS_MAX 1024
RP_API int rp_run_workers(unsigned count, rp_coro *coro, void *arg);

/* Which worker of rp_run_workers this thread is, from 0; -1: none. Any thread. */
RP_API int rp_worker_index(void);

/* ---- tasks ---- */

/*
 * Starts a coroutine as a task on the running loop; its first step comes in the next turn, always, even if it is
 * cancelled before. *task gets the caller's reference: await and drop it (rp_join), or give it up with rp_task_detach.
 * With a NULL `task` it is given up from the start. `arg` must live as long as the coroutine uses it. -EINVAL, -ENOMEM,
 * RP_ENOLOOP. Never suspends. Mirrors asyncio.create_task().
 */
RP_API int rp_create_task(rp_task **task, rp_coro *coro, void *arg);

/*
 * The same, with `size` bytes at `arg` copied onto the task's own stack: the coroutine gets the copy. -E2BIG: more than
 * a fourth of the stack.
 */
RP_API int rp_create_task_copy(rp_task **task, rp_coro *coro, const void *arg, size_t size);

/*
 * The same on a loop that need not be running yet. RP_ECLOSED, RP_EFORK; RP_ETHREAD in debug mode. Mirrors
 * loop.create_task().
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
 * rp_create_task and rp_loop_create_task with options; NULL: the default ones. -EINVAL also for a stack size out of
 * bounds, -E2BIG. Where there is a task factory, the first task that it makes by rp_task_new gets the stack. Mirror
 * asyncio.create_task(name=), loop.create_task(name=).
 */
RP_API int rp_create_task_with(rp_task **task, rp_coro *coro, const void *arg, const rp_task_options *options);
RP_API int rp_loop_create_task_with(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg,
                                    const rp_task_options *options);

/*
 * Gives up the caller's reference: the task goes on by itself. If it ends with an error, the loop's exception handler
 * is told. NULL is ignored.
 */
RP_API void rp_task_detach(rp_task *task);

/*
 * Asks for the task's end: its suspending call returns -ECANCELED, or its next one. Counted. Returns false if the task
 * is done. The loop's thread. Mirrors Task.cancel().
 */
RP_API bool rp_task_cancel(rp_task *task);

/* How many cancellations were asked for and have not been taken back. Mirrors Task.cancelling(). */
RP_API int rp_task_cancelling(const rp_task *task);

/*
 * Takes one back: for a caller that caught -ECANCELED and means to go on. Returns how many are left. With the last one,
 * a cancellation that was not delivered yet is dropped. Mirrors Task.uncancel().
 */
RP_API int rp_task_uncancel(rp_task *task);

/* A copy of at most 31 bytes is kept. "Task-N" unless set. Mirrors Task.set_name() and get_name(). */
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

/* Where it stands now. The loop's thread. */
RP_API rp_task_state rp_task_get_state(const rp_task *task);

/* Whether a future is a task. */
RP_API bool rp_is_task(const rp_future *future);

/* The task that runs in this thread, or NULL outside of tasks; lent. Mirrors asyncio.current_task(). */
RP_API rp_task *rp_current_task(void);

/*
 * The tasks of a loop that are not done: stores up to `capacity` of them, lent, and returns how many there are. Mirrors
 * asyncio.all_tasks().
 */
RP_API size_t rp_all_tasks(rp_loop *loop, rp_task **tasks, size_t capacity);

/* The loop a coroutine runs on, and its task (lent). */
RP_API rp_loop *rp_co_loop(const rp_co *co);
RP_API rp_task *rp_co_task(const rp_co *co);

/*
 * Replaces how tasks are made: every function that creates a task calls the factory, which most often uses rp_task_new.
 * NULL restores the default. Mirror loop.set_task_factory() and get_task_factory().
 */
typedef int rp_task_factory(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg, size_t copy_size,
                            void *data);
RP_API void rp_set_task_factory(rp_loop *loop, rp_task_factory *factory, void *data);
RP_API rp_task_factory *rp_get_task_factory(const rp_loop *loop, void **data);

/*
 * What the default factory does. With copy_size above 0, that many bytes at arg are copied; else arg is passed on.
 * Errors as from rp_loop_create_task and rp_create_task_copy.
 */
RP_API int rp_task_new(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg, size_t copy_size);

/* ---- waiting ---- */

/*
 * Suspends until the future or task is done and returns its result (rp_future_result); at once if it is done. If the
 * caller is cancelled meanwhile, so is the future, and -ECANCELED is returned once it has ended by that.
 * RP_EFUTCANCELED if it was cancelled by somebody else. -EDEADLK for the task itself, -EINVAL for a future of another
 * loop; so say all calls below that wait for futures. The reference stays the caller's. Mirrors await.
 */
RP_API int rp_await(rp_co *co, rp_future *future);

/* rp_await, and drops the caller's reference in every case: for a task that was created to be joined. */
RP_API int rp_join(rp_co *co, rp_task *task);

/*
 * rp_task_cancel and rp_join in one: asks for the task's end, suspends until it has ended, and drops the caller's
 * reference in every case.
 * 0 if the task ended by being cancelled, now or before; else its result, since it may have been quicker.
 * -ECANCELED if the caller was cancelled meanwhile and the task ended by being cancelled. NULL is ignored: 0.
 * Mirrors Task.cancel() and an await of the task.
 */
RP_API int rp_cancel_and_join(rp_co *co, rp_task *task);

/* Suspends for `duration` nanoseconds; 0 or less yields for one turn. -ECANCELED. Mirrors asyncio.sleep(). */
RP_API int rp_sleep(rp_co *co, int64_t duration);

/* Suspends until the loop's clock has reached `when`. -ECANCELED. */
RP_API int rp_sleep_until(rp_co *co, int64_t when);

/*
 * Submits an operation (its callback and data are overwritten), suspends until its completion and returns its result
 * or error. If the task is cancelled the operation is, and is waited for. Not for multishot operations: -EINVAL. -EBUSY
 * if it is in flight already, RP_EFUTCANCELED if somebody else cancelled it by rp_cancel().
 * With rp_op_accept and its kin it mirrors loop.sock_accept(), sock_connect(), sock_sendall().
 */
RP_API int64_t rp_op_await(rp_co *co, rp_op *op);

/*
 * rp_await with a limit: when `timeout` nanoseconds have passed the future is cancelled and, once it has ended by that,
 * -ETIMEDOUT returned. If it ends otherwise all the same, that is returned: a job that an executor runs is waited for.
 * Mirrors asyncio.wait_for().
 */
RP_API int rp_wait_for(rp_co *co, rp_future *future, int64_t timeout);

/* rp_await, but a cancellation of the caller leaves the future alone and returns at once. Mirrors asyncio.shield(). */
RP_API int rp_shield(rp_co *co, rp_future *future);

/* For the flags of rp_gather. */
enum {
    RP_RETURN_EXCEPTIONS = 1 << 0, /* rp_gather: errors are results like any other */
};

/*
 * Suspends until all futures are done; results[i], unless results is NULL, becomes the result of futures[i]. Returns 0,
 * or, without RP_RETURN_EXCEPTIONS, the first error as soon as it comes: the others go on (their places in results hold
 * RP_EINVALIDSTATE then). If the caller is cancelled so are all of them, and are waited for. References stay the
 * caller's. Mirrors asyncio.gather().
 */
RP_API int rp_gather(rp_co *co, rp_future *const *futures, size_t count, int *results, unsigned flags);

/* When rp_wait() returns. Mirrors asyncio.ALL_COMPLETED, FIRST_COMPLETED and FIRST_EXCEPTION. */
typedef enum rp_return_when {
    RP_ALL_COMPLETED,
    RP_FIRST_COMPLETED,
    RP_FIRST_EXCEPTION,
} rp_return_when;

/*
 * Suspends until the futures are done as `when` says or `timeout` nanoseconds (RP_NEVER: no limit) have passed; cancels
 * none of them. Returns how many are done (rp_future_done tells which), or -ECANCELED. Mirrors asyncio.wait().
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
 * For the task that began it. Mirrors asyncio.as_completed().
 */
typedef struct rp_as_completed rp_as_completed;

/*
 * Begins. The array is not used after the return. The caller keeps a reference to each future until that was handed out
 * or rp_as_completed_end is called. After `timeout` nanoseconds (RP_NEVER: no limit) those that have not ended are left
 * alone. Never suspends. -ENOMEM, -EDEADLK for the task itself, -EINVAL for a future of another loop. Mirrors
 * asyncio.as_completed().
 */
RP_API int rp_as_completed_begin(rp_co *co, rp_as_completed **it, rp_future *const *futures, size_t count,
                                 int64_t timeout);

/*
 * Suspends until the next future has ended: 1, with *future (lent) and its place in the array, *index; either pointer
 * may be NULL. 0 when all were handed out. -ETIMEDOUT when time is up, and all that ended before were handed out.
 * -ECANCELED cancels none of them, and the next call goes on.
 */
RP_API int rp_as_completed_next(rp_co *co, rp_as_completed *it, rp_future **future, size_t *index);

/* Ends it, at any point, and frees it. NULL is ignored. */
RP_API void rp_as_completed_end(rp_as_completed *it);

/*
 * Runs a blocking function on the default executor and returns what it returns. A cancelled task waits for a function
 * that runs already, since that may use the task's memory; its result wins. Task locals are visible to the function.
 * RP_ESHUTDOWN, -EAGAIN, -ENOMEM. Mirrors asyncio.to_thread().
 */
RP_API int rp_to_thread(rp_co *co, rp_blocking *function, void *arg);

/*
 * The same on a given executor; NULL is the default one. It may be freed as soon as this has begun: what it was given
 * still runs. Mirrors await loop.run_in_executor(executor, function).
 */
RP_API int rp_to_executor(rp_co *co, rp_executor *executor, rp_blocking *function, void *arg);

/*
 * Runs a coroutine as a task of a loop that runs in another thread, and blocks this thread until it has ended: for a
 * function of rp_to_thread that needs something of the loop, or a thread of the program's own. A loop that does not run
 * yet is waited for. Returns the coroutine's result; RP_EFUTCANCELED if its task was cancelled.
 * Errors:
 *   RP_ECLOSED   the loop is closed, or was before the coroutine had ended: it does not go on then
 *   -EDEADLK     called in the thread that runs the loop, which would wait for itself
 *   -EINVAL, -ENOMEM, RP_EFORK
 * Any other thread. The loop must not be freed before this has begun. `arg` is not used any more on return.
 * Mirrors asyncio.run_coroutine_threadsafe(coro, loop).result().
 */
RP_API int rp_run_coroutine_threadsafe(rp_loop *loop, rp_coro *coro, void *arg);

/*
 * rp_shutdown_default_executor from inside a task: suspends until its threads have ended. -ETIMEDOUT, -ECANCELED.
 * Mirrors await loop.shutdown_default_executor().
 */
RP_API int rp_shutdown_default_executor_wait(rp_co *co, int64_t timeout);

/* ---- structure: groups and timeouts ---- */

/* Tasks that end together. Embed it, or keep it on the stack, until rp_group_end() has returned. asyncio.TaskGroup. */
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
 * Starts a coroutine as a task of the group, which holds it. When one fails, the others are cancelled and the parent's
 * suspending call returns -ECANCELED, so that it comes to rp_group_end. One that ends by being cancelled is no failure.
 * *task, unless `task` is NULL, gets a reference of the caller's own, as from rp_create_task: to name the task, to
 * cancel or await it alone, to ask for its result even after rp_group_end. Drop it by rp_join or rp_task_detach.
 * -ENOMEM, -EINVAL; -ECANCELED when the group is on its way out already. Mirrors TaskGroup.create_task().
 */
RP_API int rp_group_create_task(rp_group *group, rp_task **task, rp_coro *coro, void *arg);

/*
 * The same, with `size` bytes at `arg` copied onto the task's own stack: `arg` may be a loop's variable.
 */
RP_API int rp_group_create_task_copy(rp_group *group, rp_task **task, rp_coro *coro, const void *arg, size_t size);

/* The same with options, as rp_create_task_with. Mirrors TaskGroup.create_task(name=). */
RP_API int rp_group_create_task_with(rp_group *group, rp_task **task, rp_coro *coro, const void *arg,
                                     const rp_task_options *options);

/*
 * Ends the group early, which is no error: its tasks are cancelled, and if the parent is still in the body, so is that:
 * its suspending call returns -ECANCELED, or its next one. rp_group_end takes that back, and returns 0 where the body
 * went by -ECANCELED.
 * From the parent, the group's tasks or callbacks, in the loop's thread, until rp_group_end has returned. Never
 * suspends; once is enough, and more is harmless. Mirrors TaskGroup.cancel().
 */
RP_API void rp_group_cancel(rp_group *group);

/*
 * Joins the group: `rc` is how the body went; if it is negative, the tasks are cancelled. Suspends until all have
 * ended. Returns the first task's error if one failed, else rc, or -ECANCELED if the caller was cancelled meanwhile.
 * Must be called once for each rp_group_begin. Mirrors TaskGroup.__aexit__().
 */
RP_API int rp_group_end(rp_co *co, rp_group *group, int rc);

/* A limit of time on what stands between begin and end. Scopes nest. asyncio.timeout(). */
typedef struct rp_timeout {
    rp_timer timer;
    rp_task *task;
    int64_t when;
    int cancelling;
    uint8_t state;
} rp_timeout;

/*
 * Begins a scope that may last `duration` nanoseconds (RP_NEVER: no limit). Never suspends. Mirrors asyncio.timeout().
 */
RP_API void rp_timeout_begin(rp_co *co, rp_timeout *timeout, int64_t duration);

/* The same, until a point in time. Mirrors asyncio.timeout_at(). */
RP_API void rp_timeout_begin_at(rp_co *co, rp_timeout *timeout, int64_t when);

/* Moves the limit. -EINVAL if the scope has ended or its time was up. Mirrors Timeout.reschedule(). */
RP_API int rp_timeout_reschedule(rp_timeout *timeout, int64_t when);

/* The point in time at which it is up; RP_NEVER: none. And whether it was. Mirror Timeout.when(), expired(). */
RP_API int64_t rp_timeout_when(const rp_timeout *timeout);
RP_API bool rp_timeout_expired(const rp_timeout *timeout);

/*
 * Ends the scope: `rc` is how the body went. Returns -ETIMEDOUT if time was up, the body was cancelled by that and
 * returned -ECANCELED; else rc. Never suspends. Must be called once for each begin.
 */
RP_API int rp_timeout_end(rp_co *co, rp_timeout *timeout, int rc);

/* ---- task locals ---- */

/*
 * A variable with a value for each task, inherited at the creation of a task. Define it static. contextvars.ContextVar.
 */
typedef struct rp_contextvar {
    const char *name;
    void *default_value;
} rp_contextvar;

/* What rp_contextvar_set replaced, for rp_contextvar_reset. */
typedef struct rp_contextvar_token {
    rp_contextvar *var;
    void *old_value;
    bool was_set;
} rp_contextvar_token;

/* The running task's value, or the default one; also in a function that rp_to_thread runs. Any thread. */
RP_API void *rp_contextvar_get(const rp_contextvar *var);

/*
 * Sets the running task's value, which stays the caller's own. `token` may be NULL. RP_ENOLOOP outside a task, -ENOMEM.
 */
RP_API int rp_contextvar_set(rp_contextvar *var, void *value, rp_contextvar_token *token);

/* Restores what rp_contextvar_set replaced. RP_ENOLOOP outside a task, -ENOMEM. */
RP_API int rp_contextvar_reset(const rp_contextvar_token *token);

#ifdef __cplusplus
}
#endif

#endif
