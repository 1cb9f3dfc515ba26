/*
 * create.c - making tasks: the factory that makes them, the stack that a task gets, what is laid out on it.
 *
 * At a stack's high end is its own record, below that the task, below that the argument if it is copied, below that the
 * first frame.
 */
#include "co/create.h"

#include <string.h>

#include "co/abandon.h"
#include "co/runtime.h"
#include "co/task.h"
#include "loop/exception.h"

enum {
    FRAME_ALIGNMENT = 16,
    COPY_SHARE = 4, /* an argument that is copied onto the stack may take a fourth of it */
};

/* ---- the loop's runtime, and its factory ---- */

int rp_runtime_get(rp_loop *loop, rp_runtime **runtime)
{
    *runtime = rp_runtime_of(loop);
    if (*runtime)
        return 0;
    RP_TRY(rp_runtime_new(loop, runtime));
    rp_abandon_at_close(*runtime);
    return 0;
}

void rp_set_task_factory(rp_loop *loop, rp_task_factory *factory, void *data)
{
    rp_runtime *runtime = NULL;
    int rc = rp_loop_check(loop);

    if (rc == 0)
        rc = rp_runtime_get(loop, &runtime);
    if (rc < 0) {
        rp_loop_report(loop, &(rp_report){.where = RP_WHERE_TASK_FACTORY, .error = rc});
        return;
    }
    runtime->factory = factory;
    runtime->factory_data = data;
}

rp_task_factory *rp_get_task_factory(const rp_loop *loop, void **data)
{
    const rp_runtime *runtime = rp_runtime_of(loop);

    if (data)
        *data = runtime ? runtime->factory_data : NULL;
    return runtime ? runtime->factory : NULL;
}

/* ---- making one, as the default factory does ---- */

/* The task, and *top, from which its frames go down; *arg becomes the copy. NULL: no memory. */
static rp_co *place(rp_stack *stack, const void **arg, size_t copy_size, char **top)
{
    char *at = (char *)stack - (sizeof(rp_co) + 63) / 64 * 64;
    rp_co *co = (rp_co *)(void *)at;

    if (rp_stack_reach(stack, at - copy_size - RP_FIBER_FIRST_FRAME) < 0)
        return NULL;
    if (copy_size > 0) {
        at -= (copy_size + FRAME_ALIGNMENT - 1) / FRAME_ALIGNMENT * FRAME_ALIGNMENT;
        memcpy(at, *arg, copy_size);
        *arg = at;
    }
    *top = at;
    return co;
}

/* The pool of stacks for the task that is being made. */
static int stacks_for(rp_runtime *runtime, rp_stack_pool **stacks)
{
    size_t size = runtime->next_stack_size;

    *stacks = runtime->stacks;
    if (size == 0)
        return 0;
    runtime->next_stack_size = 0;
    return rp_runtime_stacks(runtime, size, stacks);
}

/* A coroutine that is new here may be that of a library that was loaded since, and has brought a C++ runtime. */
static void look_for_cxx(rp_runtime *runtime, rp_coro *coro)
{
    uintptr_t address = (uintptr_t)coro;
    rp_coro **seen = &runtime->seen[(address >> 4 ^ address >> 8) % RP_COROS_SEEN];

    if (*seen == coro)
        return;
    *seen = coro;
    if (rp_cxx_look())
        runtime->thread = RP_NO_THREAD;
}

/* A stack for a coroutine, with room for its rp_co, and the argument copied if it is to be. */
static int get_place(rp_loop *loop, rp_coro *coro, const void **arg, size_t copy_size, rp_stack **stack,
                     rp_co **co, char **top)
{
    rp_runtime *runtime;
    rp_stack_pool *stacks;

    RP_TRY(rp_runtime_get(loop, &runtime));
    RP_TRY(stacks_for(runtime, &stacks));
    if (copy_size > 0 && copy_size > rp_stack_pool_size(stacks) / COPY_SHARE)
        return -E2BIG;
    *stack = rp_stack_get(stacks);
    if (!*stack)
        return -ENOMEM;
    *co = place(*stack, arg, copy_size, top);
    if (!*co) {
        rp_stack_put_last(*stack);
        return -ENOMEM;
    }
    if (!runtime->cxx)
        look_for_cxx(runtime, coro);
    return 0;
}

int rp_task_new(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg, size_t copy_size)
{
    rp_stack *stack;
    rp_co *co;
    char *top;

    if (!coro || (copy_size > 0 && !arg))
        return -EINVAL;
    RP_TRY(rp_loop_check(loop));
    RP_TRY(get_place(loop, coro, &arg, copy_size, &stack, &co, &top));
    rp_task_init(co, loop, stack, top, coro, (void *)(uintptr_t)arg);
    *task = &co->future;
    return 0;
}

int rp_co_new(rp_loop *loop, rp_co **co, rp_coro *coro, void *arg, rp_node *list)
{
    const void *same = arg;
    rp_stack *stack;
    char *top;

    RP_TRY(rp_loop_check(loop));
    RP_TRY(get_place(loop, coro, &same, 0, &stack, co, &top));
    rp_co_init(*co, loop, stack, top, coro, arg);
    rp_list_push(list, &(*co)->future.link);
    return 0;
}

/* ---- by the factory ---- */

/* Creates a task by the loop's factory; `task` may be NULL. RP_ENOLOOP if loop is NULL. */
static int create(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg, size_t copy_size)
{
    rp_task_factory *factory;
    rp_task *created = NULL;
    void *data;
    int rc;

    if (task)
        *task = NULL;
    if (!loop)
        return RP_ENOLOOP;
    factory = rp_get_task_factory(loop, &data);
    rc = factory ? factory(loop, &created, coro, arg, copy_size, data)
                 : rp_task_new(loop, &created, coro, arg, copy_size);
    if (rc < 0)
        return rc;
    if (task)
        *task = created;
    else
        rp_task_detach(created);
    return rc;
}

int rp_create_task(rp_task **task, rp_coro *coro, void *arg)
{
    return create(rp_get_running_loop(), task, coro, arg, 0);
}

int rp_create_task_copy(rp_task **task, rp_coro *coro, const void *arg, size_t size)
{
    return create(rp_get_running_loop(), task, coro, arg, size);
}

int rp_loop_create_task(rp_loop *loop, rp_task **task, rp_coro *coro, void *arg)
{
    return create(loop, task, coro, arg, 0);
}

/* The factory has no argument for the size of the stack: the first task that it makes gets it. */
static int create_with_stack(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg,
                             const rp_task_options *options)
{
    rp_runtime *runtime;
    int rc;

    RP_TRY(rp_loop_check(loop));
    RP_TRY(rp_runtime_get(loop, &runtime));
    runtime->next_stack_size = options->stack_size;
    rc = create(loop, task, coro, arg, options->copy_size);
    runtime->next_stack_size = 0;
    return rc;
}

int rp_loop_create_task_with(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg,
                             const rp_task_options *options)
{
    static const rp_task_options defaults;
    rp_task *created;

    if (task)
        *task = NULL;
    if (!options)
        options = &defaults;
    if (!loop)
        return RP_ENOLOOP;
    if (!rp_stack_size_valid(options->stack_size))
        return -EINVAL;
    if (options->stack_size > 0)
        RP_TRY(create_with_stack(loop, &created, coro, arg, options));
    else
        RP_TRY(create(loop, &created, coro, arg, options->copy_size));
    if (options->name)
        rp_task_set_name(created, options->name);
    if (task)
        *task = created;
    else
        rp_task_detach(created);
    return 0;
}

int rp_create_task_with(rp_task **task, rp_coro *coro, const void *arg, const rp_task_options *options)
{
    return rp_loop_create_task_with(rp_get_running_loop(), task, coro, arg, options);
}

void rp_task_detach(rp_task *task)
{
    rp_future_unref(task);
}
