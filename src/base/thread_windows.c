/*
 * thread_windows.c - threads, locks and conditions of Windows.
 *
 * A slim lock and a condition variable are a pointer each, which thread.h keeps without the system's headers. They need
 * not be made or destroyed. Time-outs have a grain of a millisecond, and are rounded up, so that none comes early.
 */
#include "base/thread.h"

#include <errno.h>
#include <process.h>
#include <windows.h>

#include "base/clock.h"
#include "base/memory.h"

_Static_assert(sizeof(rp_mutex) == sizeof(SRWLOCK), "an rp_mutex has room for the lock");
_Static_assert(sizeof(rp_cond) == sizeof(CONDITION_VARIABLE), "an rp_cond has room for the condition");

/* ---- mutexes and conditions ---- */

static SRWLOCK *lock_of(rp_mutex *mutex)
{
    return (SRWLOCK *)(void *)mutex;
}

static CONDITION_VARIABLE *condition_of(rp_cond *cond)
{
    return (CONDITION_VARIABLE *)(void *)cond;
}

int rp_mutex_init(rp_mutex *mutex)
{
    InitializeSRWLock(lock_of(mutex));
    return 0;
}

void rp_mutex_fini(rp_mutex *mutex)
{
    (void)mutex;
}

void rp_mutex_lock(rp_mutex *mutex)
{
    AcquireSRWLockExclusive(lock_of(mutex));
}

void rp_mutex_unlock(rp_mutex *mutex)
{
    ReleaseSRWLockExclusive(lock_of(mutex));
}

int rp_cond_init(rp_cond *cond)
{
    InitializeConditionVariable(condition_of(cond));
    return 0;
}

void rp_cond_fini(rp_cond *cond)
{
    (void)cond;
}

void rp_cond_signal(rp_cond *cond)
{
    WakeConditionVariable(condition_of(cond));
}

void rp_cond_broadcast(rp_cond *cond)
{
    WakeAllConditionVariable(condition_of(cond));
}

bool rp_cond_wait(rp_cond *cond, rp_mutex *mutex, int64_t deadline)
{
    const int64_t longest = RP_SEC(24 * 3600);
    int64_t left;

    if (deadline == RP_NEVER) {
        SleepConditionVariableSRW(condition_of(cond), lock_of(mutex), INFINITE, 0);
        return true;
    }
    do {
        left = rp_time_left(rp_clock_now(), deadline);
        DWORD milliseconds = (DWORD)(((left < longest ? left : longest) + RP_MSEC(1) - 1) / RP_MSEC(1));
        if (SleepConditionVariableSRW(condition_of(cond), lock_of(mutex), milliseconds, 0))
            return true;
    } while (left > 0);
    return false;
}

/* ---- threads ---- */

typedef struct thread_start {
    void (*function)(void *arg);
    void *arg;
} thread_start;

static unsigned __stdcall run_thread(void *data)
{
    thread_start start = *(thread_start *)data;

    rp_free(data);
    start.function(start.arg);
    return 0;
}

/* By the C library, which keeps things of its own for each thread. */
static int start(void (*function)(void *arg), void *arg, size_t stack_size, rp_thread *thread)
{
    thread_start *start = rp_malloc(sizeof *start);
    uintptr_t handle;

    if (!start)
        return -ENOMEM;
    *start = (thread_start){function, arg};
    handle =
        _beginthreadex(NULL, (unsigned)stack_size, run_thread, start, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    if (handle == 0) {
        rp_free(start);
        return -EAGAIN;
    }
    *thread = (rp_thread)handle;
    return 0;
}

int rp_thread_start(void (*function)(void *arg), void *arg)
{
    return rp_thread_start_small(function, arg, 0);
}

int rp_thread_start_small(void (*function)(void *arg), void *arg, size_t stack_size)
{
    rp_thread thread;
    int rc = start(function, arg, stack_size, &thread);

    if (rc == 0)
        CloseHandle(thread);
    return rc;
}

int rp_thread_start_joinable(void (*function)(void *arg), void *arg, rp_thread *thread)
{
    return start(function, arg, 0, thread);
}

void rp_thread_join(rp_thread thread)
{
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
}

void rp_thread_interrupt(uint64_t thread)
{
    HANDLE handle = OpenThread(THREAD_TERMINATE, FALSE, (DWORD)thread); /* the right that the call asks for */

    if (!handle)
        return;
    CancelSynchronousIo(handle);
    CloseHandle(handle);
}

void rp_thread_yield(void)
{
    SwitchToThread();
}

/* A process that was bound to some processors counts those; else all there are, of all groups of 64. */
unsigned rp_cpu_count(void)
{
    DWORD_PTR allowed, all;
    DWORD count = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);

    if (GetProcessAffinityMask(GetCurrentProcess(), &allowed, &all) && allowed != all && allowed != 0)
        return (unsigned)__builtin_popcountll(allowed);
    return count > 0 ? count : 1;
}

/* ---- identity ---- */

/* The module that this is in stays loaded: the pools' threads, and handlers of exceptions, come back to it. */
__attribute__((constructor)) static void stay_loaded(void)
{
    HMODULE module;

    GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                       (const char *)(uintptr_t)stay_loaded, &module);
}

uint64_t rp_thread_id(void)
{
    return GetCurrentThreadId();
}
