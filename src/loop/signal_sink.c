/*
 * signal_sink.c - where a signal goes once it has reached its loop; the same on every platform.
 */
#include "loop/signal_sink.h"

void rp_signal_sink_init(rp_signal_sink *sink)
{
    *sink = (rp_signal_sink){.callback = NULL};
    rp_list_init(&sink->waits);
}

void rp_signal_sink_handle(rp_signal_sink *sink, rp_callback *callback, void *arg, bool once)
{
    sink->callback = callback;
    sink->arg = arg;
    sink->once = once;
    sink->pending = false;
}

bool rp_signal_sink_wait(rp_signal_sink *sink, rp_signal_wait *wait, rp_callback *wake, void *arg)
{
    if (sink->pending) {
        sink->pending = false;
        return true;
    }
    wait->wake = wake;
    wait->arg = arg;
    rp_list_push(&sink->waits, &wait->link);
    return false;
}

void rp_signal_sink_run(rp_signal_sink *sink)
{
    rp_node *node = rp_list_pop(&sink->waits);

    if (!node && !sink->callback)
        sink->pending = true;
    else if (!node)
        sink->callback(sink->arg);
    for (; node; node = rp_list_pop(&sink->waits)) {
        const rp_signal_wait *wait = rp_container_of(node, rp_signal_wait, link);

        wait->wake(wait->arg);
    }
}
