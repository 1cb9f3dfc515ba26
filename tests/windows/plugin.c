/*
 * plugin.c - a DLL that runs a task on a loop and leaves the loop behind, for plugin_host.c: what handles exceptions
 * for it is still installed when the DLL is freed.
 */
#include <ringport.h>

static int nap(rp_co *co, void *arg)
{
    (void)arg;
    return rp_sleep(co, RP_MSEC(1));
}

int plugin_run(void);
int plugin_run(void)
{
    rp_loop *loop;
    rp_task *task;
    int rc = rp_loop_new(NULL, &loop);

    if (rc == 0)
        rc = rp_loop_create_task(loop, &task, nap, NULL);
    return rc == 0 ? rp_run_until_complete(loop, task) : rc;
}
