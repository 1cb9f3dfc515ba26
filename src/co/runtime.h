/*
 * runtime.h - what the coroutine layer keeps for a loop: its stacks, its task factory. Made at the first task.
 */
#ifndef RP_CO_RUNTIME_H
#define RP_CO_RUNTIME_H

#include "co/cxx.h"
#include "co/stack.h"
#include "loop/loop.h"
#include "ringport/co.h"

typedef struct rp_runtime {
    rp_loop *loop;
    rp_resource tasks; /* abandons tasks that never ended */
    rp_node abandoned; /* those, from then on */
    rp_resource self;  /* gives up all of this */
    rp_node asked;     /* tasks that are being cancelled */
    rp_stack_pool *stacks;
    rp_task_factory *factory; /* NULL: rp_task_new */
    void *factory_data;
    uint64_t overflow_claim; /* the thread that holds one for this loop, by rp_overflow_thread; 0: none */
    uint64_t thread;         /* that tasks were resumed on last; RP_NO_THREAD: before they are, look anew */
    rp_cxx_state *cxx;       /* of that thread, or NULL */
    rp_coro *last_coro;      /* while it is NULL: that a task was made of last */
} rp_runtime;

#define RP_NO_THREAD UINT64_MAX

/* The loop's, made if need be. -ENOMEM. */
int rp_runtime_get(rp_loop *loop, rp_runtime **runtime);

#endif
