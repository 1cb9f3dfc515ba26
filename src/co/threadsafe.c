/*
 * threadsafe.c - a coroutine on behalf of a foreign thread. Mirrors asyncio.run_coroutine_threadsafe().
 *
 * The thread posts an errand to the loop and sleeps. The errand creates a task, which knows of the call; the call ends
 * exactly once: with the task, or with the loop, whether the errand has run by then or not. Whoever ends it does not
 * touch it afterwards, for it lies on the thread's stack.
 */
#include "base/thread.h"
#include "co/task.h"
#include "loop/handle.h"

struct rp_call {
    rp_errand errand;
    rp_loop *loop;
    rp_coro *coro;
    void *arg;
    rp_mutex mutex;
    rp_cond changed;
    bool ended; /* under the mutex */
    int result;
};

void rp_call_end(rp_call *call, int result)
{
    if (rp_loop_is_forked(call->loop)) /* the thread is the parent's */
        return;
    rp_mutex_lock(&call->mutex);
    call->result = result;
    call->ended = true;
    rp_cond_signal(&call->changed);
    rp_mutex_unlock(&call->mutex);
}

static void start_call(void *arg, bool dropped)
{
    rp_call *call = arg;
    rp_task *task = NULL;
    int rc = dropped ? RP_ECLOSED : rp_loop_create_task(call->loop, &task, call->coro, call->arg);
    rp_co *co = rp_co_of(task);

    if (co)
        co->call = call;
    else
        rp_call_end(call, rc < 0 ? rc : -EINVAL); /* a task factory's idea of a task */
    rp_task_detach(task);
}

/* Posts the call, and blocks until it has ended. */
static int make_call(rp_call *call)
{
    RP_TRY(rp_post_errand(call->loop, &call->errand, start_call, call));
    rp_mutex_lock(&call->mutex);
    while (!call->ended)
        rp_cond_wait(&call->changed, &call->mutex, RP_NEVER);
    rp_mutex_unlock(&call->mutex);
    return call->result;
}

int rp_run_coroutine_threadsafe(rp_loop *loop, rp_coro *coro, void *arg)
{
    rp_call call = {.loop = loop, .coro = coro, .arg = arg};
    int rc;

    if (!coro)
        return -EINVAL;
    if (rp_get_running_loop() == loop)
        return -EDEADLK;
    RP_TRY(rp_mutex_init(&call.mutex));
    rc = rp_cond_init(&call.changed);
    if (rc == 0) {
        rc = make_call(&call);
        rp_cond_fini(&call.changed);
    }
    rp_mutex_fini(&call.mutex);
    return rc;
}
