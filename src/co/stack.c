/*
 * stack.c - the pool of coroutine stacks.
 *
 * A slab is one mapping, cut into stacks. A stack is carved (guarded, its record written) when it is first needed, and
 * from then on is in use or in the list of free ones, last in, first out: the warmest memory is used first. Memory is
 * given back by unmapping a whole slab, when it is free and enough other stacks are; never stack by stack.
 *
 * The tops are coloured: at the same offset of their pages they would all share a few sets of the cache.
 */
#include "co/stack.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

#define CANARY UINT64_C(0x9e3779b97f4a7c15)

enum {
    COLOURS = 16,
    COLOUR_STEP = 128,           /* two cache lines */
    PROTECTED_GUARDS_MAX = 30000 /* each costs two of the process's 65,530 mappings, and the program wants some */
};

typedef enum guard_kind {
    GUARD_MADVISE,  /* Linux 6.13: costs no mapping */
    GUARD_MPROTECT, /* splits the mapping */
    GUARD_CANARY,   /* none: a word that must not change */
} guard_kind;

typedef struct rp_slab {
    rp_node link; /* in one of the pool's two lists */
    rp_stack_pool *pool;
    char *base;
    unsigned carved; /* stacks that exist, from the first on */
    unsigned used;
    unsigned protected; /* guards made by mprotect */
    rp_stack *stacks[RP_STACKS_PER_SLAB];
} rp_slab;

struct rp_stack_pool {
    rp_node slabs;   /* with stacks in use */
    rp_node empty;   /* slabs without, the one that was used last at the end */
    rp_node free;    /* stacks */
    rp_slab *newest; /* the one that stacks are carved from, or NULL */
    size_t slab_count;
    size_t used;
    size_t idle; /* in `free` */
    size_t page;
    size_t size; /* of a stack with its guard */
    guard_kind kind;
    bool guards_work; /* madvise's: they were tried */
    bool closed;
};

/* mprotect guards of all pools. */
static atomic_uint protected_guards;

int rp_stack_pool_new(rp_stack_pool **result)
{
    rp_stack_pool *pool = rp_calloc(sizeof *pool);

    if (!pool)
        return -ENOMEM;
    rp_list_init(&pool->slabs);
    rp_list_init(&pool->empty);
    rp_list_init(&pool->free);
    pool->page = (size_t)sysconf(_SC_PAGESIZE);
    pool->size = RP_STACK_SIZE > 4 * pool->page ? (size_t)RP_STACK_SIZE : 4 * pool->page;
    pool->kind = GUARD_MADVISE;
    *result = pool;
    return 0;
}

static size_t slab_size(const rp_stack_pool *pool)
{
    return pool->size * RP_STACKS_PER_SLAB;
}

static rp_slab *slab_map(rp_stack_pool *pool)
{
    rp_slab *slab = rp_calloc(sizeof *slab);
    void *base;

    if (!slab)
        return NULL;
    base = mmap(NULL, slab_size(pool), PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (base == MAP_FAILED) {
        rp_free(slab);
        return NULL;
    }
    /* A huge page would make all stacks of a slab resident with the first touch. Not every kernel has them. */
    (void)madvise(base, slab_size(pool), MADV_NOHUGEPAGE);
    rp_sanitize_slab(base, slab_size(pool), true);
    slab->pool = pool;
    slab->base = base;
    rp_list_push(&pool->empty, &slab->link);
    pool->slab_count++;
    return slab;
}

static void slab_unmap(rp_slab *slab)
{
    rp_stack_pool *pool = slab->pool;

    assert(slab->used == 0);
    for (unsigned i = 0; i < slab->carved; i++) {
        rp_list_remove(&slab->stacks[i]->link);
        rp_stack_retire(&slab->stacks[i]->marks);
    }
    pool->idle -= slab->carved;
    atomic_fetch_sub(&protected_guards, slab->protected);
    if (pool->newest == slab)
        pool->newest = NULL;
    rp_list_remove(&slab->link);
    pool->slab_count--;
    rp_sanitize_slab(slab->base, slab_size(pool), false);
    munmap(slab->base, slab_size(pool));
    rp_free(slab);
}

/*
 * Emulators and sandboxes may accept any advice and do nothing, so that the first guard is put to the test: it cannot
 * be populated, plain memory can.
 */
static bool guard_by_madvise(rp_stack_pool *pool, char *base)
{
    if (madvise(base, pool->page, MADV_GUARD_INSTALL) < 0)
        return false;
    if (!pool->guards_work)
        pool->guards_work = madvise(base, pool->page, MADV_POPULATE_READ) < 0;
    return pool->guards_work;
}

static bool guard_by_mprotect(char *base, size_t page)
{
    if (atomic_fetch_add(&protected_guards, 1) < PROTECTED_GUARDS_MAX && mprotect(base, page, PROT_NONE) == 0)
        return true;
    atomic_fetch_sub(&protected_guards, 1);
    return false;
}

/* Guards a stack as well as can be had now; each kind that fails is not tried again by this pool. */
static bool guard(rp_slab *slab, char *base)
{
    rp_stack_pool *pool = slab->pool;

    if (pool->kind == GUARD_MADVISE) {
        if (guard_by_madvise(pool, base))
            return true;
        pool->kind = GUARD_MPROTECT;
    }
    if (pool->kind == GUARD_MPROTECT) {
        if (guard_by_mprotect(base, pool->page)) {
            slab->protected ++;
            return true;
        }
        pool->kind = GUARD_CANARY;
    }
    *(uint64_t *)(void *)(base + pool->page) = CANARY;
    return false;
}

static rp_stack *carve(rp_slab *slab)
{
    rp_stack_pool *pool = slab->pool;
    unsigned index = slab->carved++;
    char *base = slab->base + index * pool->size;
    char *high = base + pool->size - index % COLOURS * COLOUR_STEP;
    rp_stack *stack = (rp_stack *)(void *)(high - (sizeof *stack + 63) / 64 * 64);

    *stack = (rp_stack){.slab = slab, .low = base + pool->page};
    stack->guarded = guard(slab, base);
    rp_stack_announce(&stack->marks, stack->low, (char *)stack);
    slab->stacks[index] = stack;
    return stack;
}

rp_stack *rp_stack_get(rp_stack_pool *pool)
{
    rp_node *node = rp_list_pop(&pool->free);
    rp_stack *stack;

    if (node) {
        stack = rp_container_of(node, rp_stack, link);
        pool->idle--;
        rp_stack_cleanse(stack->low, (char *)stack);
    } else {
        if (!pool->newest || pool->newest->carved == RP_STACKS_PER_SLAB) {
            rp_slab *slab = slab_map(pool);

            if (!slab)
                return NULL;
            pool->newest = slab;
        }
        stack = carve(pool->newest);
    }
    if (stack->slab->used++ == 0) {
        rp_list_remove(&stack->slab->link);
        rp_list_push(&pool->slabs, &stack->slab->link);
    }
    pool->used++;
    return stack;
}

static void pool_free(rp_stack_pool *pool)
{
    while (!rp_list_empty(&pool->empty))
        slab_unmap(rp_container_of(pool->empty.next, rp_slab, link));
    rp_free(pool);
}

/* Unmaps the slab that has been empty for longest if plenty is left without it. */
static void trim(rp_stack_pool *pool)
{
    rp_slab *slab = rp_container_of(pool->empty.next, rp_slab, link);

    if (!rp_list_empty(&pool->empty) && pool->idle - slab->carved >= RP_STACKS_KEPT + pool->used)
        slab_unmap(slab);
}

void rp_stack_put(rp_stack *stack)
{
    rp_slab *slab = stack->slab;
    rp_stack_pool *pool = slab->pool;

    pool->used--;
    pool->idle++;
    rp_list_push_front(&pool->free, &stack->link);
    if (--slab->used == 0) {
        rp_list_remove(&slab->link);
        rp_list_push(&pool->empty, &slab->link);
    }
    if (pool->closed && pool->used == 0)
        pool_free(pool);
    else
        trim(pool);
}

void rp_stack_pool_close(rp_stack_pool *pool)
{
    if (!pool)
        return;
    pool->closed = true;
    if (pool->used == 0)
        pool_free(pool);
}

bool rp_stack_overflown(const rp_stack *stack, const void *address)
{
    uintptr_t low = (uintptr_t)stack->low, at = (uintptr_t)address;
    const rp_stack_pool *pool = stack->slab->pool;

    return stack->guarded && at < low && low - at <= pool->page + pool->size;
}

bool rp_stack_intact(const rp_stack *stack)
{
    return *(const uint64_t *)(const void *)stack->low == CANARY;
}

size_t rp_stack_pool_slabs(const rp_stack_pool *pool)
{
    return pool->slab_count;
}

void rp_stack_pool_unguard(rp_stack_pool *pool)
{
    pool->kind = GUARD_CANARY;
}
