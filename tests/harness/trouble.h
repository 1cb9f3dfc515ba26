/* trouble.h - for tests of exceptions: what is thrown, and what has happened by then, a letter each. */
#ifndef RP_TESTS_TROUBLE_H
#define RP_TESTS_TROUBLE_H

#include <string>

#include "harness/harness.h"
#include "ringport.h"

struct trouble {
};

inline std::string events;

inline rp_loop *new_loop()
{
    rp_loop *loop;

    events.clear();
    CHECK_INT(rp_loop_new(nullptr, &loop), ==, 0);
    return loop;
}

/* Runs what is ready. */
inline void run_once(rp_loop *loop)
{
    rp_loop_stop(loop);
    CHECK_INT(rp_run_forever(loop), ==, 0);
}

#endif
