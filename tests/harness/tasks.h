/*
 * tasks.h - what the tests of synchronisation primitives share: starting tasks, letting them run, noting their order.
 */
#ifndef RP_TESTS_TASKS_H
#define RP_TESTS_TASKS_H

#include <string.h>

#include "harness/co_test.h"
#include "harness/harness.h"
#include "ringport.h"

#define UNUSED __attribute__((unused))

static inline UNUSED rp_task *spawn(rp_coro *coro, void *arg)
{
    rp_task *task;

    CHECK_INT(rp_create_task(&task, coro, arg), ==, 0);
    return task;
}

/* Lets the others run as far as they get. */
static inline UNUSED void settle(rp_co *co)
{
    for (int i = 0; i < 5; i++)
        CHECK_INT(rp_sleep(co, 0), ==, 0);
}

/* A task that is to be cancelled has ended by that. */
static inline UNUSED void cancel_and_join(rp_co *co, rp_task *task)
{
    rp_task_cancel(task);
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
}

static inline UNUSED rp_loop *new_loop(void)
{
    rp_loop *loop;

    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    return loop;
}

/* ---- coroutines that do one thing ---- */

static inline UNUSED int returns_7(rp_co *co, void *arg)
{
    (void)co;
    (void)arg;
    return 7;
}

static inline UNUSED int returns_arg(rp_co *co, void *arg)
{
    (void)co;
    return *(int *)arg;
}

static inline UNUSED int returns_ecanceled(rp_co *co, void *arg)
{
    (void)co;
    (void)arg;
    return -ECANCELED;
}

/* Sleeps until it is cancelled. */
static inline UNUSED int sleeper(rp_co *co, void *arg)
{
    (void)arg;
    return rp_sleep(co, RP_SEC(100));
}

/* ---- what happens, in order ---- */

/* What has happened so far, a letter each. */
static UNUSED char events[256];

static inline UNUSED void note(char sign)
{
    size_t length = strlen(events);

    CHECK(length + 1 < sizeof events);
    events[length] = sign;
    events[length + 1] = '\0';
}

/* Checks what was noted, and begins anew. */
#define CHECK_EVENTS(expected)                                                                                    \
    do {                                                                                                          \
        CHECK_STR(events, expected);                                                                              \
        events[0] = '\0';                                                                                         \
    } while (0)

/* A coroutine that says who it is by a letter, and works on something. */
typedef struct who {
    char letter;
    void *what;
} who;

static inline UNUSED rp_task *spawn_as(char sign, rp_coro *coro, void *what)
{
    who w = {sign, what};
    rp_task *task;

    CHECK_INT(rp_create_task_copy(&task, coro, &w, sizeof w), ==, 0);
    return task;
}

#endif
