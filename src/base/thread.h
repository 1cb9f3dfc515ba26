/*
 * thread.h - what ringport needs of threads: mutexes, conditions, threads, the thread's id, and fork detection.
 */
#ifndef RP_BASE_THREAD_H
#define RP_BASE_THREAD_H

#include <stdatomic.h>

#include "ringport/base.h"

#ifdef _WIN32
/* An SRWLOCK and a CONDITION_VARIABLE: each is one pointer, NULL to begin with. */
typedef struct rp_mutex {
    void *native;
} rp_mutex;
typedef struct rp_cond {
    void *native;
} rp_cond;
typedef void *rp_thread; /* a HANDLE */
#define RP_MUTEX_INIT                                                                                             \
    {                                                                                                             \
        NULL                                                                                                      \
    }
#else
#include <pthread.h>
#include <signal.h>
typedef pthread_mutex_t rp_mutex;
typedef pthread_cond_t rp_cond;
typedef pthread_t rp_thread;
#define RP_MUTEX_INIT PTHREAD_MUTEX_INITIALIZER
#endif

int rp_mutex_init(rp_mutex *mutex);
void rp_mutex_fini(rp_mutex *mutex);
void rp_mutex_lock(rp_mutex *mutex);
void rp_mutex_unlock(rp_mutex *mutex);

/*
 * For a mutex of the whole process, from a constructor: every fork waits for it. So no child finds it locked by a
 * thread that the child does not have. Windows knows no fork.
 */
#ifdef _WIN32
static inline void rp_mutex_hold_in_forks(rp_mutex *mutex)
{
    (void)mutex;
}
#else
void rp_mutex_hold_in_forks(rp_mutex *mutex);
#endif

int rp_cond_init(rp_cond *cond);
void rp_cond_fini(rp_cond *cond);
void rp_cond_signal(rp_cond *cond);
void rp_cond_broadcast(rp_cond *cond);
/* Waits until signalled or the monotonic clock reaches `deadline` (RP_NEVER: no limit): false on that time-out. */
bool rp_cond_wait(rp_cond *cond, rp_mutex *mutex, int64_t deadline);

/*
 * Starts a detached thread for the library's own work: 0 or a negative error (-EAGAIN).
 * Signals that are meant for the process do not interrupt it. Those that its own code causes do, and so does SIGPROF,
 * by which profilers sample.
 */
int rp_thread_start(void (*function)(void *arg), void *arg);

/*
 * The same with a stack of so many bytes for its frames, and what the system lays on a stack besides: thread-locals,
 * and the frame of a signal's handler. 0: the system's own size.
 */
int rp_thread_start_small(void (*function)(void *arg), void *arg, size_t stack_size);

/* The same as rp_thread_start(), but not detached: rp_thread_join() has to be called once. */
int rp_thread_start_joinable(void (*function)(void *arg), void *arg, rp_thread *thread);

/*
 * Waits until a thread is gone, and with it what libraries keep for each thread, such as OpenSSL. Not in a child of
 * fork(), which does not have the thread.
 */
void rp_thread_join(rp_thread thread);

/*
 * Which signals a thread blocks. What a thread of ours runs for a user runs under the mask of the thread that asked for
 * it, since a program that it starts inherits that mask. Windows has none.
 */
#ifdef _WIN32
typedef struct rp_signal_mask {
    char none;
} rp_signal_mask;
static inline void rp_signal_mask_get(rp_signal_mask *mask)
{
    mask->none = 0;
}
static inline void rp_signal_mask_swap(rp_signal_mask *mask)
{
    (void)mask;
}
#else
typedef struct rp_signal_mask {
    sigset_t signals;
} rp_signal_mask;

/* The calling thread's. */
void rp_signal_mask_get(rp_signal_mask *mask);

/* Makes `mask` the calling thread's, and stores the old one there. */
void rp_signal_mask_swap(rp_signal_mask *mask);
#endif

/*
 * Has the read, write or other call for a file in which a living thread blocks just now end with ECANCELED. Windows
 * alone can do that; elsewhere nothing happens.
 */
#ifdef _WIN32
void rp_thread_interrupt(uint64_t thread);
#else
static inline void rp_thread_interrupt(uint64_t thread)
{
    (void)thread;
}
#endif

/* A number that no other living thread has; never 0. */
uint64_t rp_thread_id(void);

/* Whether this is the process's main thread. Windows knows none. */
#ifndef _WIN32
bool rp_thread_is_main(void);
#endif

unsigned rp_cpu_count(void);

/* Lets another thread have the processor, if one waits for it. */
void rp_thread_yield(void);

/*
 * A number that is another one in a child of fork(). What stored it when it was made, and finds another now, belongs to
 * a parent process. It costs two loads, and is async-signal-safe. _Fork() and clone() are noticed too, where the
 * kernel can wipe a page in a child (4.14). Windows knows no fork: there it is always 0.
 */
#ifdef _WIN32
static inline unsigned rp_fork_generation(void)
{
    return 0;
}

static inline bool rp_fork_generation_is(unsigned generation)
{
    return generation == 0;
}
#else
extern atomic_uint *rp_generation; /* 0: a fork came in between, and nobody has counted it */

/* The first call in a process. */
unsigned rp_generation_count(void);

static inline unsigned rp_fork_generation(void)
{
    unsigned now = atomic_load_explicit(rp_generation, memory_order_relaxed);

    return now != 0 ? now : rp_generation_count();
}

/* Whether the generation is that one, which was asked for in some process. A child that nobody has counted has none. */
static inline bool rp_fork_generation_is(unsigned generation)
{
    return atomic_load_explicit(rp_generation, memory_order_relaxed) == generation;
}
#endif

#endif
