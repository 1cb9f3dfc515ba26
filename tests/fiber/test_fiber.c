/* test_fiber.c - a flow of control on a stack of its own, without any loop. */
#include "fiber/fiber.h"

#include <string.h>

#include "harness/harness.h"

typedef struct counter {
    rp_fiber fiber;
    int steps;
    int rounds; /* after so many it ends */
    bool ended;
    bool intact;
    uintptr_t frame;
    const rp_cxx_state *thread;
    unsigned uncaught; /* in that, while it runs */
} counter;

RP_NO_TSAN static void count(void *arg)
{
    counter *c = arg;

    rp_fiber_begin(&c->fiber);
    c->frame = (uintptr_t)__builtin_frame_address(0);
    c->uncaught = c->thread ? c->thread->uncaught : 0;
    for (; c->steps < c->rounds; c->steps++)
        rp_fiber_suspend(&c->fiber);
    c->intact = rp_fiber_intact(&c->fiber);
    c->ended = true;
    rp_fiber_end(&c->fiber);
}

static rp_stack_pool *new_pool(void)
{
    rp_stack_pool *pool;

    CHECK_INT(rp_stack_pool_new(RP_STACK_SIZE, &pool), ==, 0);
    return pool;
}

/* On a stack of its own; `c` lies elsewhere. */
static void begin(counter *c, rp_stack_pool *pool, int rounds)
{
    rp_stack *stack = rp_stack_get(pool);
    char *top = (char *)stack - 64;

    CHECK(stack != NULL);
    CHECK_INT(rp_stack_reach(stack, top - RP_FIBER_FIRST_FRAME), ==, 0);
    *c = (counter){.rounds = rounds};
    rp_fiber_init(&c->fiber, stack, top, count, c);
}

TEST(it_suspends_and_is_resumed_until_it_ends)
{
    rp_stack_pool *pool = new_pool();
    counter c;

    begin(&c, pool, 3);
    CHECK_INT(c.steps, ==, 0);
    for (int i = 0; i < 3; i++) {
        rp_fiber_resume(&c.fiber, NULL);
        CHECK_INT(c.steps, ==, i);
        CHECK(!c.ended);
    }
    CHECK(c.frame > (uintptr_t)c.fiber.stack->low && c.frame < (uintptr_t)c.fiber.stack);
    rp_fiber_fetch(&c.fiber);
    rp_fiber_resume(&c.fiber, NULL);
    CHECK(c.ended && c.intact);
    rp_fiber_fini(&c.fiber);
    rp_stack_pool_close(pool);
}

TEST(fibers_take_turns)
{
    enum { MANY = 5 };
    rp_stack_pool *pool = new_pool();
    counter all[MANY];
    int left = MANY;

    for (int i = 0; i < MANY; i++)
        begin(&all[i], pool, i);
    while (left > 0)
        for (int i = 0; i < MANY; i++)
            if (!all[i].ended) {
                rp_fiber_resume(&all[i].fiber, NULL);
                left -= all[i].ended;
            }
    for (int i = 0; i < MANY; i++) {
        CHECK_INT(all[i].steps, ==, i);
        rp_fiber_fini(&all[i].fiber);
    }
    rp_stack_pool_close(pool);
}

TEST(it_can_be_given_up_while_it_is_suspended)
{
    rp_stack_pool *pool = new_pool();
    rp_stack *stack;
    counter c;

    begin(&c, pool, 1);
    rp_fiber_resume(&c.fiber, NULL);
    stack = c.fiber.stack;
    rp_fiber_fini(&c.fiber);
    CHECK(rp_stack_get(pool) == stack);
    rp_stack_put(stack);
    rp_stack_pool_close(pool);
}

/* What a C++ runtime would know of a thread's exceptions. */
TEST(exceptions_are_each_flows_own)
{
    rp_stack_pool *pool = new_pool();
    rp_cxx_state thread = {.uncaught = 7};
    counter c;

    begin(&c, pool, 1);
    c.thread = &thread;
    c.fiber.cxx.uncaught = 2;
    rp_fiber_resume(&c.fiber, &thread);
    CHECK_INT(c.uncaught, ==, 2);
    CHECK_INT(thread.uncaught, ==, 7);
    CHECK_INT(c.fiber.cxx.uncaught, ==, 2);
    rp_fiber_resume(&c.fiber, &thread);
    CHECK_INT(thread.uncaught, ==, 7);
    rp_fiber_fini(&c.fiber);
    rp_stack_pool_close(pool);
}

TEST(a_canary_tells_that_the_end_was_overrun)
{
    rp_stack_pool *pool = new_pool();
    counter c;

    rp_stack_pool_unguard(pool);
    begin(&c, pool, 1);
    rp_fiber_resume(&c.fiber, NULL);
    memset(c.fiber.low, 0, 8);
    rp_fiber_resume(&c.fiber, NULL);
    CHECK(c.ended && !c.intact);
    rp_fiber_fini(&c.fiber);
    rp_stack_pool_close(pool);
}
