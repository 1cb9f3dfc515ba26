/*
 * generators.c - the end of asynchronous generators: our own, and then by a hook those of others on the loop.
 */
#include "base/leave.h"
#include "loop/future.h"

void rp_set_asyncgens_hook(rp_loop *loop, rp_asyncgens_hook *hook, void *arg)
{
    loop->slots[RP_SLOT_GENERATORS] = (void *)(uintptr_t)hook;
    loop->slots[RP_SLOT_GENERATORS_ARG] = arg;
}

static rp_asyncgens_hook *hook_in(const rp_loop *loop, int slot)
{
    return (rp_asyncgens_hook *)(uintptr_t)loop->slots[slot];
}

static int end_by(rp_loop *loop, rp_asyncgens_hook *hook, void *arg)
{
    rp_future *ended RP_ON_LEAVE(rp_future_drop) = hook ? hook(loop, arg) : NULL;

    return ended ? rp_run_until_complete(loop, ended) : 0;
}

int rp_shutdown_asyncgens(rp_loop *loop)
{
    rp_asyncgens_hook *own = hook_in(loop, RP_SLOT_AGENS), *hook = hook_in(loop, RP_SLOT_GENERATORS);
    int rc;

    RP_TRY(rp_loop_check(loop));
    if ((own || hook) && rp_loop_is_running(loop))
        return RP_ERUNNING;
    loop->slots[RP_SLOT_AGENS_OVER] = loop;
    rc = end_by(loop, own, loop);
    if (rc >= 0)
        rc = end_by(loop, hook, loop->slots[RP_SLOT_GENERATORS_ARG]);
    return rc;
}
