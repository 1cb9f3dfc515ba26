/*
 * loop.h - the inside of rp_loop, for src/loop and the layers above.
 *
 * All of it belongs to the loop's thread, but for what stands under `mutex` and the atomics.
 * `refs` keeps the struct's memory, not the open loop: its owner holds one, and so do futures and executor jobs, so
 * that a reference to a future may outlive its loop.
 */
#ifndef RP_LOOP_LOOP_H
#define RP_LOOP_LOOP_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/pool.h"
#include "base/thread.h"
#include "loop/timers.h"
#include "ringport/loop.h"

enum {
    RP_LOOP_BATCH = 256,                /* completions taken at a time */
    RP_LOOP_RECEIVE_BUFFER = 128 * 1024 /* the hot buffer that transports receive into */
};

/* rp_handle.state */
enum {
    RP_HANDLE_IDLE = 0,
    RP_HANDLE_READY = 1,   /* in `ready` (or being run from there) */
    RP_HANDLE_TIMED = 2,   /* in `timers` */
    RP_HANDLE_POSTED = 3,  /* in `posted`, under the mutex */
    RP_HANDLE_WAITING = 4, /* in a future's list of callbacks */
    RP_HANDLE_STATES = 7,
    RP_HANDLE_ALLOCATED = 8, /* a flag: the loop allocated it, and frees it when it has run */
    RP_HANDLE_FOREIGN = 16, /* a flag: another thread posted it and may look at it: it gets idle under the mutex */
};

/*
 * Something that the loop closes and frees if it is still there when the loop is closed: embed it, add it to the loop's
 * resources while it is open. `reap` must remove it from the list and free what it stands for; operations in flight
 * have been cancelled and waited for when it is called, and no callback runs any more. `report` (may be NULL) is called
 * before, when all resources are still there, since whoever is told may look at any of them. `quiesce` (may be NULL) is
 * called when a runner begins to end: nothing new is to be taken in.
 */
typedef struct rp_resource rp_resource;
struct rp_resource {
    rp_node link;
    void (*reap)(rp_resource *resource);
    void (*report)(rp_resource *resource);
    void (*quiesce)(rp_resource *resource);
    bool reported;
};

struct rp_loop {
    rp_proactor *proactor;
    rp_node ready; /* handles, by their links */
    rp_timers timers;
    int64_t now; /* the clock at this turn's start */
    bool stopping;
    bool closed;
    bool debug;
    unsigned fork_generation;
    _Atomic uint64_t thread; /* that runs it now; 0: none */
    const void *stack;   /* a mark of the thread on whose stack its run is; in a child of fork() too; or NULL */
    bool free_after_run; /* asked for in such a child, where the run is on the stack yet */
    atomic_uint refs;

    rp_mutex mutex;
    rp_node posted; /* handles from other threads, under the mutex */
    bool posts_refused;
    bool posts_expected;       /* other threads post: one has, or is going to */
    atomic_bool posts_waiting; /* `posted` is not empty: lets a turn skip the lock */

    rp_node tasks; /* that are not done: futures, by their link */
    size_t task_count;
    rp_node unread;      /* futures that ended with an error which nobody has read */
    size_t jobs;         /* of executors, under way */
    uint64_t stalled_at; /* debug mode, see stall.c: how far it was when its tasks were reported */
    rp_node resources;
    rp_node idle_resources; /* reaped after `resources`: things those refer to, such as stack pools */
    void *receive_buffer;   /* see rp_loop_receive_buffer() */

    struct rp_readers *readers; /* readers.c */
    struct rp_signals *signals; /* signals.c */
    rp_executor *executor;      /* executor.c: the default one */
    bool executor_shut_down;

    rp_exception_handler *exception_handler;
    void *exception_handler_arg;
    int64_t slow_callback_duration;
    char task_name[32]; /* debug mode: of the task that the present callback has resumed, or "" */
    rp_asyncgens_hook *asyncgens_hook;
    void *asyncgens_hook_arg;
    size_t stack_size; /* of tasks; 0: as the coroutine layer likes it */
    void *co; /* the coroutine layer's (src/co): stack pool, task factory; freed through its rp_resource */

    rp_loop_stats stats;
    int undelivered; /* of the completions below: what a run has left that an exception has ended */
    rp_completion completions[RP_LOOP_BATCH];
};

/* Whether this is a child of the process that made the loop: all it may do here is to free its memory. */
static inline bool rp_loop_is_forked(const rp_loop *loop)
{
    return loop->fork_generation != rp_fork_generation();
}

/* Whether tasks can have such stacks; 0 is the usual size. */
static inline bool rp_stack_size_valid(size_t size)
{
    return size == 0 || (size >= RP_STACK_SIZE_MIN && size <= RP_STACK_SIZE_MAX);
}

/* 0, or why the loop cannot be used here: RP_ECLOSED, RP_EFORK, in debug mode RP_ETHREAD. */
int rp_loop_check(const rp_loop *loop);

rp_loop *rp_loop_ref(rp_loop *loop);
void rp_loop_unref(rp_loop *loop);

/*
 * Makes an idle handle ready: its callback, arg and loop are set already (rp_handle_prepare). Never fails. The hot path
 * of every wake-up: for the library's own handles.
 */
static inline void rp_handle_prepare(rp_handle *handle, rp_loop *loop, rp_callback *callback, void *arg)
{
    *handle = (rp_handle){.loop = loop, .callback = callback, .arg = arg};
}

static inline void rp_loop_ready(rp_loop *loop, rp_handle *handle)
{
    handle->state = (handle->state & ~(uint32_t)RP_HANDLE_STATES) | RP_HANDLE_READY;
    rp_list_push(&loop->ready, &handle->link);
}

/* Posts a prepared handle from any thread. The mutex is held, and posts are not refused. */
void rp_loop_post(rp_loop *loop, rp_handle *handle);

/* Closes a socket that operations of the open loop may have waited on. */
void rp_loop_close_socket(rp_loop *loop, rp_fd fd);

/* A callback that another thread posts, and that is called in any case: with `dropped` if the loop is closed first. */
typedef struct rp_errand {
    rp_handle handle;
    void (*run)(void *arg, bool dropped);
    void *arg;
} rp_errand;

/* rp_call_soon_threadsafe for an errand. */
int rp_post_errand(rp_loop *loop, rp_errand *errand, void (*run)(void *arg, bool dropped), void *arg);

/* RP_LOOP_RECEIVE_BUFFER bytes to receive into, valid until the next turn; made on first use: NULL, no memory. */
void *rp_loop_receive_buffer(rp_loop *loop);

/* Reports to the exception handler. `message` is static text. */
void rp_loop_report(rp_loop *loop, const char *message, int error, const char *name, rp_future *future,
                    rp_transport *transport, void *origin);

#endif
