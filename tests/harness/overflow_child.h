/* overflow_child.h - a child process that faults, by a stack that overflows or otherwise, and what it says of that. */
#ifndef RP_TESTS_OVERFLOW_CHILD_H
#define RP_TESTS_OVERFLOW_CHILD_H

#include <string.h>

#include "co/task.h"
#include "harness/harness.h"
#include "harness/process.h"
#include "ringport.h"

static inline int depth(volatile char *above, int n)
{
    volatile char frame[512];

    frame[0] = above ? above[0] : 1;
    if (n == 0)
        return frame[0];
    return depth(frame, n - 1) + frame[0];
}

static inline int overflows(rp_co *co, void *arg)
{
    if (arg)
        rp_task_set_name(rp_co_task(co), arg);
    RP_TRY(rp_sleep(co, 0));
    return depth(NULL, 1 << 20);
}

/* Runs a function in another process; what it wrote is in `output`. */
static char output[4096];

static inline test_end run_child(void (*function)(void))
{
    return test_in_child(function, output, sizeof output);
}

/* Whether it was killed by what the hardware reports. */
static inline bool faulted(test_end end)
{
#ifdef _WIN32
    return end.name && strncmp(end.name, "EXCEPTION_", 10) == 0;
#else
    return end.name && strcmp(end.name, "SIGSEGV") == 0;
#endif
}

/* Whether it is what the library wrote, and all of it; an emulator may have added a line of its own. */
static inline void check_output(const char *line)
{
    CHECK(strncmp(output, line, strlen(line)) == 0);
    CHECK(strstr(output + strlen(line), "ringport") == NULL);
}

static inline void named(void)
{
    rp_run(overflows, "greedy");
}

#endif
