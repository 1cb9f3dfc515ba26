/*
 * signals.h - what the loop and the runner need of signals beyond loop.h.
 */
#ifndef RP_LOOP_SIGNALS_H
#define RP_LOOP_SIGNALS_H

#include "loop/loop.h"

/*
 * rp_add_signal_handler. With `once` only the first arrival is caught; what comes after it does what the signal does by
 * default, even if the loop is stuck.
 */
int rp_signals_add(rp_loop *loop, int number, bool once, rp_callback *callback, void *arg);

/* Whether nobody has set a handler for the signal, so that it would end the process. */
bool rp_signals_is_default(int number);

/* The callback that is set for a signal on this loop; NULL if there is none. */
rp_callback *rp_signals_get(const rp_loop *loop, int number);

/* Before the proactor is closed: restores the handlers that stood before. After it: frees the pipe. */
void rp_signals_close(rp_loop *loop);
void rp_signals_free(rp_loop *loop);

#endif
