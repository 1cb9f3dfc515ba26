/*
 * signals.h - what the runner and tasks need of signals beyond loop.h.
 */
#ifndef RP_LOOP_SIGNALS_H
#define RP_LOOP_SIGNALS_H

#include "base/thread.h"
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

/* Whether the calling thread may catch signals: the main one, and on Windows, which knows none, any. */
#ifdef _WIN32
static inline bool rp_signals_allowed(void)
{
    return true;
}
#else
static inline bool rp_signals_allowed(void)
{
    return rp_thread_is_main();
}
#endif

/* Whether nobody has set a handler for the signal, so that it would end the process. */
bool rp_signals_is_default(int number);

/* The callback that is set for a signal on this loop; NULL if there is none. */
rp_callback *rp_signals_get(const rp_loop *loop, int number);

/*
 * What is to end in order when the system is about to end the process. Windows is: when the console is closed, or the
 * machine shut down. callback(arg) is then called on the loop, if nobody has asked for SIGTERM, and the process lives
 * until rp_ending_end(), for as long as the system lets it. Elsewhere signals tell of that, and this does nothing.
 */
#ifdef _WIN32
typedef struct rp_ending {
    rp_node link;
    rp_handle handle;
    rp_loop *loop;
    rp_callback *callback;
    void *arg;
} rp_ending;

/* One that has begun goes on. It is zeroed before the first time. -ENOMEM: the system cannot tell of it. */
int rp_ending_begin(rp_ending *ending, rp_loop *loop, rp_callback *callback, void *arg);

/* While the loop is still there. One that has not begun is ignored. */
void rp_ending_end(rp_ending *ending);
#else
typedef struct rp_ending {
    char none;
} rp_ending;

static inline int rp_ending_begin(rp_ending *ending, rp_loop *loop, rp_callback *callback, void *arg)
{
    ending->none = 0;
    return 0;
}

static inline void rp_ending_end(rp_ending *ending)
{
    ending->none = 0;
}
#endif

#endif
