/*
 * uring_submit.h - what the ring is given: operations, polls in their place, cancellations; and the backend's struct.
 */
#ifndef RP_PROACTOR_URING_SUBMIT_H
#define RP_PROACTOR_URING_SUBMIT_H

#include "proactor/backend.h"
#include "proactor/performer.h"
#include "proactor/uring_ring.h"
#include "proactor/uring_queues.h"

/* user_data of what is no operation: cancellations and messages, which are ignored; the poll of wake_fd */
enum { URING_TAG_IGNORE = 1, URING_TAG_WAKE_FD = 2, URING_TAG_LAST = URING_TAG_WAKE_FD };

/* rp_op.phase */
enum {
    URING_PHASE_POLLING = 1 << 0,   /* its entry in the kernel is a poll for readiness */
    URING_PHASE_CANCELLED = 1 << 1, /* its end was asked for: it is not issued again */
    URING_PHASE_EDGES = 1 << 2,   /* its poll is a multishot one: what that finds, and ends with, is the outcome */
    URING_PHASE_PATIENT = 1 << 3, /* a stream's send that has found no room: the kernel waits for that */
    URING_PHASE_SHARED = 1 << 4,  /* an accept that always polls, and then takes what there is by itself */
};

typedef struct uring {
    rp_proactor base;
    uring_ring ring;
    unsigned submissions;
    unsigned completions;
    bool enabled;
    uint64_t thread; /* that enabled it */
    uring_queues queues;
    rp_performer
        performer; /* at files' own positions: the kernel's read() and write() lock these, its rings do not */
    /* Operations, by their queue nodes: */
    rp_node backlog;      /* to be issued */
    rp_node parked;       /* with nothing to wait for in the kernel, or not in turn yet */
    rp_node hasty;        /* not in turn either, and not to wait for it */
    rp_node cancels;      /* issued, and their cancellation is to be */
    rp_node cancelled;    /* issued, and so is their cancellation */
    int64_t cancel_again; /* when those, if there are any, become `cancels` again */
    int message_fd;       /* the ring, for messages to it; -1: this kernel has none */
    int wake_fd;          /* an eventfd that the ring polls while it sleeps: for when there can be no message */
    bool wake_polled;
} uring;

/* The backend's submit and cancel. */
void uring_submit(rp_proactor *proactor, rp_op *op);
void uring_cancel(rp_proactor *proactor, rp_op *op);

/* Whether this thread is the one that enters the ring. */
bool uring_is_own(const uring *u);

/* A free submission entry; NULL if the queue is full and cannot be handed to the kernel now. */
struct io_uring_sqe *uring_get_entry(uring *u);

/* Hands an operation to the ring, in its present phase. It waits in the backlog while there is no room. */
void uring_issue(uring *u, rp_op *op);

/* Keeps an operation that has nothing to wait for in the kernel: a poll of what is always ready; one behind others. */
void uring_park(uring *u, rp_op *op);

/* Has the ring cancel an operation that was issued. */
void uring_issue_cancel(uring *u, rp_op *op);

/* Returns the deadline of a wait, which ends in time for the next look at what was cancelled and has not ended. */
int64_t uring_cancel_again(uring *u, int64_t deadline);

/* Issues what found the submission queue full, and cancellations once more, as far as there is room now. */
void uring_issue_delayed(uring *u);

/* Whether "would block" is what the owner asked to be told. */
bool uring_wants_would_block(const rp_op *op);

/* An operation that takes turns has ended: the next one of its queue is the kernel's now. */
void uring_pass_on(uring *u, rp_op *op);

/* Operations that must not wait learn that they would have to; a half-close need not wait. */
void uring_settle_hasty(uring *u);

#endif
