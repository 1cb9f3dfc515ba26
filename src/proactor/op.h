/*
 * op.h - what the proactor keeps in an operation: its state, and what it is ready for.
 */
#ifndef RP_PROACTOR_OP_H
#define RP_PROACTOR_OP_H

#include "base/socket.h"
#include "ringport/op.h"

/* rp_op.state */
enum {
    RP_OP_IDLE,      /* the owner's */
    RP_OP_QUEUED,    /* in a queue of the backend's: not handed to the kernel yet, or waiting for readiness */
    RP_OP_SUBMITTED, /* the kernel's, or a thread's */
    RP_OP_FINISHED,  /* in the list of operations that are done, its result stored */
    RP_OP_TAKEN,     /* the waiter's: its last completion is out, and in a loop perhaps not delivered yet */
};

/* rp_op.ready, of a receive stream */
enum {
    RP_READY_INPUT = 1 << 0, /* something may have arrived since rp_op_receive() found nothing more */
    /* A short read does not mean that nothing more is there: */
    RP_READY_UNSURE = 1 << 1, /* the peer has ended, or urgent data splits what is read; until all is taken */
    RP_READY_UNIX = 1 << 2, /* a Unix socket, for good: descriptors and credentials that came along split it too */
};

/*
 * In u.buffer.flags of a read of a file, at an offset: a thread is to read at once. Even a read that is not to wait has
 * the kernel read ahead, which for megabytes takes long, and what it has brought is copied. IOCP never copies.
 */
enum { RP_READ_BY_THREAD = 1 << 0 };

/* Whether it is the backend's: it was submitted, and its last completion is not out yet. */
static inline bool rp_op_is_in_flight(const rp_op *op)
{
    return op->state == RP_OP_QUEUED || op->state == RP_OP_SUBMITTED || op->state == RP_OP_FINISHED;
}

/*
 * Whether a receive ends only when its buffer is full (MSG_WAITALL), on a stream. One that peeks never does: it would
 * find the same bytes again, and no kernel tells when there are more of them.
 */
static inline bool rp_op_fills_buffer(const rp_op *op)
{
    return op->kind == RP_OP_RECV && (op->u.buffer.flags & (MSG_WAITALL | MSG_PEEK | MSG_DONTWAIT)) == MSG_WAITALL;
}

/* Whether it reads or writes a file, a pipe or a socket: read, write, readv, writev. */
static inline bool rp_op_transfers(const rp_op *op)
{
    return op->kind >= RP_OP_READ && op->kind <= RP_OP_WRITEV;
}

/* Of these, whether it reads, */
static inline bool rp_op_reads(const rp_op *op)
{
    return op->kind == RP_OP_READ || op->kind == RP_OP_READV;
}

/* whether it has a vector, in u.io, rather than a buffer, */
static inline bool rp_op_has_vector(const rp_op *op)
{
    return op->kind == RP_OP_READV || op->kind == RP_OP_WRITEV;
}

/* and where: -1 is the file's own position. */
static inline int64_t rp_op_offset(const rp_op *op)
{
    return rp_op_has_vector(op) ? op->u.io.offset : op->u.buffer.offset;
}

/* Whether a file's cache may have what it asks for, whatever others do: not at the file's own position. */
static inline bool rp_op_may_be_cached(const rp_op *op)
{
    return rp_op_transfers(op) ? rp_op_offset(op) >= 0 : op->kind == RP_OP_STATX;
}

/* Whether it changes a file's names or length, or tells what a link leads to. */
static inline bool rp_op_is_of_names(const rp_op *op)
{
    return op->kind >= RP_OP_RENAMEAT && op->kind <= RP_OP_FTRUNCATE;
}

/* Whether it completes many times. */
static inline bool rp_op_is_multishot(const rp_op *op)
{
    return op->kind == RP_OP_ACCEPT_MULTI || op->kind == RP_OP_RECV_STREAM || op->kind == RP_OP_POLL_MULTI;
}

#endif
