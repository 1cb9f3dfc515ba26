/*
 * slab.h - the memory of stacks: address space, a slab at a time, and a guard below each stack.
 */
#ifndef RP_FIBER_SLAB_H
#define RP_FIBER_SLAB_H

#include "ringport/base.h"

/* What stands at a stack's low end. */
typedef enum rp_guard {
    RP_GUARD_PAGE,    /* pages that fault: a touch of one ends the process */
    RP_GUARD_MAPPING, /* the same, at the cost of a mapping, of which a process may have a limited number */
    RP_GUARD_CANARY,  /* none: a word that must not change */
} rp_guard;

/*
 * Windows handles an overflow on the stack that has it: so much below a stack's low end is kept for that. It is room
 * for the largest record of a processor's state (AMX has 8 KiB) and for those who look for a handler.
 */
enum { RP_SLAB_GUARANTEE = 20 * 1024 };

#define RP_CANARY UINT64_C(0x9e3779b97f4a7c15)

/* What a pool knows about the guards that the platform gives. Zeroed, it is the start. */
typedef struct rp_guarding {
    rp_guard kind; /* the next stack's; one that fails is not tried again */
    bool tried;    /* RP_GUARD_PAGE was seen to work */
} rp_guarding;

size_t rp_slab_page(void);

/* Takes address space, NULL if there is none; gives it back. `mappings`: how many stacks have an RP_GUARD_MAPPING. */
void *rp_slab_map(size_t size);
void rp_slab_unmap(void *base, size_t size, unsigned mappings);

/* Guards the `size` bytes below `low`, for as long as the slab is mapped: returns the guard's kind. */
rp_guard rp_slab_guard(rp_guarding *guarding, char *low, size_t size);

/*
 * Makes a stack of a part of a slab: its high end can be used at once, and *limit is from where on (see
 * rp_slab_reach). With RP_GUARD_CANARY there is a canary at `low`. -ENOMEM.
 */
int rp_slab_open(rp_guard guard, char *low, char *high, char **limit);

/* Others than whoever runs on a stack may write to it from *limit on: makes that so from `low` on. -ENOMEM. */
int rp_slab_reach(char **limit, const char *low);

/* Gives back the memory of stacks that are neighbours, and of nothing else: their guards stay. */
void rp_slab_shut(char *low, char *high);

#endif
