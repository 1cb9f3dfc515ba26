/*
 * uring_queues.h - operations that are served in order: those that take something out of one descriptor, and those that
 * put something into it.
 */
#ifndef RP_PROACTOR_URING_QUEUES_H
#define RP_PROACTOR_URING_QUEUES_H

#include "proactor/op.h"

_Static_assert(RP_OP_KINDS_ <= 32, "a word has a bit for each kind of operation");

/* The queues of all descriptors. Zeroed, it is empty. */
typedef struct uring_queues {
    rp_op ***chunks; /* each has the last operations of the queues of so many descriptors */
    size_t count;
} uring_queues;

void uring_queues_fini(uring_queues *queues);

/* Whether it is one of those. The functions below are for these only. */
static inline bool uring_queues_wants(const rp_op *op)
{
    const unsigned kinds = 1U << RP_OP_ACCEPT | 1U << RP_OP_RECV | 1U << RP_OP_RECVMSG | 1U << RP_OP_READ |
                           1U << RP_OP_READV | 1U << RP_OP_SEND | 1U << RP_OP_SENDMSG | 1U << RP_OP_WRITE |
                           1U << RP_OP_WRITEV | 1U << RP_OP_SHUTDOWN;

    return kinds >> op->kind & 1;
}

/* An operation's place in a queue. */
typedef struct uring_place {
    rp_op **last; /* of the queue; NULL: it is in none */
    rp_op *before;
    rp_op *behind;
} uring_place;

_Static_assert(sizeof(uring_place) <= sizeof((rp_op *)NULL)->scratch,
               "an operation's scratch space holds its place");

static inline uring_place *uring_place_of(rp_op *op)
{
    return (uring_place *)op->scratch;
}

enum {
    URING_QUEUES_DESCRIPTORS = 64, /* of a chunk, which is made when one of them is first used */
    URING_QUEUES_DIRECTIONS = 2,   /* in, out */
};

/* Where the last one of its queue stands; NULL: no chunk yet. */
static inline rp_op **uring_queues_last(const uring_queues *queues, const rp_op *op)
{
    const unsigned out = 1U << RP_OP_SEND | 1U << RP_OP_SENDMSG | 1U << RP_OP_WRITE | 1U << RP_OP_WRITEV |
                         1U << RP_OP_SHUTDOWN; /* which comes after what was sent before it */
    size_t chunk = (unsigned)op->fd / URING_QUEUES_DESCRIPTORS;

    if (chunk >= queues->count || !queues->chunks[chunk])
        return NULL;
    return &queues->chunks[chunk][(unsigned)op->fd % URING_QUEUES_DESCRIPTORS * URING_QUEUES_DIRECTIONS +
                                  (out >> op->kind & 1)];
}

/* Puts it in its queue if nobody else is there: whether that is so. */
static inline bool uring_queues_take(uring_queues *queues, rp_op *op)
{
    rp_op **last = uring_queues_last(queues, op);

    if (!last || *last)
        return false;
    *uring_place_of(op) = (uring_place){.last = last};
    *last = op;
    return true;
}

/* Whether it would have to wait for others. */
static inline bool uring_queues_others(const uring_queues *queues, const rp_op *op)
{
    rp_op *const *last = uring_queues_last(queues, op);

    return last && *last;
}

/* Keeps it out of every queue: it may be handed to uring_queues_leave() all the same. */
static inline void uring_queues_pass(rp_op *op)
{
    uring_place_of(op)->last = NULL;
}

/* Puts it in its queue: 0 if it is its turn, 1 if others come first, or -ENOMEM. */
int uring_queues_join(uring_queues *queues, rp_op *op);

/* Takes it out of its queue. Returns the operation whose turn it is by that, or NULL. */
static inline rp_op *uring_queues_leave(rp_op *op)
{
    uring_place *place = uring_place_of(op);

    if (!place->last)
        return NULL;
    if (place->behind)
        uring_place_of(place->behind)->before = place->before;
    else
        *place->last = place->before;
    if (place->before)
        uring_place_of(place->before)->behind = place->behind;
    place->last = NULL;
    return place->before ? NULL : place->behind;
}

#endif
