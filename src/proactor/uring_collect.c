/*
 * uring_collect.c - what the ring tells: which operation has ended, which one is issued again, and which one waits.
 *
 * A poll in the kernel ends when the peer has ended (RDHUP), whether that was asked for or not, and the next one would
 * end at once. So a multishot poll, which tells changes, takes its place until there is what was asked for (phase
 * EDGES).
 */
#include "proactor/uring_collect.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proactor/child_posix.h"
#include "proactor/file_posix.h"
#include "proactor/ready.h"
#include "proactor/receive_stream.h"
#include "proactor/uring_entry.h"

static bool may_issue_again(const rp_op *op)
{
    return !(op->phase & URING_PHASE_CANCELLED);
}

/* ---- polls ---- */

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
        uring_park(u, op);
        return true;
    }
    *result = -ECANCELED;
    return false;
}

/* Sockets refuse offsets, and pipes ignore them: so do we. Whether it has one that it can do without. */
static bool drop_offset(rp_op *op)
{
    int64_t *offset = rp_op_has_vector(op) ? &op->u.io.offset : &op->u.buffer.offset;

    if (!rp_op_transfers(op) || *offset < 0)
        return false;
    *offset = -1;
    return true;
}

/* A completion of a multishot poll, which a receive stream is too. Returns how many completions it makes: 0 or 1. */
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
        uring_park(u, op);
    else if (!more)
        uring_issue(u, op);
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
    if (!(op->phase & URING_PHASE_EDGES)) {
        if (*result != 0)
            return true;
        op->phase |= URING_PHASE_EDGES;
        op->outcome = 0;
    } else if (*result > 0 && op->outcome == 0) {
        op->outcome = *result;
        if (more && may_issue_again(op))
            uring_issue_cancel(u, op);
    }
    if (more)
        return false;
    if (op->outcome != 0)
        *result = (int)op->outcome;
    else if (*result == 0 && may_issue_again(op)) {
        uring_issue(u, op);
        return false;
    } else if (*result == 0)
        *result = -ECANCELED;
    op->phase &= (uint8_t)~URING_PHASE_EDGES;
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

/* ---- accepting where others do so too ---- */

/* What attempts note in it has another meaning in this file. */
static int64_t accept_now(const rp_op *op)
{
    rp_op attempt = *op;

    attempt.phase = 0; /* the socket does not block */
    return rp_ready_attempt(&attempt);
}

/*
 * Of those that accept in the kernel it wakes one for a connection: always the same, as long as its accept lasts,
 * however busy that process is. Of those that poll it wakes all, and who is first has the connection, and, with a
 * multishot accept, as many behind it as there is room for.
 */
static int collect_shared_accept(uring *u, rp_op *op, int result, bool more, rp_completion *completions,
                                 int capacity)
{
    bool multi = op->kind == RP_OP_ACCEPT_MULTI, goes_on;
    int64_t accepted;
    int n = 0;

    if (!poll_has_ended(u, op, &result, more))
        return 0;
    do {
        accepted = result < 0 ? result : may_issue_again(op) ? accept_now(op) : -ECANCELED;
        goes_on = accepted == -EAGAIN || (multi && accepted >= 0);
        if (!multi && !goes_on)
            uring_pass_on(u, op);
        if (accepted != -EAGAIN)
            rp_op_complete(&u->base, op, &completions[n++], accepted, goes_on ? RP_OP_MORE : 0);
    } while (goes_on && accepted >= 0 && n < capacity);
    if (goes_on)
        uring_issue(u, op);
    return n;
}

/* ---- the rest ---- */

static int collect_child(uring *u, rp_op *op, int result, rp_completion *completion)
{
    int64_t status = result;

    if (result >= 0) {
        status = rp_child_reap(op);
        if (status == -EAGAIN && may_issue_again(op)) {
            uring_issue(u, op);
            return 0;
        }
    }
    rp_child_close(op);
    rp_op_complete(&u->base, op, completion, status, 0);
    return 1;
}

/* Whether an operation is to be issued again when its descriptor is ready; connecting may have begun before it. */
static bool would_block(const rp_op *op, int result)
{
    if (op->kind == RP_OP_CONNECT)
        return result == -EALREADY;
    return result == -EAGAIN && !uring_wants_would_block(op);
}

/* Whether the kernel is to wait for room, and so hears of a half-close. It would spoil datagrams (uring_entry.c). */
static bool is_streams_send(const rp_op *op)
{
    int type = 0;
    socklen_t length = sizeof type;

    return (op->kind == RP_OP_SEND || op->kind == RP_OP_SENDMSG) &&
           getsockopt(op->fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM;
}

/* An operation that would block is to be issued again: as a poll, or to wait in the kernel. */
static void note_would_block(rp_op *op)
{
    if (!(op->phase & URING_PHASE_PATIENT) && is_streams_send(op))
        op->phase |= URING_PHASE_PATIENT;
    else
        op->phase |= URING_PHASE_POLLING;
}

/* Handles one completion of an operation. Returns how many completions it makes: seldom more than 1. */
static int collect(uring *u, rp_op *op, int result, bool more, rp_completion *completion, int capacity)
{
    if (!more && rp_node_linked(&op->queue)) /* its end was asked for, or was to be */
        rp_list_remove(&op->queue);
    if (op->kind == RP_OP_RECV_STREAM || op->kind == RP_OP_POLL_MULTI)
        return collect_multi_poll(u, op, result, more, completion);
    if (op->kind == RP_OP_POLL)
        return collect_poll(u, op, result, more, completion);
    if (op->kind == RP_OP_WAIT_CHILD)
        return collect_child(u, op, result, completion);
    if (op->phase & URING_PHASE_SHARED)
        return collect_shared_accept(u, op, result, more, completion, capacity);

    if (op->phase & URING_PHASE_POLLING) {
        if (!poll_has_ended(u, op, &result, more))
            return 0;
        op->phase &= (uint8_t)~URING_PHASE_POLLING;
        if (result >= 0 && may_issue_again(op)) {
            uring_issue(u, op);
            return 0;
        }
        if (result >= 0)
            result = -ECANCELED;
    } else if ((result == -EINTR && op->kind != RP_OP_CLOSE) || would_block(op, result)) {
        if (may_issue_again(op)) {
            if (result != -EINTR)
                note_would_block(op);
            uring_issue(u, op);
            return 0;
        }
        result = -ECANCELED;
    }

    if (result == -ESPIPE && may_issue_again(op) && drop_offset(op)) {
        uring_issue(u, op);
        return 0;
    }
    if (op->kind == RP_OP_FTRUNCATE && result == -EINVAL && may_issue_again(op)) {
        rp_performer_take(&u->performer, op); /* a kernel before 6.9 knows no such entry; or it is wrong */
        return 0;
    }
    if (op->kind == RP_OP_ACCEPT_MULTI && !more && result >= 0) {
        rp_op_complete(&u->base, op, completion, result, RP_OP_MORE);
        if (may_issue_again(op))
            uring_issue(u, op);
        else
            rp_op_finish(&u->base, op, -ECANCELED);
        return 1;
    }
    if (uring_queues_wants(op))
        uring_pass_on(u, op);
    if (op->kind == RP_OP_CLOSE && result == -EINTR)
        result = 0; /* it is closed all the same */
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

int uring_collect(uring *u, rp_completion *completions, int capacity)
{
    struct io_uring_cqe *cqe;
    int n = 0;

    while (n < capacity && (cqe = uring_ring_peek(&u->ring))) {
        uint64_t data = cqe->user_data;
        int result = cqe->res;
        bool more = (cqe->flags & IORING_CQE_F_MORE) != 0;

        io_uring_cqe_seen(&u->ring.uring, cqe);
        if (data == URING_TAG_WAKE_FD)
            collect_wake(u, more);
        if (data > URING_TAG_LAST)
            n += collect(u, (rp_op *)(uintptr_t)data, result, more, &completions[n], capacity - n);
    }
    return n;
}
