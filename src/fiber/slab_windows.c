/*
 * slab_windows.c - the memory of stacks on Windows, laid out as the system lays out a thread's.
 *
 * All of it is reserved. Committed is the top, and one page below that has PAGE_GUARD: a touch of it by the thread that
 * runs on this stack lets the system commit it, and guard the next one. The gap below a stack is never committed: when
 * the guard would reach it, the touch is STATUS_STACK_OVERFLOW (see overflow_windows.c). Only the thread that runs on a
 * stack may touch its guard: for others that is a fault.
 */
#include "fiber/slab.h"

#include <errno.h>
#include <windows.h>

enum {
    PAGE = 4096,   /* on each processor that Windows runs on today */
    TOP = 2 * PAGE /* is committed from the start: the system charges the process for it, used or not */
};

size_t rp_slab_page(void)
{
    return PAGE;
}

void *rp_slab_map(size_t size)
{
    return VirtualAlloc(NULL, size, MEM_RESERVE, PAGE_READWRITE);
}

void rp_slab_unmap(void *base, size_t size, unsigned mappings)
{
    (void)size, (void)mappings;
    VirtualFree(base, 0, MEM_RELEASE);
}

/* Commits from the page below `limit`, which becomes the guard, up to `high`; all of it, or nothing. */
static int commit(char *limit, char *high)
{
    char *guard = limit - PAGE;
    DWORD before;

    if (!VirtualAlloc(guard, (size_t)(high - guard), MEM_COMMIT, PAGE_READWRITE))
        return -ENOMEM;
    if (VirtualProtect(guard, PAGE, PAGE_READWRITE | PAGE_GUARD, &before))
        return 0;
    VirtualFree(guard, (size_t)(high - guard), MEM_DECOMMIT);
    return -ENOMEM;
}

/* What is never committed needs no guard. */
rp_guard rp_slab_guard(rp_guarding *guarding, char *low, size_t size)
{
    (void)low, (void)size;
    return guarding->kind;
}

int rp_slab_open(rp_guard guard, char *low, char *high, char **limit)
{
    if (guard == RP_GUARD_CANARY) {
        *limit = low;
        if (!VirtualAlloc(low, (size_t)(high - low), MEM_COMMIT, PAGE_READWRITE))
            return -ENOMEM;
        *(uint64_t *)(void *)low = RP_CANARY;
        return 0;
    }
    *limit = high - TOP;
    return commit(*limit, high);
}

int rp_slab_reach(char **limit, const char *low)
{
    char *reached = (char *)((uintptr_t)low / PAGE * PAGE), *guard = *limit - PAGE;
    DWORD before;

    if (reached >= *limit)
        return 0;
    if (commit(reached, guard) < 0)
        return -ENOMEM;
    if (!VirtualProtect(guard, PAGE, PAGE_READWRITE, &before)) {
        VirtualFree(reached - PAGE, (size_t)(guard - reached) + PAGE, MEM_DECOMMIT);
        return -ENOMEM;
    }
    *limit = reached;
    return 0;
}

void rp_slab_shut(char *low, char *high)
{
    VirtualFree(low, (size_t)(high - low), MEM_DECOMMIT);
}
