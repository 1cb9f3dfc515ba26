/*
 * runner.c - a program's runs, from making a loop to its orderly end, in the steps of asyncio.Runner.
 *
 * The end has the same steps whatever came before: cancel the tasks that are left and wait for them, shut asynchronous
 * generators down, shut the default executor down, uninstall the loop, close it.
 */
#include "loop/runner.h"

#include <signal.h>

#include "base/leave.h"
#include "base/memory.h"
#include "loop/exception.h"
#include "loop/future.h"
#include "loop/resource.h"
#include "loop/signals.h"
#include "proactor/proactor.h"

#define DEFAULT_EXECUTOR_TIMEOUT RP_SEC(300)
#define PATIENCE RP_SEC(3) /* debug mode: with tasks that were cancelled */

struct rp_runner {
    rp_runner_options options;
    rp_loop *loop;  /* NULL until first use */
    bool installed; /* the loop is this thread's by set_event_loop */
    bool closed;
    rp_task *main_task; /* of the present run */
    bool interrupted;   /* it was to end: by SIGINT, or since the process is about to */
    bool stopped;       /* its main task was cancelled for another reason than SIGINT */
    bool deaf;          /* SIGINT is another runner's */
    rp_ending ending;   /* from the first run until the loop's end */
};

int rp_runner_new(const rp_runner_options *options, rp_runner **out)
{
    rp_runner *runner = rp_calloc(sizeof *runner);

    *out = runner;
    if (!runner)
        return -ENOMEM;
    if (options)
        runner->options = *options;
    return 0;
}

void rp_runner_leave_interrupts(rp_runner *runner)
{
    runner->deaf = true;
}

static int make_loop(rp_runner *runner)
{
    int rc;

    if (runner->closed)
        return RP_ECLOSED;
    if (runner->loop)
        return 0;
    if (runner->options.loop_factory)
        rc = runner->options.loop_factory(&runner->loop, runner->options.loop_factory_arg);
    else
        rc = rp_new_event_loop(&runner->loop);
    if (rc < 0)
        return rc;
    if (!runner->options.loop_factory)
        runner->installed = rp_set_event_loop(runner->loop) == 0;
    if (runner->options.debug)
        rp_set_debug(runner->loop, true);
    return 0;
}

int rp_runner_get_loop(rp_runner *runner, rp_loop **loop)
{
    int rc = make_loop(runner);

    *loop = runner->loop;
    return rc;
}

/* ---- a run ---- */

static void on_interrupt(void *arg)
{
    rp_runner *runner = arg;

    runner->interrupted = true;
    rp_future_cancel(runner->main_task);
}

void rp_runner_stop(rp_runner *runner)
{
    if (runner->stopped || !runner->main_task) /* the process may be about to end between two runs */
        return;
    runner->stopped = true;
    rp_future_cancel(runner->main_task);
}

static void on_process_end(void *arg)
{
    rp_runner *runner = arg;

    runner->interrupted = true;
    rp_runner_stop(runner);
}

/*
 * The runner catches SIGINT only if it would have ended the process, and only once: the second one ends the process,
 * even if the loop is stuck.
 */
static int catch_interrupts(rp_runner *runner)
{
    int rc = rp_ending_begin(&runner->ending, runner->loop, on_process_end, runner);

    if (rc < 0 || runner->deaf || !rp_signals_allowed() || !rp_signals_is_default(SIGINT))
        return rc;
    return rp_signals_add(runner->loop, SIGINT, true, on_interrupt, runner);
}

static void release_interrupts(rp_runner *runner)
{
    if (rp_signals_get(runner->loop, SIGINT) == on_interrupt)
        rp_remove_signal_handler(runner->loop, SIGINT);
}

static void end_main(rp_runner **run)
{
    rp_runner *runner = *run;

    release_interrupts(runner);
    rp_future_unref(runner->main_task);
    runner->main_task = NULL;
}

int rp_runner_run_main(rp_runner *runner, rp_runner_start *start, void *arg)
{
    int rc;

    if (rp_get_running_loop())
        return RP_ERUNNING;
    rc = make_loop(runner);
    if (rc < 0)
        return rc;
    rc = runner->loop->closed ? 0 : rp_proactor_check_thread(runner->loop->proactor);
    if (rc < 0)
        return rc;
    runner->interrupted = runner->stopped = false;
    rc = catch_interrupts(runner); /* first: nothing has begun yet that would have to be ended if it fails */
    if (rc < 0)
        return rc;
    rp_runner *run RP_ON_LEAVE(end_main) = runner;
    rc = start(run->loop, &run->main_task, arg);
    if (rc == 0)
        rc = rp_run_until_complete(run->loop, run->main_task);
    if (rc == RP_EFUTCANCELED)
        rc = run->interrupted ? -EINTR : -ECANCELED;
    return rc;
}

/* ---- the end ---- */

/* Cancels each task that this has not cancelled yet: tasks may create others while they clean up. */
static void cancel_new_tasks(rp_loop *loop)
{
    rp_node *next;

    for (rp_node *node = loop->tasks.next; node != &loop->tasks; node = next) {
        rp_future *task = rp_container_of(node, rp_future, link);

        next = node->next;
        if (task->cancelled_at_end)
            continue;
        task->cancelled_at_end = true;
        rp_future_cancel(task);
    }
}

static void await_all_tasks(rp_loop *loop)
{
    while (!rp_list_empty(&loop->tasks)) {
        rp_future *task RP_ON_LEAVE(rp_future_drop) =
            rp_future_ref(rp_container_of(loop->tasks.next, rp_future, link));
        int rc;

        cancel_new_tasks(loop);
        do
            rc = rp_run_until_complete(loop, task);
        while (rc == RP_ESTOPPED); /* a task has stopped the loop: the others are waited for all the same */
        bool failed = !rp_future_done(task);
        if (rc < 0 && !failed && !rp_future_cancelled(task))
            rp_loop_report(
                loop, &(rp_report){
                          .where = RP_WHERE_SHUTDOWN_TASK, .error = rc, .future = task, .origin = task->origin});
        if (failed && rc != RP_EFORK)
            rp_loop_report(loop, &(rp_report){.where = RP_WHERE_SHUTDOWN, .error = rc});
        if (failed)
            return;
    }
}

static void report_patience(void *arg)
{
    rp_loop_report(arg, &(rp_report){.where = RP_WHERE_UNENDED_TASKS});
}

static void end_patience(rp_timer *patience)
{
    rp_timer_cancel(patience);
}

static void cancel_all_tasks(rp_loop *loop)
{
    rp_timer patience RP_ON_LEAVE(end_patience) = {0};

    if (loop->debug && !rp_list_empty(&loop->tasks))
        (void)rp_call_later(loop, &patience, PATIENCE, report_patience, loop);
    await_all_tasks(loop);
}

/* Whether there is a loop that cannot be ended now. */
static bool is_busy(const rp_runner *runner)
{
    return runner->loop && (rp_loop_is_running(runner->loop) || rp_get_running_loop());
}

static void free_loop(rp_runner *runner)
{
    rp_ending_end(&runner->ending);
    if (runner->installed)
        rp_set_event_loop(NULL);
    rp_loop_free(runner->loop);
    runner->loop = NULL;
}

int rp_runner_close(rp_runner *runner)
{
    rp_loop *loop = runner->loop;
    int64_t timeout = runner->options.executor_timeout;
    int rc;

    if (is_busy(runner))
        return RP_ERUNNING;
    runner->closed = true;
    if (!loop)
        return 0;
    rp_resources_pass(loop, RP_QUIESCE);
    cancel_all_tasks(loop);
    rp_shutdown_asyncgens(loop);
    rc = rp_shutdown_default_executor(loop, timeout != 0 ? timeout : DEFAULT_EXECUTOR_TIMEOUT);
    if (rc < 0 && rc != RP_EFORK)
        rp_loop_report(loop, &(rp_report){.where = RP_WHERE_SHUTDOWN_EXECUTOR, .error = rc});
    free_loop(runner);
    return 0;
}

/* If an exception ends the runner's end, what is left of the tasks goes with the loop. */
static void free_runner(rp_runner **freed)
{
    rp_runner *runner = *freed;

    if (is_busy(runner))
        return;
    if (runner->loop)
        free_loop(runner);
    rp_free(runner);
}

void rp_runner_free(rp_runner *runner)
{
    if (!runner)
        return;
    rp_runner *freed RP_ON_LEAVE(free_runner) = runner;
    rp_runner_close(freed);
}
