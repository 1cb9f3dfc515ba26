/*
 * group.c - rp_group: tasks that end together.
 *
 * The group holds a reference to each of its tasks until that has ended, and learns of the end directly. The first
 * error, or rp_group_cancel(), cancels the other tasks. If the parent is still in the body, it cancels the parent too,
 * and rp_group_end() takes that cancellation back. A cancellation from outside is told apart by the number of them at
 * the beginning, and is kept: it is returned, or, if an error is returned instead, delivered at the next suspension.
 */
#include <assert.h>

#include "co/task.h"

void rp_group_begin(rp_co *co, rp_group *group)
{
    *group = (rp_group){.parent = &co->future, .cancelling = rp_co_cancel_mark(co)};
    rp_list_init(&group->tasks);
    co->open_groups++;
}

static void abort_group(rp_group *group)
{
    group->aborting = true;
    for (rp_node *node = group->tasks.next; node != &group->tasks; node = node->next)
        rp_task_cancel(&rp_container_of(node, rp_co, member.link)->future);
}

/* Cancels the tasks, and the parent if it is still in the body, so that it comes to rp_group_end. */
static void leave(rp_group *group)
{
    abort_group(group);
    if (!group->ending) {
        group->parent_cancelled = true;
        rp_task_cancel(group->parent);
    }
}

static bool is_over(const rp_group *group)
{
    return group->aborting || (group->ending && group->count == 0);
}

void rp_group_cancel(rp_group *group)
{
    if (!is_over(group))
        leave(group);
}

static void child_failed(rp_group *group, int error)
{
    if (group->error == 0)
        group->error = error;
    if (!group->aborting)
        leave(group);
}

static void child_ended(rp_watcher *watcher, rp_co *child)
{
    rp_group *group = child->member.group;
    int result = rp_future_cancelled(&child->future) ? 0 : rp_future_result(&child->future);

    assert(group->count > 0 && rp_node_linked(&child->member.link));
    rp_list_remove(&child->member.link);
    group->count--;
    if (result < 0)
        child_failed(group, result);
    rp_future_unref(&child->future);
    if (group->ending && group->count == 0)
        rp_co_wake(rp_co_of(group->parent));
}

/* The parent is abandoned too. */
static void child_abandoned(rp_watcher *watcher, rp_co *child)
{
    rp_future_unref(&child->future);
}

static const rp_watching membership = {child_ended, child_abandoned};

/* A task factory may hand out something else, which would never tell the group of its end. */
static bool is_new(const rp_co *task)
{
    return task && task->state != RP_CO_ENDED && !rp_node_linked(&task->member.link);
}

int rp_group_create_task_with(rp_group *group, rp_task **task, rp_coro *coro, const void *arg,
                              const rp_task_options *options)
{
    rp_task *created;
    rp_co *child;

    if (task)
        *task = NULL;
    if (is_over(group))
        return -ECANCELED;
    RP_TRY(rp_loop_create_task_with(group->parent->loop, &created, coro, arg, options));
    child = rp_co_of(created);
    if (!is_new(child)) {
        rp_future_unref(created);
        return -EINVAL;
    }
    child->member.group = group;
    rp_list_push(&group->tasks, &child->member.link);
    group->count++;
    rp_co_watch(child, &child->member.watcher, &membership);
    if (task)
        *task = rp_future_ref(created);
    return 0;
}

int rp_group_create_task_copy(rp_group *group, rp_task **task, rp_coro *coro, const void *arg, size_t size)
{
    return rp_group_create_task_with(group, task, coro, arg, &(rp_task_options){.copy_size = size});
}

int rp_group_create_task(rp_group *group, rp_task **task, rp_coro *coro, void *arg)
{
    return rp_group_create_task_with(group, task, coro, arg, NULL);
}

static void interrupt_join(rp_co *co, void *arg)
{
    rp_group *group = arg;

    (void)co;
    if (!group->aborting)
        abort_group(group);
}

/* Suspends until all tasks have ended; returns whether the parent was cancelled before or meanwhile. */
static bool join(rp_co *co, rp_group *group)
{
    static const rp_waiting waiting = {interrupt_join, NULL, "the tasks of its group"};
    bool cancelled;

    if (group->count == 0)
        return false;
    cancelled = rp_co_check(co) < 0;
    if (cancelled && !group->aborting)
        abort_group(group);
    if (rp_co_suspend(co, &waiting, group)) {
        rp_co_cancelled(co);
        cancelled = true;
    }
    assert(group->count == 0 && rp_list_empty(&group->tasks));
    return cancelled;
}

int rp_group_end(rp_co *co, rp_group *group, int rc)
{
    bool cancelled = rc == -ECANCELED;

    RP_TRY(rp_co_here(co));
    if (group->count > 0 && rp_loop_is_forked(co->future.loop)) /* they end in the parent process only */
        return RP_EFORK;
    if (rc < 0 && !group->aborting)
        abort_group(group);
    group->ending = true;
    co->open_groups--;
    cancelled |= join(co, group);
    if (group->parent_cancelled && rp_co_uncancel_to(co, group->cancelling)) {
        cancelled = false;
        if (rc == -ECANCELED)
            rc = 0;
    }
    if (group->error < 0)
        rc = group->error;
    else if (cancelled && (rc >= 0 || rc == -ECANCELED))
        return -ECANCELED;
    if (rc < 0 && co->cancelling > group->cancelling)
        co->must_cancel = true;
    return rc;
}
