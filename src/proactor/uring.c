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
 * POLLING). These lists and phases are in uring_submit.h, in the backend's struct.
 */
#include "proactor/uring.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "proactor/child_posix.h"
#include "proactor/ready.h"
#include "proactor/receive_stream.h"
#include "proactor/uring_collect.h"
#include "proactor/uring_move.h"
#include "proactor/uring_submit.h"

enum {
    DEFAULT_SUBMISSIONS = 4096,
    DEFAULT_COMPLETIONS = 16384,
};

static void poll_wake_fd(uring *u)
{
    struct io_uring_sqe *sqe = uring_get_entry(u);

    u->wake_polled = sqe;
    if (!sqe)
        return;
    io_uring_prep_poll_multishot(sqe, u->wake_fd, POLLIN);
    io_uring_sqe_set_data64(sqe, URING_TAG_WAKE_FD);
}

/* ---- waiting ---- */

static int uring_check_thread(const rp_proactor *proactor)
{
    const uring *u = (const uring *)proactor;
    bool issued;

    return !u->enabled || uring_is_own(u) || uring_can_move(u, &issued) ? 0 : RP_ETHREAD;
}

/* Nothing to submit, to collect or to ask for: so most turns of a loop that has callbacks to run find it. */
static bool has_nothing_to_do(const uring *u)
{
    return rp_list_empty(&u->base.finished) && rp_list_empty(&u->hasty) && rp_list_empty(&u->cancelled) &&
           rp_list_empty(&u->backlog) && rp_list_empty(&u->cancels) && !uring_ring_wants_call(&u->ring) &&
           io_uring_cq_ready(&u->ring.uring) == 0;
}

static int uring_wait(rp_proactor *proactor, rp_completion *completions, int capacity, int64_t deadline)
{
    uring *u = (uring *)proactor;
    int rc, n;

    if (!uring_is_own(u)) {
        RP_TRY(uring_check_thread(proactor)); /* first: a run that is refused has done nothing */
        n = u->enabled ? uring_collect_elsewhere(u, completions, capacity) : 0;
        if (n > 0)
            return n;
        RP_TRY(uring_own(u));
    }
    rp_performer_collect(&u->performer);
    if (deadline == 0 && has_nothing_to_do(u)) {
        rp_proactor_awake(proactor);
        return 0;
    }
    if (deadline != 0 && !u->wake_polled)
        poll_wake_fd(u);
    if (!rp_list_empty(&u->cancelled))
        deadline = uring_cancel_again(u, deadline);
    if (!rp_list_empty(&u->backlog) || !rp_list_empty(&u->cancels))
        uring_issue_delayed(u);
    if (!rp_list_empty(&proactor->finished) || !rp_list_empty(&u->backlog) || !rp_list_empty(&u->cancels) ||
        !rp_list_empty(&u->hasty) || !u->wake_polled)
        deadline = 0;

    deadline = rp_proactor_fall_asleep(proactor, deadline);
    if (deadline != 0 && deadline != RP_NEVER)
        deadline = rp_time_left(rp_proactor_now(proactor), deadline);
    rc = uring_ring_enter(&u->ring, deadline, &u->base.kernel_entries);
    proactor->woken |= rc == -EINTR;
    rp_proactor_awake(proactor);
    rp_performer_collect(&u->performer);
    /* Neither the ring's completions nor our own can keep the others from being delivered. */
    n = uring_collect(u, completions, (capacity + 1) / 2);
    n += rp_proactor_take_finished(proactor, completions + n, capacity - n);
    n += uring_collect(u, completions + n, capacity - n);
    if (!rp_list_empty(&u->hasty))
        uring_settle_hasty(u);
    /* Nothing to do, or too much: all of these are answered by draining and coming again. */
    if (rc < 0 && n == 0 && rc != -ETIME && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
        return rc;
    return n;
}

static void uring_let_go(rp_proactor *proactor)
{
    uring *u = (uring *)proactor;

    if (!uring_is_own(u))
        return;
    uring_issue_delayed(u);
    uring_ring_enter(&u->ring, 0, &u->base.kernel_entries);
}

/* If no message can be sent now, for lack of memory, the eventfd does it: no wake-up may get lost. */
static void uring_kick(rp_proactor *proactor)
{
    const uring *u = (uring *)proactor;
    uint64_t one = 1;
    int saved = errno;

    if (u->message_fd < 0 || uring_ring_send(u->message_fd, URING_TAG_IGNORE) < 0)
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
    if (uring_ring_send(u->message_fd, URING_TAG_IGNORE) != -EBADFD) /* the answer of a kernel that knows it */
        u->message_fd = -1;
    u->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int rc = u->wake_fd >= 0 ? rp_performer_init(&u->performer, proactor) : -errno;
    if (rc == 0)
        return 0;
    if (u->wake_fd >= 0)
        close(u->wake_fd);
    uring_ring_close(&u->ring, false);
    return rc;
}

/* What the kernel was to close, but has not been told. */
static void close_unsubmitted(const uring *u)
{
    const struct io_uring_sq *sq = &u->ring.uring.sq;

    for (unsigned i = *sq->khead; i != sq->sqe_tail; i++) {
        uint64_t data = sq->sqes[i & sq->ring_mask].user_data;
        rp_op *op = data > URING_TAG_LAST ? (rp_op *)(uintptr_t)data : NULL;

        if (op && op->kind == RP_OP_CLOSE)
            rp_ready_attempt(op);
    }
}

/* Another thread than the ring's own closes it: what its operations have opened, or are about to leave open. */
static void abandon_operations(uring *u)
{
    rp_completion completions[64];
    int n;

    while (u->base.in_flight > 0 && (n = uring_collect(u, completions, 64)) > 0)
        for (int i = 0; i < n; i++)
            rp_completion_drop(&completions[i]);
    for (rp_node *node = u->base.operations.next; node != &u->base.operations; node = node->next) {
        rp_op *op = rp_container_of(node, rp_op, link);

        if (op->kind == RP_OP_WAIT_CHILD && op->state == RP_OP_SUBMITTED)
            rp_child_close(op);
    }
    close_unsubmitted(u);
}

static void uring_close(rp_proactor *proactor)
{
    uring *u = (uring *)proactor;

    if (rp_proactor_is_forked(proactor)) {
        uring_ring_forget(&u->ring);
    } else {
        rp_performer_fini(&u->performer);
        abandon_operations(u);
        uring_ring_close(&u->ring, proactor->in_flight > 0);
    }
    uring_queues_fini(&u->queues);
    close(u->wake_fd);
}

const rp_backend rp_uring_backend = {
    .name = "io_uring",
    .size = sizeof(uring),
    .open = uring_open,
    .close = uring_close,
    .submit = uring_submit,
    .cancel = uring_cancel,
    .let_go = uring_let_go,
    .check_thread = uring_check_thread,
    .wait = uring_wait,
    .kick = uring_kick,
    .receive = rp_receive_stream_take,
};
