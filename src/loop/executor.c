/*
 * executor.c - blocking work on threads, as futures. Mirrors run_in_executor and ThreadPoolExecutor.
 *
 * A job is shared by two sides. The loop's side is a future like any other: whoever awaits it, and the running job
 * itself, hold references on the loop's thread. The worker's side touches only the function, its result and, under the
 * loop's mutex, the posting of `done`. The memory is freed when both sides have let go (`holders`).
 * If the loop is closed first, it abandons the job. The worker then finds that posts are refused, and just lets go.
 */
#include "loop/executor.h"

#include <stdatomic.h>

#include "base/leave.h"
#include "base/memory.h"
#include "loop/future.h"
#include "loop/handle.h"
#include "loop/resource.h"

struct rp_executor {
    rp_pool *pool;
    atomic_uint refs; /* the owner's, and one of each job */
    rp_loop *loop;    /* whose default one it is, and which is its owner; NULL: none */
    rp_resource resource;
    bool shut_down; /* as a default one: takes no more work of its loop's */
};

typedef struct job {
    rp_future future;
    rp_work work;
    rp_handle done;
    rp_resource resource; /* in the loop's resources while the job is under way */
    rp_executor *executor;
    rp_loop *loop; /* the worker side's reference */
    rp_blocking *function;
    void *arg;
    rp_signal_mask mask; /* of the thread that asked for it; while the function runs, the worker's own */
    int result;
    bool posted; /* under the loop's mutex: `done` has been posted */
    atomic_uint holders;
} job;

/* ---- executors ---- */

int rp_executor_new(unsigned max_workers, rp_executor **out)
{
    return rp_executor_new_with(&(rp_pool_options){.max_threads = max_workers}, out);
}

int rp_executor_new_with(const rp_pool_options *options, rp_executor **out)
{
    rp_executor *executor = rp_calloc(sizeof *executor);

    *out = NULL;
    if (!executor)
        return -ENOMEM;
    int rc = rp_pool_new_with(options, &executor->pool);
    if (rc < 0) {
        rp_free(executor);
        return rc;
    }
    atomic_init(&executor->refs, 1);
    *out = executor;
    return 0;
}

static void executor_unref(rp_executor *executor)
{
    if (atomic_fetch_sub(&executor->refs, 1) != 1)
        return;
    rp_pool_free(executor->pool);
    rp_free(executor);
}

int rp_executor_shutdown(rp_executor *executor, int64_t timeout)
{
    return rp_pool_join(executor->pool, timeout);
}

void rp_executor_free(rp_executor *executor)
{
    if (!executor)
        return;
    rp_pool_stop(executor->pool);
    executor_unref(executor);
}

/* ---- jobs ---- */

static void let_go(job *j)
{
    if (atomic_fetch_sub(&j->holders, 1) == 1)
        rp_free(j);
}

/* The worker side's last act, on whichever thread does it. */
static void worker_lets_go(job *j)
{
    executor_unref(j->executor);
    rp_loop_unref(j->loop);
    let_go(j);
}

static void dispose_job(rp_future *future)
{
    rp_future_fini(future);
    let_go(rp_container_of(future, job, future));
}

static void on_done(void *arg)
{
    job *j = arg;

    rp_resource_remove(&j->resource);
    rp_future_finish(&j->future, j->result, NULL);
    rp_future_unref(&j->future);
    worker_lets_go(j);
}

/* The worker. */
static void run_job(rp_work *work)
{
    job *j = rp_container_of(work, job, work);
    bool post;

    rp_signal_mask_swap(&j->mask);
    j->result = j->function(j->arg);
    rp_signal_mask_swap(&j->mask);
    rp_mutex_lock(&j->loop->mutex);
    post = !j->loop->posts_refused;
    if (post) {
        j->posted = true;
        rp_handle_prepare(&j->done, j->loop, on_done, j);
        rp_loop_post(j->loop, &j->done);
    }
    rp_mutex_unlock(&j->loop->mutex);
    if (!post)
        worker_lets_go(j);
}

static bool cancel_job(rp_future *future)
{
    job *j = rp_container_of(future, job, future);

    if (!rp_pool_cancel(j->executor->pool, &j->work))
        return false;
    rp_resource_remove(&j->resource);
    rp_future_finish_cancelled(future);
    rp_future_unref(future);
    worker_lets_go(j);
    return true;
}

/* The loop is closed, and the job still under way: its future ends without it. */
static void abandon(rp_resource *resource)
{
    job *j = rp_container_of(resource, job, resource);

    rp_mutex_lock(&j->loop->mutex);
    bool worker_is_done = j->posted;
    rp_mutex_unlock(&j->loop->mutex);
    rp_resource_remove(&j->resource);
    rp_future_finish_cancelled(&j->future);
    rp_future_unref(&j->future);
    if (worker_is_done)
        worker_lets_go(j);
}

static bool expects(rp_resource *resource)
{
    return true; /* its end will be posted */
}

static const rp_resource_type job_resource = {.at = {[RP_REAP] = abandon}, .expects = expects};
static const rp_future_type job_type = {.name = "executor job", .cancel = cancel_job, .dispose = dispose_job};

/* ---- the default executor ---- */

/* What a loop has in place of one that was shut down before it was made. */
static rp_executor none = {.shut_down = true};

static rp_executor *of_loop(const rp_loop *loop)
{
    return loop->slots[RP_SLOT_EXECUTOR];
}

static void give_up(rp_loop *loop)
{
    rp_executor *executor = of_loop(loop);

    loop->slots[RP_SLOT_EXECUTOR] = NULL;
    if (!executor || executor == &none)
        return;
    rp_resource_remove(&executor->resource);
    executor->loop = NULL;
    if (!rp_loop_is_forked(loop)) /* in a child of fork() its threads do not exist */
        rp_executor_free(executor);
}

static void reap(rp_resource *resource)
{
    give_up(rp_container_of(resource, rp_executor, resource)->loop);
}

static const rp_resource_type executor_resource = {.at = {[RP_LATE] = reap}};

static void adopt(rp_loop *loop, rp_executor *executor)
{
    executor->shut_down = of_loop(loop) && of_loop(loop)->shut_down;
    give_up(loop);
    executor->loop = loop;
    rp_resource_add(loop, &executor->resource, &executor_resource);
    loop->slots[RP_SLOT_EXECUTOR] = executor;
}

static int default_executor(rp_loop *loop, rp_executor **executor)
{
    *executor = of_loop(loop);
    if (*executor)
        return (*executor)->shut_down ? RP_ESHUTDOWN : 0;
    int rc = rp_executor_new(0, executor);
    if (rc == 0)
        adopt(loop, *executor);
    return rc;
}

/* ---- asking for a job ---- */

int rp_run_in_executor(rp_loop *loop, rp_executor *executor, rp_blocking *function, void *arg, rp_future **out)
{
    int rc = rp_loop_check(loop);

    *out = NULL;
    if (rc == 0 && !function)
        rc = -EINVAL;
    if (rc == 0 && !executor)
        rc = default_executor(loop, &executor);
    if (rc < 0)
        return rc;
    job *j = rp_calloc(sizeof *j);
    if (!j)
        return -ENOMEM;
    rp_future_init(&j->future, loop, &job_type);
    rp_future_ref(&j->future); /* of the job itself, until its end is delivered */
    j->work.run = run_job;
    j->executor = executor;
    j->loop = rp_loop_ref(loop);
    j->function = function;
    j->arg = arg;
    rp_signal_mask_get(&j->mask);
    atomic_init(&j->holders, 2);
    atomic_fetch_add(&executor->refs, 1);
    rp_resource_add(loop, &j->resource, &job_resource);
    rc = rp_pool_submit(executor->pool, &j->work);
    if (rc < 0) {
        rp_resource_remove(&j->resource);
        rp_future_unref(&j->future);
        rp_future_unref(&j->future);
        worker_lets_go(j);
        return rc;
    }
    *out = &j->future;
    return 0;
}

/* ---- the default executor's end ---- */

int rp_set_default_executor(rp_loop *loop, rp_executor *executor)
{
    int rc = rp_loop_check(loop);

    if (rc == 0 && (!executor || (executor->loop && executor->loop != loop)))
        rc = -EINVAL;
    if (rc == 0 && executor != of_loop(loop))
        adopt(loop, executor);
    return rc;
}

/* Blocks until the executor's threads have ended; run by a thread of another one. */
static int join_executor(void *arg)
{
    rp_executor *executor = arg;

    rp_pool_join(executor->pool, RP_NEVER);
    executor_unref(executor);
    return 0;
}

int rp_loop_drain_executor(rp_loop *loop, rp_future **future)
{
    rp_executor *executor = of_loop(loop), *janitor;
    int rc = rp_loop_check(loop);

    *future = NULL;
    if (rc < 0)
        return rc;
    if (!executor)
        loop->slots[RP_SLOT_EXECUTOR] = &none;
    if (!executor || executor == &none)
        return 0;
    executor->shut_down = true;
    rp_pool_stop(executor->pool);
    rc = rp_executor_new(1, &janitor);
    if (rc < 0)
        return rc;
    atomic_fetch_add(&executor->refs, 1);
    rc = rp_run_in_executor(loop, janitor, join_executor, executor, future);
    if (rc < 0)
        executor_unref(executor);
    rp_executor_free(janitor);
    return rc;
}

typedef struct limit {
    rp_loop *loop;
    bool passed;
} limit;

static void on_limit(void *arg)
{
    limit *l = arg;

    l->passed = true;
    rp_loop_stop(l->loop);
}

static void cancel_timer(rp_timer *timer)
{
    rp_timer_cancel(timer);
}

int rp_shutdown_default_executor(rp_loop *loop, int64_t timeout)
{
    rp_timer timer RP_ON_LEAVE(cancel_timer) = {0};
    limit l = {.loop = loop};
    rp_future *drained RP_ON_LEAVE(rp_future_drop) = NULL;

    if (rp_loop_is_running(loop))
        return RP_ERUNNING;
    int rc = rp_loop_drain_executor(loop, &drained);
    if (rc < 0 || !drained)
        return rc;
    rc = rp_call_later(loop, &timer, timeout, on_limit, &l);
    if (rc == 0) {
        do
            rc = rp_run_until_complete(loop, drained);
        while (rc == RP_ESTOPPED && !l.passed); /* somebody else has stopped the loop */
    }
    return rc == RP_ESTOPPED ? -ETIMEDOUT : rc;
}
