/*
 * event.c - rp_event: a flag that tasks wait for.
 *
 * While the event is set nobody is in the list.
 */
#include "co/waitlist.h"

void rp_event_init(rp_event *event)
{
    rp_waitlist_init(&event->waiters, "an event");
    event->set = false;
}

int rp_event_fini(rp_event *event)
{
    return rp_waitlist_fini(&event->waiters);
}

void rp_event_set(rp_event *event)
{
    event->set = true;
    rp_waitlist_wake_all(&event->waiters, 0);
}

void rp_event_clear(rp_event *event)
{
    event->set = false;
}

bool rp_event_is_set(const rp_event *event)
{
    return event->set;
}

int rp_event_wait(rp_co *co, rp_event *event)
{
    RP_TRY(rp_co_here(co));
    return event->set ? 0 : rp_waitlist_wait(co, &event->waiters);
}
