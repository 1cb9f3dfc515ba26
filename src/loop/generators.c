/*
 * generators.c - the end of asynchronous generators, by a hook of whoever implements them on a loop.
 */
#include "base/leave.h"
#include "loop/future.h"

void rp_set_asyncgens_hook(rp_loop *loop, rp_asyncgens_hook *hook, void *arg)
{
    loop->slots[RP_SLOT_GENERATORS] = (void *)(uintptr_t)hook;
    loop->slots[RP_SLOT_GENERATORS_ARG] = arg;
}

int rp_shutdown_asyncgens(rp_loop *loop)
{
    rp_asyncgens_hook *hook = (rp_asyncgens_hook *)(uintptr_t)loop->slots[RP_SLOT_GENERATORS];
    int rc = rp_loop_check(loop);

    if (rc < 0 || !hook)
        return rc;
    if (rp_loop_is_running(loop))
        return RP_ERUNNING;
    rp_future *ended RP_ON_LEAVE(rp_future_drop) = hook(loop, loop->slots[RP_SLOT_GENERATORS_ARG]);
    return ended ? rp_run_until_complete(loop, ended) : 0;
}
