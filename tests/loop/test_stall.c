/*
 * test_stall.c - debug mode's reports of tasks that wait for nothing that can come, or do not end. Whatever is told has
 * the test go on: nothing depends on time.
 */
#include <pthread.h>
#include <stdio.h>

#include "loop/loop.h"
#include "harness/platform.h"
#include "harness/support.h"
#include "harness/tasks.h"

static rp_loop *loop;
static rp_event event;
static int reports;
static char message[1024];

/* Sets the event, so that the run goes on. */
static void keep_report(rp_loop *owner, const rp_exception_context *context, void *arg)
{
    (void)arg;
    CHECK(owner == loop);
    reports++;
    snprintf(message, sizeof message, "%s", context->message);
    rp_event_set(&event);
}

static void begin(rp_co *co)
{
    loop = rp_co_loop(co);
    reports = 0;
    message[0] = '\0';
    rp_set_debug(loop, true);
    rp_set_slow_callback_duration(loop, RP_SEC(1000)); /* no report of a busy machine */
    rp_set_exception_handler(loop, keep_report, NULL);
    rp_event_init(&event);
}

static int wait_for_event(rp_co *co, void *arg)
{
    return rp_event_wait(co, arg);
}

/* ---- what is a stall ---- */

/* The handler of SIGINT that a runner has is nothing that tasks wait for. */
CO_TEST(tasks_are_named_with_what_they_wait_for)
{
    rp_task *task;

    begin(co);
    rp_task_set_name(rp_co_task(co), "main");
    task = spawn(wait_for_event, &event);
    rp_task_set_name(task, "other");
    CHECK_INT(rp_join(co, task), ==, 0);
    CHECK_INT(reports, ==, 1);
    CHECK_STR(message, "2 tasks wait for nothing that can come: 'main' for a task, 'other' for an event");
}

static void cancel_on_report(rp_loop *owner, const rp_exception_context *context, void *arg)
{
    rp_task *tasks[1];

    keep_report(owner, context, arg);
    CHECK_INT(rp_all_tasks(owner, tasks, 1), ==, 1);
    rp_task_cancel(tasks[0]);
}

CO_TEST(a_task_that_waits_for_its_own_lock)
{
    rp_timeout timeout;
    rp_lock lock;

    begin(co);
    rp_set_exception_handler(loop, cancel_on_report, NULL);
    rp_lock_init(&lock);
    rp_task_set_name(rp_co_task(co), "greedy");
    CHECK_INT(rp_lock_acquire(co, &lock), ==, 0);
    /* With a limit of time, the wait ends: that is no stall. */
    rp_timeout_begin(co, &timeout, RP_MSEC(1));
    CHECK_INT(rp_timeout_end(co, &timeout, rp_lock_acquire(co, &lock)), ==, -ETIMEDOUT);
    CHECK_INT(reports, ==, 0);
    CHECK_INT(rp_lock_acquire(co, &lock), ==, -ECANCELED);
    CHECK_INT(reports, ==, 1);
    CHECK_STR(message, "1 task waits for nothing that can come: 'greedy' for a lock");
}

enum { MANY = 200 };

CO_TEST(many_tasks_are_counted_and_some_are_named)
{
    rp_task *tasks[MANY];
    int more = 0;

    begin(co);
    for (int i = 0; i < MANY; i++)
        tasks[i] = spawn(wait_for_event, &event);
    for (int i = 0; i < MANY; i++)
        CHECK_INT(rp_join(co, tasks[i]), ==, 0);
    CHECK_INT(reports, ==, 1);
    CHECK(strncmp(message, "201 tasks wait ", 15) == 0);
    CHECK(strstr(message, ", and ") != NULL);
    CHECK_INT(sscanf(strstr(message, ", and "), ", and %d more", &more), ==, 1);
    CHECK_INT(more, >, 0);
    CHECK_INT(more, <, MANY);
}

/* ---- what is none ---- */

static void set_event(void *arg)
{
    (void)arg;
    rp_event_set(&event);
}

CO_TEST(a_timer_may_set_the_event)
{
    begin(co);
    CHECK_INT(rp_call_later(loop, NULL, RP_MSEC(1), set_event, NULL), ==, 0);
    CHECK_INT(rp_event_wait(co, &event), ==, 0);
    CHECK_INT(reports, ==, 0);
}

static void set_event_by_op(rp_op *op)
{
    set_event(op);
}

static void write_a_byte(void *arg)
{
    CHECK_INT(write(*(int *)arg, "x", 1), ==, 1);
}

CO_TEST(an_operation_may_set_the_event)
{
    rp_op op;
    int fds[2];

    begin(co);
    unix_pair(fds);
    rp_op_poll(&op, fds[0], RP_POLL_IN, set_event_by_op, NULL);
    CHECK_INT(rp_submit(loop, &op), ==, 0);
    CHECK_INT(rp_call_soon(loop, NULL, write_a_byte, &fds[1]), ==, 0);
    CHECK_INT(rp_event_wait(co, &event), ==, 0);
    CHECK_INT(reports, ==, 0);
    close_pair(fds);
}

static int answer(void *arg)
{
    (void)arg;
    return 5;
}

CO_TEST(a_job_on_a_thread_is_waited_for)
{
    begin(co);
    for (int i = 0; i < 100; i++)
        CHECK_INT(rp_to_thread(co, answer, NULL), ==, 5);
    CHECK_INT(reports, ==, 0);
}

static void post_event(void *arg)
{
    rp_call_soon_threadsafe(arg, NULL, set_event, NULL);
}

static void *post(void *arg)
{
    post_event(arg);
    return NULL;
}

/* Once another thread has posted, it may do so again. */
CO_TEST(a_thread_that_has_posted_may_post_again)
{
    pthread_t thread;

    begin(co);
    CHECK_INT(pthread_create(&thread, NULL, post, loop), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    CHECK_INT(rp_event_wait(co, &event), ==, 0);
    for (int i = 0; i < 20; i++) {
        rp_event_clear(&event);
        CHECK_INT(pthread_create(&thread, NULL, post, loop), ==, 0);
        CHECK_INT(rp_event_wait(co, &event), ==, 0);
        CHECK_INT(pthread_join(thread, NULL), ==, 0);
    }
    CHECK_INT(reports, ==, 0);
}

CO_TEST(a_post_of_the_loops_own_is_to_come)
{
    begin(co);
    CHECK_INT(rp_call_soon_threadsafe(loop, NULL, set_event, NULL), ==, 0);
    CHECK_INT(rp_event_wait(co, &event), ==, 0);
    CHECK_INT(reports, ==, 0);
}

static void raise_sigterm(void *arg)
{
    (void)arg;
    raise(SIGTERM);
}

CO_TEST(a_signal_may_set_the_event)
{
    begin(co);
    CHECK_INT(rp_add_signal_handler(loop, SIGTERM, set_event, NULL), ==, 0);
    CHECK_INT(rp_call_soon(loop, NULL, raise_sigterm, NULL), ==, 0);
    CHECK_INT(rp_event_wait(co, &event), ==, 0);
    CHECK_INT(reports, ==, 0);
    CHECK_INT(rp_remove_signal_handler(loop, SIGTERM), ==, 1);
    rp_event_clear(&event);
    CHECK_INT(rp_event_wait(co, &event), ==, 0); /* set by the report */
    CHECK_INT(reports, ==, 1);
}

/* ---- tasks that do not end ---- */

/* Deaf to its cancellation until that was reported. */
static int swallow(rp_co *co, void *arg)
{
    (void)arg;
    while (reports == 0)
        if (rp_event_wait(co, &event) == 0)
            break;
    return 0;
}

static int leave_a_swallower(rp_co *co, void *arg)
{
    rp_task *task;

    (void)arg;
    begin(co);
    task = spawn(swallow, NULL);
    rp_task_set_name(task, "deaf");
    rp_task_detach(task);
    return rp_sleep(co, 0);
}

TEST(a_task_that_swallows_its_cancellation_is_named)
{
    CHECK_INT(rp_run(leave_a_swallower, NULL), ==, 0);
    CHECK_INT(reports, ==, 1);
    CHECK_STR(message, "1 task was cancelled at the runner's end, and has not ended yet: 'deaf' for an event");
}
