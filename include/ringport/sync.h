/*
 * sync.h - how coroutines wait for each other: events, locks, conditions, semaphores, barriers, queues. Mirrors
 * asyncio's synchronization primitives and queues.
 *
 * Each is a struct that you embed; its fields are the library's own. It belongs to the tasks of one loop, and to that
 * loop's thread; functions without `co` never suspend and may be called from callbacks, too. From another thread go
 * through rp_call_soon_threadsafe(). Waiting allocates nothing and is first come, first served.
 *
 * A call that has to wait returns -ECANCELED if its task is cancelled before it is woken; it has taken nothing then,
 * and its place goes to the next. If it was woken first, that wins, and the cancellation comes at the next suspension.
 * A call that need not wait does not suspend, and does not look for a cancellation.
 *
 * The init functions cannot fail unless they say so. The fini functions return -EBUSY, and do nothing, while a task is
 * still inside a call that waits (one that was woken is, until it has run): the struct must stay where it is then.
 * After the loop was closed they return 0, since its tasks will never go on.
 */
#ifndef RINGPORT_SYNC_H
#define RINGPORT_SYNC_H

#include "co.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The tasks that wait for one thing, in order. It is part of the structs below, and of no use by itself. */
typedef struct rp_waiters {
    rp_node list;
    size_t count;     /* in the list: not woken */
    size_t woken;     /* woken, and not yet running */
    size_t leaving;   /* cancelled, and not yet running */
    const char *what; /* what they wait for, as text */
} rp_waiters;

/* ---- event ---- */

/* A flag that tasks wait for. Mirrors asyncio.Event. */
typedef struct rp_event {
    rp_waiters waiters;
    bool set;
} rp_event;

/* Makes an event that is not set; and ends it: 0 or -EBUSY. */
RP_API void rp_event_init(rp_event *event);
RP_API int rp_event_fini(rp_event *event);

/* Sets it: every task that waits goes on, even if the event is cleared at once. Mirrors Event.set(). */
RP_API void rp_event_set(rp_event *event);

/* Clears it: tasks that wait from now on wait for the next rp_event_set(). Mirrors Event.clear(). */
RP_API void rp_event_clear(rp_event *event);

/* Whether it is set. Mirrors Event.is_set(). */
RP_API bool rp_event_is_set(const rp_event *event);

/* Suspends until the event is set; returns 0 at once if it is. -ECANCELED. Mirrors Event.wait(). */
RP_API int rp_event_wait(rp_co *co, rp_event *event);

/* ---- lock ---- */

/* Mutual exclusion of tasks, over suspensions. Not recursive; any task may release it. Mirrors asyncio.Lock. */
typedef struct rp_lock {
    rp_waiters waiters;
    bool locked;
} rp_lock;

/* Makes a lock that is free; and ends it, locked or not: 0 or -EBUSY. */
RP_API void rp_lock_init(rp_lock *lock);
RP_API int rp_lock_fini(rp_lock *lock);

/* Suspends until the lock is free and it is this task's turn, and takes it. -ECANCELED. Mirrors Lock.acquire(). */
RP_API int rp_lock_acquire(rp_co *co, rp_lock *lock);

/* Frees it for the task that has waited longest. -EPERM if it is not locked. Mirrors Lock.release(). */
RP_API int rp_lock_release(rp_lock *lock);

/* Whether it is taken; not while the task that was woken to take it has not run yet. Mirrors Lock.locked(). */
RP_API bool rp_lock_locked(const rp_lock *lock);

/* ---- condition ---- */

/* News about what a lock protects, for tasks that wait for it. Mirrors asyncio.Condition. */
typedef struct rp_condition {
    rp_waiters waiters;
    rp_lock *lock;
    rp_lock own;
} rp_condition;

/*
 * Makes a condition over a lock, which must outlive it, or if that is NULL over one of its own; and ends it: 0 or
 * -EBUSY. Several conditions may share a lock.
 */
RP_API void rp_condition_init(rp_condition *condition, rp_lock *lock);
RP_API int rp_condition_fini(rp_condition *condition);

/* Its lock's acquire, release and locked. Mirror Condition.acquire(), release() and locked(). */
RP_API int rp_condition_acquire(rp_co *co, rp_condition *condition);
RP_API int rp_condition_release(rp_condition *condition);
RP_API bool rp_condition_locked(const rp_condition *condition);

/*
 * Frees the lock, suspends until notified, and takes the lock again, also if the task is cancelled: the lock is held
 * whatever it returns. 0; -ECANCELED; -EPERM if the lock is not held. Mirrors Condition.wait().
 */
RP_API int rp_condition_wait(rp_co *co, rp_condition *condition);

/* What a task waits to become true; called while the lock is held, and may not suspend. */
typedef bool rp_predicate(void *arg);

/* Waits until predicate(arg) is true: 0, or an error as in rp_condition_wait(). Mirrors Condition.wait_for(). */
RP_API int rp_condition_wait_for(rp_co *co, rp_condition *condition, rp_predicate *predicate, void *arg);

/*
 * Wakes up to n of the tasks that wait, or all of them; they go on as they get the lock, which the caller should free.
 * 0, or -EPERM if the lock is not held. Mirror Condition.notify() and notify_all().
 */
RP_API int rp_condition_notify(rp_condition *condition, size_t n);
RP_API int rp_condition_notify_all(rp_condition *condition);

/* ---- semaphore ---- */

/* A number of permits. Mirrors asyncio.Semaphore and BoundedSemaphore. */
typedef struct rp_semaphore {
    rp_waiters waiters;
    size_t value;
    size_t bound;
} rp_semaphore;

/*
 * Makes a semaphore of `value` permits; a bounded one never has more than these, so that a surplus release is found.
 * And ends either: 0 or -EBUSY.
 */
RP_API void rp_semaphore_init(rp_semaphore *semaphore, size_t value);
RP_API void rp_bounded_semaphore_init(rp_semaphore *semaphore, size_t value);
RP_API int rp_semaphore_fini(rp_semaphore *semaphore);

/*
 * Suspends until a permit is there and it is this task's turn, and takes it. -ECANCELED. Mirrors Semaphore.acquire().
 */
RP_API int rp_semaphore_acquire(rp_co *co, rp_semaphore *semaphore);

/*
 * Gives a permit, to the task that has waited longest if one waits. -EOVERFLOW if a bounded semaphore has all of its
 * permits, and nothing is done. Mirrors Semaphore.release().
 */
RP_API int rp_semaphore_release(rp_semaphore *semaphore);

/* Whether acquiring would have to wait. Mirrors Semaphore.locked(). */
RP_API bool rp_semaphore_locked(const rp_semaphore *semaphore);

/* ---- barrier ---- */

/* A point that a number of tasks pass together, round by round. Mirrors asyncio.Barrier. */
typedef struct rp_barrier {
    rp_waiters waiters;
    unsigned parties;
    bool broken;
} rp_barrier;

/* Makes a barrier for so many tasks: -EINVAL if there are none, or more than INT_MAX; and ends it: 0 or -EBUSY. */
RP_API int rp_barrier_init(rp_barrier *barrier, unsigned parties);
RP_API int rp_barrier_fini(rp_barrier *barrier);

/*
 * Suspends until as many tasks wait as are needed. Returns a different number for each, from 0 to parties - 1 in order
 * of arrival. -ECANCELED (the others go on waiting for one more); RP_EBROKENBARRIER if the barrier is broken, or is
 * reset or aborted meanwhile. Mirrors Barrier.wait().
 */
RP_API int rp_barrier_wait(rp_co *co, rp_barrier *barrier);

/* Makes it empty and whole; tasks that wait get RP_EBROKENBARRIER. Mirrors Barrier.reset(). */
RP_API void rp_barrier_reset(rp_barrier *barrier);

/* Breaks it: tasks that wait, or will, get RP_EBROKENBARRIER, until it is reset. Mirrors Barrier.abort(). */
RP_API void rp_barrier_abort(rp_barrier *barrier);

/* How many tasks it needs, how many wait now, whether it is broken. Mirror Barrier.parties, n_waiting and broken. */
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
    rp_waiters getters;
    rp_waiters putters;
    rp_waiters joiners;
} rp_queue;

/*
 * Makes a queue that holds up to maxsize items (0: any number) and hands out the oldest first, the newest first, or the
 * one that compares lowest (equals in no particular order). Memory is taken as it fills, and given back as it
 * empties, but for a kilobyte.
 */
RP_API void rp_queue_init(rp_queue *queue, size_t maxsize);
RP_API void rp_lifo_queue_init(rp_queue *queue, size_t maxsize);
RP_API void rp_priority_queue_init(rp_queue *queue, size_t maxsize, rp_queue_compare *compare);

/* Gives its memory back, and forgets the items that are left in it: 0 or -EBUSY. */
RP_API int rp_queue_fini(rp_queue *queue);

/*
 * Puts an item in; rp_queue_put suspends while the queue is full, where rp_queue_put_nowait returns -EAGAIN. Not put
 * on any error: RP_ESHUTDOWN once the queue is shut down, -ENOMEM, -ECANCELED. Mirror Queue.put() and put_nowait().
 */
RP_API int rp_queue_put(rp_co *co, rp_queue *queue, void *item);
RP_API int rp_queue_put_nowait(rp_queue *queue, void *item);

/*
 * Takes an item out; rp_queue_get suspends while the queue is empty, where rp_queue_get_nowait returns -EAGAIN.
 * RP_ESHUTDOWN once the queue is shut down and empty; -ECANCELED; *item is left alone then. Mirror Queue.get() and
 * get_nowait().
 */
RP_API int rp_queue_get(rp_co *co, rp_queue *queue, void **item);
RP_API int rp_queue_get_nowait(rp_queue *queue, void **item);

/* An item that was taken out is dealt with. -EPERM if all that were put in are already. Mirrors Queue.task_done(). */
RP_API int rp_queue_task_done(rp_queue *queue);

/* Suspends until all items that were put in are dealt with. -ECANCELED. Mirrors Queue.join(). */
RP_API int rp_queue_join(rp_co *co, rp_queue *queue);

/*
 * Refuses further items. Tasks that wait to put or, once it is empty, to get return RP_ESHUTDOWN. `immediate` also
 * forgets the items that are left and counts them as dealt with: to free what they point to, take them out before by
 * rp_queue_get_nowait(). Mirrors Queue.shutdown().
 */
RP_API void rp_queue_shutdown(rp_queue *queue, bool immediate);

/* How many items are in, and may be (0: any number). Mirror Queue.qsize() and maxsize. */
RP_API size_t rp_queue_size(const rp_queue *queue);
RP_API size_t rp_queue_maxsize(const rp_queue *queue);

/* Whether there are none; whether there is no room for more. Mirror Queue.empty() and full(). */
RP_API bool rp_queue_empty(const rp_queue *queue);
RP_API bool rp_queue_full(const rp_queue *queue);

#ifdef __cplusplus
}
#endif

#endif
