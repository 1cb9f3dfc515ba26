/* test_workers.c - the worker group: its threads, its first error, an interrupt, what its workers have in common. */
#include "co/workers.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/list.h"
#include "harness/harness.h"
#include "ringport.h"

static int blocking(void *arg)
{
    usleep(20000);
    atomic_fetch_add((atomic_uint *)arg, 1);
    return 0;
}

/* The last one fails at once; the others are in the executor by then, or asleep, and clean up by suspending. */
static int fail_or_sleep(rp_co *co, void *arg)
{
    rp_future *job;

    if (rp_worker_index() == 3)
        return -EXDEV;
    CHECK_INT(rp_run_in_executor(rp_co_loop(co), NULL, blocking, arg, &job), ==, 0);
    rp_future_unref(job);
    int rc = rp_sleep(co, RP_SEC(1000));
    CHECK_INT(rc, ==, -ECANCELED);
    CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
    return rc;
}

TEST(an_error_of_one_stops_the_others)
{
    atomic_uint jobs = 0;

    CHECK_INT(rp_run_workers(4, fail_or_sleep, &jobs), ==, -EXDEV);
    CHECK_INT(atomic_load(&jobs), <=, 3);
}

static int count_up(rp_co *co, void *arg)
{
    RP_TRY(rp_sleep(co, RP_MSEC(1)));
    CHECK_INT(rp_run_workers(1, count_up, arg), ==, RP_ERUNNING);
    atomic_fetch_add((atomic_uint *)arg, 1);
    return 0;
}

TEST(workers_may_just_return)
{
    atomic_uint count = 0;

    CHECK_INT(rp_run_workers(3, count_up, &count), ==, 0);
    CHECK_INT(count, ==, 3);
}

#ifndef _WIN32
static pthread_key_t key;

/* What a library keeps for each thread, which takes its time to go. */
static void forget(void *count)
{
    usleep(20000);
    atomic_fetch_add((atomic_uint *)count, 1);
}

static int remember(rp_co *co, void *arg)
{
    return rp_worker_index() == 0 ? 0 : -pthread_setspecific(key, arg);
}

TEST(nothing_is_left_of_their_threads)
{
    atomic_uint count = 0;

    CHECK_INT(pthread_key_create(&key, forget), ==, 0);
    CHECK_INT(rp_run_workers(3, remember, &count), ==, 0);
    CHECK_INT(count, ==, 2);
}
#else
TEST_ABSENT(nothing_is_left_of_their_threads, "no keys of pthreads");
#endif

TEST(bad_arguments)
{
    CHECK_INT(rp_run_workers(0, count_up, NULL), ==, -EINVAL);
    CHECK_INT(rp_run_workers(RP_WORKERS_MAX + 1, count_up, NULL), ==, -EINVAL);
    CHECK_INT(rp_run_workers(1, NULL, NULL), ==, -EINVAL);
}

/* As Ctrl-C does it. */
static void interrupt(void)
{
#ifdef _WIN32
    raise(SIGINT);
#else
    kill(getpid(), SIGINT); /* for the main thread: raise() would be for this one, which takes none */
#endif
}

/* The first worker is the one that catches it: it must be there. */
static int interrupt_once(rp_co *co, void *arg)
{
    atomic_bool *first_runs = arg;

    if (rp_worker_index() == 0)
        atomic_store(first_runs, true);
    while (!atomic_load(first_runs))
        RP_TRY(rp_sleep(co, RP_MSEC(1)));
    if (rp_worker_index() == 1)
        interrupt();
    return rp_sleep(co, RP_SEC(1000));
}

TEST(an_interrupt_stops_all)
{
    atomic_bool first_runs = false;

    CHECK_INT(rp_run_workers(3, interrupt_once, &first_runs), ==, -EINTR);
}

/* ---- what workers have in common ---- */

typedef struct shared {
    rp_common common;
    atomic_uint users;
    atomic_uint *freed_with;
} shared;

static shared the_one;
static atomic_uint made;

static void free_shared(rp_common *common)
{
    shared *s = rp_container_of(common, shared, common);

    atomic_store(s->freed_with, atomic_load(&s->users));
}

static int make_shared(unsigned count, rp_common **common)
{
    CHECK_INT(count, ==, 4);
    the_one.common.free = free_shared;
    *common = &the_one.common;
    atomic_fetch_add(&made, 1);
    return 0;
}

static int make_none(unsigned count, rp_common **common)
{
    return -ENOMEM;
}

static int use_none(rp_co *co, void *arg)
{
    rp_common *common;

    CHECK_INT(rp_workers_common(make_none, &common), ==, -ENOMEM);
    CHECK(!common);
    return 0;
}

TEST(what_cannot_be_made_is_nobodys)
{
    CHECK_INT(rp_run_workers(2, use_none, NULL), ==, 0);
}

static int use_shared(rp_co *co, void *arg)
{
    rp_common *common;

    CHECK_INT(rp_workers_common(make_shared, &common), ==, 0);
    CHECK(common == &the_one.common);
    atomic_fetch_add(&the_one.users, 1);
    return 0;
}

TEST(what_workers_have_in_common_is_made_once_and_freed_after_them)
{
    atomic_uint freed_with = 0;
    rp_common *common = &the_one.common;

    the_one.freed_with = &freed_with;
    CHECK_INT(rp_workers_common(make_shared, &common), ==, 0);
    CHECK(!common); /* this is no worker */
    CHECK_INT(rp_run_workers(4, use_shared, NULL), ==, 0);
    CHECK_INT(atomic_load(&made), ==, 1);
    CHECK_INT(atomic_load(&freed_with), ==, 4);
}
