/*
 * proactor.h - the contract between a loop and the kernel. A backend is one file with one table of functions.
 *
 * 1. An operation and its buffers belong to the backend from submit until its completion is delivered.
 * 2. Every submitted operation completes exactly once, never inside submit; a multishot one many times, the last
 *    without RP_OP_MORE.
 * 3. cancel is a request: the completion still comes, with the result if that won the race, else -ECANCELED.
 * 4. A backend knows a list of completions, not a loop. It never calls user code.
 * 5. Nothing is allocated per operation. Submissions of one turn go to the kernel together, with the wait.
 * 6. wake alone may be called from another thread or a signal handler.
 */
#ifndef RP_PROACTOR_PROACTOR_H
#define RP_PROACTOR_PROACTOR_H

#include <stdatomic.h>

#include "base/list.h"
#include "ringport/error.h"
#include "ringport/proactor.h"

/* rp_op.state */
enum {
    RP_OP_IDLE,      /* the owner's */
    RP_OP_QUEUED,    /* in a queue of the backend's: not handed to the kernel yet, or waiting for readiness */
    RP_OP_SUBMITTED, /* the kernel's, or a thread's */
    RP_OP_FINISHED,  /* in the list of operations that are done, its result stored */
    RP_OP_TAKEN,     /* the waiter's: its last completion is out, and in a loop perhaps not delivered yet */
};

typedef struct rp_backend {
    const char *name;
    size_t size; /* of its own struct, which rp_proactor_open() and rp_proactor_close() make and free */
    /* What it opened is closed again if it fails. */
    int (*open)(rp_proactor *proactor, const rp_proactor_options *options);
    /* Nothing is in flight any more; or wait has failed, and the backend itself must end what is. */
    void (*close)(rp_proactor *proactor);
    void (*submit)(rp_proactor *proactor, rp_op *op);
    void (*cancel)(rp_proactor *proactor, rp_op *op);
    void (*forget)(rp_proactor *proactor, rp_fd fd);  /* NULL: there is nothing that it might remember */
    int (*check_thread)(const rp_proactor *proactor); /* NULL: any thread may wait */
    int (*wait)(rp_proactor *proactor, rp_completion *completions, int capacity, int64_t deadline);
    void (*kick)(rp_proactor *proactor); /* ends a wait that has gone to sleep */
    int64_t (*receive)(rp_op *op, void *buffer, size_t length);
} rp_backend;

/* Busy polling, see busy_poll.c. */
typedef struct rp_spin {
    int64_t duration; /* nanoseconds; 0: none */
    unsigned missed;  /* spins in a row that found nothing, so far as it matters */
    unsigned passed;  /* sleeps without a spin after the last one that found nothing */
    unsigned to_pass; /* of these, how many are still to come */
    uint64_t begun;
    uint64_t found;
} rp_spin;

/*
 * When the kernel was asked, for a backend that does so by a system call even if it does not wait. While a loop has
 * more to do it asks now and then; by default, and to begin with, in each wait.
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
    unsigned fork_generation;
    atomic_int wake_state; /* RP_AWAKE, RP_ASLEEP, RP_NOTIFIED */
    bool woken;            /* a wait has found it NOTIFIED, since this was last cleared */
    rp_spin spin;
    rp_asking asking;
    uint64_t in_flight;      /* operations submitted and not yet delivered */
    uint64_t kernel_entries; /* system calls that submitted or waited */
    atomic_ullong wakeups;   /* kicks: wake-ups that found it asleep */
    rp_node operations;      /* all that are in flight, by their links */
    rp_node finished;        /* of these, what is done and waits to be taken by wait, by their queue nodes */
    char fallback_reason[96];
};

enum { RP_AWAKE, RP_ASLEEP, RP_NOTIFIED };

extern const rp_backend rp_uring_backend;
extern const rp_backend rp_epoll_backend;
extern const rp_backend rp_iocp_backend;

/* rp_op.ready, of a receive stream */
enum {
    RP_READY_INPUT = 1 << 0, /* something may have arrived since rp_op_receive() found nothing more */
    /* A short read does not mean that nothing more is there: */
    RP_READY_UNSURE = 1 << 1, /* the peer has ended, or urgent data splits what is read; until all is taken */
    RP_READY_UNIX = 1 << 2, /* a Unix socket, for good: descriptors and credentials that came along split it too */
};

/* Whether it completes many times. */
static inline bool rp_op_is_multishot(const rp_op *op)
{
    return op->kind == RP_OP_ACCEPT_MULTI || op->kind == RP_OP_RECV_STREAM || op->kind == RP_OP_POLL_MULTI;
}

/*
 * Whoever waited on the descriptor may close it now, and others may hold it yet (a duplicate, a child of fork()): what
 * the backend keeps of it is given up, unless operations wait on it. To be called before a close by plain close(), and
 * when a foreign descriptor is not watched any more. An operation that is cancelled, and RP_OP_CLOSE, see to it
 * themselves. In a child of fork() it does nothing.
 */
void rp_proactor_forget(rp_proactor *proactor, rp_fd fd);

/* Whether this thread may wait: 0, or RP_ETHREAD, which a wait would return, too. */
int rp_proactor_check_thread(const rp_proactor *proactor);

/* ---- for the backends ---- */

/* Puts an operation that is in none of the backend's lists among the finished. */
void rp_op_finish(rp_proactor *proactor, rp_op *op, int64_t result);

/* Stores a completion; the last one (without RP_OP_MORE) makes the operation its owner's again. */
void rp_op_complete(rp_proactor *proactor, rp_op *op, rp_completion *completion, int64_t result, uint32_t flags);

/* A completion that nobody will see: what it opened is closed. */
void rp_completion_drop(const rp_completion *completion);

/* Moves finished operations into completions; returns how many. */
int rp_proactor_take_finished(rp_proactor *proactor, rp_completion *completions, int capacity);

/*
 * Before a wait: returns the deadline to use, which is 0 if somebody has called wake since the last one. Between this
 * and rp_proactor_awake() a wake kicks. A backend looks for new completions itself after it, and sleeps only then.
 */
int64_t rp_proactor_fall_asleep(rp_proactor *proactor, int64_t deadline);
void rp_proactor_awake(rp_proactor *proactor);

/* Fills it in; 0: RINGPORT_BUSY_POLL's, else none. -EINVAL. */
int rp_spin_init(rp_spin *spin, int64_t duration);

/* Before a wait that may sleep, if there is a duration: completions, an error, or 0 (see proactor->woken). */
int rp_spin_wait(rp_proactor *proactor, rp_completion *completions, int capacity, int64_t deadline);

/*
 * A receive stream where it is made of readiness: its start, the readiness that is to be asked for, what an edge does
 * to the ready flags, and rp_op_receive(): recv() without blocking, keeping the flags.
 */
#define RP_RECEIVE_EVENTS (RP_POLL_IN | RP_POLL_PRI | RP_POLL_RDHUP)
void rp_receive_begin(rp_op *op);
void rp_receive_signal(rp_op *op, uint32_t events);
int64_t rp_receive_when_ready(rp_op *op, void *buffer, size_t length);

#endif
