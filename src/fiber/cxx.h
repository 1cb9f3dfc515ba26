/*
 * cxx.h - what a C++ runtime knows of a thread's exceptions: which are being handled, and how many are on their way.
 *
 * That belongs to a flow of control, not to the thread. So it is exchanged wherever one flow takes another's place.
 * Without such a runtime there is nothing to exchange. It may come late, with a library that is loaded while tasks run.
 */
#ifndef RP_FIBER_CXX_H
#define RP_FIBER_CXX_H

#include "ringport/base.h"

/* The __cxa_eh_globals of the Itanium C++ ABI. All zero: no exceptions. */
typedef struct rp_cxx_state {
    void *caught; /* being handled, the innermost first */
    unsigned uncaught;
} rp_cxx_state;

/* Whether there is a runtime. It costs little as long as no library is loaded. Any thread. */
bool rp_cxx_look(void);

/* The calling thread's state, in the same place for as long as the thread lives; NULL if there is no runtime. */
rp_cxx_state *rp_cxx_thread_state(void);

/* Suspends the flow that runs in this thread, and lets another one take its place; or the other way round. */
static inline void rp_cxx_exchange(rp_cxx_state *thread, rp_cxx_state *other)
{
    rp_cxx_state state = *thread;

    *thread = *other;
    *other = state;
}

#endif
