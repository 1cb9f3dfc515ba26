/*
 * fiber.h - a flow of control on a stack of its own: somebody resumes it, and it suspends itself.
 *
 * It knows a stack and a switch, and nothing that it could wait for. Its record, and what that is embedded in, lie at
 * the high end of the stack. Sanitizers, Valgrind and the C++ runtime are told of each switch. It is resumed by one
 * thread at a time, never by itself.
 */
#ifndef RP_FIBER_FIBER_H
#define RP_FIBER_FIBER_H

#include "fiber/cxx.h"
#include "fiber/sanitizer.h"
#include "fiber/stack.h"
#include "fiber/switch.h"

enum { RP_FIBER_FIRST_FRAME = 512 }; /* bytes: room for what rp_switch_prepare() lays out */

/* What each switch touches stands last, together. */
typedef struct rp_fiber {
    rp_flow self;
    rp_flow resumer;
    rp_stack *stack;
    rp_cxx_state cxx; /* its own while it is suspended, its resumer's while it runs */
    void *sp;         /* its own, while it is suspended */
    void *resumer_sp; /* that of whoever resumed it, while it runs */
    char *low;        /* the stack's */
    char *sound;      /* frames above are where they should be: `low`, or none if the stack has no guard */
} rp_fiber;

/*
 * Makes a fiber on a stack: the first resume calls entry(arg), on a frame below `top`, which is 16-byte aligned. The
 * stack can be written to from RP_FIBER_FIRST_FRAME below that on (rp_stack_reach), and is the fiber's from then on.
 * `fiber` is zeroed.
 */
void rp_fiber_init(rp_fiber *fiber, rp_stack *stack, void *top, void (*entry)(void *arg), void *arg);

/* Gives the stack back to its pool, and with it whatever lies there. The fiber does not run. */
void rp_fiber_fini(rp_fiber *fiber);

/*
 * Runs the fiber until it suspends or ends. `thread` is what the C++ runtime knows of this thread, NULL if there is no
 * such runtime.
 */
RP_FLOW_INLINE void rp_fiber_resume(rp_fiber *fiber, rp_cxx_state *thread)
{
    if (thread)
        rp_cxx_exchange(thread, &fiber->cxx);
    rp_flow_here(&fiber->resumer);
    rp_flow_leave(&fiber->resumer, &fiber->self, false);
    rp_switch(&fiber->resumer_sp, fiber->sp);
    rp_flow_arrive(&fiber->resumer, &fiber->self);
    if (thread)
        rp_cxx_exchange(thread, &fiber->cxx);
}

/* In the fiber: goes back to whoever resumed it, and returns when it is resumed. */
RP_FLOW_INLINE void rp_fiber_suspend(rp_fiber *fiber)
{
    rp_flow_leave(&fiber->self, &fiber->resumer, false);
    rp_switch(&fiber->sp, fiber->resumer_sp);
    rp_flow_arrive(&fiber->self, &fiber->resumer);
}

/* The first thing that its entry does, which is RP_NO_TSAN. */
RP_FLOW_INLINE void rp_fiber_begin(rp_fiber *fiber)
{
    rp_flow_arrive(&fiber->self, &fiber->resumer);
}

/* The last thing that its entry does: this does not return. */
RP_FLOW_INLINE void rp_fiber_end(rp_fiber *fiber)
{
    rp_flow_leave(&fiber->self, &fiber->resumer, true);
    rp_switch(&fiber->sp, fiber->resumer_sp);
}

/* Whether the stack has no guard, and its canary is as it was. */
bool rp_fiber_canary_lives(const rp_fiber *fiber);

/* In the fiber: whether it has kept within its stack, as far as that can be seen now. */
RP_FLOW_INLINE bool rp_fiber_intact(const rp_fiber *fiber)
{
    const char *frame = __builtin_frame_address(0);

    return frame > fiber->sound || (frame > fiber->low && rp_fiber_canary_lives(fiber));
}

/* Fetches into the cache the frames that it will return through: it is to be resumed in a moment. */
static inline void rp_fiber_fetch(const rp_fiber *fiber)
{
    for (int line = 0; line < 5; line++)
        __builtin_prefetch((char *)fiber->sp + 64 * line);
}

#endif
