/* test_run.c - rp_run and rp_runner_run. */
#include <signal.h>
#include <string.h>

#include "harness/harness.h"
#include "harness/platform.h"
#include "ringport.h"

static int returns_5(rp_co *co, void *arg)
{
    CHECK(rp_get_running_loop() == rp_co_loop(co));
    return 5;
}

static int fails(rp_co *co, void *arg)
{
    return -EPROTO;
}

static int cancels_itself(rp_co *co, void *arg)
{
    rp_task_cancel(rp_co_task(co));
    return rp_sleep(co, RP_SEC(1));
}

static int runs_inside(rp_co *co, void *arg)
{
    rp_runner *runner;

    CHECK_INT(rp_run(returns_5, NULL), ==, RP_ERUNNING);
    CHECK_INT(rp_run(NULL, NULL), ==, RP_ERUNNING);
    CHECK_INT(rp_runner_new(NULL, &runner), ==, 0);
    CHECK_INT(rp_runner_run(runner, returns_5, NULL), ==, RP_ERUNNING);
    rp_runner_free(runner);
    return 0;
}

TEST(results)
{
    CHECK_INT(rp_run(returns_5, NULL), ==, 5);
    CHECK_INT(rp_run(fails, NULL), ==, -EPROTO);
    CHECK_INT(rp_run(cancels_itself, NULL), ==, -ECANCELED);
    CHECK_INT(rp_run(NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_run(runs_inside, NULL), ==, 0);
    CHECK(rp_get_running_loop() == NULL);
}

static int cleaned;

static int cleans_up(rp_co *co, void *arg)
{
    int rc = rp_sleep(co, RP_SEC(100));

    CHECK_INT(rc, ==, -ECANCELED);
    CHECK_INT(rp_sleep(co, RP_MSEC(2)), ==, 0);
    cleaned++;
    return rc;
}

static int leaves_tasks(rp_co *co, void *arg)
{
    for (int i = 0; i < 10; i++) {
        rp_task *task;
        RP_TRY(rp_create_task(&task, cleans_up, NULL));
        rp_task_detach(task);
    }
    return arg ? -EIO : 1;
}

TEST(tasks_that_are_left_are_cancelled_and_awaited)
{
    CHECK_INT(rp_run(leaves_tasks, NULL), ==, 1);
    CHECK_INT(cleaned, ==, 10);
    CHECK_INT(rp_run(leaves_tasks, "fail"), ==, -EIO);
    CHECK_INT(cleaned, ==, 20);
}

static int counts_runs(rp_co *co, void *arg)
{
    return ++*(int *)arg;
}

TEST(a_runner_runs_several)
{
    rp_runner *runner;
    rp_loop *loop, *same;
    int count = 0;

    CHECK_INT(rp_runner_new(NULL, &runner), ==, 0);
    CHECK_INT(rp_runner_get_loop(runner, &loop), ==, 0);
    CHECK_INT(rp_runner_run(runner, NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_runner_run(runner, counts_runs, &count), ==, 1);
    CHECK_INT(rp_runner_run(runner, counts_runs, &count), ==, 2);
    CHECK_INT(rp_runner_run(runner, leaves_tasks, NULL), ==, 1);
    CHECK_INT(rp_runner_run(runner, counts_runs, &count), ==, 3);
    CHECK_INT(rp_runner_get_loop(runner, &same), ==, 0);
    CHECK(loop == same);
    rp_runner_close(runner);
    CHECK_INT(cleaned, ==, 10);
    CHECK_INT(rp_runner_run(runner, counts_runs, &count), ==, RP_ECLOSED);
    rp_runner_close(runner);
    rp_runner_free(runner);
}

/* ---- SIGINT ---- */

static int interrupted(rp_co *co, void *arg)
{
    int rc;

    raise(SIGINT);
    rc = rp_sleep(co, RP_SEC(100));
    CHECK_INT(rc, ==, -ECANCELED);
    CHECK_INT(rp_sleep(co, RP_MSEC(2)), ==, 0);
    return arg ? 3 : rc;
}

TEST(an_interrupt_cancels_the_main_task)
{
    signal(SIGINT, SIG_DFL);
    CHECK_INT(rp_run(interrupted, NULL), ==, -EINTR);
    CHECK_INT(rp_run(interrupted, "goes on"), ==, 3);
    CHECK(signal(SIGINT, SIG_DFL) == SIG_DFL);
}

static int interrupted_twice(rp_co *co, void *arg)
{
    raise(SIGINT);
    CHECK_INT(rp_sleep(co, RP_SEC(100)), ==, -ECANCELED);
    raise(SIGINT);
    (void)rp_sleep(co, RP_SEC(100));
    return 0;
}

static void run_interrupted_twice(void)
{
    signal(SIGINT, SIG_DFL);
    exit(rp_run(interrupted_twice, NULL) == 0);
}

TEST(a_second_interrupt_kills)
{
    char output[1024];

    CHECK(test_killed_by_interrupt(test_in_child(run_interrupted_twice, output, sizeof output)));
}

/* ---- memory ---- */

static int does_a_little(rp_co *co, void *arg)
{
    rp_task *task;

    RP_TRY(rp_sleep(co, RP_MSEC(1)));
    RP_TRY(rp_create_task(&task, returns_5, NULL));
    return rp_join(co, task);
}

TEST(every_allocation_may_fail)
{
    uint64_t n = 1;
    int rc;

    do {
        test_fail_allocation(n++);
        rc = rp_run(does_a_little, NULL);
        CHECK(rc == 5 || rc == -ENOMEM || !test_allocation_failed());
    } while (test_allocation_failed());
    test_fail_allocation(0);
    CHECK_INT(rc, ==, 5);
    CHECK_INT(n, >, 5);
}

/* ---- failures at the edges of a run ---- */

TEST(interrupts_that_cannot_be_caught_are_an_error)
{
    rp_runner *runner;
    rp_loop *loop;

    CHECK_INT(rp_runner_new(NULL, &runner), ==, 0);
    CHECK_INT(rp_runner_get_loop(runner, &loop), ==, 0);
    test_fail_allocation(1);
    CHECK_INT(rp_runner_run(runner, returns_5, NULL), ==, -ENOMEM);
    CHECK(test_allocation_failed());
    CHECK_INT(rp_runner_run(runner, returns_5, NULL), ==, 5);
    rp_runner_free(runner);
}

static void keep_error(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    (void)loop;
    *(int *)arg = context->error;
}

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int leaves_no_memory_behind(rp_co *co, void *arg)
{
    rp_set_exception_handler(rp_co_loop(co), keep_error, arg);
    RP_TRY(rp_to_thread(co, do_nothing, NULL));
    test_fail_allocation(1);
    return 5;
}

TEST(executor_that_cannot_be_waited_for_is_reported)
{
    int error = 0;

    CHECK_INT(rp_run(leaves_no_memory_behind, &error), ==, 5);
    CHECK(test_allocation_failed());
    CHECK_INT(error, ==, -ENOMEM);
}

/* ---- what comes up during the end ---- */

static int for_ever(rp_co *co, void *arg)
{
    int *ended = arg;
    int rc = rp_sleep(co, RP_SEC(100000));

    ++*ended;
    return rc;
}

static int cleans_up_with_tasks(rp_co *co, void *arg)
{
    rp_task *task;
    int rc = rp_sleep(co, RP_SEC(100000));

    CHECK_INT(rp_create_task(&task, for_ever, arg), ==, 0);
    rp_task_detach(task);
    CHECK_INT(rp_sleep(co, RP_MSEC(2)), ==, 0);
    return rc;
}

static int leave_it(rp_co *co, void *arg)
{
    rp_task *task;

    RP_TRY(rp_create_task(&task, cleans_up_with_tasks, arg));
    rp_task_detach(task);
    return rp_sleep(co, 0);
}

TEST(tasks_that_are_made_during_the_end_are_cancelled_too)
{
    int ended = 0;

    CHECK_INT(rp_run(leave_it, &ended), ==, 0);
    CHECK_INT(ended, ==, 1);
}

static int answer(rp_co *co, rp_stream *stream, void *arg)
{
    (void)arg;
    return rp_stream_write(co, stream, "x", 1);
}

/* Its clean-up takes a while in which somebody would connect. */
static int connects_in_the_end(rp_co *co, void *arg)
{
    rp_stream *stream;
    int rc = rp_sleep(co, RP_SEC(100000));

    CHECK_INT(rp_open_connection(co, &stream, "127.0.0.1", *(int *)arg, NULL), ==, -ECONNREFUSED);
    return rc;
}

static int leave_a_server(rp_co *co, void *arg)
{
    rp_server *server;
    rp_task *task;

    RP_TRY(rp_start_server(co, &server, answer, NULL, "127.0.0.1", 0, NULL));
    *(int *)arg = rp_server_port(server);
    RP_TRY(rp_create_task(&task, connects_in_the_end, arg));
    rp_task_detach(task);
    return rp_sleep(co, RP_MSEC(1));
}

TEST(servers_stop_listening_when_the_end_begins)
{
    int port;

    CHECK_INT(rp_run(leave_a_server, &port), ==, 0);
}
