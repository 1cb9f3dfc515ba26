/*
 * slab_windows.c - the memory of stacks on Windows, laid out as the system lays out a thread's.
 *
 * All of it is reserved. Committed is the top, and the pages below that have PAGE_GUARD, as many as Windows gives a
 * thread that has asked for RP_SLAB_GUARANTEE: a touch of one by the thread that runs on this stack lets the system
 * commit more, and move the guard down. When it finds no room for that, it makes the guard usable, and the touch is
 * STATUS_STACK_OVERFLOW (see overflow_windows.c). What lies below that is never committed. Only the thread that runs
 * on a stack may touch its guard: for others that is a fault.
 */
#include "fiber/slab.h"

#include <errno.h>
#include <windows.h>

enum {
    PAGE = 4096,    /* on each processor that Windows runs on today */
    TOP = 2 * PAGE, /* is committed from the start: the system charges the process for it, used or not */
    GUARD = 2 * PAGE + RP_SLAB_GUARANTEE /* and so is this, though it cannot be used */
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

/*
 * Makes a stack usable from `limit` up to `high`, and what lies below that its guard. From `committed` on it is
 * committed already. If there is no memory, nothing is changed.
 */
static int commit(char *limit, char *high, char *committed)
{
    char *guard = limit - GUARD;
    DWORD before;

    if (!VirtualAlloc(guard, (size_t)(committed - guard), MEM_COMMIT, PAGE_READWRITE))
        return -ENOMEM;
    if (VirtualProtect(guard, GUARD, PAGE_READWRITE | PAGE_GUARD, &before) &&
        VirtualProtect(limit, (size_t)(high - limit), PAGE_READWRITE, &before))
        return 0;
    VirtualFree(guard, (size_t)(committed - guard), MEM_DECOMMIT);
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
    return commit(*limit, high, high);
}

int rp_slab_reach(char **limit, const char *low)
{
    char *reached = (char *)((uintptr_t)low / PAGE * PAGE);

    if (reached >= *limit)
        return 0;
    if (commit(reached, *limit, *limit - GUARD) < 0)
        return -ENOMEM;
    *limit = reached;
    return 0;
}

/* With what the guard has of the gap below. */
void rp_slab_shut(char *low, char *high)
{
    low -= GUARD;
    VirtualFree(low, (size_t)(high - low), MEM_DECOMMIT);
}
