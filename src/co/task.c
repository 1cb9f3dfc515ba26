/*
 * task.c - tasks: running one step by step, cancelling it, its end.
 *
 * A task has two references at first: the creator's, and one that the loop holds until the coroutine has returned. What
 * ends a task runs on the loop's side, after the last switch away from its stack; the memory goes back to the pool
 * when the last reference is dropped, which can be long after that.
 */
#include "co/task.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "co/runtime.h"
#include "fiber/overflow.h"
#include "loop/exception.h"

_Thread_local rp_co *rp_co_running __attribute__((tls_model("initial-exec")));

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

/* "task 'name'". Async-signal-safe. */
static void describe(const rp_co *co, char what[RP_OVERFLOW_WHAT])
{
    char numbered[32];
    const char *name = co->name;
    size_t length;

    if (name[0] == '\0') {
        number_name(co->number, numbered);
        name = numbered;
    }
    length = strlen(name);
    memcpy(what, "task '", 6);
    memcpy(what + 6, name, length);
    memcpy(what + 6 + length, "'", 2);
}

static bool find_overflown(const void *address, const void *sp, char what[RP_OVERFLOW_WHAT])
{
    const rp_co *co = rp_co_running;

    if (!co || !rp_stack_overflown(co->fiber.stack, address, sp))
        return false;
    describe(co, what);
    return true;
}

/* A frame leapt over the guard, or the stack has none. Nobody knows where it wrote, so the process cannot go on. */
RP_RARE static void die_of_overflow(const rp_co *co)
{
    char what[RP_OVERFLOW_WHAT];

    describe(co, what);
    rp_overflow_message(what);
    abort();
}

/* ---- switching ---- */

/* What a task's stack starts with. */
RP_NO_TSAN static void run_coroutine(void *arg)
{
    rp_co *co = arg;

    rp_fiber_begin(&co->fiber);
    co->result = co->coro(co, co->arg);
    assert(co->state == RP_CO_RUNNING);
    co->state = RP_CO_ENDED;
    if (!rp_fiber_intact(&co->fiber))
        die_of_overflow(co);
    rp_fiber_end(&co->fiber);
}

bool rp_co_suspend(rp_co *co, const rp_waiting *waiting, void *arg)
{
    assert(co == rp_co_running && co->state == RP_CO_RUNNING);
    if (!rp_fiber_intact(&co->fiber))
        die_of_overflow(co);
    co->waiting = waiting;
    co->waiting_arg = arg;
    co->interrupted = false;
    co->state = RP_CO_WAITING;
    rp_fiber_suspend(&co->fiber);
    assert(co->state == RP_CO_RUNNING && rp_co_is_idle(co)); /* it was woken once */
    co->waiting = NULL;
    return co->interrupted;
}

/* What such a scope has under way would come back to it; but its stack is gone now, or somebody else's. */
static void report_open_scopes(const rp_co *co)
{
    if (co->open_groups > 0 || co->open_timeouts > 0)
        rp_loop_report(co->loop,
                       &(rp_report){.where = co->open_groups > 0 ? RP_WHERE_OPEN_GROUP : RP_WHERE_OPEN_TIMEOUT,
                                    .name = rp_task_get_name(&co->future),
                                    .origin = co->future.origin});
}

void rp_co_watch(rp_co *co, rp_watcher *watcher, const rp_watching *type)
{
    *watcher = (rp_watcher){.next = co->watchers, .type = type};
    co->watchers = watcher;
}

void rp_co_tell_watchers(rp_co *co, bool ended)
{
    rp_watcher *watcher;

    while ((watcher = co->watchers)) {
        co->watchers = watcher->next;
        (ended ? watcher->type->ended : watcher->type->abandoned)(watcher, co);
    }
}

/* Apart from the steps before the last one, which have smaller frames without it. */
RP_APART static void finish(rp_co *co)
{
    assert(co->state == RP_CO_ENDED && !co->waiting && rp_node_linked(&co->future.link));
    assert(rp_get_running_loop() == co->loop || rp_loop_is_forked(co->loop));
    if (co->loop->debug)
        report_open_scopes(co);
    rp_list_remove(&co->future.link);
    if (!co->agen) { /* else they are its consumer's */
        co->loop->task_count--;
        rp_bindings_unref(co->bindings);
        co->bindings = NULL;
    }
    if (co->result == -ECANCELED)
        rp_future_finish_cancelled(&co->future);
    else
        rp_future_finish(&co->future, co->result, NULL);
    rp_co_tell_watchers(co, true);
    rp_future_unref(&co->future);
}

/* Tasks are about to run on another thread than before, or with a C++ runtime that was not there before. */
RP_RARE static void enter_thread(rp_runtime *runtime)
{
    assert(rp_get_running_loop() == runtime->loop);
    if (runtime->overflow_claim != rp_fiber_thread || rp_fiber_thread == 0) {
        rp_overflow_claim(find_overflown);
        runtime->overflow_claim = rp_fiber_thread;
    }
    runtime->thread = rp_fiber_thread;
    runtime->cxx = rp_cxx_thread_state();
}

/* Debug mode: for the report of a callback that took long. */
RP_RARE static void leave_name(const rp_co *co)
{
    snprintf(co->loop->task_name, sizeof co->name, "%s", rp_task_get_name(&co->future));
}

void rp_co_resume(rp_co *co)
{
    rp_runtime *runtime = rp_runtime_of(co->loop);
    rp_co *outer = rp_co_running; /* the parent's, where a child of fork() runs a loop of its own inside a task */

    assert(!outer || rp_loop_is_forked(outer->future.loop));
    assert(co->state == RP_CO_CREATED || co->state == RP_CO_WAITING);
    if (runtime->thread != rp_fiber_thread)
        enter_thread(runtime);
    co->state = RP_CO_RUNNING;
    rp_co_running = co;
    rp_fiber_resume(&co->fiber, runtime->cxx);
    rp_co_running = outer;
    if (co->loop->debug)
        leave_name(co);
    if (co->state != RP_CO_WAITING)
        finish(co);
}

void rp_co_enter(rp_co *co, rp_co *from)
{
    rp_runtime *runtime = rp_runtime_of(co->loop);

    assert(from == rp_co_running && (co->state == RP_CO_CREATED || co->state == RP_CO_WAITING));
    if (runtime->thread != rp_fiber_thread) /* the coroutine is of a library that has brought a C++ runtime */
        enter_thread(runtime);
    co->state = RP_CO_RUNNING;
    rp_co_running = co;
    rp_fiber_resume(&co->fiber, runtime->cxx);
    rp_co_running = from;
    if (co->state != RP_CO_WAITING)
        finish(co);
}

void rp_co_step(void *arg)
{
    rp_co_resume(arg);
}

/* ---- the future that a task is ---- */

static bool will_be_resumed(const rp_co *co)
{
    return (co->wake.handle.state & RP_HANDLE_STATES) == RP_HANDLE_READY;
}

static bool can_be_interrupted(const rp_co *co)
{
    return co->waiting && co->waiting->interrupt && !will_be_resumed(co) && !co->loop->closed;
}

/*
 * What a task waits for is often a task, which is asked in its turn. Not by recursion: a chain of tasks can be
 * longer than a stack is deep, and a ring of tasks that await each other has no end.
 */
static void ask(rp_co *first, rp_node *asked)
{
    assert(rp_list_empty(asked) && !rp_node_linked(&first->asked_link));
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
    rp_runtime *runtime = rp_runtime_of(future->loop);

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

    assert(co->state == RP_CO_ENDED || future->loop->closed);
    assert(!co->watchers && !rp_node_linked(&co->asked_link) && rp_co_is_idle(co));
    rp_future_fini(future);
    assert(!rp_node_linked(&future->link));
    rp_fiber_fini(&co->fiber);
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

void rp_co_init(rp_co *co, rp_loop *loop, rp_stack *stack, void *top, rp_coro *coro, void *arg)
{
    *co = (rp_co){.coro = coro, .arg = arg, .loop = loop};
    co->number = atomic_fetch_add_explicit(&task_numbers, 1, memory_order_relaxed) + 1;
    co->bindings = rp_bindings_ref(rp_co_bindings());
    rp_fiber_init(&co->fiber, stack, top, run_coroutine, co);
    rp_future_init(&co->future, loop, &task_type);
    rp_future_ref(&co->future);
}

void rp_task_init(rp_co *co, rp_loop *loop, rp_stack *stack, void *top, rp_coro *coro, void *arg)
{
    rp_co_init(co, loop, stack, top, coro, arg);
    rp_list_push(&loop->tasks, &co->future.link);
    loop->task_count++;
    rp_co_wake(co);
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
    return co->cancelling - co->must_cancel; /* what is to be delivered has been counted */
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
    if (co->state == RP_CO_CREATED)
        return RP_TASK_CREATED;
    return will_be_resumed(co) ? RP_TASK_SCHEDULED : RP_TASK_SUSPENDED;
}

bool rp_is_task(const rp_future *future)
{
    return rp_co_of(future);
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
    return co->loop;
}

rp_task *rp_co_task(const rp_co *co)
{
    return (rp_task *)(uintptr_t)&co->future;
}
