/*
 * uring_submit.c - what the ring is given: entries for operations, in their order, and for cancellations.
 *
 * The kernel wakes those that wait on one descriptor in an order of its own, most often the last one first. So it gets
 * one of each queue of uring_queues.h at a time. The others are QUEUED, too: in `parked`; or in `hasty`, if they must
 * not wait. These end when the kernel has had everything, and the operation before them still waits.
 *
 * The kernel may lose a cancellation. One that comes while it is about to try an operation again finds nothing. One
 * that meets a worker of its own inside a system call only interrupts that, and the worker may go on. So each is issued
 * again, now and then, until its operation has ended.
 */
#include "proactor/uring_submit.h"

#include <assert.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/rare.h"
#include "proactor/child_posix.h"
#include "proactor/file_posix.h"
#include "proactor/ready.h"
#include "proactor/receive_stream.h"
#include "proactor/uring_entry.h"

enum { CANCEL_AGAIN = 10 }; /* milliseconds after which a cancellation that has ended nothing is issued again */

/* ---- entries ---- */

bool uring_is_own(const uring *u)
{
    return u->enabled && u->thread == rp_thread_id();
}

struct io_uring_sqe *uring_get_entry(uring *u)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring.uring);

    if (sqe || !uring_is_own(u))
        return sqe;
    u->base.kernel_entries++;
    io_uring_submit(&u->ring.uring);
    return io_uring_get_sqe(&u->ring.uring);
}

/* ---- issuing operations ---- */

void uring_issue(uring *u, rp_op *op)
{
    struct io_uring_sqe *sqe = rp_list_empty(&u->backlog) ? uring_get_entry(u) : NULL;

    assert(rp_op_is_in_flight(op) && op->state != RP_OP_FINISHED && !rp_node_linked(&op->queue));
    if (!sqe) {
        op->state = RP_OP_QUEUED;
        rp_list_push(&u->backlog, &op->queue);
        return;
    }
    if (op->phase & (URING_PHASE_POLLING | URING_PHASE_EDGES))
        uring_entry_prepare_poll(sqe, op, op->phase & URING_PHASE_EDGES);
    else
        uring_entry_prepare(sqe, op);
    if (op->phase & URING_PHASE_PATIENT)
        sqe->msg_flags &= ~(unsigned)MSG_DONTWAIT;
    io_uring_sqe_set_data(sqe, op);
    op->state = RP_OP_SUBMITTED;
}

void uring_park(uring *u, rp_op *op)
{
    assert(rp_op_is_in_flight(op) && !rp_node_linked(&op->queue));
    op->state = RP_OP_QUEUED;
    rp_list_push(&u->parked, &op->queue);
}

/* ---- issuing cancellations ---- */

void uring_issue_cancel(uring *u, rp_op *op)
{
    struct io_uring_sqe *sqe = uring_get_entry(u);

    if (!sqe) {
        rp_list_push(&u->cancels, &op->queue);
        return;
    }
    io_uring_prep_cancel(sqe, op, 0);
    io_uring_sqe_set_data64(sqe, URING_TAG_IGNORE);
    if (rp_list_empty(&u->cancelled))
        u->cancel_again = rp_time_add(rp_proactor_now(&u->base), RP_MSEC(CANCEL_AGAIN));
    rp_list_push(&u->cancelled, &op->queue);
}

int64_t uring_cancel_again(uring *u, int64_t deadline)
{
    int64_t now = rp_proactor_now(&u->base);

    if (now >= u->cancel_again) {
        u->cancel_again = rp_time_add(now, RP_MSEC(CANCEL_AGAIN));
        rp_list_splice(&u->cancels, &u->cancelled);
    }
    return deadline < u->cancel_again ? deadline : u->cancel_again;
}

void uring_issue_delayed(uring *u)
{
    rp_node delayed;

    rp_list_init(&delayed);
    rp_list_splice(&delayed, &u->cancels);
    while (!rp_list_empty(&delayed) && rp_list_empty(&u->cancels))
        uring_issue_cancel(u, rp_container_of(rp_list_pop(&delayed), rp_op, queue));
    rp_list_splice(&u->cancels, &delayed);

    rp_list_splice(&delayed, &u->backlog);
    while (!rp_list_empty(&delayed) && rp_list_empty(&u->backlog))
        uring_issue(u, rp_container_of(rp_list_pop(&delayed), rp_op, queue));
    rp_list_splice(&u->backlog, &delayed);
}

/* ---- submitting, each in its turn ---- */

bool uring_wants_would_block(const rp_op *op)
{
    switch (op->kind) {
    case RP_OP_RECV:
    case RP_OP_SEND:
        return (op->u.buffer.flags & MSG_DONTWAIT) != 0;
    case RP_OP_RECVMSG:
    case RP_OP_SENDMSG:
        return (op->u.message.flags & MSG_DONTWAIT) != 0;
    case RP_OP_READ:
    case RP_OP_READV:
    case RP_OP_WRITE:
    case RP_OP_WRITEV:
    case RP_OP_ACCEPT:
    case RP_OP_ACCEPT_MULTI:
        return false;
    default:
        return true;
    }
}

/*
 * Tries what the cache may have. Whether that is all; or else a thread has it: where the kernel cannot tell what would
 * block, its ring would have a thread of its own do it, which takes longer.
 */
static bool has_been_cached(uring *u, rp_op *op)
{
    int64_t result = rp_file_try(op);

    if (result == -EOPNOTSUPP && rp_file_is_always_ready(op->fd)) {
        rp_performer_take(&u->performer, op);
        return true;
    }
    if (result != -EAGAIN && result != -EOPNOTSUPP)
        rp_op_finish(&u->base, op, result);
    return result != -EAGAIN && result != -EOPNOTSUPP;
}

/* Reads and writes try first what is cached; and there may be others on the descriptor. */
static void submit_among_others(uring *u, rp_op *op)
{
    if (rp_op_transfers(op) && rp_file_needs_no_wait(op)) {
        rp_op_finish(&u->base, op, rp_file_perform(op));
        return;
    }
    if (rp_performer_wants(op)) {
        rp_performer_take(&u->performer, op);
        return;
    }
    bool others = uring_queues_others(&u->queues, op);
    bool alone =
        others && rp_op_transfers(op) && rp_file_is_always_ready(op->fd); /* where each has its own place */

    if (rp_op_transfers(op) && (alone || !others) && has_been_cached(u, op))
        return;
    if (alone) {
        uring_queues_pass(op);
        uring_issue(u, op);
        return;
    }
    int rc = uring_queues_join(&u->queues, op);
    if (rc < 0) {
        rp_op_finish(&u->base, op, rc);
    } else if (rc == 0) {
        uring_issue(u, op);
    } else {
        uring_park(u, op);
        if (uring_wants_would_block(op)) {
            rp_list_remove(&op->queue);
            rp_list_push(&u->hasty, &op->queue);
        }
    }
}

void uring_pass_on(uring *u, rp_op *op)
{
    rp_op *next = uring_queues_leave(op);

    if (!next)
        return;
    rp_list_remove(&next->queue);
    uring_issue(u, next);
}

/* Whether the kernel has got everything, and has told all that came of it. */
static bool is_settled(const uring *u)
{
    const struct io_uring *ring = &u->ring.uring;
    unsigned flags = __atomic_load_n(ring->sq.kflags, __ATOMIC_RELAXED);

    return rp_list_empty(&u->backlog) && io_uring_sq_ready(ring) == 0 && io_uring_cq_ready(ring) == 0 &&
           !(flags & IORING_SQ_CQ_OVERFLOW);
}

void uring_settle_hasty(uring *u)
{
    rp_node hasty;

    if (!is_settled(u))
        return;
    rp_list_init(&hasty);
    rp_list_splice(&hasty, &u->hasty);
    while (!rp_list_empty(&hasty)) {
        rp_op *op = rp_container_of(rp_list_pop(&hasty), rp_op, queue);

        uring_queues_leave(op);
        if (op->kind == RP_OP_SHUTDOWN)
            uring_issue(u, op);
        else
            rp_op_finish(&u->base, op, -EAGAIN);
    }
}

/*
 * An accept that is to leave connections to others polls. But on a blocking socket only the kernel can accept without
 * blocking, since processes would undo each other's mode. And what does not listen is never ready: the kernel is to say
 * so.
 */
RP_APART static void note_sharing(rp_op *op)
{
    int listens = 0;
    socklen_t length = sizeof listens;

    if (op->u.accept.shared && rp_ready_is_blocking(op->fd) == 0 &&
        getsockopt(op->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens)
        op->phase |= URING_PHASE_POLLING | URING_PHASE_SHARED;
}

void uring_submit(rp_proactor *proactor, rp_op *op)
{
    uring *u = (uring *)proactor;

    if (op->kind == RP_OP_ACCEPT || op->kind == RP_OP_ACCEPT_MULTI)
        note_sharing(op);
    if (uring_queues_wants(op)) {
        if (!rp_op_transfers(op) && uring_queues_take(&u->queues, op))
            uring_issue(u, op);
        else
            submit_among_others(u, op);
        return;
    }
    if (op->kind == RP_OP_CLOSE)
        rp_performer_close(&u->performer, op->fd);
    if (op->kind == RP_OP_READLINKAT || op->kind == RP_OP_TRUNCATE) { /* no ring has these */
        rp_performer_take(&u->performer, op);
        return;
    }
    if (op->kind == RP_OP_STATX && has_been_cached(u, op))
        return;
    if (op->kind == RP_OP_RECV_STREAM) {
        int rc = rp_receive_stream_begin(op);

        if (rc < 0) {
            rp_op_finish(proactor, op, rc);
            return;
        }
    }
    if (op->kind == RP_OP_WAIT_CHILD) {
        int64_t status = rp_child_open(op);

        if (status == 0)
            status = rp_child_reap(op); /* it may have ended, or be no child of ours */
        if (status != -EAGAIN) {
            if (op->fd >= 0)
                rp_child_close(op);
            rp_op_finish(proactor, op, status);
            return;
        }
    }
    uring_issue(u, op);
}

/* ---- cancelling ---- */

/* Whether its poll has found something, and is being ended for that. */
static bool is_ending(const rp_op *op)
{
    return op->phase & URING_PHASE_EDGES && op->outcome != 0;
}

/* A close is done all the same: nobody else would. */
void uring_cancel(rp_proactor *proactor, rp_op *op)
{
    uring *u = (uring *)proactor;

    if (rp_performer_has(op)) {
        rp_performer_cancel(&u->performer, op);
        return;
    }
    if (op->state == RP_OP_QUEUED) {
        rp_list_remove(&op->queue);
        if (op->kind == RP_OP_WAIT_CHILD)
            rp_child_close(op);
        if (uring_queues_wants(op))
            uring_pass_on(u, op);
        rp_op_finish(proactor, op, op->kind == RP_OP_CLOSE ? rp_ready_attempt(op) : -ECANCELED);
        return;
    }
    if (op->phase & URING_PHASE_CANCELLED)
        return;
    op->phase |= URING_PHASE_CANCELLED;
    if (!is_ending(op))
        uring_issue_cancel(u, op);
}
