/* test_overflow.c - a stack that overflows ends the process with the task's name, however and wherever that happens. */
#include "fiber/overflow.h"

#include <pthread.h>
#include <stdio.h>

#include "co/runtime.h"
#ifndef _WIN32
#include "harness/hide.h"
#endif
#include "harness/overflow_child.h"
#include "harness/platform.h"

TEST(an_overflow_names_its_task)
{
    test_end end = run_child(named);

    CHECK(faulted(end));
    check_output("ringport: stack overflow in task 'greedy'\n");
}

static void unnamed(void)
{
    rp_run(overflows, NULL);
}

TEST(an_overflow_names_a_task_without_name)
{
    test_end end = run_child(unnamed);

    CHECK(faulted(end));
    check_output("ringport: stack overflow in task 'Task-1'\n");
}

static void *thread(void *arg)
{
    rp_run(overflows, "in a thread");
    return NULL;
}

static void in_thread(void)
{
    pthread_t id;

    pthread_create(&id, NULL, thread, NULL);
    pthread_join(id, NULL);
}

TEST(on_another_thread)
{
    test_end end = run_child(in_thread);

    CHECK(faulted(end));
    check_output("ringport: stack overflow in task 'in a thread'\n");
}

static int ends_at_once(rp_co *co, void *arg)
{
    (void)co;
    (void)arg;
    return 0;
}

static void in_second_loop(void)
{
    rp_run(ends_at_once, NULL);
    rp_run(overflows, "in another loop");
}

/* The first loop has taken back what it had set up for the thread. */
TEST(in_the_second_loop_of_a_thread)
{
    test_end end = run_child(in_second_loop);

    CHECK(faulted(end));
    check_output("ringport: stack overflow in task 'in another loop'\n");
}

/* ---- how a stack overflows, where, and in which task ---- */

typedef enum how { BY_RECURSION, BY_A_LOCAL, BY_A_LARGE_LOCAL, BY_PRINTING, BY_PUSHING } how;

/* What a child is to do. */
static struct plan {
    how how;
    size_t stack_size;
    size_t left;        /* bytes of the stack, when it begins to overflow */
    bool lowest;        /* of its slab; else it is another task's neighbour */
    const char *hidden; /* see hide.h */
} plan;

#define LOCAL(size)                                                                                               \
    static __attribute__((noinline)) int local_##size(void)                                                       \
    {                                                                                                             \
        char buffer[size];                                                                                        \
                                                                                                                  \
        memset(buffer, 1, sizeof buffer);                                                                         \
        __asm__ volatile("" : : "r"(buffer) : "memory");                                                          \
        return buffer[0];                                                                                         \
    }

LOCAL(65536)
LOCAL(300000)

/* Its frame is touched by what it calls alone. */
static __attribute__((noinline)) int prints(void)
{
    char untouched[65536];

    __asm__ volatile("" : : "r"(untouched) : "memory");
    return fprintf(stderr, "%s", "");
}

static int overflow(void)
{
    switch (plan.how) {
    case BY_RECURSION:
        return depth(NULL, 1 << 24);
    case BY_A_LOCAL:
        return local_65536();
    case BY_A_LARGE_LOCAL:
        return local_300000();
    case BY_PRINTING:
        return fprintf(stderr, "%d is not to be seen\n", 1);
    case BY_PUSHING:
        return prints();
    }
    return 0;
}

/* With no more than so much of the stack left. */
static __attribute__((noinline)) int overflow_at(char *at)
{
    char here;
    volatile char *taken = &here;

    if (taken > at + 1024) {
        taken = __builtin_alloca((size_t)(taken - at));
        taken[0] = 1;
    }
    return overflow() + taken[0];
}

static int oversteps(rp_co *co, void *arg)
{
    rp_task_set_name(rp_co_task(co), "greedy");
    RP_TRY(rp_sleep(co, 0));
    return overflow_at(co->fiber.low + plan.left);
}

/* The stack below is that of a task which sleeps: what it has there must not be overwritten. */
static int has_a_neighbour(rp_co *co, void *arg)
{
    rp_task *task;

    if (plan.lowest)
        return oversteps(co, arg);
    RP_TRY(rp_create_task(&task, oversteps, arg));
    return rp_join(co, task);
}

static int make_loop(rp_loop **loop, void *arg)
{
    return rp_loop_new(&(rp_loop_options){.stack_size = plan.stack_size}, loop);
}

static void run_plan(void)
{
    rp_runner *runner;

    CHECK_INT(rp_runner_new(&(rp_runner_options){.loop_factory = make_loop}, &runner), ==, 0);
    rp_runner_run(runner, has_a_neighbour, NULL);
    rp_runner_free(runner);
}

static void carry_out(void)
{
#ifndef _WIN32
    if (plan.hidden)
        hide_features(plan.hidden);
#endif
    run_plan();
}

static void check_plan(struct plan what)
{
    plan = what;
    test_end end = run_child(carry_out);
    CHECK(faulted(end));
    check_output("ringport: stack overflow in task 'greedy'\n");
}

static void check_all(struct plan what)
{
    static const how ways[] = {BY_RECURSION, BY_A_LOCAL, BY_PRINTING, BY_PUSHING};
    static const size_t left[] = {16, 1500, 4096};

    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        for (size_t j = 0; j < sizeof left / sizeof left[0]; j++) {
            what.how = ways[i];
            what.left = left[j];
            what.lowest = false;
            check_plan(what);
            what.lowest = true;
            check_plan(what);
        }
}

TEST(an_overflow_of_any_kind_names_its_task)
{
    check_all((struct plan){0});
}

TEST(an_overflow_of_a_small_stack)
{
    check_all((struct plan){.stack_size = RP_STACK_SIZE_MIN});
}

TEST(an_overflow_of_a_large_stack)
{
    check_all((struct plan){.stack_size = 8 * 1024 * 1024});
}

static void *run_plan_in_thread(void *arg)
{
    run_plan();
    return NULL;
}

static void carry_out_in_thread(void)
{
    pthread_t id;

    pthread_create(&id, NULL, run_plan_in_thread, NULL);
    pthread_join(id, NULL);
}

/* One worker waits for the other, which has no other end than its task's. */
static int overflows_in_a_worker(rp_co *co, void *arg)
{
    if (rp_worker_index() == 0)
        return rp_sleep(co, RP_SEC(3600));
    return has_a_neighbour(co, arg);
}

static void carry_out_in_a_worker(void)
{
    rp_run_workers(2, overflows_in_a_worker, NULL);
}

TEST(an_overflow_in_another_thread_names_its_task)
{
    test_end end;

    plan = (struct plan){.how = BY_A_LOCAL, .left = 4096};
    end = run_child(carry_out_in_thread);
    CHECK(faulted(end));
    check_output("ringport: stack overflow in task 'greedy'\n");
    end = run_child(carry_out_in_a_worker);
    CHECK(faulted(end));
    check_output("ringport: stack overflow in task 'greedy'\n");
}

#ifndef _WIN32
TEST(an_overflow_into_a_guard_that_is_a_mapping)
{
    if (process_emulated())
        SKIP("qemu has no filters of system calls, by which things are hidden");
    check_all((struct plan){.hidden = "guard_pages"});
}

/* Below the first stack of a slab is no other: the fault comes beyond the guard. */
TEST(a_leap_into_nothing_names_its_task)
{
    check_plan((struct plan){.how = BY_A_LARGE_LOCAL, .lowest = true});
    if (!process_emulated()) /* which cannot hide anything */
        check_plan((struct plan){.how = BY_A_LARGE_LOCAL, .lowest = true, .hidden = "guard_pages"});
}

static int leaps(rp_co *co, void *arg)
{
    volatile char big[RP_STACK_SIZE + RP_STACK_GUARD + 32 * 1024];

    rp_task_set_name(rp_co_task(co), "leaping");
    RP_TRY(rp_sleep(co, 0));
    return big[0];
}

static int fills_a_slab(rp_co *co, void *arg)
{
    rp_task *task;

    for (int i = 0; i < 8; i++) /* so that there is memory below */
        RP_TRY(rp_create_task(&task, leaps, NULL));
    return rp_join(co, task);
}

static void leap(void)
{
    rp_run(fills_a_slab, NULL);
}

TEST(a_leap_over_the_guard_is_found_at_the_next_suspension)
{
    test_end end = run_child(leap);

    if (test_slow())
        SKIP("instrumented frames are cleared, and touch the guard");
    CHECK(end.name != NULL);
    check_output("ringport: stack overflow in task 'leaping'\n");
}
#else
TEST_ABSENT(an_overflow_into_a_guard_that_is_a_mapping, "there is one kind of guard on Windows");
TEST_ABSENT(a_leap_into_nothing_names_its_task,
            "compilers for Windows probe large frames page by page: nothing leaps");
TEST_ABSENT(a_leap_over_the_guard_is_found_at_the_next_suspension,
            "compilers for Windows probe large frames page by page: nothing leaps");
#endif

static int creeps(rp_co *co, void *arg)
{
    rp_stack *stack = arg;

    rp_task_set_name(rp_co_task(co), "creeping");
    stack->low[0] ^= 1;
    return rp_sleep(co, 0);
}

static void creep(void)
{
    rp_loop *loop;
    rp_runtime *runtime;
    rp_stack *stack;
    rp_task *task;

    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    rp_set_task_factory(loop, NULL, NULL); /* makes it */
    runtime = rp_runtime_of(loop);
    CHECK(runtime != NULL);
    rp_stack_pool_unguard(runtime->stacks);
    stack = rp_stack_get(runtime->stacks);
    rp_stack_put(stack);
    rp_loop_create_task(loop, &task, creeps, stack);
    rp_run_until_complete(loop, task);
}

TEST(a_canary_names_its_task)
{
    test_end end = run_child(creep);

    CHECK(end.name && !faulted(end));
    check_output("ringport: stack overflow in task 'creeping'\n");
}
