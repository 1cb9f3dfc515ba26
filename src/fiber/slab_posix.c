/*
 * slab_posix.c - the memory of stacks on Linux: mapped at once, and touched as it is used.
 *
 * A slab has a fence below it, a page that nobody may touch. It keeps the kernel from making one mapping of slabs that
 * are neighbours: to unmap a part of that could fail, where the process has all the mappings it may have.
 */
#include "fiber/slab.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* An mprotect guard costs two of the process's 65,530 mappings, and the program needs some. */
enum { PROTECTED_GUARDS_MAX = 30000 };

/* mprotect guards of all pools. */
static atomic_uint protected_guards;

size_t rp_slab_page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

void *rp_slab_map(size_t size)
{
    size_t page = rp_slab_page();
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    char *fence = mmap(NULL, page + size, PROT_NONE, flags, -1, 0);

    if (fence == MAP_FAILED)
        return NULL;
    if (mprotect(fence + page, size, PROT_READ | PROT_WRITE) < 0) {
        munmap(fence, page + size);
        return NULL;
    }
    /* A huge page would make all stacks of a slab resident with the first touch. Not every kernel has them. */
    (void)madvise(fence + page, size, MADV_NOHUGEPAGE);
    return fence + page;
}

void rp_slab_unmap(void *base, size_t size, unsigned mappings)
{
    size_t page = rp_slab_page();

    munmap((char *)base - page, page + size);
    atomic_fetch_sub(&protected_guards, mappings);
}

/*
 * Linux 6.13: costs no mapping. Emulators and sandboxes may accept any advice and do nothing. So the first guard is
 * tested: it cannot be populated, plain memory can.
 */
static bool guard_by_madvise(rp_guarding *guarding, char *base, size_t size)
{
    if (madvise(base, size, MADV_GUARD_INSTALL) < 0)
        return false;
    if (!guarding->tried)
        guarding->tried = madvise(base, size, MADV_POPULATE_READ) < 0;
    return guarding->tried;
}

/* Splits the mapping. */
static bool guard_by_mprotect(char *base, size_t size)
{
    if (atomic_fetch_add(&protected_guards, 1) < PROTECTED_GUARDS_MAX && mprotect(base, size, PROT_NONE) == 0)
        return true;
    atomic_fetch_sub(&protected_guards, 1);
    return false;
}

rp_guard rp_slab_guard(rp_guarding *guarding, char *low, size_t size)
{
    if (guarding->kind == RP_GUARD_PAGE && !guard_by_madvise(guarding, low - size, size))
        guarding->kind = RP_GUARD_MAPPING;
    if (guarding->kind == RP_GUARD_MAPPING && !guard_by_mprotect(low - size, size))
        guarding->kind = RP_GUARD_CANARY;
    return guarding->kind;
}

/* To populate the top page by a call of its own costs more than the fault that does it. */
int rp_slab_open(rp_guard guard, char *low, char *high, char **limit)
{
    (void)high;
    *limit = low;
    if (guard == RP_GUARD_CANARY)
        *(uint64_t *)(void *)low = RP_CANARY;
    return 0;
}

/* All of a stack can be written to from the start. */
int rp_slab_reach(char **limit, const char *low)
{
    (void)limit, (void)low;
    return 0;
}

/*
 * At once. MADV_FREE gives back lazily and costs as much, and neither the process nor an observer can see that it has.
 * Guards are no memory, and survive.
 */
void rp_slab_shut(char *low, char *high)
{
    (void)madvise(low, (size_t)(high - low), MADV_DONTNEED);
}
