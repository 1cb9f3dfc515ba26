/*
 * waitlist.c - waiting in a list, and waking one task after the other.
 *
 * Each step keeps `count` the length of the list, and `woken` and `leaving` the numbers of tasks between their wake-up
 * or cancellation and their running, also when the loop is closed: then tasks vanish without having run.
 */
#include "co/waitlist.h"

#include <assert.h>

typedef struct waiter {
    rp_node link; /* in the list until it is woken or cancelled */
    rp_waitlist *waiters;
    rp_co *co;
    int result;
    bool woken;
} waiter;

void rp_waitlist_init(rp_waitlist *waiters, const char *what)
{
    *waiters = (rp_waitlist){.what = what};
    rp_list_init(&waiters->list);
}

int rp_waitlist_fini(const rp_waitlist *waiters)
{
    return rp_waitlist_any(waiters) || waiters->leaving > 0 ? -EBUSY : 0;
}

static void leave(waiter *w)
{
    assert(w->waiters->count > 0 && rp_node_linked(&w->link));
    rp_list_remove(&w->link);
    w->waiters->count--;
}

static void interrupt(rp_co *co, void *arg)
{
    waiter *w = arg;

    leave(w);
    w->waiters->leaving++;
    rp_co_wake(co);
}

static void abandon(rp_co *co, void *arg)
{
    waiter *w = arg;

    (void)co;
    if (rp_node_linked(&w->link))
        leave(w);
    else if (w->woken)
        w->waiters->woken--;
    else
        w->waiters->leaving--;
}

static int wait_in(rp_co *co, rp_waitlist *waiters, bool can_be_cancelled)
{
    const rp_waiting waiting = {can_be_cancelled ? interrupt : NULL, abandon, waiters->what};
    waiter w = {.waiters = waiters, .co = co};

    rp_list_push(&waiters->list, &w.link);
    waiters->count++;
    if (rp_co_suspend(co, &waiting, &w)) {
        assert(waiters->leaving > 0 && !w.woken);
        waiters->leaving--;
        return rp_co_cancelled(co);
    }
    assert(waiters->woken > 0 && w.woken);
    waiters->woken--;
    return w.result;
}

int rp_waitlist_wait(rp_co *co, rp_waitlist *waiters)
{
    RP_TRY(rp_co_check(co));
    return wait_in(co, waiters, true);
}

int rp_waitlist_wait_uncancelled(rp_co *co, rp_waitlist *waiters)
{
    return wait_in(co, waiters, false);
}

bool rp_waitlist_wake(rp_waitlist *waiters, int result)
{
    waiter *w;

    assert((waiters->count == 0) == rp_list_empty(&waiters->list));
    if (waiters->count == 0)
        return false;
    w = rp_container_of(waiters->list.next, waiter, link);
    leave(w);
    waiters->woken++;
    w->woken = true;
    w->result = result;
    rp_co_wake(w->co);
    return true;
}

void rp_waitlist_wake_all(rp_waitlist *waiters, int result)
{
    while (rp_waitlist_wake(waiters, result))
        ;
}
