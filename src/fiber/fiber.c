/*
 * fiber.c - making a fiber on a stack, and giving the stack back.
 *
 * Where the system knows the bounds of the stack that a thread runs on, they go with the fiber's first frame, and how
 * far the stack has grown is learnt from its last one.
 */
#include "fiber/fiber.h"

static char *end_of_page(void *at)
{
    size_t page = rp_slab_page();

    return (char *)(((uintptr_t)at + page - 1) / page * page);
}

void rp_fiber_init(rp_fiber *fiber, rp_stack *stack, void *top, void (*entry)(void *arg), void *arg)
{
    rp_switch_bounds *bounds;

    fiber->stack = stack;
    fiber->low = stack->low;
    fiber->sound = stack->guarded ? stack->low : (char *)UINTPTR_MAX;
    fiber->sp = rp_switch_prepare(top, entry, arg);
    bounds = rp_switch_bounds_at(fiber->sp);
    if (bounds)
        *bounds = (rp_switch_bounds){.limit = stack->limit,
                                     .base = end_of_page(stack),
                                     .reserved = stack->low - RP_SLAB_GUARANTEE - rp_slab_page()};
    rp_flow_init(&fiber->self, &stack->marks, stack->low, (char *)stack);
}

bool rp_fiber_canary_lives(const rp_fiber *fiber)
{
    return !fiber->stack->guarded && rp_stack_intact(fiber->stack);
}

void rp_fiber_fini(rp_fiber *fiber)
{
    const rp_switch_bounds *bounds = rp_switch_bounds_at(fiber->sp);

    if (bounds)
        fiber->stack->limit = bounds->limit;
    rp_stack_put(fiber->stack);
}
