/* test_stack.c - the pool of stacks. */
#include "fiber/stack.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/harness.h"
#ifndef _WIN32
#include "harness/hide.h"
#endif
#include "harness/platform.h"

static rp_stack_pool *new_pool(void)
{
    rp_stack_pool *pool;

    CHECK_INT(rp_stack_pool_new(RP_STACK_SIZE, &pool), ==, 0);
    return pool;
}

static size_t room(const rp_stack *stack)
{
    return (size_t)((const char *)stack - stack->low);
}

/* How much of it others than who runs on it may write to. */
static size_t writable(const rp_stack *stack)
{
    return (size_t)((const char *)stack - stack->limit);
}

TEST(all_of_a_stack_can_be_used)
{
    rp_stack_pool *pool = new_pool();
    rp_stack *stacks[3 * RP_STACKS_PER_SLAB];

    for (int i = 0; i < 3 * RP_STACKS_PER_SLAB; i++) {
        stacks[i] = rp_stack_get(pool);
        CHECK(stacks[i] != NULL);
        CHECK(room(stacks[i]) > rp_stack_pool_size(pool) * 15 / 16 && room(stacks[i]) < rp_stack_pool_size(pool));
        CHECK((uintptr_t)stacks[i] % 64 == 0);
        memset(stacks[i]->limit, i, writable(stacks[i]));
    }
    CHECK_INT(rp_stack_pool_slabs(pool), ==, 3);
    for (int i = 0; i < 3 * RP_STACKS_PER_SLAB; i++) {
        CHECK(stacks[i]->limit[0] == (char)i && ((char *)stacks[i])[-1] == (char)i);
        rp_stack_put(stacks[i]);
    }
    rp_stack_pool_close(pool);
}

static void use_stacks_of(size_t size)
{
    enum { MANY = 20 };
    rp_stack_pool *pool;
    rp_stack *stacks[MANY];

    CHECK_INT(rp_stack_pool_new(size, &pool), ==, 0);
    CHECK_INT(rp_stack_pool_size(pool), >=, size);
    for (int i = 0; i < MANY; i++) {
        CHECK((stacks[i] = rp_stack_get(pool)) != NULL);
        CHECK_INT(room(stacks[i]), >, rp_stack_pool_size(pool) * 3 / 4);
        stacks[i]->limit[0] = ((char *)stacks[i])[-1] = (char)i;
    }
    for (int i = 0; i < MANY; i++) {
        CHECK(stacks[i]->limit[0] == (char)i && ((char *)stacks[i])[-1] == (char)i);
        CHECK(rp_stack_overflown(stacks[i], stacks[i]->low - 1, stacks[i]->low));
        rp_stack_put(stacks[i]);
    }
    rp_stack_pool_close(pool);
}

TEST(stacks_come_in_sizes)
{
    size_t most = test_slow() ? 1024 * 1024 : 64 * 1024 * 1024; /* Valgrind notes what every byte is */

    for (size_t size = 16 * 1024; size <= most; size *= 4)
        use_stacks_of(size);
}

TEST(the_last_one_back_is_the_first_out)
{
    rp_stack_pool *pool = new_pool();
    rp_stack *a = rp_stack_get(pool), *b = rp_stack_get(pool);

    CHECK(a && b && a != b);
    rp_stack_put(a);
    rp_stack_put(b);
    CHECK(rp_stack_get(pool) == b);
    CHECK(rp_stack_get(pool) == a);
    rp_stack_put(b);
    rp_stack_put(a);
    rp_stack_pool_close(pool);
}

TEST(one_that_could_not_be_used_is_the_last_to_come_out)
{
    rp_stack_pool *pool = new_pool();
    rp_stack *a = rp_stack_get(pool), *b = rp_stack_get(pool);

    rp_stack_put(a);
    rp_stack_put_last(b);
    CHECK(rp_stack_get(pool) == a);
    CHECK(rp_stack_get(pool) == b);
    rp_stack_put_last(b);
    CHECK(rp_stack_get(pool) == b); /* which is better than none */
    rp_stack_put(b);
    rp_stack_put(a);
    rp_stack_pool_close(pool);
}

/* Reaches down to `bytes` above the low end, and writes all of it. */
static void reach(rp_stack *stack, size_t bytes)
{
    char *low = stack->low + bytes;

    CHECK_INT(rp_stack_reach(stack, low), ==, 0);
    CHECK(stack->limit <= low);
    memset(low, 1, (size_t)((char *)stack - low));
}

/* Makes all but the lowest pages writable in steps of a size, the first of which ends that far below the top. */
static void reach_by(rp_stack *stack, size_t step)
{
    size_t left = room(stack), lowest = 2 * rp_slab_page();

    for (; left > lowest + step; left -= step)
        reach(stack, left - step);
    reach(stack, lowest);
}

/* Whichever way it is cut: at the borders of pages, and around them. Each stack is a new one, of its own colour. */
TEST(a_stack_is_reached_in_steps_of_any_size)
{
    static const size_t steps[] = {1000, 4080, 4096, 4112, 8176, 8192, 8208, 12288, 20000, 65536};
    const size_t sizes[] = {RP_STACK_LEAST, RP_STACK_LEAST + 16 * 1024, RP_STACK_SIZE, 1024 * 1024};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t j = 0; j < sizeof steps / sizeof steps[0]; j++) {
            rp_stack_pool *pool;
            rp_stack *stacks[16];

            CHECK_INT(rp_stack_pool_new(sizes[i], &pool), ==, 0);
            for (int k = 0; k < 16; k++) {
                CHECK((stacks[k] = rp_stack_get(pool)) != NULL);
                reach_by(stacks[k], steps[j]);
            }
            for (int k = 0; k < 16; k++)
                rp_stack_put(stacks[k]);
            rp_stack_pool_close(pool);
        }
}

TEST(tops_are_coloured)
{
    rp_stack_pool *pool = new_pool();
    rp_stack *a = rp_stack_get(pool), *b = rp_stack_get(pool);

    CHECK((uintptr_t)a % 4096 != (uintptr_t)b % 4096);
    rp_stack_put(a);
    rp_stack_put(b);
    rp_stack_pool_close(pool);
}

TEST(a_pool_lives_until_its_last_stack_is_back)
{
    rp_stack_pool *pool = new_pool();
    rp_stack *a = rp_stack_get(pool), *b = rp_stack_get(pool);

    rp_stack_pool_close(pool);
    rp_stack_put(a);
    memset(b->limit, 1, writable(b));
    rp_stack_put(b);
}

TEST(closing_nothing_is_let_pass)
{
    rp_stack_pool_close(NULL);
    rp_stack_pool_close(new_pool());
}

TEST(slabs_are_given_back)
{
    enum { SLABS = 80, MANY = SLABS * RP_STACKS_PER_SLAB, KEPT = 4 * RP_STACKS_KEPT / RP_STACKS_PER_SLAB };
    rp_stack_pool *pool = new_pool();
    rp_stack **stacks = calloc(MANY, sizeof *stacks);

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++)
            CHECK((stacks[i] = rp_stack_get(pool)) != NULL);
        CHECK_INT(rp_stack_pool_slabs(pool), ==, SLABS);
        for (int i = 0; i < MANY; i++)
            rp_stack_put(stacks[i]);
        CHECK_INT(rp_stack_pool_slabs(pool), <=, KEPT + 1);
        CHECK_INT(rp_stack_pool_slabs(pool), >=, KEPT);
    }
    free(stacks);
    rp_stack_pool_close(pool);
}

/* A load that comes and goes in waves keeps its stacks, up to as many as are kept anyway. */
TEST(waves_give_nothing_back)
{
    enum { WAVE = RP_STACKS_KEPT };
    rp_stack_pool *pool = new_pool();
    static rp_stack *stacks[WAVE];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < WAVE; i++)
            CHECK((stacks[i] = rp_stack_get(pool)) != NULL);
        CHECK_INT(rp_stack_pool_idle(pool), ==, 0);
        for (int i = 0; i < WAVE; i++)
            rp_stack_put(stacks[i]);
        CHECK_INT(rp_stack_pool_idle(pool), ==, WAVE);
    }
    rp_stack_pool_close(pool);
}

/* Memory is given back by whole slabs: the last one stays if there would be less than is to be kept without it. */
TEST(no_more_is_given_back_than_can_be_spared)
{
    enum { MANY = RP_STACKS_KEPT + RP_STACKS_PER_SLAB / 2 };
    rp_stack_pool *pool = new_pool();
    static rp_stack *stacks[MANY];

    for (int i = 0; i < MANY; i++)
        CHECK((stacks[i] = rp_stack_get(pool)) != NULL);
    for (int i = 0; i < MANY; i++)
        rp_stack_put(stacks[i]);
    CHECK_INT(rp_stack_pool_idle(pool), >=, RP_STACKS_KEPT);
    rp_stack_pool_close(pool);
}

/* Whether writing there ends the process. */
#ifdef _WIN32
static bool dies(volatile char *at)
{
    MEMORY_BASIC_INFORMATION memory;

    CHECK(VirtualQuery((char *)at, &memory, sizeof memory) == sizeof memory);
    return memory.State != MEM_COMMIT || memory.Protect != PAGE_READWRITE;
}

static long page_size(void)
{
    SYSTEM_INFO info;

    GetSystemInfo(&info);
    return (long)info.dwPageSize;
}
#else
static bool dies(volatile char *at)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        *at = 1;
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static long page_size(void)
{
    return sysconf(_SC_PAGESIZE);
}
#endif

TEST(a_guard_kills)
{
    rp_stack_pool *pool = new_pool();
    rp_stack *stack = rp_stack_get(pool), *next = rp_stack_get(pool);

    CHECK(stack->guarded && next->guarded);
    CHECK(rp_stack_overflown(next, next->low - 1, next->low));
    CHECK(rp_stack_overflown(next, next->low - page_size() - 1, next->low));
    CHECK(!rp_stack_overflown(next, next->low, next->low));
    CHECK(!rp_stack_overflown(next, NULL, next->low));
    CHECK(rp_stack_overflown(next, next->low - RP_STACK_GUARD, next->low));
    CHECK(!rp_stack_overflown(next, next->low - 1024 * 1024, next->low));
    CHECK(rp_stack_overflown(next, next->low - 1024 * 1024, next->low - 1024 * 1024 + 8));
    CHECK(!rp_stack_overflown(next, next->low - 1024 * 1024, next->low - 512 * 1024));
    CHECK(dies(stack->limit - 1));
    CHECK(dies(next->limit - 1));
    CHECK(dies(next->limit - 4096));
#ifndef _WIN32
    CHECK(dies(next->low - RP_STACK_GUARD));
    CHECK(dies(stack->low - RP_STACK_GUARD - 2 * page_size())); /* below all of the slab */
#endif
    CHECK(!dies(next->limit));
    rp_stack_put(stack);
    rp_stack_put(next);
    rp_stack_pool_close(pool);
}

/*
 * One stack in 64 is left of a burst: the others' memory is given back, the one's is as it was, and those that are made
 * anew are guarded.
 */
enum { BURST = 8 * RP_STACKS_KEPT, TOUCHED = 8192 };

static rp_stack *burst[BURST];

static bool stays(int i)
{
    return i % RP_STACKS_PER_SLAB == 5;
}

static void begin_burst(rp_stack_pool *pool)
{
    for (int i = 0; i < BURST; i++) {
        if (!burst[i])
            CHECK((burst[i] = rp_stack_get(pool)) != NULL);
        CHECK_INT(rp_stack_reach(burst[i], (char *)burst[i] - TOUCHED), ==, 0);
        memset((char *)burst[i] - TOUCHED, i, TOUCHED);
    }
}

static void end_burst(void)
{
    for (int i = 0; i < BURST; i++)
        if (!stays(i)) {
            rp_stack_put(burst[i]);
            burst[i] = NULL;
        }
}

#ifdef _WIN32
static long resident(void)
{
    return 0;
}
#else
static long resident(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long size, pages = 0;

    CHECK(file != NULL && fscanf(file, "%ld %ld", &size, &pages) == 2);
    fclose(file);
    return pages * page_size();
}
#endif

static void burst_and_rest(bool guarded)
{
    rp_stack_pool *pool;
    long before, most, left;

    if (test_slow())
        SKIP("too many for instrumented code");
    pool = new_pool();
    if (!guarded)
        rp_stack_pool_unguard(pool);
    before = resident();
    for (int round = 0; round < 2; round++) {
        begin_burst(pool);
        most = resident() - before;
        end_burst();
        left = resident() - before;
        CHECK_INT(rp_stack_pool_idle(pool), <=, RP_STACKS_KEPT + BURST / 64 + RP_STACKS_PER_SLAB);
        CHECK_INT(rp_stack_pool_idle(pool), >=, RP_STACKS_KEPT);
        CHECK_INT(left, <=, most / 4); /* on Windows nobody asks: 0 */
        for (int i = 0; i < BURST; i++)
            if (burst[i])
                CHECK(((char *)burst[i])[-TOUCHED] == (char)i && ((char *)burst[i])[-1] == (char)i);
    }
    begin_burst(pool);
    for (int i = 0; i < BURST; i++) {
        CHECK_INT(burst[i]->guarded, ==, guarded);
        CHECK(guarded || rp_stack_intact(burst[i]));
        if (guarded && i % 999 == 0)
            CHECK(dies(burst[i]->limit - 1));
        rp_stack_put(burst[i]);
        burst[i] = NULL;
    }
    rp_stack_pool_close(pool);
}

TEST(few_stacks_do_not_keep_the_memory_of_many)
{
    burst_and_rest(true);
}

TEST(nor_without_guards)
{
    burst_and_rest(false);
}

#ifndef _WIN32
TEST(nor_with_guards_that_are_mappings)
{
    hide_features("guard_pages");
    burst_and_rest(true);
}
#else
TEST_ABSENT(nor_with_guards_that_are_mappings, "there is one kind of guard on Windows");
#endif

TEST(a_canary_where_there_is_no_guard)
{
    rp_stack_pool *pool = new_pool();
    rp_stack *stack;

    rp_stack_pool_unguard(pool);
    stack = rp_stack_get(pool);
    CHECK(!stack->guarded);
    CHECK(!rp_stack_overflown(stack, stack->low - 1, stack->low));
    CHECK(rp_stack_intact(stack));
    stack->low[3] ^= 1;
    CHECK(!rp_stack_intact(stack));
    stack->low[3] ^= 1;
    rp_stack_put(stack);
    rp_stack_pool_close(pool);
}

/* More than the process may have mappings with mprotect. */
TEST(a_hundred_thousand)
{
#ifdef _WIN32
    enum { MANY = 8000 }; /* Wine is bound by the mappings that Linux allows it */
#else
    enum { MANY = 100000 };
#endif
    rp_stack_pool *pool = new_pool();
    rp_stack **stacks;

    if (test_slow())
        SKIP("too many for instrumented code");
    stacks = malloc(MANY * sizeof *stacks);
    for (int i = 0; i < MANY; i++) {
        CHECK((stacks[i] = rp_stack_get(pool)) != NULL);
        ((char *)stacks[i])[-1] = 1;
    }
    for (int i = 0; i < MANY; i++)
        rp_stack_put(stacks[i]);
    free(stacks);
    rp_stack_pool_close(pool);
}

TEST(no_memory_for_a_pool_or_a_slab)
{
    rp_stack_pool *pool;

    test_fail_allocation(1);
    CHECK_INT(rp_stack_pool_new(RP_STACK_SIZE, &pool), ==, -ENOMEM);
    pool = new_pool();
    test_fail_allocation(1);
    CHECK(rp_stack_get(pool) == NULL);
    rp_stack *stack = rp_stack_get(pool);
    CHECK(stack != NULL);
    rp_stack_put(stack);
    rp_stack_pool_close(pool);
}
