/*
 * stack.h - the pool of stacks: slabs of mapped address space, whose memory is touched as it is used.
 *
 * A stack's own record stands at its high end, and what its owner puts below that shares the page with the first
 * frames. Below the low end lies a guard; where none can be had, a canary word stands at the low end.
 * A pool has stacks of one size, and belongs to one thread at a time. It lives until it was closed and its last stack
 * has come back.
 */
#ifndef RP_FIBER_STACK_H
#define RP_FIBER_STACK_H

#include "base/list.h"
#include "fiber/sanitizer.h"
#include "fiber/slab.h"

enum {
#ifdef _WIN32                   /* which does much on the caller's stack of what Linux does in its kernel */
    RP_STACK_SIZE = 128 * 1024, /* unless another is asked for */
    RP_STACK_LEAST = 64 * 1024,
#else
    RP_STACK_SIZE = 64 * 1024,
    RP_STACK_LEAST = 16 * 1024,
#endif
    /*
     * A frame of 64 KiB is caught, however little room was left for it. It is also how far apart the probes of
     * -fstack-clash-protection are on aarch64. A page is added, for what such a frame calls.
     */
    RP_STACK_GUARD = 64 * 1024,
    RP_STACKS_PER_SLAB = 64, /* fewer of large ones */
    RP_STACKS_KEPT = 1024,   /* free stacks that are kept besides as many as are in use; fewer of large ones */
};

typedef struct rp_stack_pool rp_stack_pool;

typedef struct rp_stack {
    rp_node link; /* in the pool's list of free stacks */
    struct rp_slab *slab;
    char *low;     /* the lowest byte to be used; the guard ends here */
    char *limit;   /* anyone may write to it down to here; further down, on Windows, only whoever runs on it */
    uint8_t index; /* in the slab */
    bool guarded;
    rp_stack_marks marks;
} rp_stack;

/* Its stacks have `size` bytes, a multiple of 16 KiB, or RP_STACK_LEAST if that is more. -ENOMEM. */
int rp_stack_pool_new(size_t size, rp_stack_pool **pool);

/* How large they are. */
size_t rp_stack_pool_size(const rp_stack_pool *pool);

/* Gives the pool up: unmapped now, or when the last stack comes back. NULL is ignored. */
void rp_stack_pool_close(rp_stack_pool *pool);

/* The stack that came back last, or a new one; NULL if there is no memory. Its memory is not cleared. */
rp_stack *rp_stack_get(rp_stack_pool *pool);

void rp_stack_put(rp_stack *stack);

/* The same of a stack that could not be used: all others that are free come out before it. */
void rp_stack_put_last(rp_stack *stack);

/* Makes it writable down to `low`, for others than whoever runs on it (see rp_slab_reach). -ENOMEM. */
static inline int rp_stack_reach(rp_stack *stack, const char *low)
{
    return low >= stack->limit ? 0 : rp_slab_reach(&stack->limit, low);
}

/*
 * Whether a fault of the code on this stack, at an address and with a stack pointer, is an overflow: the address is in
 * the guard, or in a frame that reaches beyond it. Async-signal-safe.
 */
bool rp_stack_overflown(const rp_stack *stack, const void *address, const void *sp);

/* Whether the canary of a stack without a guard is what it was. */
bool rp_stack_intact(const rp_stack *stack);

/*
 * For tests: how many slabs are mapped, and how many free stacks hold memory; makes the pool's further stacks without
 * guards.
 */
size_t rp_stack_pool_slabs(const rp_stack_pool *pool);
size_t rp_stack_pool_idle(const rp_stack_pool *pool);
void rp_stack_pool_unguard(rp_stack_pool *pool);

#endif
