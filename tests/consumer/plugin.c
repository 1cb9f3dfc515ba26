/*
 * plugin.c - a library that runs tasks, for plugin_host.c.
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
    return rp_run(nap, NULL);
}
