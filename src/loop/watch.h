/*
 * watch.h - the inside of rp_watch, for whoever takes its events one by one.
 */
#ifndef RP_LOOP_WATCH_H
#define RP_LOOP_WATCH_H

#include "loop/watch_source.h"

/* Somebody who waits for an event. It stays with the watch until it has looked, so that a free in between is seen. */
typedef struct rp_watch_waiter {
    void (*wake)(void *arg); /* there is one; or the watch is gone. Called once */
    void *arg;
    bool woken;
    bool gone; /* the watch was freed */
} rp_watch_waiter;

struct rp_watch {
    rp_watch_source source;
    rp_resource resource;
    rp_handle handle;        /* delivers an event */
    rp_node events;          /* that are yet to be told, in order */
    size_t count;            /* of them */
    struct kept_event *lent; /* the last that was taken */
    bool overflown;          /* behind them */
    bool ending;             /* and behind that */
    bool ended;              /* that was told */
    rp_watch_callback *callback;
    void *arg;
    rp_watch_waiter *waiter; /* or NULL */
};

/* Wakes a waiter, unless it has been woken. */
void rp_watch_wake(rp_watch_waiter *waiter);

/* Takes the next event: whether there is one. Its name is lent until the next call. */
bool rp_watch_take(rp_watch *watch, rp_watch_event *event);

#endif
