/*
 * signals.h - what the runner and tasks need of signals beyond loop.h.
 */
#ifndef RP_LOOP_SIGNALS_H
#define RP_LOOP_SIGNALS_H

#include "loop/loop.h"
#include "loop/signal_sink.h"

/*
 * Waits for a signal: wake(arg) is called once, on the loop, when it comes. 1, and nothing is called, if it has come
 * since the last wait ended. Errors as rp_add_signal_handler.
 */
int rp_signals_wait(rp_loop *loop, int number, rp_signal_wait *wait, rp_callback *wake, void *arg);

/* Takes a wait back. The last one of a signal that has no handler restores what the process did at it before. */
void rp_signals_stop_waiting(rp_loop *loop, int number, rp_signal_wait *wait);

/*
 * rp_add_signal_handler(). With `once` only the first arrival is caught. Later ones do what the signal does by default,
 * even if the loop is stuck.
 */
int rp_signals_add(rp_loop *loop, int number, bool once, rp_callback *callback, void *arg);

/* Whether nobody has set a handler for the signal, so that it would end the process. */
bool rp_signals_is_default(int number);

/* The callback that is set for a signal on this loop; NULL if there is none. */
rp_callback *rp_signals_get(const rp_loop *loop, int number);

#endif
