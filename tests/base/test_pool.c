/*
 * test_pool.c - the thread pool: order, number of threads, cancellation, stopping, and what fails.
 */
#include "harness/harness.h"
#include "harness/platform.h"

#include <stdatomic.h>

#include "base/list.h"
#include "base/pool.h"
#include "base/thread.h"
#include "harness/wrap.h"

typedef struct job {
    rp_work work;
    int number;
    uint64_t thread;
} job;

enum { COUNT = 200 };

static rp_mutex mutex = RP_MUTEX_INIT;
static rp_cond cond;
static rp_pool *pool;
static job jobs[COUNT];
static int order[COUNT];
static int done, running, most_running;
static bool gate_open;

static atomic_int threads_started, threads_waiting;
static atomic_bool time_is_up; /* for waits that have a limit */
static atomic_int times_up;    /* how often that has ended one */
static _Thread_local bool of_the_test;

WRAP(int, rp_thread_start_small, void (*function)(void *), void *arg, size_t stack_size)
{
    atomic_fetch_add(&threads_started, 1);
    return __real_rp_thread_start_small(function, arg, stack_size);
}

WRAP(int, rp_thread_start, void (*function)(void *), void *arg)
{
    atomic_fetch_add(&threads_started, 1);
    return __real_rp_thread_start(function, arg);
}

/* A thread of the pool waits for work as soon as the mutex, under which this is called, is free again. */
WRAP(bool, rp_cond_wait, rp_cond *condition, rp_mutex *held, int64_t deadline)
{
    bool in_time;

    if (deadline != RP_NEVER && atomic_load(&time_is_up)) {
        atomic_fetch_add(&times_up, 1);
        return false;
    }
    atomic_fetch_add(&threads_waiting, !of_the_test && held != &mutex);
    in_time = __real_rp_cond_wait(condition, held, deadline);
    atomic_fetch_sub(&threads_waiting, !of_the_test && held != &mutex);
    return in_time;
}

static void set_up(unsigned max_threads)
{
    of_the_test = true;
    CHECK_INT(rp_cond_init(&cond), ==, 0);
    CHECK_INT(rp_pool_new(max_threads, &pool), ==, 0);
    for (int i = 0; i < COUNT; i++)
        jobs[i].number = i;
}

static void tear_down(void)
{
    CHECK_INT(rp_pool_join(pool, RP_NEVER), ==, 0);
    rp_pool_free(pool);
}

/* Notes that it ran, and when, by which thread, and how many ran at the same time; waits at the gate. */
static void run_job(rp_work *work)
{
    job *mine = rp_container_of(work, job, work);

    rp_mutex_lock(&mutex);
    mine->thread = rp_thread_id();
    if (++running > most_running)
        most_running = running;
    rp_cond_broadcast(&cond);
    while (!gate_open)
        rp_cond_wait(&cond, &mutex, RP_NEVER);
    order[done++] = mine->number;
    running--;
    rp_cond_broadcast(&cond);
    rp_mutex_unlock(&mutex);
}

static void submit(int first, int end)
{
    for (int i = first; i < end; i++) {
        jobs[i].work.run = run_job;
        CHECK_INT(rp_pool_submit(pool, &jobs[i].work), ==, 0);
    }
}

static void open_gate(void)
{
    rp_mutex_lock(&mutex);
    gate_open = true;
    rp_cond_broadcast(&cond);
    rp_mutex_unlock(&mutex);
}

static void await_value(const int *value, int least)
{
    rp_mutex_lock(&mutex);
    while (*value < least)
        rp_cond_wait(&cond, &mutex, RP_NEVER);
    rp_mutex_unlock(&mutex);
}

TEST(work_is_first_come_first_served)
{
    set_up(1);
    submit(0, COUNT);
    open_gate();
    tear_down();
    CHECK_INT(done, ==, COUNT);
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(order[i], ==, i);
}

TEST(threads_are_made_up_to_the_maximum)
{
    set_up(3);
    submit(0, 10);
    await_value(&running, 3);
    CHECK_INT(threads_started, ==, 3);
    open_gate();
    tear_down();
    CHECK_INT(done, ==, 10);
    CHECK_INT(most_running, ==, 3);
}

/* A thread that has done its work takes the next. */
TEST(idle_threads_are_reused)
{
    set_up(8);
    open_gate();
    for (int i = 0; i < 20; i++) {
        submit(i, i + 1);
        await_value(&done, i + 1);
        while (threads_waiting == 0)
            usleep(100);
    }
    CHECK_INT(threads_started, ==, 1);
    for (int i = 1; i < 20; i++)
        CHECK_INT(jobs[i].thread, ==, jobs[0].thread);
    tear_down();
}

/* ---- threads that linger ---- */

static void set_up_with(const rp_pool_options *options)
{
    set_up(1);
    rp_pool_free(pool);
    CHECK_INT(rp_pool_new_with(options, &pool), ==, 0);
}

TEST(a_thread_that_lingers_is_called_without_being_woken)
{
    const rp_pool_options options = {.max_threads = 1, .linger = RP_SEC(1000)};

    set_up_with(&options);
    open_gate();
    for (int i = 0; i < 20; i++) {
        submit(i, i + 1);
        await_value(&done, i + 1);
    }
    CHECK_INT(threads_started, ==, 1);
    tear_down(); /* which ends it, too */
    CHECK_INT(threads_waiting, ==, 0);
}

TEST(what_comes_together_does_not_wait_for_the_one_that_lingers)
{
    const rp_pool_options options = {.max_threads = 4, .linger = RP_SEC(1000)};

    set_up_with(&options);
    open_gate();
    submit(0, 1);
    await_value(&done, 1);
    rp_mutex_lock(&mutex);
    gate_open = false;
    rp_mutex_unlock(&mutex);
    submit(1, 5);
    await_value(&running, 4);
    open_gate();
    await_value(&done, 5);
    submit(5, 9); /* one lingers now, and three sleep */
    tear_down();
    CHECK_INT(done, ==, 9);
    CHECK_INT(threads_started, ==, 4);
}

TEST(a_thread_that_lingers_in_vain_sleeps)
{
    const rp_pool_options options = {.max_threads = 1, .linger = 1};

    set_up_with(&options);
    open_gate();
    for (int i = 0; i < 40; i++) {
        submit(i, i + 1);
        await_value(&done, i + 1);
        while (threads_waiting == 0)
            usleep(100);
    }
    tear_down();
    CHECK_INT(done, ==, 40);
}

TEST(cancelled_work_does_not_run)
{
    set_up(1);
    submit(0, 3);
    await_value(&running, 1);
    CHECK(rp_pool_cancel(pool, &jobs[1].work));
    CHECK(!rp_pool_cancel(pool, &jobs[1].work));
    CHECK(!rp_pool_cancel(pool, &jobs[0].work));
    open_gate();
    tear_down();
    CHECK_INT(done, ==, 2);
    CHECK_INT(order[1], ==, 2);
    CHECK(!rp_node_linked(&jobs[1].work.link));
}

TEST(stopped_pool_finishes_what_it_has)
{
    set_up(1);
    submit(0, 3);
    await_value(&running, 1);
    rp_pool_stop(pool);
    rp_pool_stop(pool);
    jobs[3].work.run = run_job;
    CHECK_INT(rp_pool_submit(pool, &jobs[3].work), ==, RP_ESHUTDOWN);
    open_gate();
    tear_down();
    CHECK_INT(done, ==, 3);
}

TEST(join_gives_up_at_its_deadline)
{
    int64_t start = rp_monotonic();

    set_up(1);
    submit(0, 1);
    await_value(&running, 1);
    CHECK_INT(rp_pool_join(pool, RP_MSEC(30)), ==, -ETIMEDOUT);
    CHECK_INT(rp_monotonic() - start, >=, RP_MSEC(30));
    open_gate();
    tear_down();
}

/* The harness finds out whether the last thread frees it. */
TEST(pool_given_up_while_it_works)
{
    set_up(4);
    submit(0, 8);
    await_value(&running, 4);
    rp_pool_free(pool);
    open_gate();
    await_value(&done, 8);
}

TEST(idle_threads_end_when_their_time_is_up)
{
    const rp_pool_options options = {.max_threads = 2, .stack_size = 64 * 1024, .idle = RP_SEC(1000)};

    of_the_test = true;
    CHECK_INT(rp_cond_init(&cond), ==, 0);
    CHECK_INT(rp_pool_new_with(&options, &pool), ==, 0);
    gate_open = true;
    atomic_store(&time_is_up, true);
    for (int i = 0; i < COUNT; i++) {
        submit(i, i + 1);
        await_value(&done, i + 1);
        while (atomic_load(&times_up) < i + 1) /* after which the mutex is free only when the thread has ended */
            rp_thread_yield();
        CHECK_INT(atomic_load(&threads_started), ==, i + 1);
    }
    tear_down();
}

TEST(idle_threads_are_used_again_before_their_time_is_up)
{
    const rp_pool_options options = {.max_threads = 8, .idle = RP_SEC(1000)};

    of_the_test = true;
    CHECK_INT(rp_cond_init(&cond), ==, 0);
    CHECK_INT(rp_pool_new_with(&options, &pool), ==, 0);
    gate_open = true;
    for (int i = 0; i < COUNT; i++) {
        submit(i, i + 1);
        await_value(&done, i + 1);
        while (atomic_load(&threads_waiting) < 1)
            rp_thread_yield();
    }
    CHECK_INT(atomic_load(&threads_started), ==, 1);
    tear_down();
}

TEST(pool_without_memory)
{
    test_fail_allocation(1);
    CHECK_INT(rp_pool_new(1, &pool), ==, -ENOMEM);
    rp_pool_free(NULL);
}

/* Without any thread the work is refused; with one, it waits for that. */
TEST(thread_that_cannot_be_started)
{
    set_up(4);
    jobs[0].work.run = run_job;
    test_fail_allocation(1);
    CHECK_INT(rp_pool_submit(pool, &jobs[0].work), ==, -ENOMEM);
    CHECK(!rp_pool_cancel(pool, &jobs[0].work));
    submit(0, 1);
    await_value(&running, 1);
    test_fail_allocation(1);
    submit(1, 2);
    CHECK(test_allocation_failed());
    open_gate();
    tear_down();
    CHECK_INT(done, ==, 2);
}

/* In an unbounded pool each work has its thread, or is refused: others may block for as long as it does. */
TEST(unbounded)
{
    set_up(RP_POOL_UNBOUNDED);
    submit(0, 50);
    await_value(&running, 50);
    CHECK_INT(threads_started, ==, 50);
    jobs[50].work.run = run_job;
    test_fail_allocation(1);
    CHECK_INT(rp_pool_submit(pool, &jobs[50].work), ==, -ENOMEM);
    CHECK(test_allocation_failed());
    CHECK(!rp_pool_cancel(pool, &jobs[50].work));
    submit(50, 51);
    await_value(&running, 51);
    open_gate();
    tear_down();
    CHECK_INT(done, ==, 51);
}

#ifndef _WIN32
TEST(pool_in_a_forked_child)
{
    pid_t pid;
    int status;

    set_up(1);
    submit(0, 1);
    await_value(&running, 1);
    pid = fork();
    if (pid == 0) {
        rp_pool_free(pool);
        _exit(test_live_allocations() == 0 ? 0 : 2);
    }
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK_INT(status, ==, 0);
    open_gate();
    tear_down();
}
#else
TEST_ABSENT(pool_in_a_forked_child, "Windows has no fork()");
#endif

/* ---- many submitters at once, with cancellations ---- */

enum { SUBMITTERS = 4, EACH = 500 };

static job storm[SUBMITTERS][EACH];
static atomic_int storm_run, storm_cancelled;
static int submitters_done;

static void run_storm_job(rp_work *work)
{
    atomic_fetch_add(&storm_run, 1);
}

static void submit_storm(void *arg)
{
    job *mine = arg;

    for (int i = 0; i < EACH; i++) {
        mine[i].work.run = run_storm_job;
        CHECK_INT(rp_pool_submit(pool, &mine[i].work), ==, 0);
        if (i % 3 == 0 && rp_pool_cancel(pool, &mine[i].work))
            atomic_fetch_add(&storm_cancelled, 1);
    }
    rp_mutex_lock(&mutex);
    submitters_done++;
    rp_cond_broadcast(&cond);
    rp_mutex_unlock(&mutex);
}

TEST(work_runs_once_or_is_cancelled)
{
    set_up(3);
    for (int i = 0; i < SUBMITTERS; i++)
        CHECK_INT(rp_thread_start(submit_storm, storm[i]), ==, 0);
    await_value(&submitters_done, SUBMITTERS);
    tear_down();
    CHECK_INT(atomic_load(&storm_run) + atomic_load(&storm_cancelled), ==, SUBMITTERS * EACH);
}
