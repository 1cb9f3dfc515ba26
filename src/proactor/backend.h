/*
 * backend.h - the contract between a proactor and its backend, which is a table of functions and a struct of its own.
 *
 * 1. An operation and its buffers belong to the backend from submit until its completion is delivered.
 * 2. Every submitted operation completes exactly once, never inside submit; a multishot one many times, the last
 *    without RP_OP_MORE.
 * 3. cancel is a request: the completion still comes, with the result if that won the race, else -ECANCELED.
 * 4. A backend knows a list of completions, not a loop. It never calls user code.
 * 5. Nothing is allocated per operation (but once, when it starts, for a multishot accept on IOCP). Submissions of one
 *    turn go to the kernel together, with the wait.
 * 6. Only kick may be called from another thread, or from a signal handler.
 * 7. Time is that of the proactor's kernel: deadlines are compared with rp_proactor_now().
 */
#ifndef RP_PROACTOR_BACKEND_H
#define RP_PROACTOR_BACKEND_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/thread.h"
#include "proactor/busy_poll.h"
#include "proactor/kernel.h"
#include "proactor/op.h"
#include "ringport/error.h"
#include "ringport/proactor.h"

typedef struct rp_backend {
    const char *name;
    size_t size; /* of its own struct, which rp_proactor_open() and rp_proactor_close() make and free */
    /* If it fails it closes what it has opened. It may name another kernel than the system's. */
    int (*open)(rp_proactor *proactor, const rp_proactor_options *options);
    /* Nothing is in flight; or wait has failed, and the backend itself must end what is. */
    void (*close)(rp_proactor *proactor);
    void (*submit)(rp_proactor *proactor, rp_op *op);
    void (*cancel)(rp_proactor *proactor, rp_op *op);
    void (*forget)(rp_proactor *proactor, rp_fd fd);  /* NULL: there is nothing that it might remember */
    void (*closing)(rp_proactor *proactor, rp_fd fd); /* NULL: the same */
    void (*let_go)(rp_proactor *proactor);            /* NULL: what is cancelled holds its file no longer */
    int (*check_thread)(const rp_proactor *proactor); /* NULL: any thread may wait */
    /* It may end early with 0. If a signal has ended it, it sets `woken`. */
    int (*wait)(rp_proactor *proactor, rp_completion *completions, int capacity, int64_t deadline);
    void (*kick)(rp_proactor *proactor); /* ends a wait that has gone to sleep */
    int64_t (*receive)(rp_op *op, void *buffer, size_t length);
} rp_backend;

/*
 * When the kernel was asked last. A backend that learns only by a system call what has come (epoll) need not make one
 * in each wait of a loop that has more to do: it asks now and then. At first, and where no loop waits, each wait asks.
 */
typedef struct rp_asking {
    int64_t now;      /* by the loop's clock; 0: no loop says, and each wait asks */
    int64_t last;     /* when it was asked last; 0: it is to be asked */
    unsigned skipped; /* waits since then, which did not ask */
    unsigned to_skip; /* how many may be skipped in all */
} rp_asking;

/* What all backends have in common; the first member of each one's own struct. */
struct rp_proactor {
    const rp_backend *backend;
    const rp_kernel *kernel; /* its sockets and its clock: whoever has a proactor asks this one */
    unsigned fork_generation;
    atomic_int wake_state; /* RP_AWAKE, RP_ASLEEP, RP_PROMPTED, RP_NOTIFIED */
    bool woken; /* a wait has found it NOTIFIED, or a signal has ended one, since this was last cleared */
    rp_busy_poll busy_poll;
    rp_busy_poll short_poll; /* the same, while threads of the backend perform what most often takes no time */
    size_t performing;       /* operations that these have */
    rp_asking asking;
    uint64_t in_flight;      /* operations submitted, whose last completion no wait has stored yet */
    uint64_t kernel_entries; /* system calls that submitted or waited */
    atomic_ullong wakeups;   /* kicks: wake-ups that found it asleep */
    rp_node operations;      /* all that are in flight, by their links */
    rp_node finished;        /* of these, what is done and waits to be taken by wait, by their queue nodes */
    char fallback_reason[96];
};

enum { RP_AWAKE, RP_ASLEEP, RP_PROMPTED, RP_NOTIFIED };

/* Its clock, read now. */
static inline int64_t rp_proactor_now(const rp_proactor *proactor)
{
    return rp_kernel_now(proactor->kernel);
}

/* Whether this is a child of the process that opened it. */
static inline bool rp_proactor_is_forked(const rp_proactor *proactor)
{
    return !rp_fork_generation_is(proactor->fork_generation);
}

/* Puts an operation that is in none of the backend's lists among the finished. */
void rp_op_finish(rp_proactor *proactor, rp_op *op, int64_t result);

/* Stores a completion; after the last one (without RP_OP_MORE) the operation is the backend's no more. */
void rp_op_complete(rp_proactor *proactor, rp_op *op, rp_completion *completion, int64_t result, uint32_t flags);

/* A completion that nobody will see: what it opened is closed. */
void rp_completion_drop(const rp_completion *completion);

/* Moves finished operations into completions; returns how many. */
int rp_proactor_take_finished(rp_proactor *proactor, rp_completion *completions, int capacity);

/*
 * Before a wait: returns the deadline to use, which is 0 if somebody has called wake or prompt since the last one.
 * Between this and rp_proactor_awake() either kicks. A backend looks for new completions itself after it, and sleeps
 * only then.
 */
int64_t rp_proactor_fall_asleep(rp_proactor *proactor, int64_t deadline);
void rp_proactor_awake(rp_proactor *proactor);

/* For threads of the backend, which have something for it: ends a sleep as a wake does, but no wait. Any thread. */
void rp_proactor_prompt(rp_proactor *proactor);

#endif
