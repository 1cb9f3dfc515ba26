/*
 * app.c - a program outside of the tree: all it knows of ringport is what pkg-config says. See tests/check_install.py.
 */
#include <ringport.h>
#include <stdio.h>

static int app(rp_co *co, void *arg)
{
    int *milliseconds = arg;

    RP_TRY(rp_sleep(co, RP_MSEC(*milliseconds)));
    printf("ringport %s on %s\n", rp_version(), rp_loop_backend_name(rp_co_loop(co)));
    return 0;
}

int main(void)
{
    int milliseconds = 10;

    return rp_run(app, &milliseconds) < 0;
}
