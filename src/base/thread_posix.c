/*
 * thread_posix.c - threads by pthreads, fork detection, and keeping the library loaded.
 *
 * Operations on a mutex or condition can only fail by our own mistake. So their results are asserted.
 *
 * The fork generation lies in a page that the kernel wipes in a child. So even a child of _Fork() or clone(), where no
 * handlers run, finds a 0 there, and counts. What else a fork changes (the thread's id, the mutexes of the process) is
 * put right by handlers, before fork() returns in the child.
 */
#include "base/thread.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"

static void must(int error)
{
    assert(error == 0);
    (void)error;
}

/* ---- mutexes and conditions ---- */

int rp_mutex_init(rp_mutex *mutex)
{
    return -pthread_mutex_init(mutex, NULL);
}

void rp_mutex_fini(rp_mutex *mutex)
{
    must(pthread_mutex_destroy(mutex));
}

void rp_mutex_lock(rp_mutex *mutex)
{
    must(pthread_mutex_lock(mutex));
}

void rp_mutex_unlock(rp_mutex *mutex)
{
    must(pthread_mutex_unlock(mutex));
}

int rp_cond_init(rp_cond *cond)
{
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);

    if (error)
        return -error;
    error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (!error)
        error = pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
    return -error;
}

void rp_cond_fini(rp_cond *cond)
{
    must(pthread_cond_destroy(cond));
}

void rp_cond_signal(rp_cond *cond)
{
    must(pthread_cond_signal(cond));
}

void rp_cond_broadcast(rp_cond *cond)
{
    must(pthread_cond_broadcast(cond));
}

bool rp_cond_wait(rp_cond *cond, rp_mutex *mutex, int64_t deadline)
{
    struct timespec until;
    int error;

    if (deadline == RP_NEVER) {
        must(pthread_cond_wait(cond, mutex));
        return true;
    }
    if (deadline < 0)
        deadline = 0;
    until.tv_sec = deadline / RP_SEC(1);
    until.tv_nsec = deadline % RP_SEC(1);
    error = pthread_cond_timedwait(cond, mutex, &until);
    assert(error == 0 || error == ETIMEDOUT);
    return error == 0;
}

/* ---- threads ---- */

typedef struct thread_start {
    void (*function)(void *arg);
    void *arg;
} thread_start;

static void *run_thread(void *data)
{
    thread_start start = *(thread_start *)data;

    rp_free(data);
    start.function(start.arg);
    return NULL;
}

/*
 * The kernel kills a process whose thread blocks the signal of its own fault: no handler is called. And a profiler that
 * sees no samples of a thread takes it for idle.
 */
static void mask_of_own_threads(sigset_t *mask)
{
    static const int open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF};

    sigfillset(mask);
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
        sigdelset(mask, open[i]);
}

static int add_thread_locals(struct dl_phdr_info *module, size_t size, void *total)
{
    (void)size;
    for (int i = 0; i < module->dlpi_phnum; i++)
        if (module->dlpi_phdr[i].p_type == PT_TLS)
            *(size_t *)total += module->dlpi_phdr[i].p_memsz + module->dlpi_phdr[i].p_align;
    return 0;
}

/* glibc takes thread-locals out of the stack, and those of a program may be larger than a small stack. */
static size_t stack_with_room_for(size_t frames)
{
    long least = sysconf(_SC_THREAD_STACK_MIN);
    size_t page = (size_t)sysconf(_SC_PAGESIZE), total = frames + (least > 0 ? (size_t)least : PTHREAD_STACK_MIN);

    dl_iterate_phdr(add_thread_locals, &total);
    return (total + page - 1) / page * page;
}

static int create(thread_start *start, int state, size_t stack_size, rp_thread *thread)
{
    pthread_attr_t attributes;
    rp_signal_mask mask;
    int error = pthread_attr_init(&attributes);

    if (error)
        return -error;
    /* A thread inherits the mask: blocked here, no signal can reach it even in its first moment. */
    mask_of_own_threads(&mask.signals);
    rp_signal_mask_swap(&mask);
    pthread_attr_setdetachstate(&attributes, state);
    if (stack_size > 0)
        pthread_attr_setstacksize(&attributes, stack_with_room_for(stack_size));
    error = pthread_create(thread, &attributes, run_thread, start);
    rp_signal_mask_swap(&mask);
    pthread_attr_destroy(&attributes);
    return -error;
}

static int start(void (*function)(void *arg), void *arg, int state, size_t stack_size, rp_thread *thread)
{
    thread_start *start = rp_malloc(sizeof *start);
    int rc;

    if (!start)
        return -ENOMEM;
    *start = (thread_start){function, arg};
    rc = create(start, state, stack_size, thread);
    if (rc < 0)
        rp_free(start);
    return rc;
}

int rp_thread_start(void (*function)(void *arg), void *arg)
{
    return rp_thread_start_small(function, arg, 0);
}

int rp_thread_start_small(void (*function)(void *arg), void *arg, size_t stack_size)
{
    rp_thread nobodys;

    return start(function, arg, PTHREAD_CREATE_DETACHED, stack_size, &nobodys);
}

int rp_thread_start_joinable(void (*function)(void *arg), void *arg, rp_thread *thread)
{
    return start(function, arg, PTHREAD_CREATE_JOINABLE, 0, thread);
}

void rp_thread_join(rp_thread thread)
{
    must(pthread_join(thread, NULL));
}

void rp_signal_mask_get(rp_signal_mask *mask)
{
    must(pthread_sigmask(SIG_SETMASK, NULL, &mask->signals));
}

void rp_signal_mask_swap(rp_signal_mask *mask)
{
    sigset_t wanted = mask->signals;

    must(pthread_sigmask(SIG_SETMASK, &wanted, &mask->signals));
}

void rp_thread_yield(void)
{
    sched_yield();
}

unsigned rp_cpu_count(void)
{
    cpu_set_t allowed;
    long online;

    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        return (unsigned)CPU_COUNT(&allowed);
    online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

/* ---- identity: which thread, and how many forks away from the start ---- */

static _Thread_local uint64_t thread_id;
static atomic_uint_fast64_t threads_seen; /* the kernel's numbers are used again */

static atomic_uint last_generation; /* the last that was given out; a child goes on from its parent's */
static atomic_uint unwiped;         /* stands in where there is no page that the kernel wipes */
atomic_uint *rp_generation = &unwiped;

/* The process's own mutexes, which no fork may come between. */
enum { HELD_MAX = 8 };
static rp_mutex *held[HELD_MAX];
static unsigned held_count;

void rp_mutex_hold_in_forks(rp_mutex *mutex)
{
    assert(held_count < HELD_MAX);
    held[held_count++] = mutex;
}

static void before_fork(void)
{
    for (unsigned i = 0; i < held_count; i++)
        rp_mutex_lock(held[i]);
}

static void after_fork(void)
{
    for (unsigned i = held_count; i > 0; i--)
        rp_mutex_unlock(held[i - 1]);
}

static void after_fork_in_child(void)
{
    after_fork();
    thread_id = 0;
    atomic_store_explicit(rp_generation, 0, memory_order_relaxed);
}

/*
 * The module that this is in stays loaded, which may be a plugin that is linked with the static library: threads that
 * ran tasks, the pools' threads, and handlers of signals come back to it. The program itself has no name here.
 */
#pragma weak dladdr1
#pragma weak dlopen
__attribute__((constructor)) static void stay_loaded(void)
{
    struct link_map *module = NULL;
    Dl_info info;

    if (!dladdr1 || !dlopen) /* a static program */
        return;
    if (dladdr1(&threads_seen, &info, (void **)&module, RTLD_DL_LINKMAP) != 0 && module->l_name[0] != '\0')
        dlopen(module->l_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

/*
 * At load time, so that asking for the generation need not check whether anyone counts. If the library is a static one,
 * a constructor of the program may have run before, and have asked already.
 */
__attribute__((constructor)) static void watch_forks(void)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page != MAP_FAILED && madvise(page, size, MADV_WIPEONFORK) == 0) {
        atomic_init((atomic_uint *)page, atomic_load(&unwiped));
        rp_generation = page;
    } else if (page != MAP_FAILED) {
        munmap(page, size);
    }
    pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

/* Several threads may do so at once: one number stands, and the others are skipped. */
unsigned rp_generation_count(void)
{
    unsigned next = atomic_fetch_add_explicit(&last_generation, 1, memory_order_relaxed) + 1;
    unsigned found = 0;

    return atomic_compare_exchange_strong(rp_generation, &found, next) ? next : found;
}

uint64_t rp_thread_id(void)
{
    if (thread_id == 0)
        thread_id = atomic_fetch_add_explicit(&threads_seen, 1, memory_order_relaxed) + 1;
    return thread_id;
}

bool rp_thread_is_main(void)
{
    return gettid() == getpid();
}
