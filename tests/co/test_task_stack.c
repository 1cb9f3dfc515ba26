/*
 * test_task_stack.c - stacks of a size of their own, for a task or for all of a loop.
 */
#include "harness/platform.h"
#include "harness/tasks.h"
#include "ringport.h"

/* Frames of 1 KiB, down to the depth that is asked for. */
static int descend(size_t depth)
{
    volatile char frame[1024];

    frame[0] = 1;
    return depth > sizeof frame ? descend(depth - sizeof frame) + frame[0] : frame[0];
}

/* Uses most of a stack of the size. */
static int uses_stack(rp_co *co, void *arg)
{
    size_t size = *(size_t *)arg;

    CHECK_INT(descend(size / 2), >, 0);
    RP_TRY(rp_sleep(co, 0));
    return 7;
}

CO_TEST(a_task_can_have_a_stack_of_its_own_size)
{
    static const size_t sizes[] = {0, RP_STACK_SIZE_MIN, 20000, 100000, 8 * 1024 * 1024};
    size_t used = sizes[1];
    rp_group group;
    rp_task *task;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        rp_task_options options = {.stack_size = sizes[i], .name = "sized"};

        used = sizes[i] > 0 ? sizes[i] : used;
        CHECK_INT(rp_create_task_with(&task, uses_stack, &used, &options), ==, 0);
        CHECK_STR(rp_task_get_name(task), "sized");
        CHECK_INT(rp_join(co, task), ==, 7);
        options.copy_size = sizeof used;
        CHECK_INT(rp_create_task_with(&task, uses_stack, &used, &options), ==, 0);
        CHECK_INT(rp_join(co, task), ==, 7);
        CHECK_INT(rp_create_task_with(NULL, uses_stack, &used, &options), ==, 0);
        rp_group_begin(co, &group);
        CHECK_INT(rp_group_create_task_with(&group, &task, uses_stack, &used, &options), ==, 0);
        CHECK_STR(rp_task_get_name(task), "sized");
        CHECK_INT(rp_group_end(co, &group, 0), ==, 0);
        CHECK_INT(rp_join(co, task), ==, 7);
    }
    CHECK_INT(rp_create_task_with(&task, returns_7, NULL, NULL), ==, 0);
    CHECK_INT(rp_join(co, task), ==, 7);
}

static int wrong_sizes(rp_co *co, void *arg)
{
    static const size_t sizes[] = {1, RP_STACK_SIZE_MIN - 1, RP_STACK_SIZE_MAX + 1, SIZE_MAX};
    static char big[3 * 1024 * 1024];
    rp_task *task;
    rp_loop *loop;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        task = rp_co_task(co);
        CHECK_INT(rp_create_task_with(&task, returns_7, NULL, &(rp_task_options){.stack_size = sizes[i]}), ==,
                  -EINVAL);
        CHECK(task == NULL);
        CHECK_INT(rp_loop_new(&(rp_loop_options){.stack_size = sizes[i]}, &loop), ==, -EINVAL);
        CHECK(loop == NULL);
    }
    rp_task_options options = {.stack_size = 8 * 1024 * 1024, .copy_size = 2 * 1024 * 1024};
    CHECK_INT(rp_create_task_with(&task, returns_arg, big, &options), ==, 0);
    CHECK_INT(rp_join(co, task), ==, 0);
    options.stack_size = 4 * 1024 * 1024; /* instrumented, four times that */
    options.copy_size = test_slow() ? 16 * 1024 * 1024 : sizeof big;
    CHECK_INT(rp_create_task_with(&task, returns_arg, big, &options), ==, -E2BIG);
    CHECK_INT(rp_create_task_with(&task, NULL, NULL, &options), ==, -EINVAL);
    CHECK_INT(rp_create_task(&task, returns_7, NULL), ==, 0); /* of the usual size again */
    return rp_join(co, task);
}

TEST(wrong_sizes_of_stacks)
{
    rp_task *task;

    CHECK_INT(rp_create_task_with(&task, returns_7, NULL, NULL), ==, RP_ENOLOOP);
    CHECK_INT(rp_run(wrong_sizes, NULL), ==, 7);
}

TEST(a_loop_can_have_stacks_of_a_size)
{
    size_t size = 16 * 1024 * 1024;
    rp_loop *loop;
    rp_task *task;

    CHECK_INT(rp_loop_new(&(rp_loop_options){.stack_size = size}, &loop), ==, 0);
    CHECK_INT(rp_loop_create_task(loop, &task, uses_stack, &size), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, task), ==, 7);
    rp_future_unref(task);
    rp_loop_free(loop);
}

static int none_made(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg, size_t copy_size, void *data)
{
    return -EAGAIN;
}

static int first_made(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg, size_t copy_size, void *data)
{
    return rp_task_new(loop, task, coro, arg, copy_size);
}

TEST(the_size_of_a_stack_goes_through_a_factory)
{
    size_t size = 16 * 1024 * 1024;
    rp_loop *loop = new_loop();
    rp_task *task;

    rp_set_task_factory(loop, none_made, NULL);
    CHECK_INT(rp_loop_create_task_with(loop, &task, uses_stack, &size, &(rp_task_options){.stack_size = size}), ==,
              -EAGAIN);
    CHECK(task == NULL);
    rp_set_task_factory(loop, first_made, NULL);
    CHECK_INT(rp_loop_create_task_with(loop, &task, uses_stack, &size, &(rp_task_options){.stack_size = size}), ==,
              0);
    CHECK_INT(rp_run_until_complete(loop, task), ==, 7);
    rp_future_unref(task);
    rp_loop_free(loop);
}

static char big[64 * 1024];

/* Whether the copy is whole, then goes down by half of what the stack has left. */
static int checks_copy(rp_co *co, void *arg)
{
    size_t size = *(size_t *)arg;

    for (size_t i = sizeof size; i < size; i++)
        CHECK(((char *)arg)[i] == (char)i);
    return descend(8 * 1024) > 0 ? 7 : 0;
}

/* Tasks whose stacks are all new, and of each colour. */
static void copy_to_new_stacks(size_t stack_size, size_t copy_size)
{
    enum { COLOURS = 16 };
    rp_task_options options = {.stack_size = stack_size, .copy_size = copy_size};
    rp_loop *loop = new_loop();
    rp_task *tasks[COLOURS];

    memcpy(big, &copy_size, sizeof copy_size);
    for (int i = 0; i < COLOURS; i++)
        CHECK_INT(rp_loop_create_task_with(loop, &tasks[i], checks_copy, big, &options), ==, 0);
    for (int i = 0; i < COLOURS; i++) {
        CHECK_INT(rp_run_until_complete(loop, tasks[i]), ==, 7);
        rp_future_unref(tasks[i]);
    }
    rp_loop_free(loop);
}

/* A copy takes from where a new stack can be written to at once, down over any number of borders of pages. */
TEST(arguments_of_any_size_are_copied_to_new_stacks)
{
    static const size_t sizes[] = {64 * 1024, 64 * 1024 + 1, 100000, 128 * 1024, 256 * 1024 - 4096, 256 * 1024};
    size_t step = test_slow() ? 4000 : 496;

    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)i;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t size = sizeof size; size <= sizes[i] / 4; size += i == 0 ? step : 4 * step)
            copy_to_new_stacks(sizes[i], size);
    copy_to_new_stacks(0, 64 * 1024 / 4);
}

#ifdef _WIN32
/* Once armed, the stack that is asked first never gets what it is asked for. */
static bool armed;
static char **refused;

int __real_rp_slab_reach(char **limit, const char *low);
int __wrap_rp_slab_reach(char **limit, const char *low);
int __wrap_rp_slab_reach(char **limit, const char *low)
{
    if (armed && !refused)
        refused = limit;
    return limit == refused ? -ENOMEM : __real_rp_slab_reach(limit, low);
}

CO_TEST(a_stack_that_cannot_take_a_copy_is_not_in_the_way_of_the_next_task)
{
    size_t size = 16 * 1024;
    rp_task *task, *other;

    CHECK_INT(rp_create_task(&task, returns_7, NULL), ==, 0);
    CHECK_INT(rp_create_task(&other, returns_7, NULL), ==, 0);
    CHECK_INT(rp_join(co, task), ==, 7);
    CHECK_INT(rp_join(co, other), ==, 7);
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)i;
    memcpy(big, &size, sizeof size);
    CHECK_INT(rp_sleep(co, 0), ==, 0); /* when it has ended, both stacks are free */
    armed = true;
    CHECK_INT(rp_create_task_copy(&task, checks_copy, big, size), ==, -ENOMEM);
    CHECK(task == NULL && refused);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(rp_create_task_copy(&task, checks_copy, big, size), ==, 0);
        CHECK_INT(rp_join(co, task), ==, 7);
        CHECK_INT(rp_sleep(co, 0), ==, 0);
    }
}
#endif
