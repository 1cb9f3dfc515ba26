/*
 * stall.c - debug mode's look at what could wake a task.
 *
 * A task is woken by what the loop has ready, by a timer, an operation, a job, or a post from another thread. When a
 * loop is about to wait and has none of these, its tasks wait for ever. The loop cannot know whether another thread is
 * going to post: `posts_expected` says that one has done so, or will.
 */
#include "loop/stall.h"

#include "loop/exception.h"
#include "loop/resource.h"
#include "proactor/proactor.h"

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
    rp_loop_report(loop, &(rp_report){.where = RP_WHERE_STALLED_TASKS});
}
