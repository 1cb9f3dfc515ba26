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

#include <assert.h>

#include "base/rare.h"
#include "co/bindings.h"
#include "fiber/fiber.h"
#include "loop/future.h"
#include "loop/handle.h"
#include "ringport/agen.h"

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

/*
 * Somebody that is told, on the loop's side, when a task has ended; or that it never will, since its loop is closed.
 * Either happens once, and is the last that is known of the watcher.
 */
typedef struct rp_watcher rp_watcher;
typedef struct rp_watching {
    void (*ended)(rp_watcher *watcher, rp_co *co);
    void (*abandoned)(rp_watcher *watcher, rp_co *co);
} rp_watching;
struct rp_watcher {
    rp_watcher *next; /* of the same task */
    const rp_watching *type;
};

/* How far a task has come. Whether one that waits is to go on, its handle `wake` tells. */
typedef enum rp_co_state {
    RP_CO_CREATED,
    RP_CO_WAITING,
    RP_CO_RUNNING,
    RP_CO_ENDED,
} rp_co_state;

/* What each wake-up and each suspension touches stands in two lines of the cache, from the fiber's stack pointer on. */
struct rp_co {
    rp_future future; /* first: this is the task */
    rp_coro *coro;
    void *arg;
    rp_fiber fiber;
    rp_loop *loop;             /* the future's */
    const rp_waiting *waiting; /* while it is suspended */
    void *waiting_arg;
    uint8_t state;    /* rp_co_state */
    bool must_cancel; /* a cancellation is to be delivered */
    bool interrupted; /* `interrupt` was called in this suspension */
    int result;
    union {
        rp_handle handle;
        rp_timer timer;
        rp_done_callback done;
    } wake;                /* all begin with the handle */
    rp_bindings *bindings; /* the task locals */
    rp_watcher *watchers;
    rp_agen *agen; /* that it is the coroutine of; NULL: it is a task */
    struct {
        rp_watcher watcher;
        rp_group *group;
        rp_node link;
    } member;           /* of a group, which has a reference then */
    rp_node asked_link; /* among the tasks that a cancellation has come to, while it goes on */
    int cancelling;
    int open_groups; /* that it has begun and not ended; and the timeouts */
    int open_timeouts;
    uint64_t number; /* N of "Task-N" */
    char name[32];   /* "" until it is set or asked for */
};

#ifndef RP_SANITIZED
_Static_assert(offsetof(rp_co, fiber.sp) % 64 == 0 && offsetof(rp_co, wake) % 64 == 0, "lines of the cache");
#endif

/* The coroutine that runs in this thread, or NULL. */
extern _Thread_local rp_co *rp_co_running __attribute__((tls_model("initial-exec")));

/* The task that this future is, or NULL. */
rp_co *rp_co_of(const rp_future *future);

/* The task locals of whoever runs: a task, or a function on a thread on behalf of one. */
static inline rp_bindings *rp_co_bindings(void)
{
    return rp_co_running ? rp_co_running->bindings : rp_bindings_lent();
}

/* Whether its handle is in no list: nothing is on its way that would let it go on. */
static inline bool rp_co_is_idle(const rp_co *co)
{
    return (co->wake.handle.state & RP_HANDLE_STATES) == RP_HANDLE_IDLE;
}

/* 0, or RP_ENOTASK if the caller's `co` is NULL or another task's. */
static inline int rp_co_here(const rp_co *co)
{
    return co && co == rp_co_running ? 0 : RP_ENOTASK;
}

/*
 * For the task that runs here: 0, or -ECANCELED if a cancellation is pending, which counts as delivered then; RP_EFORK
 * in a child of fork(), where nothing would ever end a wait.
 */
static inline int rp_co_pending(rp_co *co)
{
    if (rp_loop_is_forked(co->loop))
        return RP_EFORK;
    if (!co->must_cancel)
        return 0;
    co->must_cancel = false;
    return -ECANCELED;
}

/* Both: what a call that is about to wait asks first. */
static inline int rp_co_check(rp_co *co)
{
    RP_TRY(rp_co_here(co));
    return rp_co_pending(co);
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

/* Lets it go on now, before this returns: saves a turn. Only from a loop's callback, never from a coroutine. */
void rp_co_resume(rp_co *co);

/* The same for a handle, a timer, as its callback; arg is the rp_co. */
void rp_co_step(void *arg);

/*
 * Lets a coroutine go on in this turn or the next, in the order of wakes. From anywhere in the loop's thread; even
 * before it suspends, by itself.
 */
static RP_INLINED void rp_co_wake(rp_co *co)
{
    assert(co->state != RP_CO_ENDED && rp_co_is_idle(co));
    rp_fiber_fetch(&co->fiber);
    rp_loop_ready_call(co->loop, &co->wake.handle, rp_co_step, co);
}

/*
 * For scopes that cancel their own task (groups, timeouts). A mark is how many cancellations were delivered when the
 * scope began; rp_co_uncancel_to takes one back and returns whether none but those are left, in which case one that was
 * not delivered yet is dropped.
 */
int rp_co_cancel_mark(const rp_co *co);
bool rp_co_uncancel_to(rp_co *co, int mark);

/*
 * Lets a coroutine that waits go on now, from another one: that goes on when the former suspends or ends. The other
 * one runs, and so has no handle among those that are ready.
 */
void rp_co_enter(rp_co *co, rp_co *from);

/*
 * Makes a coroutine at `co` on a stack: its frames go down from `top`. It is in no list, and nothing wakes it. Its
 * references are those of a task. Never fails.
 */
void rp_co_init(rp_co *co, rp_loop *loop, rp_stack *stack, void *top, rp_coro *coro, void *arg);

/*
 * Makes a task at `co` on a stack: its frames go down from `top`. It is woken (rp_co_wake) for its first step. It has
 * two references: the caller's, and the loop's until the coroutine has returned. Never fails.
 */
void rp_task_init(rp_co *co, rp_loop *loop, rp_stack *stack, void *top, rp_coro *coro, void *arg);

/* The watcher lives until it is told. */
void rp_co_watch(rp_co *co, rp_watcher *watcher, const rp_watching *type);

/* Tells all of them, and forgets them. */
void rp_co_tell_watchers(rp_co *co, bool ended);

#endif
