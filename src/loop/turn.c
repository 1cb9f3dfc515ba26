/*
 * turn.c - the steps of a turn: wait, deliver, collect, run, timers.
 *
 * What a turn has still to do stands in the loop: completions from `delivered` to `taken`, the lists `arrived`, `batch`
 * and `due`.
 * So a step can end anywhere between two callbacks. One comparison after each callback sees an interrupt and a fork:
 * that of the run's generation with the process's. A fork changes the process's, and an interrupt the run's.
 */
#include "loop/turn.h"

#include <assert.h>
#include <string.h>

#include "base/rare.h"
#include "loop/handle.h"
#include "loop/stall.h"
#include "proactor/proactor.h"

/* How a step ends after which the run may not go on. An interrupt is over with that. */
static int end_early(rp_loop *loop)
{
    if (rp_loop_is_forked(loop))
        return RP_EFORK;
    atomic_store_explicit(&loop->run_generation, loop->fork_generation, memory_order_relaxed);
    return -EINTR;
}

void rp_turn_interrupt(rp_loop *loop)
{
    if (rp_loop_is_forked(loop))
        return;
    rp_mutex_lock(&loop->mutex);
    if (!loop->posts_refused) {
        atomic_store_explicit(&loop->run_generation, RP_NO_GENERATION, memory_order_relaxed);
        rp_proactor_wake(loop->proactor);
    }
    rp_mutex_unlock(&loop->mutex);
}

/* ---- waiting ---- */

int64_t rp_turn_deadline(rp_loop *loop)
{
    if (!rp_list_empty(&loop->ready) || !rp_list_empty(&loop->arrivals) || !rp_list_empty(&loop->last) ||
        loop->stopping || loop->turn != RP_TURN_ENDED)
        return 0;
    int64_t deadline = rp_timers_next(&loop->timers);
    if (deadline == RP_NEVER && loop->debug) {
        rp_loop_report_stall(loop);
        if (!rp_list_empty(&loop->ready) || loop->stopping) /* whoever was told has done something about it */
            deadline = 0;
    }
    return deadline;
}

/* The clock is read before the wait, and after it if it may have slept. */
static int take_completions(rp_loop *loop, int64_t deadline)
{
    int64_t now = rp_kernel_now(loop->kernel);

    assert(loop->stack && loop->delivered == loop->taken);
    rp_loop_note_length(loop, now);
    loop->proactor->asking.now = now;
    int n = rp_proactor_wait(loop->proactor, loop->completions, RP_LOOP_BATCH, deadline);
    loop->now = deadline == 0 ? now : rp_kernel_now(loop->kernel);
    if (n < 0)
        return n;
    loop->delivered = 0;
    loop->taken = n;
    rp_list_splice(&loop->arrived, &loop->arrivals);
    loop->stats.completions += (uint64_t)n;
    loop->turn = RP_TURN_WAITED;
    return 0;
}

int rp_turn_wait(rp_loop *loop, int64_t deadline)
{
    int rc = loop->turn == RP_TURN_ENDED ? take_completions(loop, deadline) : 0;

    return rc < 0 || rp_loop_may_go_on(loop) ? rc : end_early(loop);
}

/* ---- delivering ---- */

static int run_all(rp_loop *loop, rp_node *handles)
{
    rp_node *node;

    while ((node = rp_list_pop(handles))) {
        rp_handle_run(loop, rp_container_of(node, rp_handle, link));
        if (!rp_loop_may_go_on(loop))
            return end_early(loop);
    }
    return 0;
}

static void deliver_timed(rp_loop *loop, rp_op *op)
{
    int64_t start = rp_kernel_now(loop->kernel);
    void *function = (void *)(uintptr_t)op->callback;

    op->callback(op);
    rp_loop_report_if_slow(loop, start, function, NULL);
}

/*
 * While a callback runs, memory that the next but one will touch is fetched: the operation and what stands before it,
 * which is most often its owner. With a thousand connections none of it is in the cache. After the last ones that is
 * what an earlier turn has left there: fetching does no harm.
 */
static void fetch_ahead(const rp_completion *completion)
{
    uintptr_t op = (uintptr_t)completion[RP_LOOP_FETCHED].op; /* it may be NULL: no pointer arithmetic */

    __builtin_prefetch((const void *)(op - 64));
    __builtin_prefetch((const void *)op);
    __builtin_prefetch((const void *)(op + 64));
}

static RP_INLINED void deliver(rp_loop *loop, const rp_completion *completion)
{
    rp_op *op = completion->op;

    op->result = completion->result;
    op->flags = completion->flags;
    if (!(op->flags & RP_OP_MORE)) {
        assert(op->state == RP_OP_TAKEN); /* by the proactor's wait, and delivered once */
        op->state = RP_OP_IDLE;
    }
    if (!op->callback)
        return;
    if (loop->debug)
        deliver_timed(loop, op);
    else
        op->callback(op);
}

int rp_turn_deliver(rp_loop *loop)
{
    if (!rp_list_empty(&loop->arrived)) {
        int rc = run_all(loop, &loop->arrived);

        if (rc < 0)
            return rc;
    }
    while (loop->delivered < loop->taken) {
        const rp_completion *completion = &loop->completions[loop->delivered++];

        fetch_ahead(completion);
        deliver(loop, completion);
        if (!rp_loop_may_go_on(loop))
            return end_early(loop);
    }
    return 0;
}

void rp_turn_deliver_of(rp_loop *loop, const void *owner, size_t size)
{
    for (int i = loop->delivered; i < loop->taken; i++) {
        rp_completion *first = &loop->completions[loop->delivered], completion = loop->completions[i];

        if ((uintptr_t)completion.op - (uintptr_t)owner >= size)
            continue;
        memmove(first + 1, first, (size_t)(i - loop->delivered) * sizeof completion);
        loop->delivered++;
        deliver(loop, &completion);
    }
}

/* ---- running ---- */

void rp_turn_collect(rp_loop *loop)
{
    if (loop->turn == RP_TURN_COLLECTED)
        return;
    if (atomic_load_explicit(&loop->posts_waiting, memory_order_acquire))
        rp_loop_take_posts(loop);
    rp_list_splice(&loop->batch, &loop->ready);
    rp_loop_take_due_timers(loop);
    loop->turn = RP_TURN_COLLECTED;
}

int rp_turn_run(rp_loop *loop)
{
    return run_all(loop, &loop->batch);
}

/* Timers, and then what is to come last. One of these that schedules another leaves it to the next turn. */
static int run_due(rp_loop *loop)
{
    int rc = run_all(loop, &loop->due);

    if (rc < 0 || rp_list_empty(&loop->last))
        return rc;
    rp_list_splice(&loop->due, &loop->last);
    return run_all(loop, &loop->due);
}

int rp_turn_timers(rp_loop *loop)
{
    if (!rp_list_empty(&loop->due) || !rp_list_empty(&loop->last)) {
        int rc = run_due(loop);

        if (rc < 0)
            return rc;
    }
    assert(rp_list_empty(&loop->arrived) && rp_list_empty(&loop->batch));
    assert(loop->delivered == loop->taken && loop->turn == RP_TURN_COLLECTED);
    loop->turn = RP_TURN_ENDED;
    loop->stats.turns++;
    return 0;
}
