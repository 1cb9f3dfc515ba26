/*
 * signal_sink.h - where a signal goes once it has reached its loop.
 */
#ifndef RP_LOOP_SIGNAL_SINK_H
#define RP_LOOP_SIGNAL_SINK_H

#include "base/list.h"
#include "ringport/loop.h"

/* A wait for the next arrival of a signal. It must stay where it is until it has ended. */
typedef struct rp_signal_wait {
    rp_node link;
    rp_callback *wake;
    void *arg;
} rp_signal_wait;

/*
 * Where a signal goes on a loop: to those who wait for it, else to the handler, else it is kept for the next wait. Each
 * platform's entry for a signal has one, which belongs to the loop's thread.
 */
typedef struct rp_signal_sink {
    rp_callback *callback; /* the handler; NULL: there is none */
    void *arg;
    bool once;    /* the handler is to be told of the first arrival only */
    bool pending; /* it has come, and there was nobody */
    rp_node waits;
} rp_signal_sink;

void rp_signal_sink_init(rp_signal_sink *sink);

/* Sets the handler; NULL: there is none any more. What was kept is forgotten. */
void rp_signal_sink_handle(rp_signal_sink *sink, rp_callback *callback, void *arg, bool once);

/* Waits, and returns false; or has what was kept, and returns true. */
bool rp_signal_sink_wait(rp_signal_sink *sink, rp_signal_wait *wait, rp_callback *wake, void *arg);

/* Whether nobody would be told. */
static inline bool rp_signal_sink_is_idle(const rp_signal_sink *sink)
{
    return !sink->callback && rp_list_empty(&sink->waits);
}

/* The signal has come: on the loop. */
void rp_signal_sink_run(rp_signal_sink *sink);

/* Whether only the first arrival is to be caught. */
static inline bool rp_signal_sink_is_once(const rp_signal_sink *sink)
{
    return sink->once && rp_list_empty(&sink->waits);
}

#endif
