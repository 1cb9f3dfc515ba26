/*
 * backend.c - what all backends share: the list of operations in flight, the list of finished ones, and the state that
 * makes wake-ups cheap.
 *
 * The wake state: AWAKE while the owner runs, ASLEEP while it waits in the kernel, NOTIFIED from a wake until the next
 * wait begins or the present one ends. Only the step from ASLEEP to NOTIFIED costs a system call, so any number of
 * wake-ups of a loop that is awake cost an atomic exchange each.
 */
#include "proactor/backend.h"

#include <assert.h>

/* ---- operations ---- */

void rp_op_finish(rp_proactor *proactor, rp_op *op, int64_t result)
{
    assert(op->owner == proactor && (op->state == RP_OP_QUEUED || op->state == RP_OP_SUBMITTED));
    assert(!rp_node_linked(&op->queue));
    op->state = RP_OP_FINISHED;
    op->outcome = result;
    rp_list_push(&proactor->finished, &op->queue);
}

void rp_op_complete(rp_proactor *proactor, rp_op *op, rp_completion *completion, int64_t result, uint32_t flags)
{
    assert(op->owner == proactor && rp_op_is_in_flight(op) && rp_node_linked(&op->link));
    assert(flags & RP_OP_MORE ? rp_op_is_multishot(op) : !rp_node_linked(&op->queue));
    *completion = (rp_completion){.op = op, .result = result, .flags = flags};
    if (flags & RP_OP_MORE)
        return;
    assert(proactor->in_flight > 0);
    rp_list_remove(&op->link);
    op->state = RP_OP_TAKEN;
    proactor->in_flight--;
}

int rp_proactor_take_finished(rp_proactor *proactor, rp_completion *completions, int capacity)
{
    int n = 0;

    while (n < capacity && !rp_list_empty(&proactor->finished)) {
        rp_op *op = rp_container_of(rp_list_pop(&proactor->finished), rp_op, queue);

        assert(op->state == RP_OP_FINISHED);
        rp_op_complete(proactor, op, &completions[n++], op->outcome, 0);
    }
    return n;
}

void rp_completion_drop(const rp_completion *completion)
{
    rp_op_kind kind = (rp_op_kind)completion->op->kind;
    const rp_proactor *proactor = completion->op->owner;

    if (!(completion->flags & RP_OP_MORE)) {
        assert(completion->op->state == RP_OP_TAKEN);
        completion->op->state = RP_OP_IDLE;
    }
    if (completion->result < 0)
        return;
    if (kind == RP_OP_ACCEPT || kind == RP_OP_ACCEPT_MULTI)
        rp_kernel_close(proactor->kernel, (rp_fd)completion->result);
    else if (kind == RP_OP_OPENAT)
        rp_kernel_close_file(proactor->kernel, (rp_fd)completion->result);
}

/* ---- sleeping and being woken ---- */

int64_t rp_proactor_fall_asleep(rp_proactor *proactor, int64_t deadline)
{
    int awake = RP_AWAKE;

    if (deadline == 0) /* no sleep that a wake would have to end */
        return 0;
    if (atomic_compare_exchange_strong(&proactor->wake_state, &awake, RP_ASLEEP))
        return deadline;
    return 0;
}

void rp_proactor_awake(rp_proactor *proactor)
{
    /* The uncontended case of a loop that polls costs a load. */
    if (atomic_load(&proactor->wake_state) != RP_AWAKE &&
        atomic_exchange(&proactor->wake_state, RP_AWAKE) == RP_NOTIFIED)
        proactor->woken = true;
}

void rp_proactor_prompt(rp_proactor *proactor)
{
    int state = atomic_load(&proactor->wake_state);

    do
        if (state == RP_PROMPTED || state == RP_NOTIFIED)
            return;
    while (!atomic_compare_exchange_weak(&proactor->wake_state, &state, RP_PROMPTED));
    if (state != RP_ASLEEP)
        return;
    atomic_fetch_add_explicit(&proactor->wakeups, 1, memory_order_relaxed);
    proactor->backend->kick(proactor);
}
