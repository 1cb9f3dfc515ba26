/*
 * task.h - the inside of a task, which is a future and a coroutine in one, and what suspending calls are made of.
 *
 * A task lies at the high end of its own stack. It is resumed through one handle, `wake`, that is in one of four
 * places while the task waits: nowhere (somebody will call rp_co_wake), in a future's callbacks, among the loop's
 * timers, or in the ready queue. In the last, its wait is over, and a cancellation can only reach the next one.
 *
 * Cancelling a task sets `must_cancel` and, if it waits, asks what it waits for to end (rp_waiting.interrupt). The
 * task goes on waiting, until that has ended. The suspending call then sees whether it ended by that. If so it returns
 * rp_co_cancelled(); else it returns the result, and must_cancel stays for the next suspension.
 *
 * A suspending call therefore reads:
 *
 *     RP_TRY(rp_co_check(co));                       a cancellation that is pending already
 *     ... start it, so that its end calls rp_co_wake(co) ...
 *     asked = rp_co_suspend(co, &how, arg);
 *     if (asked && it ended by being interrupted)
 *         return rp_co_cancelled(co);
 *     return its result;
 */
#ifndef RP_CO_TASK_H
#define RP_CO_TASK_H

#include "fiber/cxx.h"
#include "fiber/sanitizer.h"
#include "fiber/stack.h"
#include "loop/future.h"
#include "ringport/co.h"

typedef struct rp_bindings rp_bindings; /* context.c */
typedef struct rp_call rp_call;         /* threadsafe.c */

/* What a suspended task waits for, as far as others must deal with it. Each gets the argument of rp_co_suspend(). */
typedef struct rp_waiting {
    /*
     * The task was cancelled: ask for the end of what is waited for, which must then come as it always does; or take
     * back what would have woken the task, and call rp_co_wake(). May be called again. NULL: it is just waited for.
     */
    void (*interrupt)(rp_co *co, void *arg);
    /*
     * The loop was closed, and the task will never be resumed: see that nobody touches its stack any more, and free
     * what the waiting call owns. NULL: there is nothing of the kind.
     */
    void (*abandon)(rp_co *co, void *arg);
    /* What it is, for reports: "an event". NULL: nothing that could fail to come. */
    const char *what;
} rp_waiting;

struct rp_co {
    rp_future future; /* first: this is the task */
    /* What every switch touches stands together. */
    void *sp;                  /* of this coroutine while it is suspended */
    void *caller_sp;           /* of whoever resumed it while it runs */
    rp_cxx_state cxx;          /* of this coroutine while it is suspended, of its resumer while it runs */
    char *low;                 /* the stack's */
    const rp_waiting *waiting; /* while it is suspended */
    void *waiting_arg;
    bool guarded; /* the stack is */
    bool started;
    bool ended;
    bool must_cancel; /* a cancellation is to be delivered */
    bool interrupted; /* `interrupt` was called in this suspension */
    int result;
    union {
        rp_handle handle;
        rp_timer timer;
        rp_done_callback done;
    } wake; /* all begin with the handle */
    rp_coro *coro;
    void *arg;
    rp_stack *stack;
    rp_bindings *bindings; /* the task locals, or NULL */
    rp_group *group;       /* that holds it, or NULL; the group then has a reference */
    rp_node group_link;
    rp_call *call;      /* of a foreign thread, that waits for its end, or NULL */
    rp_node asked_link; /* among the tasks that a cancellation has come to, while it goes on */
    int cancelling;
    int open_groups; /* that it has begun and not ended; and the timeouts */
    int open_timeouts;
    uint64_t number; /* N of "Task-N" */
    char name[32];   /* "" until it is set or asked for */
    rp_fiber self;
    rp_fiber caller;
};

/* The coroutine that runs in this thread, or NULL. */
extern _Thread_local rp_co *rp_co_running __attribute__((tls_model("initial-exec")));

/* The task that this future is, or NULL. */
rp_co *rp_co_of(const rp_future *future);

/* 0, or RP_ENOTASK if the caller's `co` is NULL or another task's. */
static inline int rp_co_here(const rp_co *co)
{
    return co != NULL && co == rp_co_running ? 0 : RP_ENOTASK;
}

/*
 * 0, or -ECANCELED if a cancellation is pending, which counts as delivered then; RP_EFORK in a child of fork(), where
 * nothing would ever end a wait; RP_ENOTASK as above.
 */
static inline int rp_co_check(rp_co *co)
{
    RP_TRY(rp_co_here(co));
    if (rp_loop_is_forked(co->future.loop))
        return RP_EFORK;
    if (!co->must_cancel)
        return 0;
    co->must_cancel = false;
    return -ECANCELED;
}

/* For a suspending call that ended by being cancelled: the cancellation counts as delivered. Returns -ECANCELED. */
static inline int rp_co_cancelled(rp_co *co)
{
    co->must_cancel = false;
    return -ECANCELED;
}

/*
 * Suspends the running coroutine until it is woken: exactly once, by rp_co_wake() or rp_co_resume(). Returns whether
 * `interrupt` was called meanwhile. It does not look for a cancellation that was pending before. `waiting` may be NULL.
 */
bool rp_co_suspend(rp_co *co, const rp_waiting *waiting, void *arg);

/*
 * Lets a coroutine go on in this turn or the next, in the order of wakes. From anywhere in the loop's thread; even
 * before it suspends, by itself.
 */
void rp_co_wake(rp_co *co);

/* Lets it go on now, before this returns: saves a turn. Only from a loop's callback, never from a coroutine. */
void rp_co_resume(rp_co *co);

/* The same for a handle, a timer, as its callback; arg is the rp_co. */
void rp_co_step(void *arg);

/*
 * For scopes that cancel their own task (groups, timeouts). A mark is how many cancellations were delivered when the
 * scope began; rp_co_uncancel_to takes one back and returns whether none but those are left, in which case one that was
 * not delivered yet is dropped.
 */
int rp_co_cancel_mark(const rp_co *co);
bool rp_co_uncancel_to(rp_co *co, int mark);

/* Creates a task by the loop's factory; `task` may be NULL. RP_ENOLOOP if loop is NULL. */
int rp_co_create(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg, size_t copy_size);

/* What rp_await() does, with a `waiting` of the caller's own; its `interrupt` is to cancel the future. */
int rp_co_await_as(rp_co *co, rp_future *future, const rp_waiting *waiting, void *arg);

/* What rp_op_await() does with an operation of the library's own, but a cancellation is left to the next suspension. */
int64_t rp_co_op_uncancelled(rp_co *co, rp_op *op);

/* What rp_shield() does; if the task is abandoned in it, its reference goes with it. */
int rp_co_shield_owned(rp_co *co, rp_future *future);

/* A future's result for who awaits it: an error -ECANCELED of its own becomes RP_EFUTCANCELED. */
static inline int rp_co_await_result(rp_future *future)
{
    int result = rp_future_result(future);

    return result == -ECANCELED ? RP_EFUTCANCELED : result;
}

/*
 * The loop is closed: reports its tasks that never ended; then moves them to a list; later, when nothing of the loop's
 * refers to them any more, drops the library's references. Those of others keep a task's memory.
 */
void rp_tasks_report(rp_loop *loop);
void rp_tasks_abandon(rp_loop *loop, rp_node *abandoned);
void rp_tasks_drop(rp_node *abandoned);

/* group.c: a task of a group has ended. */
void rp_group_child_done(rp_group *group, rp_co *child);

/* threadsafe.c: ends the call of a foreign thread, which goes on. */
void rp_call_end(rp_call *call, int result);

/* context.c: another reference to the task locals of who runs, NULL if there are none; and its return. */
rp_bindings *rp_bindings_inherit(void);
void rp_bindings_unref(rp_bindings *bindings);

/* context.c: makes them visible in a thread that runs no task; NULL takes them away. */
void rp_bindings_lend(rp_bindings *bindings);

#endif
