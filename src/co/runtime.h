/*
 * runtime.h - what the coroutine layer keeps for a loop: its stacks, and what it knows of the thread that tasks run in.
 *
 * It is made with the loop's first task (create.c), and freed with the loop (abandon.c). Stacks come in sizes that are
 * powers of two, each from a pool of its own.
 */
#ifndef RP_CO_RUNTIME_H
#define RP_CO_RUNTIME_H

#include "fiber/cxx.h"
#include "fiber/stack.h"
#include "loop/resource.h"
#include "ringport/co.h"

enum {
    RP_STACK_POOLS = 17, /* RP_STACK_SIZE_MIN, twice that, and so on up to RP_STACK_SIZE_MAX */
    RP_COROS_SEEN = 16,
};

typedef struct rp_runtime {
    rp_loop *loop;
    rp_resource resource;                 /* of the loop's (abandon.c) */
    rp_node abandoned;                    /* tasks that never ended, from the loop's close on */
    rp_node asked;                        /* tasks that are being cancelled */
    rp_node agens;                        /* coroutines of generators that have begun and not ended */
    rp_stack_pool *stacks;                /* of the loop's tasks, if they ask for no size */
    rp_stack_pool *pools[RP_STACK_POOLS]; /* by size, made when they are needed: that one among them */
    size_t next_stack_size;               /* of the task that is being made; 0: the loop's */
    rp_task_factory *factory;             /* NULL: rp_task_new */
    void *factory_data;
    uint64_t overflow_claim;      /* the thread that holds one for this loop, by rp_fiber_thread; 0: none */
    uint64_t thread;              /* that tasks were resumed on last; RP_NO_THREAD: before they are, look anew */
    rp_cxx_state *cxx;            /* of that thread, or NULL */
    rp_coro *seen[RP_COROS_SEEN]; /* while it is NULL: what tasks were made of, by a hash */
} rp_runtime;

#define RP_NO_THREAD UINT64_MAX

/* The loop's; NULL: it has had no task yet. */
static inline rp_runtime *rp_runtime_of(const rp_loop *loop)
{
    return loop->slots[RP_SLOT_COROUTINES];
}

/* Makes the loop's. -ENOMEM. */
int rp_runtime_new(rp_loop *loop, rp_runtime **runtime);

/* A stack whose task is still referred to stays mapped, and with it the pool. */
void rp_runtime_free(rp_runtime *runtime);

/* The pool of stacks that are at least so large, made if need be; the size is a valid one. -ENOMEM. */
int rp_runtime_stacks(rp_runtime *runtime, size_t size, rp_stack_pool **pool);

#endif
