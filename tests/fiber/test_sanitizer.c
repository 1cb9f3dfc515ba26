/*
 * test_sanitizer.c - what LeakSanitizer makes of stacks: at the end of a process whose tasks still wait, it neither
 * reads a guard nor takes for leaked what a task points to; and it does find what is leaked.
 */
#include "fiber/sanitizer.h"

#include <stdio.h>

#include "harness/harness.h"
#include "harness/hide.h"
#include "harness/platform.h"
#include "ringport.h"

#ifdef RP_ASAN
enum { BLOCKS = 20, SIZE = 1234 };

static char output[16384];

/* How the process ends, of which the function is all. */
static test_end run_child(void (*function)(void))
{
    const char *options = getenv("ASAN_OPTIONS");

    if (options && strstr(options, "detect_leaks=0"))
        SKIP("the detection of leaks is switched off");
    return test_in_child(function, output, sizeof output);
}

static void check_no_leak(void (*function)(void))
{
    test_end end = run_child(function);

    CHECK_STR(output, "");
    CHECK(end.name == NULL);
    CHECK_INT(end.status, ==, 0);
}

static void check_leak(void (*function)(void))
{
    test_end end = run_child(function);

    CHECK(end.name == NULL);
    CHECK_INT(end.status, !=, 0);
    CHECK(strstr(output, "LeakSanitizer: detected memory leaks") != NULL);
    CHECK(strstr(output, "ERROR: LeakSanitizer has encountered a fatal error") == NULL);
}

static int waits(rp_co *co, void *arg)
{
    return rp_sleep(co, RP_SEC(3600));
}

/* Blocks that only this stack knows of. */
static int waits_with_memory(rp_co *co, void *arg)
{
    void *volatile blocks[BLOCKS];

    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = malloc(SIZE);
    int rc = rp_sleep(co, RP_SEC(3600));
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    return rc;
}

static int ends_with_memory(rp_co *co, void *arg)
{
    void *volatile blocks[BLOCKS];

    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = malloc(SIZE);
    return rp_sleep(co, 0) + (blocks[0] == NULL);
}

static int stops(rp_co *co, void *arg)
{
    rp_loop_stop(rp_co_loop(co));
    return 0;
}

/* Runs tasks of a kind until they wait, or have ended, and leaves them and the loop behind. */
static void run_some(rp_coro *coro, void *arg)
{
    rp_loop *loop;

    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    for (int i = 0; i < 5; i++)
        CHECK_INT(rp_loop_create_task(loop, NULL, coro, arg), ==, 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(rp_loop_create_task(loop, NULL, stops, NULL), ==, 0);
        CHECK_INT(rp_run_forever(loop), ==, 0);
    }
}

static void leave_tasks(void)
{
    run_some(waits, NULL);
    exit(0);
}

TEST(tasks_that_are_left_at_the_end_are_no_leak)
{
    check_no_leak(leave_tasks);
}

static void leave_tasks_without_guard_pages(void)
{
    hide_features("guard_pages");
    run_some(waits, NULL);
    exit(0);
}

TEST(nor_where_guards_are_mappings)
{
    check_no_leak(leave_tasks_without_guard_pages);
}

static void leave_memory_to_tasks(void)
{
    run_some(waits_with_memory, NULL);
    exit(0);
}

TEST(what_a_suspended_task_points_to_is_no_leak)
{
    check_no_leak(leave_memory_to_tasks);
}

static void leave_arguments_to_tasks(void)
{
    rp_loop *loop;

    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    for (int i = 0; i < BLOCKS; i++)
        CHECK_INT(rp_loop_create_task(loop, NULL, waits, malloc(SIZE)), ==, 0);
    exit(0);
}

TEST(what_a_task_is_to_get_is_no_leak)
{
    check_no_leak(leave_arguments_to_tasks);
}

static int exits(rp_co *co, void *arg)
{
    RP_TRY(rp_sleep(co, 0));
    exit(0);
}

static void exit_in_a_task(void)
{
    void *volatile blocks[BLOCKS];

    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = malloc(SIZE);
    rp_run(exits, NULL);
    free(blocks[0]);
}

TEST(what_the_thread_points_to_that_runs_a_task_is_no_leak)
{
    check_no_leak(exit_in_a_task);
}

static void leak_in_tasks(void)
{
    run_some(ends_with_memory, NULL);
    exit(0);
}

TEST(what_a_task_leaks_is_found)
{
    check_leak(leak_in_tasks);
}

static int leaks_and_waits(rp_co *co, void *arg)
{
    for (int i = 0; i < BLOCKS; i++) {
        void *volatile block = malloc(SIZE);

        block = NULL;
        (void)block;
    }
    return rp_sleep(co, RP_SEC(3600));
}

static void leak_and_leave_tasks(void)
{
    run_some(leaks_and_waits, NULL);
    exit(0);
}

TEST(a_leak_is_found_though_tasks_are_left)
{
    check_leak(leak_and_leave_tasks);
}
#else
#define WHY "only the build for AddressSanitizer has a detector of leaks"
TEST_ABSENT(tasks_that_are_left_at_the_end_are_no_leak, WHY);
TEST_ABSENT(nor_where_guards_are_mappings, WHY);
TEST_ABSENT(what_a_suspended_task_points_to_is_no_leak, WHY);
TEST_ABSENT(what_a_task_is_to_get_is_no_leak, WHY);
TEST_ABSENT(what_the_thread_points_to_that_runs_a_task_is_no_leak, WHY);
TEST_ABSENT(what_a_task_leaks_is_found, WHY);
TEST_ABSENT(a_leak_is_found_though_tasks_are_left, WHY);
#endif
