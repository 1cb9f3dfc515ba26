/*
 * test_runner.c - the runner: its steps, several runs on one loop, what is left is cancelled, interrupts. The main
 * tasks here are futures derived by hand: coroutines have tests of their own.
 */
#include <signal.h>
#include <stdatomic.h>

#include "base/memory.h"
#include "base/thread.h"
#include "loop/future.h"
#include "loop/runner.h"
#include "harness/support.h"

static rp_runner *runner;
static char trace[256];
static int reports;

/* ---- a task: a future that is in the loop's list until it is done ---- */

typedef struct fake_task {
    rp_future future;
    rp_handle handle;
    int cancels; /* how many cancellations it shrugs off before it heeds one */
    int result;
} fake_task;

static void end_task(fake_task *task, int result)
{
    rp_list_remove(&task->future.link);
    task->future.loop->task_count--;
    if (result == RP_EFUTCANCELED)
        rp_future_finish_cancelled(&task->future);
    else
        rp_future_finish(&task->future, result, NULL);
    rp_future_unref(&task->future);
}

static void end_cancelled(void *arg)
{
    fake_task *task = arg;

    strcat(trace, "c");
    end_task(task, task->result);
}

static bool cancel_task(rp_future *future)
{
    fake_task *task = (fake_task *)future;

    if (task->cancels-- > 0 || rp_handle_scheduled(&task->handle))
        return true;
    CHECK_INT(rp_call_soon(future->loop, &task->handle, end_cancelled, task), ==,
              0); /* its clean-up takes a turn */
    return true;
}

static void dispose_task(rp_future *future)
{
    rp_future_fini(future);
    rp_free(future);
}

static const rp_future_type task_type = {.name = "task", .cancel = cancel_task, .dispose = dispose_task};

static fake_task *make_task(rp_loop *loop)
{
    fake_task *task = rp_calloc(sizeof *task);

    CHECK(task != NULL);
    rp_future_init(&task->future, loop, &task_type);
    task->result = RP_EFUTCANCELED;
    rp_list_push(&loop->tasks, &task->future.link);
    loop->task_count++;
    rp_future_ref(&task->future); /* its own, until it ends */
    return task;
}

/* ---- main tasks ---- */

typedef struct plan {
    int result; /* that it ends with at once; or it waits */
    bool waits;
    int left_behind; /* tasks it leaves */
    int cancels;     /* that it shrugs off */
    int cancelled_result;
    rp_callback *at_start;
} plan;

static void end_at_once(void *arg)
{
    fake_task *task = arg;

    end_task(task, task->result);
}

static int start(rp_loop *loop, rp_task **out, void *arg)
{
    const plan *p = arg;

    if (p->result == -E2BIG)
        return -E2BIG;
    fake_task *task = make_task(loop);
    for (int i = 0; i < p->left_behind; i++)
        rp_future_unref(&make_task(loop)->future);
    if (!p->waits) {
        task->result = p->result;
        CHECK_INT(rp_call_soon(loop, &task->handle, end_at_once, task), ==, 0);
    } else {
        task->cancels = p->cancels;
        task->result = p->cancelled_result != 0 ? p->cancelled_result : RP_EFUTCANCELED;
    }
    if (p->at_start != NULL)
        CHECK_INT(rp_call_soon(loop, NULL, p->at_start, loop), ==, 0);
    *out = &task->future;
    return 0;
}

static void make_runner(void)
{
    CHECK_INT(rp_runner_new(NULL, &runner), ==, 0);
    trace[0] = '\0';
}

static int run(plan p)
{
    return rp_runner_run_main(runner, start, &p);
}

static rp_loop *loop_of_runner(void)
{
    rp_loop *loop;

    CHECK_INT(rp_runner_get_loop(runner, &loop), ==, 0);
    return loop;
}

TEST(several_runs_on_one_loop)
{
    rp_loop *found;

    make_runner();
    CHECK_INT(run((plan){.result = 5}), ==, 5);
    rp_loop *loop = loop_of_runner();
    CHECK_INT(run((plan){.result = -EIO}), ==, -EIO);
    CHECK_INT(run((plan){.result = -E2BIG}), ==, -E2BIG); /* no task could be made */
    CHECK_INT(run((plan){.result = RP_EFUTCANCELED}), ==, -ECANCELED);
    CHECK(loop_of_runner() == loop);
    CHECK_INT(rp_get_event_loop(&found), ==, 0);
    CHECK(found == loop);
    CHECK(rp_get_running_loop() == NULL);
    CHECK_INT(rp_runner_close(runner), ==, 0);
    CHECK_INT(rp_get_event_loop(&found), ==, RP_ENOLOOP);
    CHECK_INT(rp_runner_close(runner), ==, 0);
    CHECK_INT(rp_runner_get_loop(runner, &loop), ==, RP_ECLOSED);
    CHECK_INT(run((plan){.result = 5}), ==, RP_ECLOSED);
    rp_runner_free(runner);
    rp_runner_free(NULL);
}

TEST(closed_unused)
{
    make_runner();
    rp_runner_free(runner);
    make_runner();
    CHECK_INT(rp_runner_close(runner), ==, 0);
    rp_runner_free(runner);
}

/* ---- the steps of the end ---- */

static atomic_bool gate_open;

/* A job that is not to end before the test says so. */
static int wait_at_gate(void *arg)
{
    (void)arg;
    while (!atomic_load(&gate_open))
        usleep(100);
    return 3;
}

static rp_future *end_generators(rp_loop *loop, void *arg)
{
    rp_future *future;

    CHECK(arg == trace);
    CHECK_INT(loop->task_count, ==, 0);
    strcat(trace, "g");
    CHECK_INT(rp_future_new(loop, &future), ==, 0);
    CHECK_INT(rp_future_set_result(future, NULL), ==, 0);
    atomic_store(&gate_open, true);
    return future;
}

static int job(void *arg)
{
    wait_at_gate(NULL);
    strcat(arg, "j");
    return 0;
}

static void use_executor(void *arg)
{
    rp_future *future;

    CHECK_INT(rp_run_in_executor(arg, NULL, job, trace, &future), ==, 0);
    rp_future_unref(future);
    rp_set_asyncgens_hook(arg, end_generators, trace);
}

TEST(steps_of_the_end)
{
    make_runner();
    /* The job is queued first; but only the last step waits for it. */
    CHECK_INT(run((plan){.result = 0, .left_behind = 3, .at_start = use_executor}), ==, 0);
    CHECK(strchr(trace, 'c') == NULL);
    CHECK_INT(rp_runner_close(runner), ==, 0);
    CHECK_STR(trace, "cccgj");
    rp_runner_free(runner);
}

static void report(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    CHECK(context->error < 0);
    reports++;
}

static void use_executor_slowly(void *arg)
{
    rp_future *future;

    CHECK_INT(rp_run_in_executor(arg, NULL, wait_at_gate, NULL, &future), ==, 0);
    rp_future_unref(future);
    rp_set_exception_handler(arg, report, NULL);
}

TEST(executor_takes_too_long)
{
    rp_runner_options options = {.executor_timeout = RP_MSEC(1)};

    CHECK_INT(rp_runner_new(&options, &runner), ==, 0);
    CHECK_INT(run((plan){.result = 0, .at_start = use_executor_slowly}), ==, 0);
    rp_runner_free(runner);
    CHECK_INT(reports, ==, 1);
    atomic_store(&gate_open, true); /* it was left behind, and ends by itself */
}

static rp_future *no_generators(rp_loop *loop, void *arg)
{
    (void)loop;
    ++*(int *)arg;
    return NULL;
}

TEST(generators_hook)
{
    int calls = 0;

    make_runner();
    rp_loop *loop = loop_of_runner();
    CHECK_INT(rp_shutdown_asyncgens(loop), ==, 0);
    rp_set_asyncgens_hook(loop, no_generators, &calls);
    CHECK_INT(rp_shutdown_asyncgens(loop), ==, 0);
    CHECK_INT(calls, ==, 1);
    rp_runner_free(runner);
    CHECK_INT(calls, ==, 2);
}

/* A task left over that fails as it is cancelled is reported, and those after it are waited for all the same. */
static void leave_failing_task(void *arg)
{
    fake_task *task = make_task(arg);

    task->result = -EPROTO;
    rp_future_unref(&task->future);
    rp_future_unref(&make_task(arg)->future);
    rp_set_exception_handler(arg, report, NULL);
}

TEST(left_task_fails)
{
    make_runner();
    CHECK_INT(run((plan){.result = 1, .at_start = leave_failing_task}), ==, 1);
    rp_runner_free(runner);
    CHECK_STR(trace, "cc");
    CHECK_INT(reports, ==, 1);
}

/* ---- refused ---- */

static void run_inside(void *arg)
{
    rp_runner *other;

    CHECK_INT(run((plan){.result = 0}), ==, RP_ERUNNING);
    CHECK_INT(rp_runner_close(runner), ==, RP_ERUNNING);
    CHECK_INT(rp_runner_new(NULL, &other), ==, 0);
    CHECK_INT(rp_runner_run_main(other, start, &(plan){.result = 0}), ==, RP_ERUNNING);
    rp_runner_free(other);
    CHECK_INT(rp_shutdown_asyncgens(arg), ==, 0); /* there is no hook */
    rp_set_asyncgens_hook(arg, no_generators, &reports);
    CHECK_INT(rp_shutdown_asyncgens(arg), ==, RP_ERUNNING);
    strcat(trace, "i");
}

TEST(refused_inside)
{
    make_runner();
    CHECK_INT(run((plan){.result = 0, .at_start = run_inside}), ==, 0);
    CHECK_INT(rp_runner_close(runner), ==, 0);
    CHECK_STR(trace, "i");
    rp_runner_free(runner);
}

/* ---- factories ---- */

static int factory(rp_loop **loop, void *arg)
{
    rp_loop_options options = {.backend = TEST_PLAIN_BACKEND};

    if (arg == NULL)
        return -EMFILE;
    ++*(int *)arg;
    return rp_loop_new(&options, loop);
}

TEST(factory)
{
    int made = 0;
    rp_runner_options options = {.debug = true, .loop_factory = factory, .loop_factory_arg = &made};
    rp_loop *found;

    CHECK_INT(rp_runner_new(&options, &runner), ==, 0);
    CHECK_INT(run((plan){.result = 2}), ==, 2);
    CHECK_INT(run((plan){.result = 3}), ==, 3);
    CHECK_INT(made, ==, 1);
    CHECK(rp_get_debug(loop_of_runner()));
    CHECK_STR(rp_loop_backend_name(loop_of_runner()), TEST_PLAIN_BACKEND);
    CHECK_INT(rp_get_event_loop(&found), ==, RP_ENOLOOP); /* a factory's loop is not set */
    rp_runner_free(runner);

    options.loop_factory_arg = NULL;
    CHECK_INT(rp_runner_new(&options, &runner), ==, 0);
    CHECK_INT(run((plan){.result = 2}), ==, -EMFILE);
    rp_runner_free(runner);
    test_fail_allocation(1);
    CHECK_INT(rp_runner_new(NULL, &runner), ==, -ENOMEM);
    CHECK(runner == NULL);
    test_fail_allocation(0);
}

/* ---- interrupts ---- */

static void interrupt(void *arg)
{
    (void)arg;
    raise(SIGINT);
}

TEST(interrupt_cancels_main_task)
{
    signal(SIGINT, SIG_DFL);
    make_runner();
    CHECK_INT(run((plan){.waits = true, .at_start = interrupt}), ==, -EINTR);
    CHECK(test_disposition(SIGINT) == SIG_DFL);
    CHECK_INT(run((plan){.result = 4}), ==, 4); /* that was that run's */
    CHECK_INT(run((plan){.waits = true, .at_start = interrupt, .cancelled_result = 7}), ==, 7); /* it went on */
    CHECK_INT(run((plan){.waits = true, .at_start = interrupt, .cancelled_result = -EIO}), ==, -EIO);
    CHECK_INT(run((plan){.result = RP_EFUTCANCELED}), ==, -ECANCELED); /* not by an interrupt */
    rp_runner_free(runner);
}

#ifdef _WIN32
static void run_abroad(void *arg)
{
    rp_runner *own;

    CHECK_INT(rp_runner_new(NULL, &own), ==, 0);
    CHECK_INT(rp_runner_run_main(own, start, &(plan){.waits = true, .at_start = interrupt}), ==, -EINTR);
    rp_runner_free(own);
    CHECK(test_disposition(SIGINT) == SIG_DFL);
    atomic_store((atomic_bool *)arg, true);
}

/* Whichever thread loaded the library. */
TEST(interrupt_in_another_thread)
{
    atomic_bool ended = false;

    signal(SIGINT, SIG_DFL);
    CHECK_INT(rp_thread_start(run_abroad, &ended), ==, 0);
    while (!atomic_load(&ended))
        usleep(1000);
}
#endif

static void old_handler(int number)
{
    signal(number, old_handler); /* where raise() takes it away */
    strcat(trace, "o");
}

TEST(interrupt_handled_by_program)
{
    make_runner();
    signal(SIGINT, old_handler);
    CHECK_INT(run((plan){.result = 1, .at_start = interrupt}), ==, 1);
    CHECK_STR(trace, "o");
    CHECK(test_disposition(SIGINT) == old_handler);
    signal(SIGINT, SIG_IGN);
    CHECK_INT(run((plan){.result = 2, .at_start = interrupt}), ==, 2);
    CHECK(test_disposition(SIGINT) == SIG_IGN);
    rp_runner_free(runner);
}

static void interrupt_twice(void *arg)
{
    (void)arg;
    raise(SIGINT);
    strcat(trace, "1"); /* the first is only noted, however long the callback takes */
    raise(SIGINT);
    _exit(1);
}

static void interrupt_and_again_later(void *arg)
{
    raise(SIGINT);
    CHECK_INT(rp_call_later(arg, NULL, RP_MSEC(5), interrupt, NULL), ==, 0);
}

static void run_interrupted(rp_callback *way)
{
    signal(SIGINT, SIG_DFL);
    make_runner();
    run((plan){.waits = true, .cancels = 100, .at_start = way});
    _exit(2);
}

static void run_interrupted_twice(void)
{
    run_interrupted(interrupt_twice);
}

static void run_interrupted_and_again_later(void)
{
    run_interrupted(interrupt_and_again_later);
}

/* The second kills, whether the loop is stuck or the main task will not heed the first. */
TEST(second_interrupt_kills)
{
    void (*ways[])(void) = {run_interrupted_twice, run_interrupted_and_again_later};
    char output[256];

    for (int i = 0; i < 2; i++)
        CHECK(test_killed_by_interrupt(test_in_child(ways[i], output, sizeof output)));
}

static void take_interrupts(void *arg)
{
    CHECK_INT(rp_add_signal_handler(arg, SIGINT, interrupt, NULL), ==, 0);
}

/* A program that asks for SIGINT itself has it, and keeps it after the run. */
TEST(interrupt_taken_over)
{
    signal(SIGINT, SIG_DFL);
    make_runner();
    CHECK_INT(run((plan){.result = 0, .at_start = take_interrupts}), ==, 0);
    CHECK(test_disposition(SIGINT) != SIG_DFL);
    CHECK_INT(rp_remove_signal_handler(loop_of_runner(), SIGINT), ==, 1);
    CHECK(test_disposition(SIGINT) == SIG_DFL);
    rp_runner_free(runner);
}
