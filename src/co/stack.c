/*
 * stack.c - the pool of coroutine stacks.
 *
 * A slab is one mapping, cut into stacks. A stack is carved (guarded, its record written) when it is first needed, and
 * from then on is in use or in the list of free ones, last in, first out: the warmest memory is used first. Memory is
 * given back by unmapping a whole slab, when it is free and enough other stacks are; never stack by stack.
 *
 * What the platform has to do with it stands in slab.h.
 *
 * The tops are coloured: at the same offset of their pages they would all share a few sets of the cache.
 */
#include "co/stack.h"

#include <assert.h>
#include <errno.h>

#include "base/memory.h"
#include "co/slab.h"

enum {
    COLOURS = 16,
    COLOUR_STEP = 128 /* two cache lines */
};

typedef struct rp_slab {
    rp_node link; /* in one of the pool's two lists */
    rp_stack_pool *pool;
    char *base;
    unsigned carved; /* stacks that exist, from the first on */
    unsigned used;
    unsigned mappings; /* that their guards cost */
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
    rp_guarding guarding;
    bool closed;
};

int rp_stack_pool_new(rp_stack_pool **result)
{
    rp_stack_pool *pool = rp_calloc(sizeof *pool);

    if (!pool)
        return -ENOMEM;
    rp_list_init(&pool->slabs);
    rp_list_init(&pool->empty);
    rp_list_init(&pool->free);
    pool->page = rp_slab_page();
    pool->size = RP_STACK_SIZE > 4 * pool->page ? (size_t)RP_STACK_SIZE : 4 * pool->page;
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
    base = rp_slab_map(slab_size(pool));
    if (!base) {
        rp_free(slab);
        return NULL;
    }
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
    if (pool->newest == slab)
        pool->newest = NULL;
    rp_list_remove(&slab->link);
    pool->slab_count--;
    rp_sanitize_slab(slab->base, slab_size(pool), false);
    rp_slab_unmap(slab->base, slab_size(pool), slab->mappings);
    rp_free(slab);
}

/* NULL if there is no memory. */
static rp_stack *carve(rp_slab *slab)
{
    rp_stack_pool *pool = slab->pool;
    unsigned index = slab->carved;
    char *base = slab->base + index * pool->size;
    char *high = base + pool->size - index % COLOURS * COLOUR_STEP;
    rp_stack *stack = (rp_stack *)(void *)(high - (sizeof *stack + 63) / 64 * 64);
    char *limit;
    int guard = rp_slab_carve(&pool->guarding, base, pool->size, &limit);

    if (guard < 0)
        return NULL;
    *stack =
        (rp_stack){.slab = slab, .low = base + pool->page, .limit = limit, .guarded = guard != RP_GUARD_CANARY};
    if (guard == RP_GUARD_MAPPING)
        slab->mappings++;
    rp_stack_announce(&stack->marks, stack->low, (char *)stack);
    slab->stacks[index] = stack;
    slab->carved++;
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
        if (!stack)
            return NULL;
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
    return *(const uint64_t *)(const void *)stack->low == RP_CANARY;
}

size_t rp_stack_pool_slabs(const rp_stack_pool *pool)
{
    return pool->slab_count;
}

void rp_stack_pool_unguard(rp_stack_pool *pool)
{
    pool->guarding.kind = RP_GUARD_CANARY;
}
