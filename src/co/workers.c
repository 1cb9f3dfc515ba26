/*
 * workers.c - the worker group: a coroutine on several loops in as many threads.
 *
 * Each worker has a runner, and so a loop, an executor and an end of its own; nothing is shared between them but the
 * group, under its mutex. A task stays where it began. The first worker that fails stops the others: a handle that
 * is posted to their loops cancels their main tasks, while `loop` says that there is a loop.
 */
#include "co/workers.h"

#include "base/leave.h"
#include "base/memory.h"
#include "base/thread.h"
#include "loop/loop.h"
#include "loop/runner.h"

typedef struct group group;

typedef struct worker {
    group *group;
    unsigned index;
    rp_loop *loop; /* under the mutex; NULL: nothing can be posted */
    rp_runner *runner;
    rp_handle stop;
    rp_thread thread; /* of all but the first */
} worker;

struct group {
    rp_mutex mutex;
    rp_coro *coro;
    void *arg;
    rp_signal_mask mask; /* of the thread that started the group: all workers run under it */
    unsigned started;    /* threads, the caller's among them */
    bool stopping;
    int error;         /* the first */
    rp_common *common; /* under the mutex; NULL: nobody has asked for it */
    unsigned count;
    worker workers[];
};

static _Thread_local worker *this_worker;

int rp_worker_index(void)
{
    return this_worker ? (int)this_worker->index : -1;
}

int rp_workers_common(rp_common_factory *factory, rp_common **common)
{
    group *g = this_worker ? this_worker->group : NULL;
    int rc = 0;

    *common = NULL;
    if (!g)
        return 0;
    rp_mutex_lock(&g->mutex);
    if (!g->common)
        rc = factory(g->count, &g->common);
    *common = g->common;
    rp_mutex_unlock(&g->mutex);
    return rc;
}

/* ---- stopping ---- */

static void stop_worker(void *arg)
{
    worker *w = arg;

    rp_runner_stop(w->runner);
}

/* Any worker's thread: the first error ends the group. */
static void stop_group(group *g, int error)
{
    rp_mutex_lock(&g->mutex);
    if (!g->stopping) {
        g->stopping = true;
        g->error = error;
        for (unsigned i = 0; i < g->count; i++)
            if (g->workers[i].loop)
                rp_call_soon_threadsafe(g->workers[i].loop, &g->workers[i].stop, stop_worker, &g->workers[i]);
    }
    rp_mutex_unlock(&g->mutex);
}

/* ---- a worker's life ---- */

/* Lets others stop the worker from now on. -ECANCELED if they have done so already. */
static int announce(worker *w, rp_loop *loop)
{
    rp_mutex_lock(&w->group->mutex);
    int rc = w->group->stopping ? -ECANCELED : 0;
    w->loop = rc == 0 ? loop : NULL;
    loop->posts_expected = true; /* those of the group, and of what it has in common */
    rp_mutex_unlock(&w->group->mutex);
    return rc;
}

/* After this, `stop` is idle and stays so. */
static void withdraw(worker *w)
{
    rp_mutex_lock(&w->group->mutex);
    w->loop = NULL;
    rp_mutex_unlock(&w->group->mutex);
    rp_handle_cancel(&w->stop);
}

typedef struct worker_run {
    worker *worker;
    unsigned generation;
    int rc; /* that of a run which an exception ends, at first */
} worker_run;

/* False in a child of fork(): it has the group's memory, but none of the threads, one of which may hold the mutex. */
static bool has_group(const worker_run *run)
{
    return run->generation == rp_fork_generation();
}

static void end_worker(worker_run *run)
{
    if (has_group(run)) {
        withdraw(run->worker);
        if (run->rc < 0)
            stop_group(run->worker->group, run->rc);
    }
    rp_runner_free(run->worker->runner);
    this_worker = NULL;
}

/* Returns whether this is still the process of the group. */
static bool run_worker(worker *w)
{
    worker_run run RP_ON_LEAVE(end_worker) = {w, rp_fork_generation(), -ECANCELED};
    rp_loop *loop;
    int rc = rp_runner_new(NULL, &w->runner);

    this_worker = w;
    if (rc == 0 && w->index > 0)
        rp_runner_leave_interrupts(w->runner);
    if (rc == 0)
        rc = rp_runner_get_loop(w->runner, &loop);
    if (rc == 0)
        rc = announce(w, loop);
    if (rc == 0)
        rc = rp_runner_run(w->runner, w->group->coro, w->group->arg);
    run.rc = rc;
    return has_group(&run);
}

static void run_thread(void *arg)
{
    worker *w = arg;
    rp_signal_mask mask = w->group->mask;

    rp_signal_mask_swap(&mask);
    run_worker(w);
}

static void start_threads(group *g)
{
    for (g->started = 1; g->started < g->count; g->started++) {
        worker *w = &g->workers[g->started];
        int rc = rp_thread_start_joinable(run_thread, w, &w->thread);

        if (rc < 0) {
            stop_group(g, rc);
            return;
        }
    }
}

/* ---- the group ---- */

static int make_group(unsigned count, rp_coro *coro, void *arg, group **out)
{
    group *g = rp_calloc(sizeof *g + count * sizeof g->workers[0]);

    if (!g)
        return -ENOMEM;
    int rc = rp_mutex_init(&g->mutex);
    if (rc < 0) {
        rp_free(g);
        return rc;
    }
    g->coro = coro;
    g->arg = arg;
    rp_signal_mask_get(&g->mask);
    g->count = count;
    for (unsigned i = 0; i < count; i++)
        g->workers[i] = (worker){.group = g, .index = i};
    *out = g;
    return 0;
}

static void free_group(group *g)
{
    if (g->common)
        g->common->free(g->common);
    rp_mutex_fini(&g->mutex);
    rp_free(g);
}

/* Of rp_run_workers(). */
typedef struct group_run {
    group *group;
    unsigned generation;
} group_run;

static void join_threads(group *g)
{
    for (; g->started > 1; g->started--)
        rp_thread_join(g->workers[g->started - 1].thread);
}

static void end_group(group_run *run)
{
    if (run->generation != rp_fork_generation())
        return;
    join_threads(run->group);
    free_group(run->group);
}

int rp_run_workers(unsigned count, rp_coro *coro, void *arg)
{
    group *g;

    if (count == 0 || count > RP_WORKERS_MAX || !coro)
        return -EINVAL;
    if (rp_get_running_loop() || this_worker)
        return RP_ERUNNING;
    int rc = make_group(count, coro, arg, &g);
    if (rc < 0)
        return rc;
    group_run run RP_ON_LEAVE(end_group) = {g, rp_fork_generation()};
    start_threads(run.group);
    if (!run_worker(&g->workers[0]))
        return RP_EFORK;
    join_threads(g);
    return g->error;
}
