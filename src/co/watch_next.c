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
    (void)co;
    rp_watch_wake(arg);
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
    bool cancelled = rp_co_suspend(co, &waiting, &waiter);

    if (!waiter.gone)
        watch->waiter = NULL;
    if (cancelled)
        return rp_co_cancelled(co);
    if (waiter.gone)
        return -EBADF;
    rp_watch_take(watch, event);
    return 0;
}
