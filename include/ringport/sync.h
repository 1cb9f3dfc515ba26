/*
 * sync.h - how coroutines wait for each other: events, locks, conditions, semaphores, barriers, queues. Mirrors
 * asyncio's synchronization primitives and queues.
 *
 * Each is a struct that you embed. Its fields are the library's own.
 * It belongs to the tasks of one loop, and to that loop's thread.
 * Functions without `co` never suspend, and may be called from callbacks too.
 * Another thread goes through rp_call_soon_threadsafe().
 * Waiting allocates nothing. Tasks are served in the order in which they began to wait.
 *
 * Cancellation. A call that waits returns -ECANCELED if its task is cancelled before it is woken.
 * It has taken nothing then, and its place goes to the next task.
 * If it was woken first, it succeeds, and the cancellation comes at the next suspension.
 * A call that need not wait does not suspend, and does not look for a cancellation.
 *
 * init and fini. The init functions cannot fail unless they say so.
 * The fini functions return -EBUSY, and do nothing, while a task is inside a call that waits.
 * A task that was woken is inside until it has run.
 * While a task is inside, the struct must stay where it is.
 * After the loop was closed they return 0, since its tasks will never go on.
 *
 * Errors that are listed below without a reason mean the same everywhere:
 *   -ECANCELED   the calling task was cancelled; see above
 *   -EBUSY       a task is inside a call that waits; see above
 *   -ENOMEM      there is no memory
 * Every call that takes `co` also returns
 *   RP_ENOTASK   `co` is NULL, or does not run here (co.h)
 *   RP_EFORK     this is a child of fork(), and the loop is its parent's
 */
#ifndef RINGPORT_SYNC_H
#define RINGPORT_SYNC_H

#include "co.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The tasks that wait for one thing, in order. It is part of the structs below, and of no use by itself. */
typedef struct rp_waitlist {
    rp_node list;
    size_t count;     /* in the list: not woken */
    size_t woken;     /* woken, and not yet running */
    size_t leaving;   /* cancelled, and not yet running */
    const char *what; /* what they wait for, as text */
} rp_waitlist;

/* ---- event ---- */

/* A flag that tasks wait for. Mirrors asyncio.Event. */
typedef struct rp_event {
    rp_waitlist waiters;
    bool set;
} rp_event;

/*
 * Makes an event that is not set, and ends it.
 * Errors of ending: -EBUSY.
 */
RP_API void rp_event_init(rp_event *event);
RP_API int rp_event_fini(rp_event *event);

/*
 * Sets it: every task that waits goes on, even if the event is cleared at once.
 * Mirrors Event.set().
 */
RP_API void rp_event_set(rp_event *event);

/* Clears it: tasks that wait from now on wait for the next rp_event_set(). Mirrors Event.clear(). */
RP_API void rp_event_clear(rp_event *event);

/* Whether it is set. Mirrors Event.is_set(). */
RP_API bool rp_event_is_set(const rp_event *event);

/*
 * Suspends until the event is set; if it is, returns 0 at once.
 * Errors: -ECANCELED.
 * Mirrors Event.wait().
 */
RP_API int rp_event_wait(rp_co *co, rp_event *event);

/* ---- lock ---- */

/* Mutual exclusion of tasks, over suspensions. Not recursive; any task may release it. Mirrors asyncio.Lock. */
typedef struct rp_lock {
    rp_waitlist waiters;
    bool locked;
} rp_lock;

/*
 * Makes a lock that is free, and ends it, locked or not.
 * Errors of ending: -EBUSY.
 */
RP_API void rp_lock_init(rp_lock *lock);
RP_API int rp_lock_fini(rp_lock *lock);

/*
 * Takes the lock, and suspends until it is free and it is this task's turn.
 * Errors: -ECANCELED.
 * Mirrors Lock.acquire().
 */
RP_API int rp_lock_acquire(rp_co *co, rp_lock *lock);

/*
 * Frees the lock for the task that has waited longest.
 * Errors:
 *   -EPERM   it is not locked
 * Mirrors Lock.release().
 */
RP_API int rp_lock_release(rp_lock *lock);

/*
 * Whether it is taken.
 * It is not while the task that was woken to take it has not run yet.
 * Mirrors Lock.locked().
 */
RP_API bool rp_lock_locked(const rp_lock *lock);

/* ---- condition ---- */

/* News about what a lock protects, for tasks that wait for it. Mirrors asyncio.Condition. */
typedef struct rp_condition {
    rp_waitlist waiters;
    rp_lock *lock;
    rp_lock own;
} rp_condition;

/*
 * Makes a condition over a lock, and ends it.
 * The lock must outlive the condition. Several conditions may share a lock.
 * With a NULL lock the condition has one of its own.
 * Errors of ending: -EBUSY.
 */
RP_API void rp_condition_init(rp_condition *condition, rp_lock *lock);
RP_API int rp_condition_fini(rp_condition *condition);

/*
 * rp_lock_acquire(), which suspends, rp_lock_release() and rp_lock_locked() of its lock.
 * Errors: as of these.
 * Mirror Condition.acquire(), release() and locked().
 */
RP_API int rp_condition_acquire(rp_co *co, rp_condition *condition);
RP_API int rp_condition_release(rp_condition *condition);
RP_API bool rp_condition_locked(const rp_condition *condition);

/*
 * Frees the lock, suspends until notified, and takes the lock again, even if the task is cancelled.
 * The lock is held whatever this returns.
 * Errors:
 *   -EPERM   the lock is not held
 *   -ECANCELED
 * Mirrors Condition.wait().
 */
RP_API int rp_condition_wait(rp_co *co, rp_condition *condition);

/* What a task waits to become true. It is called while the lock is held, and may not suspend. */
typedef bool rp_predicate(void *arg);

/*
 * Suspends, as rp_condition_wait() does, until predicate(arg) is true.
 * Errors: as of rp_condition_wait().
 * Mirrors Condition.wait_for().
 */
RP_API int rp_condition_wait_for(rp_co *co, rp_condition *condition, rp_predicate *predicate, void *arg);

/*
 * Wakes up to `n` of the tasks that wait, or all of them.
 * They go on as they get the lock, which the caller should free.
 * Errors:
 *   -EPERM   the lock is not held
 * Mirror Condition.notify() and notify_all().
 */
RP_API int rp_condition_notify(rp_condition *condition, size_t n);
RP_API int rp_condition_notify_all(rp_condition *condition);

/* ---- semaphore ---- */

/* A number of permits. Mirrors asyncio.Semaphore and BoundedSemaphore. */
typedef struct rp_semaphore {
    rp_waitlist waiters;
    size_t value;
    size_t bound;
} rp_semaphore;

/*
 * Makes a semaphore of `value` permits, and ends it.
 * A bounded one never has more than these, so that a release too many is found.
 * Errors of ending: -EBUSY.
 */
RP_API void rp_semaphore_init(rp_semaphore *semaphore, size_t value);
RP_API void rp_bounded_semaphore_init(rp_semaphore *semaphore, size_t value);
RP_API int rp_semaphore_fini(rp_semaphore *semaphore);

/*
 * Takes a permit, and suspends until there is one and it is this task's turn.
 * Errors: -ECANCELED.
 * Mirrors Semaphore.acquire().
 */
RP_API int rp_semaphore_acquire(rp_co *co, rp_semaphore *semaphore);

/*
 * Gives a permit back; it goes to the task that has waited longest, if one waits.
 * Errors:
 *   -EOVERFLOW   a bounded semaphore has all of its permits; nothing is done
 * Mirrors Semaphore.release().
 */
RP_API int rp_semaphore_release(rp_semaphore *semaphore);

/* Whether acquiring would have to wait. Mirrors Semaphore.locked(). */
RP_API bool rp_semaphore_locked(const rp_semaphore *semaphore);

/* ---- barrier ---- */

/* A point that a number of tasks pass together, round by round. Mirrors asyncio.Barrier. */
typedef struct rp_barrier {
    rp_waitlist waiters;
    unsigned parties;
    bool broken;
} rp_barrier;

/*
 * Makes a barrier for `parties` tasks, and ends it.
 * Errors:
 *   -EINVAL   of making: `parties` is 0, or more than INT_MAX
 *   -EBUSY    of ending
 */
RP_API int rp_barrier_init(rp_barrier *barrier, unsigned parties);
RP_API int rp_barrier_fini(rp_barrier *barrier);

/*
 * Suspends until as many tasks wait as are needed.
 * Returns a different number for each of them: 0 to parties - 1, in order of arrival.
 * Errors:
 *   RP_EBROKENBARRIER   the barrier is broken, or it is reset or aborted meanwhile
 *   -ECANCELED          the other tasks go on waiting, for one more
 * Mirrors Barrier.wait().
 */
RP_API int rp_barrier_wait(rp_co *co, rp_barrier *barrier);

/* Makes it empty and whole. Tasks that wait get RP_EBROKENBARRIER. Mirrors Barrier.reset(). */
RP_API void rp_barrier_reset(rp_barrier *barrier);

/*
 * Breaks it, until it is reset.
 * Tasks that wait, or will wait, get RP_EBROKENBARRIER.
 * Mirrors Barrier.abort().
 */
RP_API void rp_barrier_abort(rp_barrier *barrier);

/* How many tasks it needs; how many wait now; whether it is broken. Mirror Barrier.parties, n_waiting and broken. */
RP_API unsigned rp_barrier_parties(const rp_barrier *barrier);
RP_API unsigned rp_barrier_n_waiting(const rp_barrier *barrier);
RP_API bool rp_barrier_broken(const rp_barrier *barrier);

/* ---- queues ---- */

/* Which of two items a priority queue hands out first: negative if the first, as for qsort(). */
typedef int rp_queue_compare(const void *a, const void *b);

/*
 * Pointers on their way from tasks to tasks. What they point to stays the program's: the queue frees none of it.
 * Mirrors asyncio.Queue, LifoQueue and PriorityQueue.
 */
typedef struct rp_queue {
    void **items;
    size_t head; /* of a ring, the first item's place */
    size_t size;
    size_t capacity;
    size_t maxsize;
    size_t unfinished;
    rp_queue_compare *compare; /* a priority queue's */
    bool lifo;
    bool is_shut_down;
    rp_waitlist getters;
    rp_waitlist putters;
    rp_waitlist joiners;
} rp_queue;

/*
 * Make a queue that holds up to `maxsize` items; 0 means any number.
 * It hands out the oldest item first, or the newest, or the one that compares lowest (equal ones in no order).
 * Memory is taken as the queue fills, and given back as it empties, except for a kilobyte.
 */
RP_API void rp_queue_init(rp_queue *queue, size_t maxsize);
RP_API void rp_lifo_queue_init(rp_queue *queue, size_t maxsize);
RP_API void rp_priority_queue_init(rp_queue *queue, size_t maxsize, rp_queue_compare *compare);

/*
 * Gives the queue's memory back, and forgets the items that are left in it.
 * Errors: -EBUSY.
 */
RP_API int rp_queue_fini(rp_queue *queue);

/*
 * Puts an item in. rp_queue_put() suspends while the queue is full.
 * After an error the item is not in the queue.
 * Errors:
 *   -EAGAIN        the queue is full (rp_queue_put_nowait() only)
 *   RP_ESHUTDOWN   the queue is shut down
 *   -ECANCELED, -ENOMEM
 * Mirror Queue.put() and put_nowait().
 */
RP_API int rp_queue_put(rp_co *co, rp_queue *queue, void *item);
RP_API int rp_queue_put_nowait(rp_queue *queue, void *item);

/*
 * Takes an item out. rp_queue_get() suspends while the queue is empty.
 * After an error *item has not changed.
 * Errors:
 *   -EAGAIN        the queue is empty (rp_queue_get_nowait() only)
 *   RP_ESHUTDOWN   the queue is shut down and empty
 *   -ECANCELED
 * Mirror Queue.get() and get_nowait().
 */
RP_API int rp_queue_get(rp_co *co, rp_queue *queue, void **item);
RP_API int rp_queue_get_nowait(rp_queue *queue, void **item);

/*
 * Says that an item that was taken out is dealt with.
 * Errors:
 *   -EPERM   all items that were put in are dealt with already
 * Mirrors Queue.task_done().
 */
RP_API int rp_queue_task_done(rp_queue *queue);

/*
 * Suspends until all items that were put in are dealt with.
 * Errors: -ECANCELED.
 * Mirrors Queue.join().
 */
RP_API int rp_queue_join(rp_co *co, rp_queue *queue);

/*
 * Refuses further items.
 * Tasks that wait to put return RP_ESHUTDOWN. So do tasks that wait to get, once the queue is empty.
 * `immediate` also forgets the items that are left, and counts them as dealt with. To free what they point to, take
 * them out before, by rp_queue_get_nowait().
 * Mirrors Queue.shutdown().
 */
RP_API void rp_queue_shutdown(rp_queue *queue, bool immediate);

/* How many items are in it; how many may be (0: any number). Mirror Queue.qsize() and maxsize. */
RP_API size_t rp_queue_size(const rp_queue *queue);
RP_API size_t rp_queue_maxsize(const rp_queue *queue);

/* Whether there are none; whether there is no room for more. Mirror Queue.empty() and full(). */
RP_API bool rp_queue_empty(const rp_queue *queue);
RP_API bool rp_queue_full(const rp_queue *queue);

#ifdef __cplusplus
}
#endif

#endif
