/*
 * test_policy.c - the event-loop policy: the default one, one's own, a loop for each thread, made once.
 */
#include <pthread.h>

#include "ringport/loop.h"
#include "harness/support.h"

TEST(default_policy)
{
    rp_event_loop_policy *policy = rp_get_event_loop_policy();
    rp_loop *loop, *found;

    CHECK(policy != NULL);
    CHECK(rp_get_event_loop_policy() == policy);
    CHECK_INT(rp_get_event_loop(&found), ==, RP_ENOLOOP);
    CHECK(found == NULL);
    CHECK_INT(rp_new_event_loop(&loop), ==, 0);
    CHECK_STR(rp_loop_backend_name(loop), test_backend());
    CHECK_INT(rp_get_event_loop(&found), ==, RP_ENOLOOP); /* made, not set */
    CHECK_INT(rp_set_event_loop(loop), ==, 0);
    CHECK_INT(rp_get_event_loop(&found), ==, 0);
    CHECK(found == loop);
    CHECK(rp_get_running_loop() == NULL);
    CHECK_INT(rp_set_event_loop(NULL), ==, 0);
    CHECK_INT(rp_get_event_loop(&found), ==, RP_ENOLOOP);
    rp_loop_free(loop);
}

static void check_running(void *arg)
{
    rp_loop *found;

    CHECK_INT(rp_get_event_loop(&found), ==, 0);
    CHECK(found == arg); /* the one that runs, whatever is set */
    CHECK(rp_get_running_loop() == arg);
    rp_loop_stop(arg);
}

TEST(running_loop_first)
{
    rp_loop *set, *running, *found;

    CHECK_INT(rp_new_event_loop(&set), ==, 0);
    CHECK_INT(rp_new_event_loop(&running), ==, 0);
    CHECK_INT(rp_set_event_loop(set), ==, 0);
    CHECK_INT(rp_call_soon(running, NULL, check_running, running), ==, 0);
    CHECK_INT(rp_run_forever(running), ==, 0);
    CHECK_INT(rp_get_event_loop(&found), ==, 0);
    CHECK(found == set);
    CHECK_INT(rp_set_event_loop(NULL), ==, 0);
    rp_loop_free(set);
    rp_loop_free(running);
}

static void *use_own_loop(void *arg)
{
    rp_loop *loop, *found;

    CHECK_INT(rp_get_event_loop(&found), ==, RP_ENOLOOP);
    CHECK_INT(rp_new_event_loop(&loop), ==, 0);
    CHECK_INT(rp_set_event_loop(loop), ==, 0);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(rp_call_soon(loop, NULL, check_running, loop), ==, 0);
        CHECK_INT(rp_run_forever(loop), ==, 0);
        CHECK_INT(rp_get_event_loop(&found), ==, 0);
        CHECK(found == loop);
    }
    rp_loop_free(loop);
    return arg;
}

TEST(one_for_each_thread)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    rp_loop *mine, *found;

    CHECK_INT(rp_new_event_loop(&mine), ==, 0);
    CHECK_INT(rp_set_event_loop(mine), ==, 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, use_own_loop, NULL), ==, 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_join(threads[i], NULL), ==, 0);
    CHECK_INT(rp_get_event_loop(&found), ==, 0);
    CHECK(found == mine);
    CHECK_INT(rp_set_event_loop(NULL), ==, 0);
    rp_loop_free(mine);
}

static pthread_barrier_t barrier;

static void *get_policy(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&barrier);
    return rp_get_event_loop_policy();
}

TEST(made_once)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    void *first = NULL;

    CHECK_INT(pthread_barrier_init(&barrier, NULL, THREADS), ==, 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, get_policy, NULL), ==, 0);
    for (int i = 0; i < THREADS; i++) {
        void *policy;

        CHECK_INT(pthread_join(threads[i], &policy), ==, 0);
        CHECK(policy != NULL);
        CHECK(first == NULL || policy == first);
        first = policy;
    }
    CHECK_INT(pthread_barrier_destroy(&barrier), ==, 0);
}

/* ---- one's own ---- */

static int made;
static rp_loop *kept;

static int own_new(rp_event_loop_policy *policy, rp_loop **loop)
{
    rp_loop_options options = {.backend = TEST_PLAIN_BACKEND};

    CHECK(policy->data == &made);
    made++;
    return rp_loop_new(&options, loop);
}

static int own_get(rp_event_loop_policy *policy, rp_loop **loop)
{
    CHECK(policy->data == &made);
    *loop = kept;
    return kept != NULL ? 0 : RP_ENOLOOP;
}

static int own_set(rp_event_loop_policy *policy, rp_loop *loop)
{
    CHECK(policy->data == &made);
    kept = loop;
    return 0;
}

static rp_event_loop_policy own = {
    .new_event_loop = own_new, .get_event_loop = own_get, .set_event_loop = own_set, .data = &made};

TEST(own_policy)
{
    rp_event_loop_policy *before = rp_get_event_loop_policy();
    rp_loop *loop, *found;

    rp_set_event_loop_policy(&own);
    CHECK(rp_get_event_loop_policy() == &own);
    CHECK_INT(rp_new_event_loop(&loop), ==, 0);
    CHECK_INT(made, ==, 1);
    CHECK_STR(rp_loop_backend_name(loop), TEST_PLAIN_BACKEND);
    CHECK_INT(rp_set_event_loop(loop), ==, 0);
    CHECK(kept == loop);
    CHECK_INT(rp_get_event_loop(&found), ==, 0);
    CHECK(found == loop);
    rp_set_event_loop_policy(NULL);
    CHECK(rp_get_event_loop_policy() == before);
    CHECK_INT(rp_get_event_loop(&found), ==, RP_ENOLOOP);
    rp_loop_free(loop);
}

TEST(runner_uses_policy)
{
    rp_runner *runner;
    rp_loop *loop;

    rp_set_event_loop_policy(&own);
    CHECK_INT(rp_runner_new(NULL, &runner), ==, 0);
    CHECK_INT(rp_runner_get_loop(runner, &loop), ==, 0);
    CHECK_INT(made, ==, 1);
    CHECK(kept == loop);
    rp_runner_free(runner);
    CHECK(kept == NULL);
    rp_set_event_loop_policy(NULL);
}
