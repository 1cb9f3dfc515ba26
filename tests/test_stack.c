/* test_stack.c - the pool of stacks. */
#include "co/stack.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "platform.h"

static rp_stack_pool *new_pool(void)
{
    rp_stack_pool *pool;

    CHECK_INT(rp_stack_pool_new(&pool), ==, 0);
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
        CHECK(room(stacks[i]) > RP_STACK_SIZE * 3 / 4 && room(stacks[i]) < RP_STACK_SIZE);
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
    enum { MANY = 40 * RP_STACKS_PER_SLAB, KEPT = RP_STACKS_KEPT / RP_STACKS_PER_SLAB };
    rp_stack_pool *pool = new_pool();
    rp_stack **stacks = calloc(MANY, sizeof *stacks);

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++)
            CHECK((stacks[i] = rp_stack_get(pool)) != NULL);
        CHECK_INT(rp_stack_pool_slabs(pool), ==, 40);
        for (int i = 0; i < MANY; i++)
            rp_stack_put(stacks[i]);
        CHECK_INT(rp_stack_pool_slabs(pool), <=, KEPT + 1);
        CHECK_INT(rp_stack_pool_slabs(pool), >=, KEPT);
    }
    free(stacks);
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
    CHECK(rp_stack_overflown(next, next->low - 1));
    CHECK(rp_stack_overflown(next, next->low - page_size() - 1));
    CHECK(!rp_stack_overflown(next, next->low));
    CHECK(!rp_stack_overflown(next, NULL));
    CHECK(dies(stack->limit - 1));
    CHECK(dies(next->limit - 1));
    CHECK(dies(next->limit - 4096));
    CHECK(!dies(next->limit));
    rp_stack_put(stack);
    rp_stack_put(next);
    rp_stack_pool_close(pool);
}

TEST(a_canary_where_there_is_no_guard)
{
    rp_stack_pool *pool = new_pool();
    rp_stack *stack;

    rp_stack_pool_unguard(pool);
    stack = rp_stack_get(pool);
    CHECK(!stack->guarded);
    CHECK(!rp_stack_overflown(stack, stack->low - 1));
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
    CHECK_INT(rp_stack_pool_new(&pool), ==, -ENOMEM);
    pool = new_pool();
    test_fail_allocation(1);
    CHECK(rp_stack_get(pool) == NULL);
    rp_stack *stack = rp_stack_get(pool);
    CHECK(stack != NULL);
    rp_stack_put(stack);
    rp_stack_pool_close(pool);
}
