/*
 * abandon.c - tasks and generators that have not ended when their loop is closed: reported, cut off, and dropped.
 *
 * It takes two steps. Tasks are abandoned among the loop's resources. Their stacks are given up after all of these,
 * since whatever else is reaped may still know of the tasks that waited for it. References of others keep a task's
 * memory.
 */
#include "co/abandon.h"

#include "co/task.h"
#include "loop/exception.h"

static rp_where kind_of(const rp_co *co)
{
    if (co->agen)
        return RP_WHERE_PENDING_AGEN;
    return co->state != RP_CO_CREATED ? RP_WHERE_PENDING_TASK : RP_WHERE_UNSTARTED_TASK;
}

static void report_left(rp_co *co)
{
    if (rp_loop_is_forked(co->future.loop)) /* it goes on, in the parent */
        return;
    rp_loop_report(co->future.loop, &(rp_report){.where = kind_of(co),
                                                 .name = rp_task_get_name(&co->future),
                                                 .future = &co->future,
                                                 .origin = co->future.origin});
}

static void report_list(rp_node *list)
{
    for (rp_node *node = list->prev; node != list; node = node->prev) {
        rp_co *co = rp_co_of(rp_container_of(node, rp_future, link));

        if (co)
            report_left(co);
    }
}

static void report_tasks(rp_resource *resource)
{
    rp_runtime *runtime = rp_container_of(resource, rp_runtime, resource);

    report_list(&runtime->loop->tasks);
    report_list(&runtime->agens);
}

/* From here on nothing of the loop's may point to the task, or to its stack. */
static void abandon(rp_co *co)
{
    if (co->waiting && co->waiting->abandon)
        co->waiting->abandon(co, co->waiting_arg);
    co->waiting = NULL;
    rp_handle_cancel(&co->wake.handle);
    rp_bindings_unref(co->bindings);
    co->bindings = NULL;
    rp_co_tell_watchers(co, false);
}

/*
 * The youngest first: giving one up may have to wait for a function on a thread, and that function may wait for a
 * coroutine that it has asked the loop for. The coroutine is younger.
 */
static void abandon_list(rp_runtime *runtime, rp_node *list)
{
    rp_node *node, *next;

    for (node = list->prev; node != list; node = next) {
        rp_co *co = rp_co_of(rp_container_of(node, rp_future, link));

        next = node->prev;
        if (!co)
            continue;
        rp_list_remove(node);
        if (!co->agen)
            runtime->loop->task_count--;
        rp_list_push(&runtime->abandoned, node);
        abandon(co);
    }
}

/* Generators last: tasks wait for them. */
static void abandon_tasks(rp_resource *resource)
{
    rp_runtime *runtime = rp_container_of(resource, rp_runtime, resource);

    abandon_list(runtime, &runtime->loop->tasks);
    abandon_list(runtime, &runtime->agens);
}

static void give_up(rp_resource *resource)
{
    rp_runtime *runtime = rp_container_of(resource, rp_runtime, resource);
    rp_node *node;

    rp_resource_remove(resource);
    while ((node = rp_list_pop(&runtime->abandoned)))
        rp_future_unref(rp_container_of(node, rp_future, link));
    rp_runtime_free(runtime);
}

void rp_abandon_at_close(rp_runtime *runtime)
{
    static const rp_resource_type type = {
        .at = {[RP_REPORT] = report_tasks, [RP_REAP] = abandon_tasks, [RP_LATE] = give_up},
    };

    rp_resource_add(runtime->loop, &runtime->resource, &type);
}
