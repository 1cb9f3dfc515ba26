/*
 * to_thread.c - rp_to_thread(): blocking functions that a coroutine waits for.
 *
 * The function may use the task's memory. So that stays while the function runs: a cancelled task takes the job out of
 * the queue, or waits for its end. If the loop is closed meanwhile, the close blocks until the job has ended.
 */
#include "base/thread.h"
#include "co/await.h"
#include "co/bindings.h"
#include "loop/executor.h"

typedef struct job {
    rp_blocking *function;
    void *arg;
    rp_bindings *bindings;
    rp_future *future;
    rp_mutex mutex;
    rp_cond changed;
    bool ended; /* under the mutex */
} job;

/* On a thread of the executor. */
static int run_job(void *arg)
{
    job *j = arg;
    int result;

    rp_bindings_lend(j->bindings);
    result = j->function(j->arg);
    rp_bindings_lend(NULL);
    rp_mutex_lock(&j->mutex);
    j->ended = true;
    rp_cond_signal(&j->changed);
    rp_mutex_unlock(&j->mutex);
    return result;
}

static int job_init(job *j, rp_blocking *function, void *arg)
{
    int rc;

    *j = (job){.function = function, .arg = arg};
    rc = rp_mutex_init(&j->mutex);
    if (rc < 0)
        return rc;
    rc = rp_cond_init(&j->changed);
    if (rc < 0) {
        rp_mutex_fini(&j->mutex);
        return rc;
    }
    j->bindings = rp_bindings_ref(rp_co_bindings());
    return 0;
}

static void job_fini(job *j)
{
    rp_bindings_unref(j->bindings);
    rp_cond_fini(&j->changed);
    rp_mutex_fini(&j->mutex);
    rp_future_unref(j->future);
}

static void interrupt_job(rp_co *co, void *arg)
{
    job *j = arg;

    (void)co;
    rp_future_cancel(j->future);
}

static void abandon_job(rp_co *co, void *arg)
{
    job *j = arg;

    rp_future_remove_done_callback(&co->wake.done);
    if (rp_loop_is_forked(co->future.loop)) { /* there is no such thread here, but perhaps the lock that it held */
        rp_bindings_unref(j->bindings);
        rp_future_unref(j->future);
        return;
    }
    /* The job is one of the loop's resources, and tasks are reaped before those: cancelled means out of the queue. */
    if (!rp_future_cancelled(j->future) && !rp_future_cancel(j->future)) {
        rp_mutex_lock(&j->mutex);
        while (!j->ended)
            rp_cond_wait(&j->changed, &j->mutex, RP_NEVER);
        rp_mutex_unlock(&j->mutex);
    }
    job_fini(j);
}

int rp_to_executor(rp_co *co, rp_executor *executor, rp_blocking *function, void *arg)
{
    static const rp_waiting waiting = {interrupt_job, abandon_job, "a job on a thread"};
    job j;
    int rc;

    if (!function)
        return -EINVAL;
    RP_TRY(rp_co_check(co));
    RP_TRY(job_init(&j, function, arg));
    rc = rp_run_in_executor(co->future.loop, executor, run_job, &j, &j.future);
    if (rc == 0)
        rc = rp_await_as(co, j.future, &waiting, &j);
    job_fini(&j);
    return rc;
}

int rp_to_thread(rp_co *co, rp_blocking *function, void *arg)
{
    return rp_to_executor(co, NULL, function, arg);
}

int rp_shutdown_default_executor_wait(rp_co *co, int64_t timeout)
{
    rp_timeout limit;
    rp_future *drained;
    int rc;

    RP_TRY(rp_co_check(co));
    RP_TRY(rp_loop_drain_executor(co->future.loop, &drained));
    if (!drained)
        return 0;
    rp_timeout_begin(co, &limit, timeout);
    rc = rp_timeout_end(co, &limit, rp_await_shielded(co, drained));
    rp_future_unref(drained);
    return rc;
}
