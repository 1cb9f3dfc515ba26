/* test_context.c - task locals. */
#include <string.h>

#include "harness/co_test.h"
#include "harness/harness.h"
#include "ringport.h"

static rp_contextvar user = {"user", "nobody"};
static rp_contextvar request = {"request", NULL};
static rp_contextvar others[20];

static rp_task *spawn(rp_coro *coro, void *arg)
{
    rp_task *task;

    CHECK_INT(rp_create_task(&task, coro, arg), ==, 0);
    return task;
}

static int child(rp_co *co, void *arg)
{
    CHECK_STR(rp_contextvar_get(&user), arg);
    RP_TRY(rp_sleep(co, RP_MSEC(1)));
    CHECK_STR(rp_contextvar_get(&user), arg);
    CHECK_INT(rp_contextvar_set(&user, "child", NULL), ==, 0);
    RP_TRY(rp_sleep(co, RP_MSEC(1)));
    CHECK_STR(rp_contextvar_get(&user), "child");
    return 0;
}

CO_TEST(set_inherit_reset)
{
    rp_contextvar_token first, second, fresh;
    rp_task *a, *b;

    CHECK_STR(rp_contextvar_get(&user), "nobody");
    CHECK_INT(rp_contextvar_set(&user, "ann", &first), ==, 0);
    CHECK_STR(rp_contextvar_get(&user), "ann");
    a = spawn(child, "ann");
    CHECK_INT(rp_contextvar_set(&user, "bob", &second), ==, 0);
    b = spawn(child, "bob");
    CHECK_INT(rp_join(co, a), ==, 0);
    CHECK_INT(rp_join(co, b), ==, 0);
    CHECK_STR(rp_contextvar_get(&user), "bob");

    CHECK_INT(rp_contextvar_set(&request, "r", &fresh), ==, 0);
    CHECK_INT(rp_contextvar_reset(&second), ==, 0);
    CHECK_STR(rp_contextvar_get(&user), "ann");
    CHECK_INT(rp_contextvar_reset(&first), ==, 0);
    CHECK_STR(rp_contextvar_get(&user), "nobody");
    CHECK_STR(rp_contextvar_get(&request), "r");
    CHECK_INT(rp_contextvar_reset(&fresh), ==, 0);
    CHECK_INT(rp_contextvar_reset(&fresh), ==, 0);
    CHECK(rp_contextvar_get(&request) == NULL);
}

CO_TEST(many_variables)
{
    rp_contextvar_token tokens[20];

    for (int i = 0; i < 20; i++)
        CHECK_INT(rp_contextvar_set(&others[i], &others[i], &tokens[i]), ==, 0);
    for (int i = 0; i < 20; i++)
        CHECK(rp_contextvar_get(&others[i]) == &others[i]);
    for (int i = 19; i >= 0; i -= 2)
        CHECK_INT(rp_contextvar_reset(&tokens[i]), ==, 0);
    for (int i = 0; i < 20; i++)
        CHECK(rp_contextvar_get(&others[i]) == (i % 2 ? NULL : &others[i]));
}

TEST(outside_of_tasks)
{
    rp_contextvar_token token = {&user, NULL, false};

    CHECK_STR(rp_contextvar_get(&user), "nobody");
    CHECK_INT(rp_contextvar_set(&user, "x", NULL), ==, RP_ENOLOOP);
    CHECK_INT(rp_contextvar_reset(&token), ==, RP_ENOLOOP);
}

static int on_thread(void *arg)
{
    CHECK(rp_current_task() == NULL);
    CHECK_STR(rp_contextvar_get(&user), arg);
    CHECK_INT(rp_contextvar_set(&user, "x", NULL), ==, RP_ENOLOOP);
    return 0;
}

static int plain_job(void *arg)
{
    CHECK_STR(rp_contextvar_get(&user), "nobody");
    return 0;
}

CO_TEST(visible_on_the_thread)
{
    rp_future *job;

    CHECK_INT(rp_contextvar_set(&user, "ann", NULL), ==, 0);
    CHECK_INT(rp_to_thread(co, on_thread, "ann"), ==, 0);
    CHECK_INT(rp_run_in_executor(rp_co_loop(co), NULL, plain_job, NULL, &job), ==, 0);
    CHECK_INT(rp_join(co, job), ==, 0);
}

CO_TEST(no_memory)
{
    rp_contextvar_token token;

    test_fail_allocation(1);
    CHECK_INT(rp_contextvar_set(&user, "ann", &token), ==, -ENOMEM);
    CHECK_STR(rp_contextvar_get(&user), "nobody");
    CHECK_INT(rp_contextvar_set(&user, "ann", &token), ==, 0);
    rp_task *task = spawn(child, "ann");
    test_fail_allocation(1);
    CHECK_INT(rp_contextvar_reset(&token), ==, -ENOMEM); /* shared: it has to be copied */
    CHECK_STR(rp_contextvar_get(&user), "ann");
    CHECK_INT(rp_contextvar_reset(&token), ==, 0);
    CHECK_INT(rp_join(co, task), ==, 0);
}
