/*
 * performer.h - file operations that block, by threads of a proactor's own.
 *
 * What is done at a file's own position goes one after the other: the kernel's locks keep it whole, but threads come to
 * it in any order.
 */
#ifndef RP_PROACTOR_PERFORMER_H
#define RP_PROACTOR_PERFORMER_H

#include "base/pool.h"
#include "proactor/backend.h"
#include "proactor/lanes.h"

/* In rp_op.phase, beside the backend's own: a performer has it, or has ended it. */
enum { RP_PHASE_PERFORMED = 1 << 7 };

static inline bool rp_performer_has(const rp_op *op)
{
    return op->phase & RP_PHASE_PERFORMED;
}

typedef struct rp_performer {
    rp_proactor *proactor; /* it knows how many operations the pool has */
    rp_pool *pool;         /* made on first use */
    rp_lanes lanes;        /* operations at files' own positions */
    rp_mutex mutex;
    rp_op *performed; /* those that it is done with, first one first; under the mutex */
    rp_op **end;      /* of these */
} rp_performer;

/* 0 or an error. */
int rp_performer_init(rp_performer *performer, rp_proactor *proactor);

/* Waits for operations that it still has. Not in a child of fork(), which has none of its threads. */
void rp_performer_fini(rp_performer *performer);

/* Whether a read or write, which has not begun, is at a file's own position. */
bool rp_performer_wants(const rp_op *op);

/*
 * Takes an operation that may block; at a file's own position what is cached is read at once. It ends among the
 * proactor's finished ones.
 */
void rp_performer_take(rp_performer *performer, rp_op *op);

/* Cancels one that it has. What a thread has begun ends by itself. */
void rp_performer_cancel(rp_performer *performer, rp_op *op);

/* The descriptor is about to be closed: what has not begun to use it ends with -EBADF. */
void rp_performer_close(rp_performer *performer, rp_fd fd);

void rp_performer_collect_performed(rp_performer *performer);

/* Puts what threads are done with among the finished. Each of these has prompted the proactor. */
static inline void rp_performer_collect(rp_performer *performer)
{
    if (performer->pool) /* most proactors never have one */
        rp_performer_collect_performed(performer);
}

#endif
