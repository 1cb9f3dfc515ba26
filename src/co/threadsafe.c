/*
 * threadsafe.c - rp_run_coroutine_threadsafe(): a coroutine that another thread waits for.
 *
 * The thread posts an errand to the loop, and sleeps. The errand creates a task, which knows of the call. The call ends
 * exactly once: with the task, or with the loop, whether the errand has run by then or not. Whoever ends it does not
 * touch it afterwards, since it lies on the thread's stack.
 */
#include "base/thread.h"
#include "co/task.h"
#include "loop/handle.h"

typedef struct call {
    rp_errand errand;
    rp_watcher watcher; /* of the task */
    rp_loop *loop;
    rp_coro *coro;
    void *arg;
    rp_mutex mutex;
    rp_cond changed;
    bool ended; /* under the mutex */
    int result;
} call;

static void end_call(call *c, int result)
{
    if (rp_loop_is_forked(c->loop)) /* the thread is the parent's */
        return;
    rp_mutex_lock(&c->mutex);
    c->result = result;
    c->ended = true;
    rp_cond_signal(&c->changed);
    rp_mutex_unlock(&c->mutex);
}

static void task_ended(rp_watcher *watcher, rp_co *co)
{
    end_call(rp_container_of(watcher, call, watcher), rp_future_result(&co->future));
}

static void task_abandoned(rp_watcher *watcher, rp_co *co)
{
    end_call(rp_container_of(watcher, call, watcher), RP_ECLOSED);
}

static void start_call(void *arg, bool dropped)
{
    static const rp_watching watching = {task_ended, task_abandoned};
    call *c = arg;
    rp_task *task = NULL;
    int rc = dropped ? RP_ECLOSED : rp_loop_create_task(c->loop, &task, c->coro, c->arg);
    rp_co *co = rp_co_of(task);

    if (co && co->state != RP_CO_ENDED)
        rp_co_watch(co, &c->watcher, &watching);
    else
        end_call(c, rc < 0 ? rc : -EINVAL); /* a task factory made no new one */
    rp_task_detach(task);
}

/* Posts the call, and blocks until it has ended. */
static int make_call(call *c)
{
    RP_TRY(rp_post_errand(c->loop, &c->errand, start_call, c));
    rp_mutex_lock(&c->mutex);
    while (!c->ended)
        rp_cond_wait(&c->changed, &c->mutex, RP_NEVER);
    rp_mutex_unlock(&c->mutex);
    return c->result;
}

int rp_run_coroutine_threadsafe(rp_loop *loop, rp_coro *coro, void *arg)
{
    call c = {.loop = loop, .coro = coro, .arg = arg};
    int rc;

    if (!coro)
        return -EINVAL;
    if (rp_get_running_loop() == loop)
        return -EDEADLK;
    RP_TRY(rp_mutex_init(&c.mutex));
    rc = rp_cond_init(&c.changed);
    if (rc == 0) {
        rc = make_call(&c);
        rp_cond_fini(&c.changed);
    }
    rp_mutex_fini(&c.mutex);
    return rc;
}
