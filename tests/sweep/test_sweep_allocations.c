/*
 * test_sweep_allocations.c - the nth allocation fails, in every scenario and for every n.
 */
#include "harness/scenarios.h"

static int disarm(void)
{
    bool struck = test_allocation_failed();

    test_fail_allocation(0);
    return struck ? -ENOMEM : UNTOUCHED;
}

static const fault no_memory = {"allocation", test_fail_allocation, disarm};

#define SWEEP(name)                                                                                               \
    TEST(name)                                                                                                    \
    {                                                                                                             \
        sweep(scenario_##name, &no_memory);                                                                       \
    }
SCENARIOS(SWEEP)
