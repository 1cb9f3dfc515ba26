/*
 * running.c - how a C program runs a loop: turn after turn, until it is stopped.
 *
 * A turn delivers what has completed before it collects what it runs. So a coroutine that a completion wakes goes on in
 * the same turn; in asyncio it would have to wait for the next one.
 */
#include "loop/running.h"

#include <assert.h>

#include "base/leave.h"
#include "loop/future.h"
#include "loop/turn.h"
#include "proactor/proactor.h"

int rp_loop_enter(rp_loop *loop)
{
    int rc = rp_loop_check(loop);
    uint64_t nobody = 0;

    if (rc == RP_ECLOSED || rc == RP_EFORK)
        return rc;
    if (rp_get_running_loop() || !atomic_compare_exchange_strong(&loop->thread, &nobody, rp_thread_id()))
        return RP_ERUNNING;
    assert(!loop->free_after_run);
    rp_loop_set_running(loop);
    loop->now = rp_kernel_now(loop->kernel);
    return 0;
}

void rp_loop_leave(rp_loop *loop)
{
    assert(!loop->closed);
    loop->stopping = false;
    rp_loop_note_length(loop, rp_kernel_now(loop->kernel));
    rp_loop_clear_running(loop);
    loop->proactor->asking = (rp_asking){0}; /* whoever waits next asks the kernel, even if it waits only once */
    atomic_store(&loop->thread, 0);
    if (loop->free_after_run)
        rp_loop_free(loop);
}

static int run_turn(rp_loop *loop)
{
    int rc = rp_turn_wait(loop, rp_turn_deadline(loop));

    if (rc == 0)
        rc = rp_turn_deliver(loop);
    if (rc < 0)
        return rc;
    rp_turn_collect(loop);
    rc = rp_turn_run(loop);
    return rc == 0 ? rp_turn_timers(loop) : rc;
}

/* A run ends with its scope. */
static void end_run(rp_loop **run)
{
    rp_loop_leave(*run);
}

int rp_run_forever(rp_loop *loop)
{
    int rc = rp_loop_enter(loop);

    if (rc < 0)
        return rc;
    rp_loop *run RP_ON_LEAVE(end_run) = loop;
    if (run->turn != RP_TURN_ENDED) /* what an exception has left of the last run comes before the first turn */
        rc = run_turn(run);
    while (rc == 0) {
        rc = run_turn(run);
        if (run->stopping)
            break;
    }
    return rc;
}

static void forget_future(rp_done_callback *done)
{
    rp_future_remove_done_callback(done);
}

static void stop_when_done(rp_future *future, void *arg)
{
    (void)future;
    rp_loop_stop(arg);
}

int rp_run_until_complete(rp_loop *loop, rp_future *future)
{
    int rc;

    if (!future || rp_future_get_loop(future) != loop)
        return -EINVAL;
    rp_future *awaited RP_ON_LEAVE(rp_future_drop) =
        rp_future_ref(future); /* holds the loop, should a child free it */
    rp_done_callback done RP_ON_LEAVE(forget_future) = {0};
    rc = rp_future_add_done_callback(awaited, &done, stop_when_done, loop);
    if (rc == 0)
        rc = rp_run_forever(loop);
    if (rc == 0)
        rc = rp_future_done(awaited) ? rp_future_result(awaited) : RP_ESTOPPED;
    return rc;
}
