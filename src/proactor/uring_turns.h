/*
 * uring_turns.h - operations that are served in order: those that take something out of one descriptor, and those that
 * put something into it.
 */
#ifndef RP_PROACTOR_URING_TURNS_H
#define RP_PROACTOR_URING_TURNS_H

#include "proactor/op.h"

/* The queues of all descriptors. Zeroed, it is empty. */
typedef struct uring_turns {
    rp_op ***chunks; /* each has the last operations of the queues of so many descriptors */
    size_t count;
} uring_turns;

void uring_turns_fini(uring_turns *turns);

/* Whether it is one of those. The functions below are for these only. */
static inline bool uring_turns_wants(const rp_op *op)
{
    const unsigned kinds = 1U << RP_OP_ACCEPT | 1U << RP_OP_RECV | 1U << RP_OP_RECVMSG | 1U << RP_OP_READ |
                           1U << RP_OP_READV | 1U << RP_OP_SEND | 1U << RP_OP_SENDMSG | 1U << RP_OP_WRITE |
                           1U << RP_OP_WRITEV | 1U << RP_OP_SHUTDOWN;

    return kinds >> op->kind & 1;
}

/* An operation's place in a queue. */
typedef struct uring_turn {
    rp_op **last; /* of the queue; NULL: it is in none */
    rp_op *before;
    rp_op *behind;
} uring_turn;

_Static_assert(sizeof(uring_turn) <= sizeof((rp_op *)NULL)->scratch,
               "an operation's scratch space holds its turn");

static inline uring_turn *uring_turn_of(rp_op *op)
{
    return (uring_turn *)op->scratch;
}

enum {
    URING_TURNS_DESCRIPTORS = 64, /* of a chunk, which is made when one of them is first used */
    URING_TURNS_DIRECTIONS = 2,   /* in, out */
};

/* Where the last one of its queue stands; NULL: no chunk yet. */
static inline rp_op **uring_turns_last(const uring_turns *turns, const rp_op *op)
{
    const unsigned out = 1U << RP_OP_SEND | 1U << RP_OP_SENDMSG | 1U << RP_OP_WRITE | 1U << RP_OP_WRITEV |
                         1U << RP_OP_SHUTDOWN; /* which comes after what was sent before it */
    size_t chunk = (unsigned)op->fd / URING_TURNS_DESCRIPTORS;

    if (chunk >= turns->count || !turns->chunks[chunk])
        return NULL;
    return &turns->chunks[chunk][(unsigned)op->fd % URING_TURNS_DESCRIPTORS * URING_TURNS_DIRECTIONS +
                                 (out >> op->kind & 1)];
}

/* Puts it in its queue if nobody else is there: whether that is so. */
static inline bool uring_turns_take(uring_turns *turns, rp_op *op)
{
    rp_op **last = uring_turns_last(turns, op);

    if (!last || *last)
        return false;
    *uring_turn_of(op) = (uring_turn){.last = last};
    *last = op;
    return true;
}

/* Whether it would have to wait for others. */
static inline bool uring_turns_others(const uring_turns *turns, const rp_op *op)
{
    rp_op *const *last = uring_turns_last(turns, op);

    return last && *last;
}

/* Keeps it out of every queue: it may be handed to uring_turns_leave() all the same. */
static inline void uring_turns_pass(rp_op *op)
{
    uring_turn_of(op)->last = NULL;
}

/* Puts it in its queue: 0 if it is its turn, 1 if others come first, or -ENOMEM. */
int uring_turns_join(uring_turns *turns, rp_op *op);

/* Takes it out of its queue. Returns the operation whose turn it is by that, or NULL. */
static inline rp_op *uring_turns_leave(rp_op *op)
{
    uring_turn *turn = uring_turn_of(op);

    if (!turn->last)
        return NULL;
    if (turn->behind)
        uring_turn_of(turn->behind)->before = turn->before;
    else
        *turn->last = turn->before;
    if (turn->before)
        uring_turn_of(turn->before)->behind = turn->behind;
    turn->last = NULL;
    return turn->before ? NULL : turn->behind;
}

#endif
