/*
 * life.c - a loop's beginning and its end.
 *
 * The end has a fixed order: nothing is called back any more; what is under way in the kernel is ended; what was left
 * open is reported; and then all of it is freed. What else lives in the loop acts in the phases of resource.h.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "loop/exception.h"
#include "loop/future.h"
#include "loop/handle.h"
#include "loop/report_text.h"
#include "loop/resource.h"
#include "proactor/proactor.h"

static int open_proactor(rp_loop *loop, const rp_loop_options *options)
{
    if (options->proactor) {
        if (options->backend || options->proactor->in_flight > 0)
            return -EINVAL;
        loop->proactor = options->proactor;
        return 0;
    }
    return rp_proactor_open(options->backend, &options->proactor_options, &loop->proactor);
}

static bool debug_by_environment(void)
{
    const char *value = getenv("RINGPORT_DEBUG");

    return value && value[0] != '\0' && strcmp(value, "0") != 0;
}

int rp_loop_new(const rp_loop_options *options, rp_loop **out)
{
    static const rp_loop_options defaults;
    rp_loop *loop;
    int rc;

    *out = NULL;
    if (!options)
        options = &defaults;
    if (!rp_stack_size_valid(options->stack_size))
        return -EINVAL;
    loop = rp_calloc(sizeof *loop);
    if (!loop)
        return -ENOMEM;
    rc = rp_mutex_init(&loop->mutex);
    if (rc < 0)
        goto no_mutex;
    rc = open_proactor(loop, options);
    if (rc < 0)
        goto no_proactor;

    atomic_init(&loop->refs, 1);
    rp_list_init(&loop->ready);
    rp_list_init(&loop->batch);
    rp_list_init(&loop->due);
    rp_list_init(&loop->last);
    rp_list_init(&loop->arrivals);
    rp_list_init(&loop->arrived);
    rp_list_init(&loop->posted);
    rp_list_init(&loop->tasks);
    rp_list_init(&loop->unread);
    rp_list_init(&loop->resources);
    loop->kernel = loop->proactor->kernel;
    loop->now = rp_kernel_now(loop->kernel);
    rp_timers_init(&loop->timers, loop->now);
    loop->fork_generation = rp_fork_generation();
    atomic_init(&loop->run_generation, loop->fork_generation);
    loop->slow_callback_duration = RP_MSEC(100);
    loop->stack_size = options->stack_size;
    loop->reporter = rp_report_to_handler;
    loop->no_debug = options->no_debug;
    rp_set_debug(loop, options->debug || debug_by_environment());
    *out = loop;
    return 0;

no_proactor:
    rp_mutex_fini(&loop->mutex);
no_mutex:
    rp_free(loop);
    return rc;
}

int rp_loop_close(rp_loop *loop)
{
    bool forked = rp_loop_is_forked(loop);

    if (forked ? rp_loop_is_on_this_stack(loop) : rp_loop_is_running(loop))
        return forked ? RP_EFORK : RP_ERUNNING;
    if (loop->closed)
        return 0;
    loop->closed = true;
    rp_loop_note_state(loop);
    if (forked) /* another thread may have held it at the fork */
        rp_mutex_init(&loop->mutex);
    rp_loop_drop_handles(loop);
    for (; loop->delivered < loop->taken && !forked; loop->delivered++)
        rp_completion_drop(&loop->completions[loop->delivered]);
    rp_resources_pass(loop, RP_STOP);
    rp_proactor_close(loop->proactor);
    loop->proactor = NULL;
    rp_resources_pass(loop, RP_REPORT);
    rp_loop_drop_handles(loop); /* those of what the handler has closed */
    rp_resources_pass(loop, RP_REAP);
    rp_loop_drop_handles(loop); /* those of futures that ended with what was reaped */
    rp_futures_report_unread(loop);
    rp_resources_pass(loop, RP_LATE);
    assert(rp_list_empty(&loop->resources) && rp_list_empty(&loop->unread) && loop->timers.count == 0);
    assert(rp_list_empty(&loop->ready) && rp_list_empty(&loop->batch) && rp_list_empty(&loop->due));
    assert(rp_list_empty(&loop->arrivals) && rp_list_empty(&loop->arrived) && rp_list_empty(&loop->last));
    rp_free(loop->receive_buffer);
    loop->receive_buffer = NULL;
    return 0;
}

void rp_loop_free(rp_loop *loop)
{
    if (!loop)
        return;
    int rc = rp_loop_close(loop);
    if (rc == RP_EFORK)
        loop->free_after_run = true;
    else if (rc == RP_ERUNNING && rp_loop_is_on_this_stack(loop))
        rp_loop_report(loop, &(rp_report){.where = RP_WHERE_FREE, .error = rc});
    if (rc == 0)
        rp_loop_unref(loop);
}
