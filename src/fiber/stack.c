/*
 * stack.c - the pool of stacks: which stack is used next, and when idle ones give their memory back.
 *
 * A slab (slab.h) is one mapping, cut into stacks. A stack is carved when it is needed: guarded, its record written.
 * From then on it is in use, or in the list of free ones: last in, first out, since the warmest memory is best.
 *
 * When many more are free than in use, those of the slab that would be used last give their memory back. They are as
 * before they were carved then, except that they keep their guards. So one stack in use does not keep the memory of its
 * neighbours. A slab without stacks in use is unmapped when even the free places are many. What is kept grows with what
 * is in use: a load that comes and goes by less than a half, or by less than RP_STACKS_KEPT, gives back nothing that it
 * is about to need.
 *
 * The tops are coloured: at the same offset of their pages they would all share a few sets of the cache.
 */
#include "fiber/stack.h"

#include <assert.h>
#include <errno.h>

#include "base/memory.h"

enum {
    COLOURS = 16,
    COLOUR_STEP = 128, /* two cache lines */
    PLACES = 4,        /* so many times as many free stacks keep their place, and guard, as keep their memory */
};

/* A set of stacks of a slab: a bit for each. */
typedef uint64_t stack_set;

typedef struct rp_slab {
    rp_node link;      /* in one of the pool's two lists */
    rp_node room_link; /* in the pool's list of slabs that stacks can be carved from */
    rp_stack_pool *pool;
    char *base;
    stack_set carved;
    stack_set used; /* of these; the others are free */
    stack_set guarded;
    unsigned mappings; /* that their guards cost */
} rp_slab;

struct rp_stack_pool {
    rp_node slabs; /* with stacks in use */
    rp_node empty; /* slabs without, the one that was used last at the end */
    rp_node room;  /* slabs with stacks that are not carved */
    rp_node free;  /* stacks */
    size_t slab_count;
    size_t used;
    size_t idle; /* in `free` */
    size_t page;
    size_t guard;    /* below each stack */
    size_t size;     /* of a stack */
    size_t per_slab; /* stacks */
    size_t kept;     /* free stacks, besides as many as are in use */
    rp_guarding guarding;
    bool closed;
};

static stack_set set_of(unsigned index)
{
    return UINT64_C(1) << index;
}

/* The lowest in a set, which is not empty. */
static unsigned first_in(stack_set set)
{
    return (unsigned)__builtin_ctzll(set);
}

static unsigned count_of(stack_set set)
{
    return (unsigned)__builtin_popcountll(set);
}

static size_t at_least_one(size_t number)
{
    return number > 0 ? number : 1;
}

/* RP_STACKS_... is for stacks of the usual size: of others, so many that they take no more memory. */
static size_t scaled(size_t number, size_t size)
{
    return size <= RP_STACK_SIZE ? number : at_least_one(number * RP_STACK_SIZE / size);
}

int rp_stack_pool_new(size_t size, rp_stack_pool **result)
{
    rp_stack_pool *pool = rp_calloc(sizeof *pool);

    if (!pool)
        return -ENOMEM;
    rp_list_init(&pool->slabs);
    rp_list_init(&pool->empty);
    rp_list_init(&pool->room);
    rp_list_init(&pool->free);
    pool->page = rp_slab_page();
    pool->guard = (RP_STACK_GUARD + pool->page - 1) / pool->page * pool->page + pool->page;
    if (size < RP_STACK_LEAST)
        size = RP_STACK_LEAST;
    pool->per_slab = scaled(RP_STACKS_PER_SLAB, size);
    pool->kept = scaled(RP_STACKS_KEPT, size);
#ifdef RP_SANITIZED
    size *= 4; /* instrumented frames are several times as large */
#endif
    pool->size = size > 4 * pool->page ? size : 4 * pool->page;
    *result = pool;
    return 0;
}

size_t rp_stack_pool_size(const rp_stack_pool *pool)
{
    return pool->size;
}

static size_t slab_size(const rp_stack_pool *pool)
{
    return (pool->guard + pool->size) * pool->per_slab;
}

/* Where a stack begins, and its record, which stands at its end. */
static char *low_of(const rp_slab *slab, unsigned index)
{
    return slab->base + index * (slab->pool->guard + slab->pool->size) + slab->pool->guard;
}

static rp_stack *record_of(const rp_slab *slab, unsigned index)
{
    char *high = low_of(slab, index) + slab->pool->size - index % COLOURS * COLOUR_STEP;

    return (rp_stack *)(void *)(high - (sizeof(rp_stack) + 63) / 64 * 64);
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
    slab->pool = pool;
    slab->base = base;
    rp_list_push(&pool->empty, &slab->link);
    rp_list_push(&pool->room, &slab->room_link);
    pool->slab_count++;
    return slab;
}

/* Takes the free stacks of a slab out of the list, and the tools' memory; returns which they were. */
static stack_set forget_free(rp_slab *slab)
{
    stack_set forgotten = slab->carved & ~slab->used;

    for (stack_set left = forgotten; left != 0; left &= left - 1) {
        rp_stack *stack = record_of(slab, first_in(left));

        rp_list_remove(&stack->link);
        rp_stack_retire(&stack->marks);
    }
    slab->carved = slab->used;
    slab->pool->idle -= count_of(forgotten);
    return forgotten;
}

static void slab_unmap(rp_slab *slab)
{
    rp_stack_pool *pool = slab->pool;

    assert(slab->used == 0);
    forget_free(slab);
    if (rp_node_linked(&slab->room_link))
        rp_list_remove(&slab->room_link);
    rp_list_remove(&slab->link);
    pool->slab_count--;
    rp_stack_cleanse(slab->base, slab->base + slab_size(pool));
    rp_slab_unmap(slab->base, slab_size(pool), slab->mappings);
    rp_free(slab);
}

/* Gives back the memory of a slab's free stacks: of neighbours in one call. */
static void slab_shut(rp_slab *slab)
{
    stack_set left = forget_free(slab);

    while (left != 0) {
        unsigned first = first_in(left), last = first;

        while (last + 1 < slab->pool->per_slab && (left & set_of(last + 1)))
            last++;
        left &= ~(set_of(last) | (set_of(last) - 1));
        rp_slab_shut(low_of(slab, first), low_of(slab, last) + slab->pool->size);
    }
    if (!rp_node_linked(&slab->room_link))
        rp_list_push(&slab->pool->room, &slab->room_link);
}

/* NULL if there is no memory. */
static rp_stack *carve(rp_slab *slab)
{
    rp_stack_pool *pool = slab->pool;
    unsigned index = first_in(~slab->carved);
    char *low = low_of(slab, index), *limit;
    rp_stack *stack = record_of(slab, index);
    rp_guard guard = RP_GUARD_PAGE;

    if (!(slab->guarded & set_of(index))) {
        guard = rp_slab_guard(&pool->guarding, low, pool->guard);
        if (guard != RP_GUARD_CANARY)
            slab->guarded |= set_of(index);
        if (guard == RP_GUARD_MAPPING)
            slab->mappings++;
    }
    if (rp_slab_open(guard, low, low + pool->size, &limit) < 0)
        return NULL;
    rp_stack_cleanse(low, low + pool->size);
    *stack = (rp_stack){
        .slab = slab, .low = low, .limit = limit, .index = (uint8_t)index, .guarded = guard != RP_GUARD_CANARY};
    rp_stack_announce(&stack->marks, low, (char *)stack);
    slab->carved |= set_of(index);
    if (count_of(slab->carved) == pool->per_slab)
        rp_list_remove(&slab->room_link);
    return stack;
}

static rp_stack *carve_anywhere(rp_stack_pool *pool)
{
    if (rp_list_empty(&pool->room) && !slab_map(pool))
        return NULL;
    return carve(rp_container_of(pool->room.next, rp_slab, room_link));
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
        stack = carve_anywhere(pool);
        if (!stack)
            return NULL;
    }
    if (stack->slab->used == 0) {
        rp_list_remove(&stack->slab->link);
        rp_list_push(&pool->slabs, &stack->slab->link);
    }
    assert(!(stack->slab->used & set_of(stack->index)) && !rp_node_linked(&stack->link));
    stack->slab->used |= set_of(stack->index);
    pool->used++;
    rp_stack_root(stack->low, (char *)(stack + 1), true);
    return stack;
}

static void pool_free(rp_stack_pool *pool)
{
    while (!rp_list_empty(&pool->empty))
        slab_unmap(rp_container_of(pool->empty.next, rp_slab, link));
    rp_free(pool);
}

/* Unmaps slabs, the one that has been empty for longest first, as long as plenty is left without them. */
static void trim_slabs(rp_stack_pool *pool)
{
    while (!rp_list_empty(&pool->empty) &&
           (pool->slab_count - 1) * pool->per_slab - pool->used >= PLACES * (pool->kept + pool->used))
        slab_unmap(rp_container_of(pool->empty.next, rp_slab, link));
}

/* Gives back the memory of free stacks, those of the slab that would be used last first, as long as plenty is left. */
static void trim_stacks(rp_stack_pool *pool)
{
    while (pool->idle > pool->kept + pool->used) {
        rp_slab *slab = rp_container_of(pool->free.prev, rp_stack, link)->slab;

        if (pool->idle - count_of(slab->carved & ~slab->used) < pool->kept + pool->used)
            return;
        slab_shut(slab);
    }
}

/* Frees a stack that is to be used right before the one at `next`. */
static void put(rp_stack *stack, rp_node *next)
{
    rp_slab *slab = stack->slab;
    rp_stack_pool *pool = slab->pool;

    assert(pool->used > 0 && (slab->used & set_of(stack->index)) && !rp_node_linked(&stack->link));
    rp_stack_root(stack->low, (char *)(stack + 1), false);
    pool->used--;
    pool->idle++;
    rp_list_insert(next, &stack->link);
    slab->used &= ~set_of(stack->index);
    if (slab->used == 0) {
        rp_list_remove(&slab->link);
        rp_list_push(&pool->empty, &slab->link);
    }
    if (pool->closed && pool->used == 0) {
        pool_free(pool);
        return;
    }
    trim_slabs(pool);
    trim_stacks(pool);
}

void rp_stack_put(rp_stack *stack)
{
    put(stack, stack->slab->pool->free.next);
}

void rp_stack_put_last(rp_stack *stack)
{
    put(stack, &stack->slab->pool->free);
}

void rp_stack_pool_close(rp_stack_pool *pool)
{
    if (!pool)
        return;
    pool->closed = true;
    if (pool->used == 0)
        pool_free(pool);
}

/*
 * Below a slab is a fence of a page, or what the process has mapped there: the stack pointer tells whether it was a
 * frame that reached so far. What a frame pushes lies up to 256 bytes below it: the red zone, or a call.
 */
bool rp_stack_overflown(const rp_stack *stack, const void *address, const void *sp)
{
    uintptr_t low = (uintptr_t)stack->low, at = (uintptr_t)address, frames = (uintptr_t)sp;
    const rp_stack_pool *pool = stack->slab->pool;

    if (at >= low)
        return false;
    return (stack->guarded && low - at <= pool->guard + pool->page) || (frames < low && at + 256 >= frames);
}

bool rp_stack_intact(const rp_stack *stack)
{
    return *(const uint64_t *)(const void *)stack->low == RP_CANARY;
}

size_t rp_stack_pool_slabs(const rp_stack_pool *pool)
{
    return pool->slab_count;
}

size_t rp_stack_pool_idle(const rp_stack_pool *pool)
{
    return pool->idle;
}

void rp_stack_pool_unguard(rp_stack_pool *pool)
{
    pool->guarding.kind = RP_GUARD_CANARY;
}
