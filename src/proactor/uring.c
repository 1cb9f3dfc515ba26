/*
 * uring.c - the proactor on Linux' io_uring: an operation is a submission entry whose user_data is its address.
 *
 * The ring has a single issuer, and runs its completions only when its owner asks (DEFER_TASKRUN). So one system call a
 * turn submits, waits and collects. The ring is made disabled, and enabled by the thread that first waits on it. Until
 * then, and whenever the submission queue is full, operations wait in `backlog`. For another thread the ring is made
 * anew: what only waits for readiness is taken back from the old one, and issued again; other operations cannot be.
 *
 * What must stay true: an operation in flight is in `backlog`, `parked` or `hasty` (RP_OP_QUEUED), or has exactly one
 * entry with its address in the kernel (RP_OP_SUBMITTED), or is among the finished. An operation that the kernel
 * answers with "would block" waits for readiness with a poll entry in place of its own, and is then issued again (phase
 * POLLING).
 *
 * The kernel wakes those that wait on one descriptor in an order of its own, most often the last one first. So it gets
 * one of each queue of uring_turns.h at a time. The others are QUEUED, too: in `parked`; or in `hasty`, if they must
 * not wait. These end when the kernel has had everything, and the operation before them still waits.
 *
 * The kernel may lose a cancellation. One that comes while it is about to try an operation again finds nothing. One
 * that meets a worker of its own inside a system call only interrupts that, and the worker may go on. So each is issued
 * again, now and then, until its operation has ended.
 *
 * A poll in the kernel ends when the peer has ended (RDHUP), whether that was asked for or not, and the next one would
 * end at once. So a multishot poll, which tells changes, takes its place until there is what was asked for (phase
 * EDGES).
 */
#include "proactor/uring.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "proactor/file_posix.h"
#include "proactor/ready.h"
#include "proactor/receive_stream.h"
#include "proactor/uring_entry.h"
#include "proactor/uring_ring.h"
#include "proactor/uring_turns.h"

enum {
    DEFAULT_SUBMISSIONS = 4096,
    DEFAULT_COMPLETIONS = 16384,
    CANCEL_AGAIN = 10, /* milliseconds after which a cancellation that has ended nothing is issued again */
};

/* user_data of what is no operation: cancellations and messages, which are ignored; the poll of wake_fd */
enum { TAG_IGNORE = 1, TAG_WAKE_FD = 2, TAG_LAST = TAG_WAKE_FD };

/* rp_op.phase */
enum {
    PHASE_POLLING = 1 << 0,   /* its entry in the kernel is a poll for readiness */
    PHASE_CANCELLED = 1 << 1, /* its end was asked for: it is not issued again */
    PHASE_EDGES = 1 << 2, /* its poll is a multishot one; what it has found, and ends with, is in op->outcome */
};

typedef struct uring {
    rp_proactor base;
    uring_ring ring;
    unsigned submissions;
    unsigned completions;
    bool enabled;
    uint64_t thread; /* that enabled it */
    rp_node backlog; /* operations that are to be issued, by their queue nodes */
    rp_node
        parked;    /* operations with nothing to wait for in the kernel, or not their turn, by their queue nodes */
    rp_node hasty; /* of those whose turn it is not, the ones that are not to wait, by their queue nodes */
    uring_turns turns;
    rp_node cancels;      /* issued ones whose cancellation is to be issued, by their queue nodes */
    rp_node cancelled;    /* issued ones whose cancellation was issued, by their queue nodes */
    int64_t cancel_again; /* when those, if there are any, become `cancels` again */
    int message_fd;       /* the ring, for messages to it; -1: this kernel has none */
    int wake_fd;          /* an eventfd that the ring polls while it sleeps: for when there can be no message */
    bool wake_polled;
} uring;

/* ---- whose the ring is ---- */

static struct io_uring_sqe *get_entry(uring *u);
static void uring_cancel(rp_proactor *proactor, rp_op *op);

static void poll_wake_fd(uring *u)
{
    struct io_uring_sqe *sqe = get_entry(u);

    u->wake_polled = sqe;
    if (!sqe)
        return;
    io_uring_prep_poll_multishot(sqe, u->wake_fd, POLLIN);
    io_uring_sqe_set_data64(sqe, TAG_WAKE_FD);
}

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
        return (op->phase & PHASE_POLLING) != 0;
    }
}

/* How many operations that cannot move have entries in the submission queue which the kernel has not got yet. */
static size_t count_unsubmitted(const uring *u)
{
    const struct io_uring_sq *sq = &u->ring.uring.sq;
    size_t count = 0;

    for (unsigned i = *sq->khead; i != sq->sqe_tail; i++) {
        uint64_t data = sq->sqes[i & sq->ring_mask].user_data;

        count += data > TAG_LAST && !is_movable(u, (const rp_op *)(uintptr_t)data);
    }
    return count;
}

/* How many that cannot move have ended, and were not collected yet. */
static size_t count_ended(const uring *u)
{
    const struct io_uring *ring = &u->ring.uring;
    const struct io_uring_cqe *cqe;
    unsigned head;
    size_t count = 0;

    io_uring_for_each_cqe(ring, head, cqe) count += cqe->user_data > TAG_LAST &&
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

        if (op->state != RP_OP_SUBMITTED)
            continue;
        *issued = true;
        count += !is_movable(u, op);
    }
    return count;
}

/* Whether the kernel has nothing that would be lost with the ring. */
static bool can_move(const uring *u, bool *issued)
{
    return count_bound(u, issued) == count_unsubmitted(u) + count_ended(u);
}

/* Its entry is lost with the ring: it is to be issued again. */
static void take_back(uring *u, rp_op *op)
{
    if (rp_node_linked(&op->queue)) /* among the cancels, or the cancelled */
        rp_list_remove(&op->queue);
    op->state = RP_OP_QUEUED;
    op->phase &= (uint8_t)~PHASE_EDGES; /* what it had found is found again */
    rp_list_push(&u->backlog, &op->queue);
}

/* Of all that were issued, before what is still to be. Those that were cancelled end by it. */
static void take_all_back(uring *u)
{
    rp_node later, *node;

    rp_list_init(&later);
    rp_list_splice(&later, &u->backlog);
    for (node = u->base.operations.next; node != &u->base.operations; node = node->next)
        if (rp_container_of(node, rp_op, link)->state == RP_OP_SUBMITTED)
            take_back(u, rp_container_of(node, rp_op, link));
    rp_list_splice(&u->backlog, &later);
    for (node = u->base.operations.next; node != &u->base.operations; node = node->next) {
        rp_op *op = rp_container_of(node, rp_op, link);

        if (op->state == RP_OP_QUEUED && op->phase & PHASE_CANCELLED)
            uring_cancel(&u->base, op);
    }
}

static bool is_own(const uring *u)
{
    return u->enabled && u->thread == rp_thread_id();
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
        rp_op attempt = *op; /* what attempts note in it has another meaning in this file */
        int64_t result = 0;

        if (op->kind != RP_OP_ACCEPT_MULTI || op->state != RP_OP_SUBMITTED || op->phase & PHASE_CANCELLED ||
            rp_ready_begin(&attempt) < 0)
            continue;
        while (n < capacity && (result = rp_ready_attempt(&attempt)) >= 0)
            rp_op_complete(&u->base, op, &completions[n++], result, RP_OP_MORE);
    }
    return n;
}

/* Binds the ring to this thread: what other threads have had of it is collected. RP_ETHREAD: the kernel has more. */
static int ring_own(uring *u)
{
    bool issued;

    if (!u->enabled) {
        RP_TRY(uring_ring_enable(&u->ring));
    } else {
        if (!can_move(u, &issued))
            return RP_ETHREAD;
        RP_TRY(uring_ring_renew(&u->ring, u->submissions, u->completions, issued));
        take_all_back(u);
    }
    u->enabled = true;
    u->thread = rp_thread_id();
    u->wake_polled = false;
    return 0;
}

/* A free submission entry; NULL if the queue is full and cannot be handed to the kernel now. */
static struct io_uring_sqe *get_entry(uring *u)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring.uring);

    if (sqe || !is_own(u))
        return sqe;
    u->base.kernel_entries++;
    io_uring_submit(&u->ring.uring);
    return io_uring_get_sqe(&u->ring.uring);
}

/* ---- issuing operations ---- */

static void issue(uring *u, rp_op *op)
{
    struct io_uring_sqe *sqe = rp_list_empty(&u->backlog) ? get_entry(u) : NULL;

    if (!sqe) {
        op->state = RP_OP_QUEUED;
        rp_list_push(&u->backlog, &op->queue);
        return;
    }
    if (op->phase & (PHASE_POLLING | PHASE_EDGES))
        uring_entry_prepare_poll(sqe, op, op->phase & PHASE_EDGES);
    else
        uring_entry_prepare(sqe, op);
    io_uring_sqe_set_data(sqe, op);
    op->state = RP_OP_SUBMITTED;
}

/* Keeps an operation that has nothing to wait for in the kernel: a poll of what is always ready; one behind others. */
static void park(uring *u, rp_op *op)
{
    op->state = RP_OP_QUEUED;
    rp_list_push(&u->parked, &op->queue);
}

static void issue_cancel(uring *u, rp_op *op)
{
    struct io_uring_sqe *sqe = get_entry(u);

    if (!sqe) {
        rp_list_push(&u->cancels, &op->queue);
        return;
    }
    io_uring_prep_cancel(sqe, op, 0);
    io_uring_sqe_set_data64(sqe, TAG_IGNORE);
    if (rp_list_empty(&u->cancelled))
        u->cancel_again = rp_time_add(rp_proactor_now(&u->base), RP_MSEC(CANCEL_AGAIN));
    rp_list_push(&u->cancelled, &op->queue);
}

/* Returns the deadline of a wait, which ends in time for the next look at what was cancelled and has not ended. */
static int64_t cancel_again(uring *u, int64_t deadline)
{
    int64_t now = rp_proactor_now(&u->base);

    if (now >= u->cancel_again) {
        u->cancel_again = rp_time_add(now, RP_MSEC(CANCEL_AGAIN));
        rp_list_splice(&u->cancels, &u->cancelled);
    }
    return deadline < u->cancel_again ? deadline : u->cancel_again;
}

/* Issues what found the submission queue full, and cancellations once more, as far as there is room now. */
static void issue_delayed(uring *u)
{
    rp_node delayed;

    rp_list_init(&delayed);
    rp_list_splice(&delayed, &u->cancels);
    while (!rp_list_empty(&delayed) && rp_list_empty(&u->cancels))
        issue_cancel(u, rp_container_of(rp_list_pop(&delayed), rp_op, queue));
    rp_list_splice(&u->cancels, &delayed);

    rp_list_splice(&delayed, &u->backlog);
    while (!rp_list_empty(&delayed) && rp_list_empty(&u->backlog))
        issue(u, rp_container_of(rp_list_pop(&delayed), rp_op, queue));
    rp_list_splice(&u->backlog, &delayed);
}

/* Whether "would block" is what the owner asked to be told. */
static bool wants_would_block(const rp_op *op)
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

/* Whether it reads or writes: a file, a pipe or a socket. */
static bool is_file_operation(const rp_op *op)
{
    return op->kind >= RP_OP_READ && op->kind <= RP_OP_WRITEV;
}

/* Reads take first what is cached; and there may be others on the descriptor. */
static void submit_among_others(uring *u, rp_op *op)
{
    bool reads = op->kind == RP_OP_READ || op->kind == RP_OP_READV;

    if (is_file_operation(op) && rp_file_needs_no_wait(op)) {
        rp_op_finish(&u->base, op, rp_file_perform(op));
        return;
    }
    bool others = uring_turns_others(&u->turns, op);
    bool alone =
        others && is_file_operation(op) && rp_file_is_always_ready(op->fd); /* where each has its own place */

    if (reads && (alone || !others)) {
        int64_t n = rp_file_read_cached(op);

        if (n != -EAGAIN) {
            rp_op_finish(&u->base, op, n);
            return;
        }
    }
    if (alone) {
        uring_turns_pass(op);
        issue(u, op);
        return;
    }
    int rc = uring_turns_join(&u->turns, op);
    if (rc < 0) {
        rp_op_finish(&u->base, op, rc);
    } else if (rc == 0) {
        issue(u, op);
    } else {
        park(u, op);
        if (wants_would_block(op)) {
            rp_list_remove(&op->queue);
            rp_list_push(&u->hasty, &op->queue);
        }
    }
}

/* An operation that takes turns has ended: the next one of its queue is the kernel's now. */
static void pass_turn(uring *u, rp_op *op)
{
    rp_op *next = uring_turns_leave(op);

    if (!next)
        return;
    rp_list_remove(&next->queue);
    issue(u, next);
}

/* Whether the kernel has got everything, and has told all that came of it. */
static bool is_settled(const uring *u)
{
    const struct io_uring *ring = &u->ring.uring;
    unsigned flags = __atomic_load_n(ring->sq.kflags, __ATOMIC_RELAXED);

    return rp_list_empty(&u->backlog) && io_uring_sq_ready(ring) == 0 && io_uring_cq_ready(ring) == 0 &&
           !(flags & IORING_SQ_CQ_OVERFLOW);
}

/* Operations that must not wait learn that they would have to; a half-close need not wait. */
static void settle_hasty(uring *u)
{
    rp_node hasty;

    if (!is_settled(u))
        return;
    rp_list_init(&hasty);
    rp_list_splice(&hasty, &u->hasty);
    while (!rp_list_empty(&hasty)) {
        rp_op *op = rp_container_of(rp_list_pop(&hasty), rp_op, queue);

        uring_turns_leave(op);
        if (op->kind == RP_OP_SHUTDOWN)
            issue(u, op);
        else
            rp_op_finish(&u->base, op, -EAGAIN);
    }
}

static void uring_submit(rp_proactor *proactor, rp_op *op)
{
    uring *u = (uring *)proactor;

    if (uring_turns_wants(op)) {
        if (!is_file_operation(op) && uring_turns_take(&u->turns, op))
            issue(u, op);
        else
            submit_among_others(u, op);
        return;
    }
    if (op->kind == RP_OP_RECV_STREAM)
        rp_receive_stream_begin(op);
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
    issue(u, op);
}

/* Whether its poll has found something, and is being ended for that. */
static bool is_ending(const rp_op *op)
{
    return op->phase & PHASE_EDGES && op->outcome != 0;
}

static void uring_cancel(rp_proactor *proactor, rp_op *op)
{
    uring *u = (uring *)proactor;

    if (op->state == RP_OP_QUEUED) {
        rp_list_remove(&op->queue);
        if (op->kind == RP_OP_WAIT_CHILD)
            rp_child_close(op);
        if (uring_turns_wants(op))
            pass_turn(u, op);
        rp_op_finish(proactor, op, -ECANCELED);
        return;
    }
    if (op->phase & PHASE_CANCELLED)
        return;
    op->phase |= PHASE_CANCELLED;
    if (!is_ending(op))
        issue_cancel(u, op);
}

/* ---- collecting completions ---- */

static bool may_issue_again(const rp_op *op)
{
    return !(op->phase & PHASE_CANCELLED);
}

/* Of what a poll in the kernel has found, that which its owner waits for: the kernel adds RDHUP unasked. */
static int events_asked_for(const rp_op *op, int result)
{
    return result < 0 ? result : result & (int)(uring_entry_events(op) | RP_POLL_ERR | RP_POLL_HUP);
}

/* A poll for what its file is never ready for: the kernel refuses it, and it is to wait until it is cancelled. */
static bool never_ready(uring *u, rp_op *op, int *result)
{
    if (*result != -EINVAL)
        return false;
    if (may_issue_again(op)) {
        park(u, op);
        return true;
    }
    *result = -ECANCELED;
    return false;
}

/* Sockets refuse offsets, and pipes ignore them: so do we. Whether it has one that it can do without. */
static bool drop_offset(rp_op *op)
{
    bool vector = op->kind == RP_OP_READV || op->kind == RP_OP_WRITEV;
    int64_t *offset = vector ? &op->u.io.offset : &op->u.buffer.offset;

    if ((!vector && op->kind != RP_OP_READ && op->kind != RP_OP_WRITE) || *offset < 0)
        return false;
    *offset = -1;
    return true;
}

/* A completion of a multishot poll, the kernel's or ours. Returns how many completions it makes: 0 or 1. */
static int collect_multi_poll(uring *u, rp_op *op, int result, bool more, rp_completion *completion)
{
    if (never_ready(u, op, &result))
        return 0;
    if (result < 0) {
        rp_op_complete(&u->base, op, completion, result, 0);
        return 1;
    }
    if (op->kind == RP_OP_RECV_STREAM)
        rp_receive_stream_signal(op, (uint32_t)result);
    if (!more && !may_issue_again(op)) {
        rp_op_complete(&u->base, op, completion, -ECANCELED, 0);
        return 1;
    }
    if (!more && !rp_file_has_readiness(op->fd))
        park(u, op);
    else if (!more)
        issue(u, op);
    result = events_asked_for(op, result);
    if (result == 0)
        return 0;
    rp_op_complete(&u->base, op, completion, result, RP_OP_MORE);
    return 1;
}

/*
 * A completion of a poll that ends with what it finds. Returns whether it has ended: with what, or an error, is in
 * *result.
 */
static bool poll_has_ended(uring *u, rp_op *op, int *result, bool more)
{
    *result = events_asked_for(op, *result);
    if (!(op->phase & PHASE_EDGES)) {
        if (*result != 0)
            return true;
        op->phase |= PHASE_EDGES;
        op->outcome = 0;
    } else if (*result > 0 && op->outcome == 0) {
        op->outcome = *result;
        if (more && may_issue_again(op))
            issue_cancel(u, op);
    }
    if (more)
        return false;
    if (op->outcome != 0)
        *result = (int)op->outcome;
    else if (*result == 0 && may_issue_again(op)) {
        issue(u, op);
        return false;
    } else if (*result == 0)
        *result = -ECANCELED;
    op->phase &= (uint8_t)~PHASE_EDGES;
    return true;
}

static int collect_poll(uring *u, rp_op *op, int result, bool more, rp_completion *completion)
{
    if (never_ready(u, op, &result))
        return 0;
    if (!poll_has_ended(u, op, &result, more))
        return 0;
    rp_op_complete(&u->base, op, completion, result, 0);
    return 1;
}

static int collect_child(uring *u, rp_op *op, int result, rp_completion *completion)
{
    int64_t status = result;

    if (result >= 0) {
        status = rp_child_reap(op);
        if (status == -EAGAIN && may_issue_again(op)) {
            issue(u, op);
            return 0;
        }
    }
    rp_child_close(op);
    rp_op_complete(&u->base, op, completion, status, 0);
    return 1;
}

/* Handles one completion of an operation. Returns how many completions it makes: 0 or 1. */
static int collect(uring *u, rp_op *op, int result, bool more, rp_completion *completion)
{
    if (!more && rp_node_linked(&op->queue)) /* its end was asked for, or was to be */
        rp_list_remove(&op->queue);
    if (op->kind == RP_OP_RECV_STREAM || op->kind == RP_OP_POLL_MULTI)
        return collect_multi_poll(u, op, result, more, completion);
    if (op->kind == RP_OP_POLL)
        return collect_poll(u, op, result, more, completion);
    if (op->kind == RP_OP_WAIT_CHILD)
        return collect_child(u, op, result, completion);

    if (op->phase & PHASE_POLLING) {
        if (!poll_has_ended(u, op, &result, more))
            return 0;
        op->phase &= (uint8_t)~PHASE_POLLING;
        if (result >= 0 && may_issue_again(op)) {
            issue(u, op);
            return 0;
        }
        if (result >= 0)
            result = -ECANCELED;
    } else if ((result == -EINTR && op->kind != RP_OP_CLOSE) || (result == -EAGAIN && !wants_would_block(op))) {
        if (may_issue_again(op)) {
            op->phase |= result == -EAGAIN ? PHASE_POLLING : 0;
            issue(u, op);
            return 0;
        }
        result = -ECANCELED;
    }

    if (result == -ESPIPE && may_issue_again(op) && drop_offset(op)) {
        issue(u, op);
        return 0;
    }
    if (op->kind == RP_OP_ACCEPT_MULTI && !more && result >= 0) {
        rp_op_complete(&u->base, op, completion, result, RP_OP_MORE);
        if (may_issue_again(op))
            issue(u, op);
        else
            rp_op_finish(&u->base, op, -ECANCELED);
        return 1;
    }
    if (uring_turns_wants(op))
        pass_turn(u, op);
    rp_op_complete(&u->base, op, completion, result, more ? RP_OP_MORE : 0);
    return 1;
}

static void collect_wake(uring *u, bool more)
{
    uint64_t count;

    while (read(u->wake_fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
    if (!more)
        u->wake_polled = false;
}

/* Takes completions out of the ring, as many as there is room for. */
static int drain(uring *u, rp_completion *completions, int capacity)
{
    struct io_uring_cqe *cqe;
    int n = 0;

    while (n < capacity && io_uring_peek_cqe(&u->ring.uring, &cqe) == 0) {
        uint64_t data = cqe->user_data;
        int result = cqe->res;
        bool more = (cqe->flags & IORING_CQE_F_MORE) != 0;

        io_uring_cqe_seen(&u->ring.uring, cqe);
        if (data == TAG_WAKE_FD)
            collect_wake(u, more);
        if (data > TAG_LAST)
            n += collect(u, (rp_op *)(uintptr_t)data, result, more, &completions[n]);
    }
    return n;
}

static int uring_check_thread(const rp_proactor *proactor)
{
    const uring *u = (const uring *)proactor;
    bool issued;

    return !u->enabled || is_own(u) || can_move(u, &issued) ? 0 : RP_ETHREAD;
}

/* What has come where another thread had the ring. */
static int collect_elsewhere(uring *u, rp_completion *completions, int capacity)
{
    int n = drain(u, completions, capacity);

    return n + accept_waiting(u, completions + n, capacity - n);
}

static int uring_wait(rp_proactor *proactor, rp_completion *completions, int capacity, int64_t deadline)
{
    uring *u = (uring *)proactor;
    int rc, n;

    if (!is_own(u)) {
        RP_TRY(uring_check_thread(proactor)); /* first: a run that is refused has done nothing */
        n = u->enabled ? collect_elsewhere(u, completions, capacity) : 0;
        if (n > 0)
            return n;
        RP_TRY(ring_own(u));
    }
    if (deadline != 0 && !u->wake_polled)
        poll_wake_fd(u);
    if (!rp_list_empty(&u->cancelled))
        deadline = cancel_again(u, deadline);
    if (!rp_list_empty(&u->backlog) || !rp_list_empty(&u->cancels))
        issue_delayed(u);
    if (!rp_list_empty(&proactor->finished) || !rp_list_empty(&u->backlog) || !rp_list_empty(&u->cancels) ||
        !rp_list_empty(&u->hasty) || !u->wake_polled)
        deadline = 0;

    deadline = rp_proactor_fall_asleep(proactor, deadline);
    if (deadline != 0 && deadline != RP_NEVER)
        deadline = rp_time_left(rp_proactor_now(proactor), deadline);
    rc = uring_ring_enter(&u->ring, deadline, &u->base.kernel_entries);
    rp_proactor_awake(proactor);
    /* Neither the ring's completions nor our own can keep the others from being delivered. */
    n = drain(u, completions, (capacity + 1) / 2);
    n += rp_proactor_take_finished(proactor, completions + n, capacity - n);
    n += drain(u, completions + n, capacity - n);
    if (!rp_list_empty(&u->hasty))
        settle_hasty(u);
    /* Nothing to do, or too much: all of these are answered by draining and coming again. */
    if (rc < 0 && n == 0 && rc != -ETIME && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
        return rc;
    return n;
}

/* If no message can be sent now, for lack of memory, the eventfd does it: no wake-up may get lost. */
static void uring_kick(rp_proactor *proactor)
{
    const uring *u = (uring *)proactor;
    uint64_t one = 1;
    int saved = errno;

    if (u->message_fd < 0 || uring_ring_send(u->message_fd, TAG_IGNORE) < 0)
        while (write(u->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
            ;
    errno = saved;
}

static int uring_open(rp_proactor *proactor, const rp_proactor_options *options)
{
    uring *u = (uring *)proactor;

    rp_list_init(&u->backlog);
    rp_list_init(&u->parked);
    rp_list_init(&u->hasty);
    rp_list_init(&u->cancels);
    rp_list_init(&u->cancelled);
    u->submissions = options->submission_entries != 0 ? options->submission_entries : DEFAULT_SUBMISSIONS;
    u->completions = options->completion_entries != 0 ? options->completion_entries : DEFAULT_COMPLETIONS;
    if (u->completions < u->submissions)
        u->completions = 2 * u->submissions; /* the kernel asks that it not be the smaller one */
    RP_TRY(uring_ring_open(&u->ring, u->submissions, u->completions));
    u->message_fd = u->ring.uring.ring_fd;
    if (uring_ring_send(u->message_fd, TAG_IGNORE) != -EBADFD) /* the answer of a kernel that knows it */
        u->message_fd = -1;
    u->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (u->wake_fd >= 0)
        return 0;
    int rc = -errno;
    uring_ring_close(&u->ring, false);
    return rc;
}

/* Another thread than the ring's own closes it: what its operations have opened, or are about to leave open. */
static void abandon_operations(uring *u)
{
    rp_completion completions[64];
    int n;

    while (u->base.in_flight > 0 && (n = drain(u, completions, 64)) > 0)
        for (int i = 0; i < n; i++)
            rp_completion_drop(&completions[i]);
    for (rp_node *node = u->base.operations.next; node != &u->base.operations; node = node->next) {
        rp_op *op = rp_container_of(node, rp_op, link);

        if (op->kind == RP_OP_WAIT_CHILD && op->state == RP_OP_SUBMITTED)
            rp_child_close(op);
    }
}

static void uring_close(rp_proactor *proactor)
{
    uring *u = (uring *)proactor;

    if (rp_proactor_is_forked(proactor)) {
        uring_ring_forget(&u->ring);
    } else {
        abandon_operations(u);
        uring_ring_close(&u->ring, proactor->in_flight > 0);
    }
    uring_turns_fini(&u->turns);
    close(u->wake_fd);
}

const rp_backend rp_uring_backend = {
    .name = "io_uring",
    .size = sizeof(uring),
    .open = uring_open,
    .close = uring_close,
    .submit = uring_submit,
    .cancel = uring_cancel,
    .check_thread = uring_check_thread,
    .wait = uring_wait,
    .kick = uring_kick,
    .receive = rp_receive_stream_take,
};
