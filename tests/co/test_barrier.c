/* test_barrier.c - barriers: rounds, numbers, and what breaks them. */
#include <limits.h>

#include "harness/tasks.h"

enum { PARTIES = 4, ROUNDS = 10 };

typedef struct shared {
    rp_barrier barrier;
    int rounds[PARTIES];
    unsigned numbers[ROUNDS];
} shared;

typedef struct member {
    shared *shared;
    int index;
} member;

static int goes_round(rp_co *co, void *arg)
{
    member *m = arg;
    shared *s = m->shared;

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = (m->index + round) % PARTIES; i > 0; i--)
            RP_TRY(rp_sleep(co, 0));
        s->rounds[m->index] = round;
        int number = rp_barrier_wait(co, &s->barrier);
        CHECK(number >= 0 && number < PARTIES);
        CHECK(!(s->numbers[round] & 1U << number));
        s->numbers[round] |= 1U << number;
        for (int i = 0; i < PARTIES; i++) /* nobody is left behind, nor gone ahead but into the next */
            CHECK(s->rounds[i] == round || s->rounds[i] == round + 1);
    }
    return 0;
}

CO_TEST(rounds)
{
    shared s = {.rounds = {0}};
    rp_group group;

    CHECK_INT(rp_barrier_init(&s.barrier, 0), ==, -EINVAL);
    CHECK_INT(rp_barrier_init(&s.barrier, (unsigned)INT_MAX + 1), ==, -EINVAL);
    CHECK_INT(rp_barrier_init(&s.barrier, PARTIES), ==, 0);
    CHECK_INT(rp_barrier_parties(&s.barrier), ==, PARTIES);
    rp_group_begin(co, &group);
    for (int i = 0; i < PARTIES; i++) {
        member m = {&s, i};
        CHECK_INT(rp_group_create_task_copy(&group, NULL, goes_round, &m, sizeof m), ==, 0);
    }
    CHECK_INT(rp_group_end(co, &group, 0), ==, 0);
    for (int round = 0; round < ROUNDS; round++)
        CHECK_INT(s.numbers[round], ==, (1U << PARTIES) - 1);
    CHECK_INT(rp_barrier_fini(&s.barrier), ==, 0);

    CHECK_INT(rp_barrier_init(&s.barrier, 1), ==, 0);
    CHECK_INT(rp_barrier_wait(co, &s.barrier), ==, 0);
    CHECK_INT(rp_barrier_fini(&s.barrier), ==, 0);
}

static int waits(rp_co *co, void *arg)
{
    return rp_barrier_wait(co, arg);
}

CO_TEST(a_cancelled_waiter)
{
    rp_barrier barrier;
    rp_task *tasks[3];

    CHECK_INT(rp_barrier_init(&barrier, 3), ==, 0);
    for (int i = 0; i < 2; i++)
        tasks[i] = spawn(waits, &barrier);
    settle(co);
    CHECK_INT(rp_barrier_n_waiting(&barrier), ==, 2);
    CHECK_INT(rp_barrier_fini(&barrier), ==, -EBUSY);
    cancel_and_join(co, tasks[0]);
    CHECK_INT(rp_barrier_n_waiting(&barrier), ==, 1);
    CHECK(!rp_barrier_broken(&barrier));
    tasks[2] = spawn(waits, &barrier);
    settle(co);
    CHECK_INT(rp_barrier_wait(co, &barrier), ==, 2);
    CHECK_INT(rp_barrier_n_waiting(&barrier), ==, 0);
    CHECK_INT(rp_join(co, tasks[1]), ==, 0);
    CHECK_INT(rp_join(co, tasks[2]), ==, 1);

    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_barrier_wait(co, &barrier), ==, -ECANCELED);
    CHECK_INT(rp_barrier_n_waiting(&barrier), ==, 0);
    CHECK_INT(rp_barrier_fini(&barrier), ==, 0);
}

static int passes_then_ends(rp_co *co, void *arg)
{
    CHECK_INT(rp_barrier_wait(co, arg), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, -ECANCELED);
    return 5;
}

CO_TEST(cancelled_after_it_was_passed)
{
    rp_barrier barrier;
    rp_task *task;

    CHECK_INT(rp_barrier_init(&barrier, 2), ==, 0);
    task = spawn(passes_then_ends, &barrier);
    settle(co);
    CHECK_INT(rp_barrier_wait(co, &barrier), ==, 1);
    rp_task_cancel(task);
    rp_barrier_abort(&barrier); /* too late, either */
    CHECK_INT(rp_join(co, task), ==, 5);
    CHECK_INT(rp_barrier_fini(&barrier), ==, 0);
}

CO_TEST(reset_and_abort)
{
    rp_barrier barrier;
    rp_task *tasks[2];

    CHECK_INT(rp_barrier_init(&barrier, 3), ==, 0);
    for (int abort = 0; abort < 2; abort++) {
        for (int i = 0; i < 2; i++)
            tasks[i] = spawn(waits, &barrier);
        settle(co);
        if (abort)
            rp_barrier_abort(&barrier);
        else
            rp_barrier_reset(&barrier);
        CHECK_INT(rp_barrier_broken(&barrier), ==, abort);
        CHECK_INT(rp_barrier_n_waiting(&barrier), ==, 0);
        for (int i = 0; i < 2; i++)
            CHECK_INT(rp_join(co, tasks[i]), ==, RP_EBROKENBARRIER);
    }
    CHECK_INT(rp_barrier_wait(co, &barrier), ==, RP_EBROKENBARRIER);
    rp_barrier_reset(&barrier);
    for (int i = 0; i < 2; i++)
        tasks[i] = spawn(waits, &barrier);
    settle(co);
    CHECK_INT(rp_barrier_wait(co, &barrier), ==, 2);
    for (int i = 0; i < 2; i++)
        CHECK_INT(rp_join(co, tasks[i]), ==, i);
    CHECK_INT(rp_barrier_fini(&barrier), ==, 0);
}
