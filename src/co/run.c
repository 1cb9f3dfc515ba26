/*
 * run.c - running a coroutine as a program's main task: the runner of src/loop, given a task to run.
 */
#include "base/leave.h"
#include "loop/runner.h"
#include "ringport/co.h"

typedef struct main_coro {
    rp_coro *coro;
    void *arg;
} main_coro;

static int start_main(rp_loop *loop, rp_task **task, void *arg)
{
    const main_coro *m = arg;

    return rp_loop_create_task(loop, task, m->coro, m->arg);
}

int rp_runner_run(rp_runner *runner, rp_coro *coro, void *arg)
{
    main_coro m = {coro, arg};

    if (rp_get_running_loop())
        return RP_ERUNNING;
    return coro ? rp_runner_run_main(runner, start_main, &m) : -EINVAL;
}

static void free_runner(rp_runner **runner)
{
    rp_runner_free(*runner);
}

int rp_run(rp_coro *coro, void *arg)
{
    rp_runner *runner RP_ON_LEAVE(free_runner) = NULL;
    int rc = rp_runner_new(NULL, &runner);

    return rc < 0 ? rc : rp_runner_run(runner, coro, arg);
}
