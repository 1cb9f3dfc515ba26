/*
 * loop.c - the loop's life and its turn.
 *
 * A turn, as asyncio's _run_once: wait for completions until the first timer is due, not at all if a callback is ready;
 * deliver them; move due timers to the ready queue; run the handles that were ready when this last step began. What a
 * callback schedules therefore runs in the next turn, and stop() ends the run after a whole turn.
 *
 * A callback may fork. In the child the run ends as soon as that callback returns: what else was ready or had completed
 * is the parent's business.
 */
#include "loop/loop.h"

#include <stdlib.h>
#include <string.h>

#include "base/leave.h"
#include "base/memory.h"
#include "base/socket.h"
#include "loop/future.h"
#include "loop/handle.h"
#include "loop/readers.h"
#include "loop/signals.h"
#include "loop/stall.h"
#include "proactor/proactor.h"
#include "ringport/future.h"

static _Thread_local rp_loop *running_loop;

/* Whether its run is on this thread's stack; in a child of fork() that may be the parent's run. */
static bool is_on_this_stack(const rp_loop *loop)
{
    return loop->stack == &running_loop;
}

/* ---- making ---- */

static int open_proactor(rp_loop *loop, const rp_loop_options *options)
{
    if (options->proactor != NULL) {
        if (options->backend != NULL || options->proactor->in_flight > 0)
            return -EINVAL;
        loop->proactor = options->proactor;
        return 0;
    }
    return rp_proactor_open(options->backend, &options->proactor_options, &loop->proactor);
}

static bool debug_by_environment(void)
{
    const char *value = getenv("RINGPORT_DEBUG");

    return value != NULL && value[0] != '\0' && strcmp(value, "0") != 0;
}

int rp_loop_new(const rp_loop_options *options, rp_loop **out)
{
    static const rp_loop_options defaults;
    rp_loop *loop;
    int rc;

    *out = NULL;
    if (options == NULL)
        options = &defaults;
    if (!rp_stack_size_valid(options->stack_size))
        return -EINVAL;
    loop = rp_calloc(sizeof *loop);
    if (loop == NULL)
        return -ENOMEM;
    rc = rp_mutex_init(&loop->mutex);
    if (rc < 0)
        goto no_mutex;
    rc = open_proactor(loop, options);
    if (rc < 0)
        goto no_proactor;

    atomic_init(&loop->refs, 1);
    rp_list_init(&loop->ready);
    rp_list_init(&loop->posted);
    rp_list_init(&loop->tasks);
    rp_list_init(&loop->unread);
    rp_list_init(&loop->resources);
    rp_list_init(&loop->idle_resources);
    loop->now = rp_monotonic();
    rp_timers_init(&loop->timers, loop->now);
    loop->fork_generation = rp_fork_generation();
    loop->slow_callback_duration = RP_MSEC(100);
    loop->stack_size = options->stack_size;
    rp_set_debug(loop, options->debug || debug_by_environment());
    *out = loop;
    return 0;

no_proactor:
    rp_mutex_fini(&loop->mutex);
no_mutex:
    rp_free(loop);
    return rc;
}

rp_loop *rp_loop_ref(rp_loop *loop)
{
    atomic_fetch_add_explicit(&loop->refs, 1, memory_order_relaxed);
    return loop;
}

void rp_loop_unref(rp_loop *loop)
{
    if (atomic_fetch_sub_explicit(&loop->refs, 1, memory_order_acq_rel) != 1)
        return;
    rp_mutex_fini(&loop->mutex);
    rp_free(loop);
}

int rp_loop_check(const rp_loop *loop)
{
    if (loop->closed)
        return RP_ECLOSED;
    if (rp_loop_is_forked(loop))
        return RP_EFORK;
    if (loop->debug) {
        uint64_t thread = atomic_load(&loop->thread);

        if (thread != 0 && thread != rp_thread_id())
            return RP_ETHREAD;
    }
    return 0;
}

/* ---- the turn ---- */

static void deliver_timed(rp_loop *loop, rp_op *op)
{
    int64_t start = rp_monotonic();
    void *function = (void *)(uintptr_t)op->callback;

    op->callback(op);
    rp_loop_report_if_slow(loop, start, function, NULL);
}

/*
 * While a callback runs, memory that the next but one will touch is fetched: the operation and what stands before it,
 * which is most often its owner. With a thousand connections none of it is in the cache.
 */
static void fetch_ahead(const rp_loop *loop, int i, int count)
{
    const char *op = i + 2 < count ? (const char *)loop->completions[i + 2].op : NULL;

    if (op == NULL)
        return;
    __builtin_prefetch(op - 64);
    __builtin_prefetch(op);
    __builtin_prefetch(op + 64);
}

/* Completions that are being delivered. What is left of them when an exception passes comes first in the next run. */
typedef struct delivery {
    rp_loop *loop;
    int next;
    int count;
} delivery;

static void keep_rest(delivery *d)
{
    rp_loop *loop = d->loop;

    loop->undelivered = d->count - d->next;
    if (loop->undelivered > 0)
        memmove(loop->completions, &loop->completions[d->next],
                (size_t)loop->undelivered * sizeof loop->completions[0]);
    loop->stats.completions += (uint64_t)d->next;
}

static int deliver(rp_loop *loop, int count)
{
    delivery d RP_ON_LEAVE(keep_rest) = {.loop = loop, .count = count};

    while (d.next < count && !rp_loop_is_forked(loop)) {
        const rp_completion *completion = &loop->completions[d.next];
        rp_op *op = completion->op;

        fetch_ahead(loop, d.next, count);
        d.next++;
        op->result = completion->result;
        op->flags = completion->flags;
        if (!(op->flags & RP_OP_MORE))
            op->state = RP_OP_IDLE;
        if (op->callback == NULL)
            continue;
        if (loop->debug)
            deliver_timed(loop, op);
        else
            op->callback(op);
    }
    return rp_loop_is_forked(loop) ? RP_EFORK : 0;
}

/* Handles that this turn runs. Those that are left when an exception passes go back before what got ready since. */
typedef struct batch {
    rp_loop *loop;
    rp_node handles;
} batch;

static void put_back(batch *b)
{
    if (rp_list_empty(&b->handles))
        return;
    rp_list_splice(&b->handles, &b->loop->ready);
    rp_list_splice(&b->loop->ready, &b->handles);
}

/* Runs what is ready now, but not what gets ready by that. */
static int run_ready(rp_loop *loop)
{
    batch b RP_ON_LEAVE(put_back) = {.loop = loop};

    rp_list_init(&b.handles);
    rp_list_splice(&b.handles, &loop->ready);
    while (!rp_list_empty(&b.handles) && !rp_loop_is_forked(loop))
        rp_handle_run(loop, rp_container_of(rp_list_pop(&b.handles), rp_handle, link));
    return rp_loop_is_forked(loop) ? RP_EFORK : 0;
}

/* Waits once. The clock is read before it, and after it if it may have slept. */
static int wait_and_deliver(rp_loop *loop)
{
    int64_t now = rp_monotonic(), deadline = 0;

    if (now - loop->now > loop->stats.longest_turn)
        loop->stats.longest_turn = now - loop->now;
    if (rp_list_empty(&loop->ready) && !loop->stopping)
        deadline = rp_timers_next(&loop->timers);
    if (deadline == RP_NEVER && loop->debug) {
        rp_loop_report_stall(loop);
        if (!rp_list_empty(&loop->ready) || loop->stopping) /* whoever was told has done something about it */
            deadline = 0;
    }
    loop->proactor->asking.now = now;
    int n = rp_proactor_wait(loop->proactor, loop->completions, RP_LOOP_BATCH, deadline);
    loop->now = deadline == 0 ? now : rp_monotonic();
    return n > 0 ? deliver(loop, n) : n;
}

static int run_turn(rp_loop *loop)
{
    int rc = wait_and_deliver(loop);

    if (rc < 0)
        return rc;
    if (atomic_load_explicit(&loop->posts_waiting, memory_order_acquire))
        rp_loop_take_posts(loop);
    rp_loop_take_due_timers(loop);
    rc = run_ready(loop);
    loop->stats.turns++;
    return rc;
}

/* A run ends with its scope. */
static void end_run(rp_loop **run)
{
    rp_loop *loop = *run;

    loop->stopping = false;
    running_loop = NULL;
    loop->stack = NULL;
    loop->proactor->asking = (rp_asking){0}; /* whoever waits next, and be it once, asks the kernel */
    atomic_store(&loop->thread, 0);
    if (loop->free_after_run)
        rp_loop_free(loop);
}

int rp_run_forever(rp_loop *loop)
{
    int rc = rp_loop_check(loop);
    uint64_t nobody = 0;

    if (rc == RP_ECLOSED || rc == RP_EFORK)
        return rc;
    if (rp_get_running_loop() != NULL || !atomic_compare_exchange_strong(&loop->thread, &nobody, rp_thread_id()))
        return RP_ERUNNING;
    rp_loop *run RP_ON_LEAVE(end_run) = loop;
    running_loop = run;
    run->stack = &running_loop;
    loop->now = rp_monotonic();
    rc = loop->undelivered > 0 ? deliver(loop, loop->undelivered) : 0;
    while (rc == 0) {
        rc = run_turn(loop);
        if (loop->stopping)
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

    if (future == NULL || rp_future_get_loop(future) != loop)
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

void rp_loop_stop(rp_loop *loop)
{
    loop->stopping = true;
}

/* ---- the end ---- */

/* Each goes to the back of the list as its turn comes: the handler may free any of them, or something else. */
static void report_left(rp_node *resources)
{
    while (!rp_list_empty(resources)) {
        rp_resource *resource = rp_container_of(resources->next, rp_resource, link);

        if (resource->reported)
            return;
        resource->reported = true;
        rp_list_remove(&resource->link);
        rp_list_push(resources, &resource->link);
        if (resource->report != NULL)
            resource->report(resource);
    }
}

static void reap(rp_node *resources)
{
    while (!rp_list_empty(resources)) {
        rp_resource *resource = rp_container_of(resources->next, rp_resource, link);

        resource->reap(resource);
    }
}

int rp_loop_close(rp_loop *loop)
{
    bool forked = rp_loop_is_forked(loop);

    if (forked ? is_on_this_stack(loop) : rp_loop_is_running(loop))
        return forked ? RP_EFORK : RP_ERUNNING;
    if (loop->closed)
        return 0;
    loop->closed = true;
    if (forked) /* another thread may have held it at the fork */
        rp_mutex_init(&loop->mutex);
    rp_loop_drop_handles(loop);
    for (int i = 0; i < loop->undelivered && !forked; i++)
        rp_completion_drop(&loop->completions[i]);
    rp_signals_close(loop);
    rp_readers_stop(loop);
    rp_proactor_close(loop->proactor);
    loop->proactor = NULL;
    rp_signals_free(loop);
    rp_readers_close(loop);
    report_left(&loop->resources);
    rp_loop_drop_handles(loop); /* of what the handler has closed */
    reap(&loop->resources);
    rp_loop_drop_handles(loop); /* of futures that ended with what was reaped */
    rp_futures_report_unread(loop);
    reap(&loop->idle_resources);
    if (!forked) /* in a child of fork() its threads do not exist */
        rp_executor_free(loop->executor);
    loop->executor = NULL;
    rp_free(loop->receive_buffer);
    loop->receive_buffer = NULL;
    return 0;
}

void rp_loop_free(rp_loop *loop)
{
    if (loop == NULL)
        return;
    int rc = rp_loop_close(loop);
    if (rc == RP_EFORK)
        loop->free_after_run = true;
    else if (rc == RP_ERUNNING && is_on_this_stack(loop))
        rp_loop_report(loop, "a loop that runs cannot be freed", rc, NULL, NULL, NULL, NULL);
    if (rc == 0)
        rp_loop_unref(loop);
}

/* ---- asking ---- */

rp_loop *rp_get_running_loop(void)
{
    /* A child of fork() is in a copy of the parent's run: none of its own. */
    if (running_loop != NULL && rp_loop_is_forked(running_loop))
        return NULL;
    return running_loop;
}

bool rp_loop_is_running(const rp_loop *loop)
{
    return atomic_load(&loop->thread) != 0;
}

bool rp_loop_is_closed(const rp_loop *loop)
{
    return loop->closed;
}

int64_t rp_loop_time(const rp_loop *loop)
{
    (void)loop;
    return rp_monotonic();
}

const char *rp_loop_backend_name(const rp_loop *loop)
{
    return loop->proactor != NULL ? rp_proactor_name(loop->proactor) : "closed";
}

rp_proactor *rp_loop_proactor(rp_loop *loop)
{
    return loop->proactor;
}

void rp_loop_get_stats(const rp_loop *loop, rp_loop_stats *stats)
{
    *stats = loop->stats;
    stats->timers_pending = loop->timers.count;
    stats->tasks = loop->task_count;
    stats->backend = rp_loop_backend_name(loop);
    if (loop->proactor == NULL)
        return;
    stats->kernel_entries = loop->proactor->kernel_entries;
    stats->busy_polls = loop->proactor->spin.begun;
    stats->busy_polls_found = loop->proactor->spin.found;
    stats->wakeups = atomic_load_explicit(&loop->proactor->wakeups, memory_order_relaxed);
    stats->operations_in_flight = loop->proactor->in_flight;
    stats->fallback_reason = rp_proactor_fallback_reason(loop->proactor);
}

void *rp_loop_receive_buffer(rp_loop *loop)
{
    if (loop->receive_buffer == NULL)
        loop->receive_buffer = rp_malloc(RP_LOOP_RECEIVE_BUFFER);
    return loop->receive_buffer;
}

/* ---- operations ---- */

int rp_submit(rp_loop *loop, rp_op *op)
{
    int rc = rp_loop_check(loop);

    if (rc == 0 && op->state == RP_OP_TAKEN)
        rc = -EBUSY; /* until it is delivered */
    return rc < 0 ? rc : rp_proactor_submit(loop->proactor, op);
}

void rp_cancel(rp_loop *loop, rp_op *op)
{
    if (rp_loop_check(loop) == 0)
        rp_proactor_cancel(loop->proactor, op);
}

void rp_loop_close_socket(rp_loop *loop, rp_fd fd)
{
    rp_proactor_forget(loop->proactor, fd);
    rp_socket_close(fd);
}
