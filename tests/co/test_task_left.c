/*
 * test_task_left.c - errors that nobody reads, and tasks that are left when their loop closes: what is reported of
 * them, and that nothing stays.
 */
#include "harness/platform.h"
#include "harness/reports.h"
#include "harness/tasks.h"
#include "ringport.h"

static last_report report;

static rp_loop *reporting_loop(void)
{
    rp_loop *loop = new_loop();

    rp_set_exception_handler(loop, keep_report, &report);
    return loop;
}

/* ---- errors nobody reads ---- */

static int fails(rp_co *co, void *arg)
{
    return -EPROTO;
}

CO_TEST(an_error_nobody_read_is_reported)
{
    rp_task *task;

    rp_set_exception_handler(rp_co_loop(co), keep_report, &report);
    CHECK_INT(rp_create_task(&task, fails, NULL), ==, 0);
    rp_task_set_name(task, "failing");
    rp_task_detach(task);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(report.count, ==, 1);
    CHECK_INT(report.error, ==, -EPROTO);
    CHECK_STR(report.name, "failing");

    CHECK_INT(rp_create_task(&task, fails, NULL), ==, 0);
    CHECK_INT(rp_join(co, task), ==, -EPROTO);
    CHECK_INT(rp_create_task(&task, returns_ecanceled, NULL), ==, 0);
    rp_task_detach(task);
    CHECK_INT(rp_create_task(&task, returns_7, NULL), ==, 0);
    rp_task_detach(task);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(report.count, ==, 1);
}

/* As far as any task comes that only starts another and waits. */
static void three_turns(rp_loop *loop)
{
    for (int i = 0; i < 3; i++) {
        rp_loop_stop(loop);
        CHECK_INT(rp_run_forever(loop), ==, 0);
    }
}

static int keeps_failed(rp_co *co, void *arg)
{
    rp_task **kept = arg;

    rp_set_exception_handler(rp_co_loop(co), keep_report, &report);
    CHECK_INT(rp_create_task(kept, fails, NULL), ==, 0);
    rp_task_set_name(*kept, "kept");
    RP_TRY(rp_sleep(co, 0));
    CHECK(rp_future_done(*kept));
    return 0;
}

TEST(an_error_nobody_read_of_a_task_that_is_kept_is_reported_at_the_end)
{
    rp_task *kept;

    CHECK_INT(rp_run(keeps_failed, &kept), ==, 0);
    CHECK_INT(report.count, ==, 1);
    CHECK_INT(report.error, ==, -EPROTO);
    CHECK_STR(report.name, "kept");
    rp_future_unref(kept);
    CHECK_INT(report.count, ==, 1);
}

#ifndef _WIN32
TEST(what_the_parent_may_read_is_not_reported_by_a_child)
{
    rp_loop *loop = reporting_loop();
    rp_task *task;
    int status;

    CHECK_INT(rp_loop_create_task(loop, &task, fails, NULL), ==, 0);
    three_turns(loop);
    pid_t pid = fork();
    if (pid == 0) {
        rp_loop_free(loop);
        rp_future_unref(task);
        _exit(report.count);
    }
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK_INT(status, ==, 0);
    CHECK_INT(rp_future_result(task), ==, -EPROTO);
    rp_future_unref(task);
    rp_loop_free(loop);
    CHECK_INT(report.count, ==, 0);
}
#else
TEST_ABSENT(what_the_parent_may_read_is_not_reported_by_a_child, "Windows has no fork()");
#endif

/* ---- a loop closed over tasks ---- */

TEST(never_run)
{
    rp_loop *loop = reporting_loop();
    rp_task *task;

    CHECK_INT(rp_loop_create_task(loop, &task, returns_7, NULL), ==, 0);
    rp_task_set_name(task, "idle");
    rp_task_detach(task);
    rp_loop_free(loop);
    CHECK_INT(report.count, ==, 1);
    CHECK_STR(report.name, "idle");
    CHECK_STR(report.message, "task was destroyed before it ever ran");
}

static int joins_sleeper(rp_co *co, void *arg)
{
    rp_task *task;

    RP_TRY(rp_create_task(&task, sleeper, NULL));
    return rp_join(co, task);
}

TEST(left_pending)
{
    rp_loop *loop = reporting_loop();
    rp_task *task;

    CHECK_INT(rp_loop_create_task(loop, &task, joins_sleeper, NULL), ==, 0);
    rp_task_detach(task);
    three_turns(loop);
    rp_loop_free(loop);
    CHECK_INT(report.count, ==, 2);
    CHECK_STR(report.message, "task was destroyed but it is pending");
}

static int left_in_group(rp_co *co, void *arg)
{
    rp_group group;

    rp_group_begin(co, &group);
    for (int i = 0; i < 3; i++)
        rp_group_create_task(&group, NULL, sleeper, NULL);
    return rp_group_end(co, &group, 0);
}

static int left_in_gather(rp_co *co, void *arg)
{
    rp_future *futures[20];

    for (int i = 0; i < 20; i++)
        futures[i] = arg;
    return rp_gather(co, futures, 20, NULL, 0);
}

static int left_in_wait(rp_co *co, void *arg)
{
    rp_future *future = arg;

    return (int)rp_wait(co, &future, 1, RP_SEC(100), RP_ALL_COMPLETED);
}

static int left_in_shield(rp_co *co, void *arg)
{
    return rp_shield(co, arg);
}

static int left_in_op(rp_co *co, void *arg)
{
    rp_op op;
    rp_timeout timeout;

    rp_timeout_begin(co, &timeout, RP_SEC(100));
    rp_op_poll(&op, *(int *)arg, RP_POLL_IN, NULL, NULL);
    return rp_timeout_end(co, &timeout, (int)rp_op_await(co, &op));
}

static int awaits(rp_co *co, void *arg)
{
    return rp_await(co, arg);
}

TEST(left_pending_everywhere)
{
    rp_coro *coros[] = {left_in_group, left_in_gather, left_in_wait, left_in_shield, awaits};
    rp_loop *loop = reporting_loop();
    rp_future *future;
    rp_task *task;
    int pipes[2];

    CHECK(pipe(pipes) == 0);
    CHECK_INT(rp_future_new(loop, &future), ==, 0);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(rp_loop_create_task(loop, &task, coros[i], future), ==, 0);
        rp_task_detach(task);
    }
    CHECK_INT(rp_loop_create_task(loop, &task, left_in_op, &pipes[0]), ==, 0);
    rp_task_detach(task);
    three_turns(loop);
    rp_loop_free(loop);
    CHECK_INT(report.count, ==, 9);
    rp_future_set_result(future, NULL); /* nobody is there any more */
    rp_future_unref(future);
    close(pipes[0]);
    close(pipes[1]);
}

TEST(references_outlive_the_loop)
{
    rp_loop *loop = reporting_loop();
    rp_task *done, *pending, *created;

    CHECK_INT(rp_loop_create_task(loop, &done, returns_7, NULL), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, done), ==, 7);
    CHECK_INT(rp_loop_create_task(loop, &pending, sleeper, NULL), ==, 0);
    CHECK_INT(rp_loop_create_task(loop, &created, sleeper, NULL), ==, 0);
    rp_loop_stop(loop);
    rp_run_forever(loop);
    rp_loop_free(loop);
    CHECK_INT(report.count, ==, 2);
    CHECK_INT(rp_future_result(done), ==, 7);
    CHECK(!rp_future_done(pending));
    rp_task_cancel(pending);
    CHECK_STR(rp_task_get_name(created), rp_task_get_name(created));
    rp_future_unref(done);
    rp_future_unref(pending);
    rp_future_unref(created);
}

TEST(no_task_on_a_closed_loop)
{
    rp_loop *loop = reporting_loop();
    rp_task *task;

    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK_INT(rp_loop_create_task(loop, &task, returns_7, NULL), ==, RP_ECLOSED);
    rp_loop_free(loop);
}

/* ---- debug mode ---- */

TEST(debug_mode_knows_where_a_task_was_created)
{
    rp_loop_options options = {.debug = true};
    rp_loop *loop;
    rp_task *task;

    CHECK_INT(rp_loop_new(&options, &loop), ==, 0);
    rp_set_exception_handler(loop, keep_report, &report);
    CHECK_INT(rp_loop_create_task(loop, &task, returns_7, NULL), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, task), ==, 7);
    rp_future_unref(task);
    CHECK_INT(rp_loop_create_task(loop, &task, returns_7, NULL), ==, 0);
    rp_future_unref(task);
    rp_loop_free(loop);
    CHECK_INT(report.count, ==, 1);
}

static rp_task *cancelled_by_report;

static void cancel_on_report(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    (void)arg;
    rp_task_cancel(cancelled_by_report);
}

static int waits_for_event(rp_co *co, void *arg)
{
    return rp_event_wait(co, arg);
}

/* The first one's report cancels the second, which is awake, but will not run any more. */
TEST(the_report_of_a_task_at_the_close_may_cancel_another)
{
    rp_loop *loop = reporting_loop();
    rp_event never, set;
    rp_task *first;

    rp_set_exception_handler(loop, cancel_on_report, NULL);
    rp_event_init(&never);
    rp_event_init(&set);
    CHECK_INT(rp_loop_create_task(loop, &first, waits_for_event, &never), ==, 0);
    CHECK_INT(rp_loop_create_task(loop, &cancelled_by_report, waits_for_event, &set), ==, 0);
    for (int i = 0; i < 3; i++) {
        rp_loop_stop(loop);
        CHECK_INT(rp_run_forever(loop), ==, 0);
    }
    rp_event_set(&set);
    rp_loop_free(loop);
    rp_future_unref(first);
    rp_future_unref(cancelled_by_report);
}

#ifndef _WIN32
static pid_t child;

static int frees_in_child(rp_co *co, void *arg)
{
    child = fork();
    if (child == 0) {
        rp_loop_free(arg);
        CHECK_INT(rp_sleep(co, 0), ==, RP_EFORK); /* the loop is there yet */
    }
    return 7;
}

/* In the child the run ends with the task, and with it the loop's copy, the stacks and all. */
TEST(a_child_frees_the_loop_in_the_task_that_forked)
{
    rp_loop *loop = reporting_loop();
    rp_task *task;
    int status;

    test_need_locks_after_fork();
    CHECK_INT(rp_loop_create_task(loop, &task, frees_in_child, loop), ==, 0);
    int rc = rp_run_until_complete(loop, task);
    rp_future_unref(task);
    if (child == 0) {
        CHECK_INT(rc, ==, RP_EFORK);
        CHECK_INT(test_live_allocations(), ==, 0);
        _exit(42);
    }
    CHECK_INT(rc, ==, 7);
    CHECK_INT(waitpid(child, &status, 0), ==, child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    rp_loop_free(loop);
}

static int is_current(rp_co *co, void *arg)
{
    CHECK(rp_current_task() == rp_co_task(co));
    return arg == NULL ? 0 : -EINVAL;
}

static int runs_a_loop_in_child(rp_co *co, void *arg)
{
    rp_loop *own;
    rp_task *task;
    int status;

    child = fork();
    if (child == 0) {
        CHECK_INT(rp_loop_new(NULL, &own), ==, 0);
        CHECK_INT(rp_loop_create_task(own, &task, is_current, NULL), ==, 0);
        CHECK_INT(rp_run_until_complete(own, task), ==, 0);
        CHECK(rp_current_task() == rp_co_task(co));
        CHECK_INT(rp_sleep(co, 0), ==, RP_EFORK);
        rp_future_unref(task);
        rp_loop_free(own);
        _exit(42);
    }
    CHECK_INT(waitpid(child, &status, 0), ==, child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    return arg == NULL ? 0 : -EINVAL;
}

TEST(a_child_that_ran_a_loop_is_in_the_task_that_forked_again)
{
    rp_loop *loop = reporting_loop();
    rp_task *task;

    test_need_locks_after_fork();
    CHECK_INT(rp_loop_create_task(loop, &task, runs_a_loop_in_child, NULL), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, task), ==, 0);
    rp_future_unref(task);
    rp_loop_free(loop);
}
#else
TEST_ABSENT(a_child_frees_the_loop_in_the_task_that_forked, "Windows has no fork()");
TEST_ABSENT(a_child_that_ran_a_loop_is_in_the_task_that_forked_again, "Windows has no fork()");
#endif
