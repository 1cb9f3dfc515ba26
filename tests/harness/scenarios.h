/*
 * scenarios.h - what the fault sweeps run: small programs that fall back on nothing, and tell each error they get.
 *
 * A sweep lets the first, the second, ... fault of a kind strike a scenario, until one run passes untouched. Whatever
 * strikes, the scenario must end, by the fault's own error if by any, leave nothing, and be able to close its loop.
 */
#ifndef RP_TESTS_SCENARIOS_H
#define RP_TESTS_SCENARIOS_H

#include "harness/harness.h"
#include "harness/wrap.h"
#include "ringport/co.h"
#include "ringport/loop.h"

/* All of them: SCENARIOS(EACH) expands to EACH(name) for each. */
#define SCENARIOS(each)                                                                                           \
    each(loop_opened_and_closed) each(hundred_messages_echoed) each(messages_by_callbacks)                        \
        each(server_from_start_to_stop) each(group_with_a_failing_child) each(timeout_that_expires)               \
            each(executor_job) each(signal_handler) each(lines_through_pipes) each(run_whole) each(generators)    \
                each(name_that_is_raced_for) each(children) each(files) each(datagrams_by_callbacks)              \
                    each(datagrams_in_tasks) each(files_sent) each(watches) each(tls)

/* Runs it: 0, or the error that it ended by. */
typedef int scenario(void);

#define SCENARIO_DECLARE(name) scenario scenario_##name;
SCENARIOS(SCENARIO_DECLARE)
#undef SCENARIO_DECLARE

/* For them: keeps an error that a call has returned, and returns it; runs a coroutine on a loop of its own. */
int scenario_note(int rc);
int scenario_run(rp_coro *coro);

/* An exception handler that keeps the errors of reports. */
void scenario_on_exception(rp_loop *loop, const rp_exception_context *context, void *arg);

/* How a fault has struck, if not by a negative error that somebody is to be told of. */
enum {
    HARMLESS = 0, /* the program does not fail by it */
    UNTOUCHED = 1,
};

/* A kind of fault, for sweep(). */
typedef struct fault {
    const char *name;
    void (*arm)(uint64_t nth); /* lets the nth from now on strike */
    int (*disarm)(void);       /* how it has struck */
} fault;

/*
 * Lets a fault strike a scenario in every place, or with RP_TEST_NTH=n in the environment only in the nth. Where code
 * runs slowly, only every so many are swept after the first places.
 */
void sweep(scenario *run, const fault *kind);

#endif
