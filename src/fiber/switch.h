/*
 * switch.h - the context switch: of a suspended flow, the stack pointer is kept; all else lies on its stack.
 *
 * Saved are the registers that the platform's calling convention lets a function rely on, and the floating-point
 * control words. Signal masks and errno are the thread's, and are left alone. One .S file for each convention.
 */
#ifndef RP_FIBER_SWITCH_H
#define RP_FIBER_SWITCH_H

#include <stddef.h>
#include <stdint.h>

/* Leaves the running flow, storing its stack pointer in *from, and goes on with the one that `to` is of. */
void rp_switch(void **from, void *to);

/*
 * Lays the first frame on a fresh stack, down from `top` (16-byte aligned): the first switch to the stack pointer that
 * is returned calls entry(arg), with the floating-point control words of now. entry must never return.
 */
void *rp_switch_prepare(void *top, void (*entry)(void *arg), void *arg);

/*
 * What Windows knows of the stack that a thread runs on; other systems know none of it. rp_switch_prepare() says that
 * all from address 0 up to `top` is the stack.
 */
typedef struct rp_switch_bounds {
    char *limit;    /* the lowest byte that can be used before the stack grows: its guard page ends here */
    char *base;     /* above the highest byte */
    char *reserved; /* the lowest byte that it can ever grow to */
} rp_switch_bounds;

/* The bounds of the flow that is suspended at a stack pointer; NULL where there are none. */
static inline rp_switch_bounds *rp_switch_bounds_at(const void *sp)
{
#ifdef _WIN32
    return (rp_switch_bounds *)(void *)((char *)(uintptr_t)sp + 168);
#else
    (void)sp;
    return NULL;
#endif
}

#endif
