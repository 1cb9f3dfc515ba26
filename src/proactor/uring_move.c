/*
 * uring_move.c - the ring's move to another thread: what the old ring has is collected, or taken back.
 *
 * The kernel lets no other thread enter a ring, or cancel in it: so it is made anew. What only waits for readiness is
 * taken back from the old one and issued again. Other operations may be half done, and cannot move.
 */
#include "proactor/uring_move.h"

#include "base/thread.h"
#include "proactor/ready.h"
#include "proactor/uring_collect.h"

/* ---- what can move ---- */

/*
 * Whether it only waits for readiness, so that nothing is lost if its ring is. What a multishot accept has accepted is
 * in the completion queue; unless that has run over, and the kernel keeps the rest for the ring's thread.
 */
static bool is_movable(const uring *u, const rp_op *op)
{
    switch (op->kind) {
    case RP_OP_POLL:
    case RP_OP_POLL_MULTI:
    case RP_OP_RECV_STREAM:
    case RP_OP_WAIT_CHILD:
        return true;
    case RP_OP_ACCEPT_MULTI:
        return !(__atomic_load_n(u->ring.uring.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW);
    default:
        return (op->phase & URING_PHASE_POLLING) != 0;
    }
}

/* How many operations that cannot move have entries in the submission queue which the kernel has not got yet. */
static size_t count_unsubmitted(const uring *u)
{
    const struct io_uring_sq *sq = &u->ring.uring.sq;
    size_t count = 0;

    for (unsigned i = *sq->khead; i != sq->sqe_tail; i++) {
        uint64_t data = sq->sqes[i & sq->ring_mask].user_data;

        count += data > URING_TAG_LAST && !is_movable(u, (const rp_op *)(uintptr_t)data);
    }
    return count;
}

/* How many that cannot move have ended, and were not collected yet. */
static size_t count_ended(const uring *u)
{
    const struct io_uring *ring = &u->ring.uring;
    struct io_uring_cqe *cqe;
    unsigned head;
    size_t count = 0;

    io_uring_for_each_cqe(ring, head, cqe) count += cqe->user_data > URING_TAG_LAST &&
                                                    !(cqe->flags & IORING_CQE_F_MORE) &&
                                                    !is_movable(u, (const rp_op *)(uintptr_t)cqe->user_data);
    return count;
}

/* How many have been issued and cannot move. *issued: whether any have been. */
static size_t count_bound(const uring *u, bool *issued)
{
    size_t count = 0;

    *issued = false;
    for (const rp_node *node = u->base.operations.next; node != &u->base.operations; node = node->next) {
        const rp_op *op = rp_container_of(node, rp_op, link);

        if (op->state != RP_OP_SUBMITTED || rp_performer_has(op)) /* what threads do stays with them */
            continue;
        *issued = true;
        count += !is_movable(u, op);
    }
    return count;
}

bool uring_can_move(const uring *u, bool *issued)
{
    return count_bound(u, issued) == count_unsubmitted(u) + count_ended(u);
}

/* ---- moving ---- */

/* Its entry is lost with the ring: it is to be issued again. */
static void take_back(uring *u, rp_op *op)
{
    if (rp_node_linked(&op->queue)) /* among the cancels, or the cancelled */
        rp_list_remove(&op->queue);
    op->state = RP_OP_QUEUED;
    op->phase &= (uint8_t)~URING_PHASE_EDGES; /* what it had found is found again */
    rp_list_push(&u->backlog, &op->queue);
}

/* Of all that were issued, before what is still to be. Those that were cancelled end by it. */
static void take_all_back(uring *u)
{
    rp_node later, *node;

    rp_list_init(&later);
    rp_list_splice(&later, &u->backlog);
    for (node = u->base.operations.next; node != &u->base.operations; node = node->next) {
        rp_op *op = rp_container_of(node, rp_op, link);

        if (op->state == RP_OP_SUBMITTED && !rp_performer_has(op))
            take_back(u, op);
    }
    rp_list_splice(&u->backlog, &later);
    for (node = u->base.operations.next; node != &u->base.operations; node = node->next) {
        rp_op *op = rp_container_of(node, rp_op, link);

        if (op->state == RP_OP_QUEUED && op->phase & URING_PHASE_CANCELLED)
            uring_cancel(&u->base, op);
    }
}

/*
 * Accepts what waits for multishot accepts: kernels without the fix of 6.17 ("include dying ring in task_work should
 * cancel state") may do so while they end the ring, and tell nobody.
 */
static int accept_waiting(uring *u, rp_completion *completions, int capacity)
{
    int n = 0;

    for (rp_node *node = u->base.operations.next; node != &u->base.operations; node = node->next) {
        rp_op *op = rp_container_of(node, rp_op, link);
        int64_t result = 0;

        if (op->kind != RP_OP_ACCEPT_MULTI || op->state != RP_OP_SUBMITTED || op->phase & URING_PHASE_CANCELLED)
            continue;
        rp_op attempt = *op; /* what attempts note in it has another meaning in this file */
        if (rp_ready_begin(&attempt) < 0)
            continue;
        while (n < capacity && (result = rp_ready_attempt(&attempt)) >= 0)
            rp_op_complete(&u->base, op, &completions[n++], result, RP_OP_MORE);
    }
    return n;
}

int uring_own(uring *u)
{
    bool issued;

    if (!u->enabled) {
        RP_TRY(uring_ring_enable(&u->ring));
    } else {
        if (!uring_can_move(u, &issued))
            return RP_ETHREAD;
        RP_TRY(uring_ring_renew(&u->ring, u->submissions, u->completions, issued));
        take_all_back(u);
    }
    u->enabled = true;
    u->thread = rp_thread_id();
    u->wake_polled = false;
    return 0;
}

int uring_collect_elsewhere(uring *u, rp_completion *completions, int capacity)
{
    int n = uring_collect(u, completions, capacity);

    return n + accept_waiting(u, completions + n, capacity - n);
}
