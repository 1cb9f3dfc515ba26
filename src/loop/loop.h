/*
 * loop.h - the inside of rp_loop, for src/loop and the layers above.
 *
 * All of it belongs to the loop's thread, except what stands under `mutex`, and the atomics.
 * `refs` keeps the struct's memory, not the open loop. Its owner holds one, and so do futures and executor jobs: a
 * reference to a future may outlive its loop.
 */
#ifndef RP_LOOP_LOOP_H
#define RP_LOOP_LOOP_H

#include <limits.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/pool.h"
#include "base/thread.h"
#include "loop/slot.h"
#include "loop/timers.h"
#include "proactor/kernel.h"
#include "ringport/loop.h"

enum {
    RP_LOOP_FETCHED = 2,                /* completions ahead of the one that is delivered, memory is fetched */
    RP_LOOP_BATCH = 256,                /* completions taken at a time */
    RP_LOOP_RECEIVE_BUFFER = 128 * 1024 /* the hot buffer that transports receive into */
};

#define RP_NO_GENERATION UINT_MAX /* no fork is counted so far */

/* How far the turn is: one that an exception, an interrupt or a fork has ended early goes on from there. */
typedef enum rp_turn_step {
    RP_TURN_ENDED,     /* the next one waits first */
    RP_TURN_WAITED,    /* it has taken completions */
    RP_TURN_COLLECTED, /* and what it is to run */
} rp_turn_step;

/* What goes with the loop: see resource.h. */
typedef struct rp_resource rp_resource;
struct rp_resource {
    rp_node link;
    const struct rp_resource_type *type;
};

/* Tells an error that no caller can be told, in the face's way: see exception.h. */
typedef struct rp_report rp_report;
typedef void rp_reporter(rp_loop *loop, const rp_report *report);

struct rp_loop {
    rp_proactor *proactor;
    const rp_kernel *kernel; /* the proactor's, which it outlives */
    rp_node ready;           /* handles, by their links: what rp_turn_collect() takes next */
    rp_node batch;           /* what this turn has collected, and is yet to run */
    rp_node due;             /* likewise, of timers */
    rp_node last;            /* handles that run when the turn ends, after all else */
    rp_node arrivals;        /* handles that the next turn delivers, as it does completions */
    rp_node arrived;         /* what this turn has taken of them, and is yet to deliver */
    rp_timers timers;
    int64_t now; /* the clock at this turn's start */
    rp_turn_step turn;
    _Atomic unsigned run_generation; /* `fork_generation` while a run may go on; else RP_NO_GENERATION */
    bool stopping;
    bool closed;
    bool debug;
    bool no_debug; /* and it stays so */
    unsigned fork_generation;
    unsigned open_generation; /* `fork_generation` while it is open and not in debug mode; else RP_NO_GENERATION */
    _Atomic uint64_t thread;  /* that runs it now; 0: none */
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
    uint64_t stalled_at; /* debug mode, see stall.c: how far it was when its tasks were reported */
    uint64_t standing;   /* operations in flight that no task can be waiting for */
    rp_node resources;
    void *slots[RP_SLOTS];
    void *receive_buffer; /* see rp_loop_receive_buffer() */

    rp_reporter *reporter; /* the face's: see exception.h */
    rp_exception_handler *exception_handler;
    void *exception_handler_arg;
    int64_t slow_callback_duration;
    char task_name[32]; /* debug mode: of the task that the present callback has resumed, or "" */
    size_t stack_size;  /* of tasks; 0: the usual one */

    rp_loop_stats stats;
    int taken;     /* completions that this turn's wait has put below */
    int delivered; /* of these */
    rp_completion completions[RP_LOOP_BATCH + RP_LOOP_FETCHED];
};

/* Whether this is a child of the process that made the loop: all it may do is to free the loop's memory. */
static inline bool rp_loop_is_forked(const rp_loop *loop)
{
    return !rp_fork_generation_is(loop->fork_generation);
}

/* Whether its run may call back any more: it was not interrupted, and this is no child of fork(). */
static inline bool rp_loop_may_go_on(const rp_loop *loop)
{
    return rp_fork_generation_is(atomic_load_explicit(&loop->run_generation, memory_order_relaxed));
}

/* Whether tasks can have such stacks; 0 is the usual size. */
static inline bool rp_stack_size_valid(size_t size)
{
    return size == 0 || (size >= RP_STACK_SIZE_MIN && size <= RP_STACK_SIZE_MAX);
}

/* Is to be called when the loop is closed, or changes its mode. */
void rp_loop_note_state(rp_loop *loop);

/* The kernel of the loop that runs in this thread, else the system's. */
const rp_kernel *rp_kernel_here(void);

/* Where one comparison does not tell. */
int rp_loop_check_closely(const rp_loop *loop);

/* 0, or why the loop cannot be used here: RP_ECLOSED, RP_EFORK, in debug mode RP_ETHREAD. */
static inline int rp_loop_check(const rp_loop *loop)
{
    return rp_fork_generation_is(loop->open_generation) ? 0 : rp_loop_check_closely(loop);
}

rp_loop *rp_loop_ref(rp_loop *loop);
void rp_loop_unref(rp_loop *loop);

/* The turn that has begun at `loop->now` ends. */
static inline void rp_loop_note_length(rp_loop *loop, int64_t now)
{
    if (now - loop->now > loop->stats.longest_turn)
        loop->stats.longest_turn = now - loop->now;
}

/* For rp_loop_enter() and rp_loop_leave(): which loop this thread runs. */
void rp_loop_set_running(rp_loop *loop);
void rp_loop_clear_running(rp_loop *loop);

/*
 * For a face that lets a loop run inside another one's run: the thread runs no loop from here on, until the one that is
 * returned, which may be NULL, is taken up again.
 */
rp_loop *rp_loop_set_aside(void);
void rp_loop_take_up(rp_loop *loop);

/* Whether its run is on this thread's stack; in a child of fork() that may be a copy of the parent's run. */
bool rp_loop_is_on_this_stack(const rp_loop *loop);

/* Closes a socket that operations of the loop may have waited on. */
void rp_loop_close_socket(rp_loop *loop, rp_fd fd);

/* The same for what is no socket. */
void rp_loop_close_file(rp_loop *loop, rp_fd fd);

/* RP_LOOP_RECEIVE_BUFFER bytes to receive into, valid until the next turn; made on first use: NULL, no memory. */
void *rp_loop_receive_buffer(rp_loop *loop);

#endif
