/*
 * loop.c - what the rest of this layer stands on: references to a loop, which thread runs it, its operations.
 */
#include "loop/loop.h"

#include <assert.h>

#include "base/memory.h"
#include "proactor/proactor.h"

static _Thread_local rp_loop *running_loop;

rp_loop *rp_loop_ref(rp_loop *loop)
{
    atomic_fetch_add_explicit(&loop->refs, 1, memory_order_relaxed);
    return loop;
}

void rp_loop_unref(rp_loop *loop)
{
    unsigned refs = atomic_fetch_sub_explicit(&loop->refs, 1, memory_order_acq_rel);

    assert(refs > 0 && (refs > 1 || loop->closed));
    if (refs != 1)
        return;
    rp_mutex_fini(&loop->mutex);
    rp_free(loop);
}

void rp_loop_note_state(rp_loop *loop)
{
    loop->open_generation = loop->closed || loop->debug ? RP_NO_GENERATION : loop->fork_generation;
}

int rp_loop_check_closely(const rp_loop *loop)
{
    if (loop->closed)
        return RP_ECLOSED;
    if (rp_loop_is_forked(loop))
        return RP_EFORK;
    if (loop->debug) {
        uint64_t thread = atomic_load(&loop->thread);

        if (thread != 0 && thread != rp_thread_id())
            return RP_ETHREAD;
    }
    return 0;
}

/* ---- which thread runs it ---- */

bool rp_loop_is_on_this_stack(const rp_loop *loop)
{
    return loop->stack == &running_loop;
}

void rp_loop_set_running(rp_loop *loop)
{
    assert(!loop->stack);
    running_loop = loop;
    loop->stack = &running_loop;
}

void rp_loop_clear_running(rp_loop *loop)
{
    assert(rp_loop_is_on_this_stack(loop));
    assert(running_loop == loop || rp_loop_is_forked(loop)); /* a child may have run a loop of its own meanwhile */
    running_loop = NULL;
    loop->stack = NULL;
}

rp_loop *rp_loop_set_aside(void)
{
    rp_loop *loop = running_loop;

    running_loop = NULL;
    return loop;
}

void rp_loop_take_up(rp_loop *loop)
{
    assert(!running_loop);
    running_loop = loop;
}

void rp_loop_stop(rp_loop *loop)
{
    loop->stopping = true;
}

/* ---- asking ---- */

rp_loop *rp_get_running_loop(void)
{
    /* A child of fork() is in a copy of the parent's run: none of its own. */
    if (running_loop && rp_loop_is_forked(running_loop))
        return NULL;
    return running_loop;
}

bool rp_loop_is_running(const rp_loop *loop)
{
    return atomic_load(&loop->thread) != 0;
}

bool rp_loop_is_closed(const rp_loop *loop)
{
    return loop->closed;
}

int64_t rp_loop_time(const rp_loop *loop)
{
    return rp_kernel_now(loop->kernel);
}

const rp_kernel *rp_kernel_here(void)
{
    const rp_loop *loop = rp_get_running_loop();

    return loop ? loop->kernel : &rp_system_kernel;
}

int64_t rp_monotonic(void)
{
    return rp_kernel_now(rp_kernel_here());
}

const char *rp_loop_backend_name(const rp_loop *loop)
{
    return loop->proactor ? rp_proactor_name(loop->proactor) : "closed";
}

rp_proactor *rp_loop_proactor(rp_loop *loop)
{
    return loop->proactor;
}

void rp_loop_get_stats(const rp_loop *loop, rp_loop_stats *stats)
{
    *stats = loop->stats;
    stats->completions -= (uint64_t)(loop->taken - loop->delivered);
    stats->timers_pending = loop->timers.count;
    stats->tasks = loop->task_count;
    stats->backend = rp_loop_backend_name(loop);
    if (!loop->proactor)
        return;
    stats->kernel_entries = loop->proactor->kernel_entries;
    stats->busy_polls = loop->proactor->busy_poll.begun;
    stats->busy_polls_found = loop->proactor->busy_poll.found;
    stats->wakeups = atomic_load_explicit(&loop->proactor->wakeups, memory_order_relaxed);
    stats->operations_in_flight = loop->proactor->in_flight;
    stats->fallback_reason = rp_proactor_fallback_reason(loop->proactor);
}

void *rp_loop_receive_buffer(rp_loop *loop)
{
    if (!loop->receive_buffer)
        loop->receive_buffer = rp_malloc(RP_LOOP_RECEIVE_BUFFER);
    return loop->receive_buffer;
}

/* ---- operations ---- */

int rp_submit(rp_loop *loop, rp_op *op)
{
    int rc = rp_loop_check(loop);

    if (rc == 0 && op->state == RP_OP_TAKEN)
        rc = -EBUSY; /* until it is delivered */
    return rc < 0 ? rc : rp_proactor_submit(loop->proactor, op);
}

void rp_cancel(rp_loop *loop, rp_op *op)
{
    if (rp_loop_check(loop) == 0)
        rp_proactor_cancel(loop->proactor, op);
}

void rp_loop_close_socket(rp_loop *loop, rp_fd fd)
{
    if (loop->proactor) /* else the loop is closed, and a handler closes what it is told of */
        rp_proactor_closing(loop->proactor, fd);
    rp_kernel_close(loop->kernel, fd);
}

void rp_loop_close_file(rp_loop *loop, rp_fd fd)
{
    if (loop->proactor)
        rp_proactor_closing(loop->proactor, fd);
    rp_kernel_close_file(loop->kernel, fd);
}
