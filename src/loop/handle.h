/*
 * handle.h - handles inside the library: made ready without a check, posted, dropped.
 */
#ifndef RP_LOOP_HANDLE_H
#define RP_LOOP_HANDLE_H

#include <assert.h>

#include "loop/loop.h"

/* rp_handle.state */
enum {
    RP_HANDLE_IDLE = 0,
    RP_HANDLE_READY = 1,     /* in `ready`, `batch`, `due`, `last`, `arrivals` or `arrived` */
    RP_HANDLE_TIMED = 2,     /* in `timers` */
    RP_HANDLE_POSTED = 3,    /* in `posted`, under the mutex */
    RP_HANDLE_WAITING = 4,   /* in a future's list of callbacks */
    RP_HANDLE_STATES = 7,    /* the bits of the above; the others are flags */
    RP_HANDLE_ALLOCATED = 8, /* the loop allocated it, and frees it when it has run */
    RP_HANDLE_FOREIGN = 16,  /* another thread posted it and may look at it: it gets idle under the mutex */
    RP_HANDLE_CERTAIN = 32,  /* it is called even if it is dropped with the loop; loop->closed says so */
};

static inline void rp_handle_prepare(rp_handle *handle, rp_loop *loop, rp_callback *callback, void *arg)
{
    *handle = (rp_handle){.loop = loop, .callback = callback, .arg = arg};
}

/*
 * Makes an idle handle ready: its callback, arg and loop are set already (rp_handle_prepare). Never fails. The hot path
 * of every wake-up: for the library's own handles.
 */
static inline void rp_loop_ready(rp_loop *loop, rp_handle *handle)
{
    assert(!rp_node_linked(&handle->link)); /* a handle is in one list at most */
    handle->state = (handle->state & ~(uint32_t)RP_HANDLE_STATES) | RP_HANDLE_READY;
    rp_list_push(&loop->ready, &handle->link);
}

static inline void rp_handle_make_ready_in(rp_node *list, rp_loop *loop, rp_handle *handle, rp_callback *callback,
                                           void *arg)
{
    assert(!rp_node_linked(&handle->link));
    handle->callback = callback;
    handle->arg = arg;
    handle->loop = loop;
    handle->origin = NULL;
    handle->state = RP_HANDLE_READY;
    rp_list_push(list, &handle->link);
}

/* Both in one. */
static inline void rp_loop_ready_call(rp_loop *loop, rp_handle *handle, rp_callback *callback, void *arg)
{
    rp_handle_make_ready_in(&loop->ready, loop, handle, callback, arg);
}

/* The same for a callback that is called where the next turn delivers completions. */
static inline void rp_loop_arrive_call(rp_loop *loop, rp_handle *handle, rp_callback *callback, void *arg)
{
    rp_handle_make_ready_in(&loop->arrivals, loop, handle, callback, arg);
}

/*
 * The same for a callback that is called at the end of this turn, after all others; between two turns, of the next one.
 * One that is scheduled by such a callback waits for the next turn's end.
 */
static inline void rp_loop_last_call(rp_loop *loop, rp_handle *handle, rp_callback *callback, void *arg)
{
    rp_handle_make_ready_in(&loop->last, loop, handle, callback, arg);
}

/* Runs a handle that was taken out of its list. */
void rp_handle_run(rp_loop *loop, rp_handle *handle);

/* Debug mode: reports a callback that has run since `start`, if that is too long, by its task's name or its own. */
void rp_loop_report_if_slow(rp_loop *loop, int64_t start, void *function, void *origin);

/* Posts a prepared handle from any thread. The mutex is held, and posts are not refused. */
void rp_loop_post(rp_loop *loop, rp_handle *handle);

/* A callback that another thread posts, and that is called in any case: with `dropped` if the loop is closed first. */
typedef struct rp_errand {
    rp_handle handle;
    void (*run)(void *arg, bool dropped);
    void *arg;
} rp_errand;

/* rp_call_soon_threadsafe for an errand. */
int rp_post_errand(rp_loop *loop, rp_errand *errand, void (*run)(void *arg, bool dropped), void *arg);

/* Moves what other threads have posted to `ready`, and the timers that have come to `due`. */
void rp_loop_take_posts(rp_loop *loop);
void rp_loop_take_due_timers(rp_loop *loop);

/* Drops every handle and timer; nothing can be posted any more. */
void rp_loop_drop_handles(rp_loop *loop);

#endif
