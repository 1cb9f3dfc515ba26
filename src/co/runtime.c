/*
 * runtime.c - making and freeing what the coroutine layer keeps for a loop.
 */
#include "co/runtime.h"

#include <errno.h>

#include "base/memory.h"
#include "fiber/overflow.h"

int rp_runtime_stacks(rp_runtime *runtime, size_t size, rp_stack_pool **pool)
{
    size_t pool_size = RP_STACK_SIZE_MIN;
    int i = 0;

    for (; pool_size < size; pool_size *= 2)
        i++;
    if (!runtime->pools[i])
        RP_TRY(rp_stack_pool_new(pool_size, &runtime->pools[i]));
    *pool = runtime->pools[i];
    return 0;
}

int rp_runtime_new(rp_loop *loop, rp_runtime **result)
{
    rp_runtime *runtime = rp_calloc(sizeof *runtime);
    int rc;

    if (!runtime)
        return -ENOMEM;
    rc = rp_runtime_stacks(runtime, loop->stack_size > 0 ? loop->stack_size : RP_STACK_SIZE, &runtime->stacks);
    if (rc < 0) {
        rp_free(runtime);
        return rc;
    }
    runtime->loop = loop;
    runtime->thread = RP_NO_THREAD;
    rp_list_init(&runtime->abandoned);
    rp_list_init(&runtime->asked);
    rp_list_init(&runtime->agens);
    loop->slots[RP_SLOT_COROUTINES] = *result = runtime;
    return 0;
}

void rp_runtime_free(rp_runtime *runtime)
{
    runtime->loop->slots[RP_SLOT_COROUTINES] = NULL;
    if (runtime->overflow_claim != 0 && runtime->overflow_claim == rp_fiber_thread)
        rp_overflow_release();
    for (int i = 0; i < RP_STACK_POOLS; i++)
        rp_stack_pool_close(runtime->pools[i]);
    rp_free(runtime);
}
