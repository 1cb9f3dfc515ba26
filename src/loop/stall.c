/*
 * stall.c - debug mode's look at what could wake a task, and the report that names the tasks.
 *
 * A task is woken by what the loop has ready, by a timer, an operation, a job, or a post from another thread. When a
 * loop is about to wait and has none of these, its tasks wait for ever. The loop cannot know whether another thread is
 * going to post: `posts_expected` says that one has done so, or will.
 */
#include "loop/stall.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "loop/exception.h"
#include "loop/future.h"
#include "loop/resource.h"
#include "proactor/proactor.h"

/* A report names as many tasks as fit. */
typedef struct text {
    char bytes[1024];
    size_t length;
} text;

/* All of it, or nothing and false; room for `spare` more bytes is left. */
RP_PRINTF(3, 4) static bool append(text *t, size_t spare, const char *format, ...)
{
    size_t room = sizeof t->bytes - t->length;
    va_list arguments;

    va_start(arguments, format);
    int n = vsnprintf(t->bytes + t->length, room, format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n + spare >= room) {
        t->bytes[t->length] = '\0';
        return false;
    }
    t->length += (size_t)n;
    return true;
}

static bool append_task(text *t, const rp_future *task, bool first)
{
    const char *name = task->type->get_name != NULL ? task->type->get_name(task) : task->type->name;
    const char *what = task->type->waits_for != NULL ? task->type->waits_for(task) : NULL;
    enum { AND_MORE = 32 };

    return append(t, AND_MORE, what != NULL ? "%s '%s' for %s" : "%s '%s'", first ? ":" : ",", name, what);
}

void rp_loop_report_tasks(rp_loop *loop, const char *one, const char *many)
{
    text t = {.length = 0};
    size_t told = 0;

    (void)append(&t, 0, "%zu %s", loop->task_count, loop->task_count == 1 ? one : many);
    for (rp_node *node = loop->tasks.next; node != &loop->tasks; node = node->next, told++)
        if (!append_task(&t, rp_container_of(node, rp_future, link), told == 0))
            break;
    if (told < loop->task_count)
        (void)append(&t, 0, ", and %zu more", loop->task_count - told);
    rp_loop_report(loop, t.bytes, 0, NULL, NULL, NULL, NULL);
}

static bool something_may_come(rp_loop *loop)
{
    rp_mutex_lock(&loop->mutex);
    bool expected = loop->posts_expected || !rp_list_empty(&loop->posted);
    rp_mutex_unlock(&loop->mutex);
    return expected || loop->proactor->in_flight > loop->standing || rp_resources_expect(loop);
}

void rp_loop_report_stall(rp_loop *loop)
{
    uint64_t progress = loop->stats.callbacks + loop->stats.completions;

    if (loop->task_count == 0 || progress == loop->stalled_at || something_may_come(loop))
        return;
    loop->stalled_at = progress; /* once, however often the wait ends for nothing */
    rp_loop_report_tasks(loop, "task waits for nothing that can come", "tasks wait for nothing that can come");
}
