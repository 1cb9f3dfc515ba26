/*
 * runtime.c - making and giving up what the coroutine layer keeps for a loop; the task factory.
 *
 * It goes with the loop's close, in two steps: tasks that never ended are abandoned among the loop's resources; their
 * stacks are given up after all of those, since what else is reaped may still know of the tasks that waited for it. A
 * stack whose task is still referred to stays mapped, and with it the pool (see stack.h).
 */
#include "co/runtime.h"

#include "base/memory.h"
#include "fiber/overflow.h"
#include "co/task.h"
#include "loop/exception.h"

static void report(rp_resource *resource)
{
    rp_tasks_report(rp_container_of(resource, rp_runtime, resource)->loop);
}

static void abandon_tasks(rp_resource *resource)
{
    rp_runtime *runtime = rp_container_of(resource, rp_runtime, resource);

    rp_tasks_abandon(runtime->loop, &runtime->abandoned);
}

static void give_up(rp_resource *resource)
{
    rp_runtime *runtime = rp_container_of(resource, rp_runtime, resource);

    rp_resource_remove(resource);
    rp_tasks_drop(&runtime->abandoned);
    runtime->loop->co = NULL;
    if (runtime->overflow_claim != 0 && runtime->overflow_claim == rp_overflow_thread)
        rp_overflow_release();
    for (int i = 0; i < RP_STACK_POOLS; i++)
        rp_stack_pool_close(runtime->pools[i]);
    rp_free(runtime);
}

static const rp_resource_type resource_type = {
    .at = {[RP_REPORT] = report, [RP_REAP] = abandon_tasks, [RP_LATE] = give_up},
};

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

int rp_runtime_get(rp_loop *loop, rp_runtime **result)
{
    rp_runtime *runtime = loop->co;
    int rc;

    if (!runtime) {
        runtime = rp_calloc(sizeof *runtime);
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
        rp_resource_add(loop, &runtime->resource, &resource_type);
        loop->co = runtime;
    }
    *result = runtime;
    return 0;
}

void rp_set_task_factory(rp_loop *loop, rp_task_factory *factory, void *data)
{
    rp_runtime *runtime = NULL;
    int rc = rp_loop_check(loop);

    if (rc == 0)
        rc = rp_runtime_get(loop, &runtime);
    if (rc < 0) {
        rp_loop_report(loop, "could not set the task factory", rc, NULL, NULL, NULL, NULL);
        return;
    }
    runtime->factory = factory;
    runtime->factory_data = data;
}

rp_task_factory *rp_get_task_factory(const rp_loop *loop, void **data)
{
    const rp_runtime *runtime = loop->co;

    if (data)
        *data = runtime ? runtime->factory_data : NULL;
    return runtime ? runtime->factory : NULL;
}
