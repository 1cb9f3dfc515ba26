/*
 * create.h - making what runs on a stack of its own without being a task: for generators.
 */
#ifndef RP_CO_CREATE_H
#define RP_CO_CREATE_H

#include "co/runtime.h"
#include "co/task.h"

/* The loop's runtime, made if need be. -ENOMEM. */
int rp_runtime_get(rp_loop *loop, rp_runtime **runtime);

/*
 * Makes a coroutine that nothing will resume by itself, in a list of the caller's. It has two references: the caller's,
 * and the loop's until it has returned. -ENOMEM.
 */
int rp_co_new(rp_loop *loop, rp_co **co, rp_coro *coro, void *arg, rp_node *list);

#endif
