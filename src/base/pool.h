/*
 * pool.h - a pool of threads that run blocking work.
 *
 * A thread is started when work finds none idle, up to the maximum. Idle threads are used again, and end when the pool
 * stops, or after a while if the pool's options say so.
 * A work item is the caller's, embedded in what it acts for. From submission until run() is called, or until it is
 * cancelled, it belongs to the pool. run() may free it. In a child of fork() a pool can be freed, and nothing else.
 */
#ifndef RP_BASE_POOL_H
#define RP_BASE_POOL_H

#include <limits.h>

#include "ringport/base.h"

typedef struct rp_work rp_work;
struct rp_work {
    rp_node link;
    void (*run)(rp_work *work); /* on a thread of the pool */
};

typedef struct rp_pool rp_pool;

/* For max_threads: as many as there is work, for work that may block until other work is done. */
#define RP_POOL_UNBOUNDED UINT_MAX

/* max_threads 0: min(32, cpus + 4). -ENOMEM. */
int rp_pool_new(unsigned max_threads, rp_pool **pool);

/* What else a pool's threads may be like. Zeroed, it is the default. */
typedef struct rp_pool_options {
    unsigned max_threads; /* as above */
    size_t stack_size;    /* as for rp_thread_start_small() */
    int64_t idle;         /* nanoseconds after which a thread without work ends; 0: when the pool stops */
    int64_t linger;       /* nanoseconds for which one thread at a time looks for more work before it sleeps */
} rp_pool_options;

/* -ENOMEM. */
int rp_pool_new_with(const rp_pool_options *options, rp_pool **pool);

/*
 * Queues work, to be run in order. RP_ESHUTDOWN, RP_EFORK; -EAGAIN or -ENOMEM if no thread starts and none is there, or
 * in an unbounded pool none is idle.
 */
int rp_pool_submit(rp_pool *pool, rp_work *work);

/* Takes work back out of the queue: true if it had not begun, and run() will not be called. Any thread. */
bool rp_pool_cancel(rp_pool *pool, rp_work *work);

/*
 * Interrupts the system call in which running work blocks, by rp_thread_interrupt(). Work that is between two calls
 * does not notice: whoever wants its end asks again until it has come. Other work is not touched. Any thread.
 */
void rp_pool_interrupt(rp_pool *pool, const rp_work *work);

/* Refuses further work; what is queued still runs. Stopping twice is ignored. */
void rp_pool_stop(rp_pool *pool);

/* Stops it, and waits until all threads have ended: 0, or -ETIMEDOUT after so many nanoseconds. RP_EFORK. */
int rp_pool_join(rp_pool *pool, int64_t timeout);

/* Stops the pool and gives it up. It is freed now if no thread is left, else by the last one. NULL is ignored. */
void rp_pool_free(rp_pool *pool);

#endif
