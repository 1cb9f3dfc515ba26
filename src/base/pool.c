/*
 * pool.c - a pool of threads that run blocking work: one queue under one mutex.
 *
 * `idle` counts the threads that look for work or are about to, with those that are being started. So work needs a new
 * thread exactly when the queue is longer than that. Each thread is counted in `threads` until its very last step.
 * Whoever finds the pool given up, and no thread left, frees it.
 *
 * A thread that lingers is called by a flag, without a switch of threads. One that has often lingered in vain
 * lingers less often.
 */
#include "base/pool.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "ringport/error.h"

enum {
    FORGIVEN = 8, /* times in a row that lingering may find no work */
    SELDOM = 16,  /* one in so many times is tried after that */
};

struct rp_pool {
    rp_mutex mutex;     /* of all that follows, except the options and fork_generation */
    rp_cond work_added; /* or the pool stops */
    rp_cond ended;      /* the last thread did */
    rp_node queue;
    rp_node running; /* workers */
    size_t queued;
    unsigned threads;
    unsigned idle;
    rp_pool_options options; /* its max_threads is a number */
    unsigned fork_generation;
    bool stopped;
    bool given_up;
    bool lingers;       /* one of the threads does */
    atomic_bool called; /* that one is */
    unsigned in_vain;   /* how often lingering was of late, up to a number; */
    unsigned passed;    /* and then, how often it was left out since */
};

/* A thread that runs work, on its own stack. */
typedef struct worker {
    rp_node link;
    uint64_t thread;
    const rp_work *work; /* may be gone already */
} worker;

static int pool_init(rp_pool *pool)
{
    int rc = rp_mutex_init(&pool->mutex);

    if (rc < 0)
        return rc;
    rc = rp_cond_init(&pool->work_added);
    if (rc < 0)
        goto no_work_added;
    rc = rp_cond_init(&pool->ended);
    if (rc < 0)
        goto no_ended;
    rp_list_init(&pool->queue);
    rp_list_init(&pool->running);
    return 0;

no_ended:
    rp_cond_fini(&pool->work_added);
no_work_added:
    rp_mutex_fini(&pool->mutex);
    return rc;
}

static void pool_destroy(rp_pool *pool)
{
    rp_cond_fini(&pool->ended);
    rp_cond_fini(&pool->work_added);
    rp_mutex_fini(&pool->mutex);
    rp_free(pool);
}

int rp_pool_new(unsigned max_threads, rp_pool **result)
{
    return rp_pool_new_with(&(rp_pool_options){.max_threads = max_threads}, result);
}

int rp_pool_new_with(const rp_pool_options *options, rp_pool **result)
{
    rp_pool *pool = rp_calloc(sizeof *pool);
    unsigned cpus = rp_cpu_count();
    int rc;

    if (!pool)
        return -ENOMEM;
    rc = pool_init(pool);
    if (rc < 0) {
        rp_free(pool);
        return rc;
    }
    pool->options = *options;
    if (options->max_threads == 0)
        pool->options.max_threads = cpus + 4 < 32 ? cpus + 4 : 32;
    pool->fork_generation = rp_fork_generation();
    *result = pool;
    return 0;
}

/* Before a thread sleeps. The mutex is held, but not meanwhile. */
static void linger(rp_pool *pool)
{
    if (pool->lingers || pool->stopped || !rp_list_empty(&pool->queue))
        return;
    if (pool->in_vain == FORGIVEN && ++pool->passed % SELDOM != 0)
        return;
    pool->lingers = true;
    atomic_store_explicit(&pool->called, false, memory_order_relaxed);
    rp_mutex_unlock(&pool->mutex);
    for (int64_t end = rp_clock_now() + pool->options.linger;
         !atomic_load_explicit(&pool->called, memory_order_relaxed) && rp_clock_now() < end;)
        rp_thread_yield();
    rp_mutex_lock(&pool->mutex);
    pool->lingers = false;
    if (!rp_list_empty(&pool->queue))
        pool->in_vain = 0;
    else if (pool->in_vain < FORGIVEN)
        pool->in_vain++;
}

/* Lets a thread take what was queued. Under the mutex. */
static void call_thread(rp_pool *pool)
{
    if (pool->lingers && !atomic_load_explicit(&pool->called, memory_order_relaxed))
        atomic_store_explicit(&pool->called, true, memory_order_relaxed);
    else
        rp_cond_signal(&pool->work_added);
}

/* Takes work out of the queue, and waits for it; NULL: the thread is to end. The mutex is held. */
static rp_node *next_work(rp_pool *pool)
{
    int64_t idle = pool->options.idle;
    int64_t deadline = idle > 0 ? rp_time_add(rp_clock_now(), idle) : RP_NEVER;
    bool in_time = true;
    rp_node *node;

    if (pool->options.linger > 0)
        linger(pool);
    while (!(node = rp_list_pop(&pool->queue)) && !pool->stopped && in_time)
        in_time = rp_cond_wait(&pool->work_added, &pool->mutex, deadline);
    return node;
}

/* Runs what is queued until the pool stops, or there is nothing to do. The mutex is held, but not while work runs. */
static void run_queue(rp_pool *pool)
{
    worker self = {.thread = rp_thread_id()};
    rp_node *node;

    while ((node = next_work(pool))) {
        pool->queued--;
        pool->idle--;
        rp_work *work = rp_container_of(node, rp_work, link);
        self.work = work;
        rp_list_push(&pool->running, &self.link);
        rp_mutex_unlock(&pool->mutex);
        work->run(work);
        rp_mutex_lock(&pool->mutex);
        rp_list_remove(&self.link);
        pool->idle++;
    }
}

static void thread_main(void *arg)
{
    rp_pool *pool = arg;
    bool last;

    rp_mutex_lock(&pool->mutex);
    run_queue(pool);
    pool->idle--;
    last = --pool->threads == 0 && pool->given_up;
    if (pool->threads == 0)
        rp_cond_broadcast(&pool->ended);
    rp_mutex_unlock(&pool->mutex);
    if (last)
        pool_destroy(pool);
}

/* Under the mutex, which the new thread waits for first. */
static int add_thread(rp_pool *pool)
{
    size_t size = pool->options.stack_size;
    int rc = size ? rp_thread_start_small(thread_main, pool, size) : rp_thread_start(thread_main, pool);

    if (rc == 0) {
        pool->threads++;
        pool->idle++;
    }
    return rc;
}

/* A child of fork() has none of the threads, but perhaps a lock that one of them held. So it leaves the pool alone. */
static bool is_forked(const rp_pool *pool)
{
    return pool->fork_generation != rp_fork_generation();
}

int rp_pool_submit(rp_pool *pool, rp_work *work)
{
    int rc = 0;

    if (is_forked(pool))
        return RP_EFORK;
    rp_mutex_lock(&pool->mutex);
    if (pool->stopped) {
        rc = RP_ESHUTDOWN;
        goto out;
    }
    if (pool->queued >= pool->idle && pool->threads < pool->options.max_threads) {
        rc = add_thread(pool);
        if (rc < 0 && (pool->threads == 0 || pool->options.max_threads == RP_POOL_UNBOUNDED))
            goto out;
        rc = 0; /* one of the others will come to it */
    }
    rp_list_push(&pool->queue, &work->link);
    pool->queued++;
    call_thread(pool);
out:
    rp_mutex_unlock(&pool->mutex);
    return rc;
}

bool rp_pool_cancel(rp_pool *pool, rp_work *work)
{
    bool queued;

    if (is_forked(pool))
        return false;
    rp_mutex_lock(&pool->mutex);
    queued = rp_node_linked(&work->link);
    if (queued) {
        rp_list_remove(&work->link);
        pool->queued--;
    }
    rp_mutex_unlock(&pool->mutex);
    return queued;
}

/* Under the mutex, so that no thread goes on with other work. One that is done with an earlier run does no harm. */
void rp_pool_interrupt(rp_pool *pool, const rp_work *work)
{
    if (is_forked(pool))
        return;
    rp_mutex_lock(&pool->mutex);
    for (rp_node *node = pool->running.next; node != &pool->running; node = node->next) {
        const worker *other = rp_container_of(node, worker, link);

        if (other->work == work)
            rp_thread_interrupt(other->thread);
    }
    rp_mutex_unlock(&pool->mutex);
}

void rp_pool_stop(rp_pool *pool)
{
    if (is_forked(pool))
        return;
    rp_mutex_lock(&pool->mutex);
    pool->stopped = true;
    atomic_store_explicit(&pool->called, true, memory_order_relaxed);
    rp_cond_broadcast(&pool->work_added);
    rp_mutex_unlock(&pool->mutex);
}

int rp_pool_join(rp_pool *pool, int64_t timeout)
{
    int64_t deadline = rp_time_add(rp_clock_now(), timeout);
    bool in_time = true;
    int rc;

    if (is_forked(pool))
        return RP_EFORK;
    rp_pool_stop(pool);
    rp_mutex_lock(&pool->mutex);
    while (pool->threads > 0 && in_time)
        in_time = rp_cond_wait(&pool->ended, &pool->mutex, deadline);
    rc = pool->threads > 0 ? -ETIMEDOUT : 0;
    rp_mutex_unlock(&pool->mutex);
    return rc;
}

void rp_pool_free(rp_pool *pool)
{
    bool last;

    if (!pool)
        return;
    if (is_forked(pool)) {
        rp_free(pool);
        return;
    }
    rp_pool_stop(pool);
    rp_mutex_lock(&pool->mutex);
    pool->given_up = true;
    last = pool->threads == 0;
    rp_mutex_unlock(&pool->mutex);
    if (last)
        pool_destroy(pool);
}
