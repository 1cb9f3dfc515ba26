/*
 * task.c - tasks: making one on a stack of its own, running it step by step, cancelling it, its end.
 *
 * A task has two references at first: the creator's, and one that the loop holds until the coroutine has returned. What
 * ends a task runs on the loop's side, after the last switch away from its stack; the memory goes back to the pool
 * when the last reference is dropped, which can be long after that.
 */
#include "co/task.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/origin.h"
#include "fiber/overflow.h"
#include "co/runtime.h"
#include "fiber/switch.h"
#include "loop/exception.h"
#include "loop/handle.h"

enum {
    FRAME_ALIGNMENT = 16,
    FIRST_FRAME = 512, /* room for what rp_switch_prepare() lays out */
    COPY_SHARE = 4,    /* an argument that is copied onto the stack may take a fourth of it */
};

_Thread_local rp_co *rp_co_running;

static atomic_uint_fast64_t task_numbers;

/* ---- names ---- */

/* "Task-N", without the C library: a signal handler may ask. */
static void number_name(uint64_t number, char name[32])
{
    char digits[20];
    int count = 0;

    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    memcpy(name, "Task-", 5);
    for (int i = 0; i < count; i++)
        name[5 + i] = digits[count - 1 - i];
    name[5 + count] = '\0';
}

void rp_task_set_name(rp_task *task, const char *name)
{
    rp_co *co = rp_co_of(task);

    if (co)
        snprintf(co->name, sizeof co->name, "%s", name);
}

const char *rp_task_get_name(const rp_task *task)
{
    rp_co *co = rp_co_of(task);

    if (!co)
        return "";
    if (co->name[0] == '\0')
        number_name(co->number, co->name);
    return co->name;
}

/* ---- stack overflow ---- */

static bool find_overflown(const void *address, const void *sp, char *name, size_t size)
{
    const rp_co *co = rp_co_running;

    if (!co || !rp_stack_overflown(co->stack, address, sp))
        return false;
    if (co->name[0] != '\0') {
        memcpy(name, co->name, size < sizeof co->name ? size : sizeof co->name);
        name[size - 1] = '\0';
    } else
        number_name(co->number, name);
    return true;
}

/* A frame that leapt over the guard, or a stack without one. Where it wrote nobody knows: there is no going on. */
static void check_stack(const rp_co *co)
{
    if ((char *)__builtin_frame_address(0) > co->low && (co->guarded || rp_stack_intact(co->stack)))
        return;
    rp_overflow_message(rp_task_get_name(&co->future));
    abort();
}

/* ---- switching ---- */

/* What a coroutine's stack starts with; it is left in the last step and never come back to. */
RP_NO_TSAN static void run_coroutine(void *arg)
{
    rp_co *co = arg;

    rp_fiber_arrive(&co->self, &co->caller);
    co->result = co->coro(co, co->arg);
    co->ended = true;
    check_stack(co);
    rp_fiber_leave(&co->self, &co->caller, true);
    rp_switch(&co->sp, co->caller_sp);
}

bool rp_co_suspend(rp_co *co, const rp_waiting *waiting, void *arg)
{
    assert(co == rp_co_running);
    check_stack(co);
    co->waiting = waiting;
    co->waiting_arg = arg;
    co->interrupted = false;
    rp_fiber_leave(&co->self, &co->caller, false);
    rp_switch(&co->sp, co->caller_sp);
    rp_fiber_arrive(&co->self, &co->caller);
    co->waiting = NULL;
    return co->interrupted;
}

/* What a scope has under way comes back to it, which lies on a stack that is over now, or is somebody else's. */
static void report_open_scopes(const rp_co *co)
{
    const char *message = "a task ended in a group that it had begun, and not ended";

    if (co->open_groups == 0)
        message = "a task ended in a timeout that it had begun, and not ended";
    if (co->open_groups > 0 || co->open_timeouts > 0)
        rp_loop_report(co->future.loop, message, 0, rp_task_get_name(&co->future), NULL, NULL, co->future.origin);
}

static void finish(rp_co *co)
{
    rp_group *group = co->group;

    rp_list_remove(&co->future.link);
    co->future.loop->task_count--;
    rp_bindings_unref(co->bindings);
    co->bindings = NULL;
    if (co->result == -ECANCELED)
        rp_future_finish_cancelled(&co->future);
    else
        rp_future_finish(&co->future, co->result, NULL);
    if (group) {
        co->group = NULL;
        rp_group_child_done(group, co);
    }
    if (co->call)
        rp_call_end(co->call, rp_future_result(&co->future));
    rp_future_unref(&co->future);
}

/* Tasks are about to run on another thread than before, or with a C++ runtime that was not there before. */
static void enter_thread(rp_runtime *runtime)
{
    if (runtime->overflow_claim != rp_overflow_thread || rp_overflow_thread == 0) {
        rp_overflow_claim(find_overflown);
        runtime->overflow_claim = rp_overflow_thread;
    }
    runtime->thread = rp_overflow_thread;
    runtime->cxx = rp_cxx_thread_state();
}

/* A coroutine that was not seen before may be one of a library that was loaded since, and has brought a C++ runtime. */
static void look_for_cxx(rp_runtime *runtime, rp_coro *coro)
{
    uintptr_t address = (uintptr_t)coro;
    rp_coro **place = &runtime->seen[(address >> 4 ^ address >> 8) % RP_COROS_SEEN];

    if (*place == coro)
        return;
    *place = coro;
    if (rp_cxx_look())
        runtime->thread = RP_NO_THREAD;
}

void rp_co_resume(rp_co *co)
{
    rp_runtime *runtime = co->future.loop->co;
    rp_co *outer = rp_co_running; /* the parent's, where a child of fork() runs a loop of its own inside a task */

    assert((!outer || rp_loop_is_forked(outer->future.loop)) && !co->ended);
    if (runtime->thread != rp_overflow_thread)
        enter_thread(runtime);
    co->started = true;
    rp_co_running = co;
    if (runtime->cxx)
        rp_cxx_exchange(runtime->cxx, &co->cxx);
    rp_fiber_here(&co->caller);
    rp_fiber_leave(&co->caller, &co->self, false);
    rp_switch(&co->caller_sp, co->sp);
    rp_fiber_arrive(&co->caller, &co->self);
    if (runtime->cxx)
        rp_cxx_exchange(runtime->cxx, &co->cxx);
    rp_co_running = outer;
    if (co->future.loop->debug) /* for the report of a callback that took long */
        snprintf(co->future.loop->task_name, sizeof co->name, "%s", rp_task_get_name(&co->future));
    if (!co->ended)
        return;
    if (co->future.loop->debug)
        report_open_scopes(co);
    finish(co);
}

void rp_co_step(void *arg)
{
    rp_co_resume(arg);
}

/* The frames that a task returns through from where it waits: it will be resumed in a moment. */
static void fetch_frames(const rp_co *co)
{
    for (int line = 0; line < 5; line++)
        __builtin_prefetch((char *)co->sp + 64 * line);
}

void rp_co_wake(rp_co *co)
{
    assert(!rp_handle_scheduled(&co->wake.handle));
    fetch_frames(co);
    rp_handle_prepare(&co->wake.handle, co->future.loop, rp_co_step, co);
    rp_loop_ready(co->future.loop, &co->wake.handle);
}

/* ---- the future that a task is ---- */

static bool will_be_resumed(const rp_co *co)
{
    return (co->wake.handle.state & RP_HANDLE_STATES) == RP_HANDLE_READY;
}

static bool can_be_interrupted(const rp_co *co)
{
    return co->waiting && co->waiting->interrupt && !will_be_resumed(co) && !co->future.loop->closed;
}

/*
 * What a task waits for is often a task, which is asked in its turn. Not by recursion: a chain of tasks can be
 * longer than a stack is deep, and a ring of tasks that await each other has no end.
 */
static void ask(rp_co *first, rp_node *asked)
{
    rp_list_push(asked, &first->asked_link);
    for (rp_node *node = asked->next; node != asked; node = node->next) {
        rp_co *co = rp_container_of(node, rp_co, asked_link);

        if (!can_be_interrupted(co))
            continue;
        co->interrupted = true;
        co->waiting->interrupt(co, co->waiting_arg);
    }
    while (rp_list_pop(asked))
        ;
}

static bool cancel_task(rp_future *future)
{
    rp_co *co = rp_co_of(future);
    rp_runtime *runtime = future->loop->co;

    co->cancelling++;
    co->must_cancel = true;
    if (!can_be_interrupted(co) || rp_node_linked(&co->asked_link))
        return true;
    if (rp_list_empty(&runtime->asked))
        ask(co, &runtime->asked);
    else
        rp_list_push(&runtime->asked, &co->asked_link);
    return true;
}

static void dispose(rp_future *future)
{
    rp_co *co = rp_co_of(future);

    rp_future_fini(future);
    rp_stack_return(co->stack, co->sp);
    rp_stack_put(co->stack);
}

static const char *waits_for(const rp_future *future)
{
    const rp_co *co = rp_co_of(future);

    return co->waiting ? co->waiting->what : NULL;
}

static const rp_future_type task_type = {
    .name = "Task",
    .cancel = cancel_task,
    .dispose = dispose,
    .get_name = rp_task_get_name,
    .waits_for = waits_for,
};

rp_co *rp_co_of(const rp_future *future)
{
    return future && future->type == &task_type ? rp_container_of(future, rp_co, future) : NULL;
}

/* ---- making one ---- */

/*
 * The control block below the stack's record, below that the copied argument, below that the first frame. NULL: no
 * memory.
 */
static rp_co *place(rp_stack *stack, const void **arg, size_t copy_size)
{
    char *at = (char *)stack - (sizeof(rp_co) + 63) / 64 * 64;
    rp_co *co = (rp_co *)(void *)at;

    if (rp_stack_reach(stack, at - copy_size - FIRST_FRAME) < 0)
        return NULL;
    *co = (rp_co){.stack = stack, .low = stack->low, .guarded = stack->guarded};
    if (copy_size > 0) {
        at -= (copy_size + FRAME_ALIGNMENT - 1) / FRAME_ALIGNMENT * FRAME_ALIGNMENT;
        memcpy(at, *arg, copy_size);
        *arg = at;
    }
    co->sp = rp_switch_prepare(at, run_coroutine, co);
    rp_stack_lend(stack, co->sp);
    return co;
}

/* The pool that the stack of the task is to come from which is being made. */
static int stacks_for(rp_runtime *runtime, rp_stack_pool **stacks)
{
    size_t size = runtime->next_stack_size;

    *stacks = runtime->stacks;
    if (size == 0)
        return 0;
    runtime->next_stack_size = 0;
    return rp_runtime_stacks(runtime, size, stacks);
}

int rp_task_new(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg, size_t copy_size)
{
    rp_runtime *runtime;
    rp_stack_pool *stacks;
    rp_stack *stack;
    rp_co *co;

    if (!coro || (copy_size > 0 && !arg))
        return -EINVAL;
    RP_TRY(rp_loop_check(loop));
    RP_TRY(rp_runtime_get(loop, &runtime));
    RP_TRY(stacks_for(runtime, &stacks));
    if (copy_size > 0 && copy_size > rp_stack_pool_size(stacks) / COPY_SHARE)
        return -E2BIG;
    stack = rp_stack_get(stacks);
    if (!stack)
        return -ENOMEM;
    co = place(stack, &arg, copy_size);
    if (!co) {
        rp_stack_put(stack);
        return -ENOMEM;
    }
    if (!runtime->cxx)
        look_for_cxx(runtime, coro);
    co->coro = coro;
    co->arg = (void *)(uintptr_t)arg;
    co->number = atomic_fetch_add_explicit(&task_numbers, 1, memory_order_relaxed) + 1;
    co->bindings = rp_bindings_inherit();
    rp_fiber_init(&co->self, &stack->marks, stack->low, (char *)stack);
    rp_future_init(&co->future, loop, &task_type);
    rp_future_ref(&co->future);
    rp_list_push(&loop->tasks, &co->future.link);
    loop->task_count++;
    rp_co_wake(co);
    *task = &co->future;
    return 0;
}

int rp_co_create(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg, size_t copy_size)
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
    return rp_co_create(rp_get_running_loop(), task, coro, arg, 0);
}

int rp_create_task_copy(rp_task **task, rp_coro *coro, const void *arg, size_t size)
{
    return rp_co_create(rp_get_running_loop(), task, coro, arg, size);
}

int rp_loop_create_task(rp_loop *loop, rp_task **task, rp_coro *coro, void *arg)
{
    return rp_co_create(loop, task, coro, arg, 0);
}

/* The size of the stack goes past the factory, which has no argument for it: the first task that it makes gets it. */
static int create_with_stack(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg,
                             const rp_task_options *options)
{
    rp_runtime *runtime;
    int rc;

    RP_TRY(rp_loop_check(loop));
    RP_TRY(rp_runtime_get(loop, &runtime));
    runtime->next_stack_size = options->stack_size;
    rc = rp_co_create(loop, task, coro, arg, options->copy_size);
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
        RP_TRY(rp_co_create(loop, &created, coro, arg, options->copy_size));
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

/* ---- the loop's close ---- */

static void report_abandoned(rp_co *co)
{
    if (rp_loop_is_forked(co->future.loop)) /* it goes on, in the parent */
        return;
    rp_loop_report(co->future.loop,
                   co->started ? "task was destroyed but it is pending" : "task was destroyed before it ever ran",
                   0, rp_task_get_name(&co->future), &co->future, NULL, co->future.origin);
}

/* Nothing of the loop's may point to the task, or to its stack, any more. */
static void abandon(rp_co *co)
{
    if (co->waiting && co->waiting->abandon)
        co->waiting->abandon(co, co->waiting_arg);
    co->waiting = NULL;
    rp_handle_cancel(&co->wake.handle);
    rp_bindings_unref(co->bindings);
    co->bindings = NULL;
    if (co->call)
        rp_call_end(co->call, RP_ECLOSED);
    co->call = NULL;
}

void rp_tasks_report(rp_loop *loop)
{
    for (rp_node *node = loop->tasks.prev; node != &loop->tasks; node = node->prev) {
        rp_co *co = rp_co_of(rp_container_of(node, rp_future, link));

        if (co)
            report_abandoned(co);
    }
}

/*
 * The youngest first: giving one up may have to wait for a function on a thread, which may wait in its turn for a
 * coroutine that it has asked the loop for. That is younger.
 */
void rp_tasks_abandon(rp_loop *loop, rp_node *abandoned)
{
    rp_node *node, *next;

    for (node = loop->tasks.prev; node != &loop->tasks; node = next) {
        rp_co *co = rp_co_of(rp_container_of(node, rp_future, link));

        next = node->prev;
        if (!co)
            continue;
        rp_list_remove(node);
        loop->task_count--;
        rp_list_push(abandoned, node);
        abandon(co);
    }
}

void rp_tasks_drop(rp_node *abandoned)
{
    rp_node *node;

    while ((node = rp_list_pop(abandoned))) {
        rp_co *co = rp_co_of(rp_container_of(node, rp_future, link));

        if (co->group)
            rp_future_unref(&co->future);
        rp_future_unref(&co->future);
    }
}

/* ---- asking, cancelling ---- */

bool rp_task_cancel(rp_task *task)
{
    return rp_future_cancel(task);
}

int rp_task_cancelling(const rp_task *task)
{
    const rp_co *co = rp_co_of(task);

    return co ? co->cancelling : 0;
}

int rp_task_uncancel(rp_task *task)
{
    rp_co *co = rp_co_of(task);

    if (!co || co->cancelling == 0)
        return 0;
    if (--co->cancelling == 0)
        co->must_cancel = false;
    return co->cancelling;
}

int rp_co_cancel_mark(const rp_co *co)
{
    return co->cancelling - (co->must_cancel && co->cancelling > 0);
}

bool rp_co_uncancel_to(rp_co *co, int mark)
{
    if (rp_task_uncancel(&co->future) > mark)
        return false;
    co->must_cancel = false;
    return true;
}

rp_task_state rp_task_get_state(const rp_task *task)
{
    const rp_co *co = rp_co_of(task);

    if (rp_future_done(task))
        return RP_TASK_DONE;
    if (!co)
        return RP_TASK_SUSPENDED;
    if (co == rp_co_running)
        return RP_TASK_RUNNING;
    if (!co->started)
        return RP_TASK_CREATED;
    return will_be_resumed(co) ? RP_TASK_SCHEDULED : RP_TASK_SUSPENDED;
}

bool rp_is_task(const rp_future *future)
{
    return rp_co_of(future) != NULL;
}

rp_task *rp_current_task(void)
{
    return rp_co_running ? &rp_co_running->future : NULL;
}

size_t rp_all_tasks(rp_loop *loop, rp_task **tasks, size_t capacity)
{
    size_t count = 0;

    for (rp_node *node = loop->tasks.next; node != &loop->tasks; node = node->next) {
        if (count < capacity)
            tasks[count] = rp_container_of(node, rp_future, link);
        count++;
    }
    return count;
}

rp_loop *rp_co_loop(const rp_co *co)
{
    return co->future.loop;
}

rp_task *rp_co_task(const rp_co *co)
{
    return (rp_task *)(uintptr_t)&co->future;
}
