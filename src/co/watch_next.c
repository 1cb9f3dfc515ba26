/*
 * watch_next.c - waiting for the next event of a watch.
 */
#include "co/task.h"
#include "loop/watch.h"
#include "ringport/io.h"

static void wake(void *arg)
{
    rp_co_wake(arg);
}

static void interrupt(rp_co *co, void *arg)
{
    ((rp_watch *)arg)->waiter = NULL;
    rp_co_wake(co);
}

int rp_watch_next(rp_co *co, rp_watch *watch, rp_watch_event *event)
{
    static const rp_waiting waiting = {interrupt, NULL, "a change of a file"};
    rp_watch_waiter waiter = {.wake = wake, .arg = co};

    RP_TRY(rp_co_check(co));
    if (watch->callback)
        return -EINVAL;
    if (watch->waiter)
        return -EBUSY;
    if (rp_watch_take(watch, event))
        return 0;
    if (watch->ended)
        return RP_EOF;
    watch->waiter = &waiter;
    if (rp_co_suspend(co, &waiting, watch))
        return rp_co_cancelled(co);
    if (waiter.gone)
        return -EBADF;
    rp_watch_take(watch, event);
    return 0;
}
