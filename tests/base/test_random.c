/* test_random.c - numbers that nobody can guess: no two are the same, whatever the system lacks. */
#include "base/random.h"

#include <errno.h>
#ifndef _WIN32
#include <sys/syscall.h>
#endif

#include "harness/harness.h"
#include "harness/hide.h"

static void check_numbers(void)
{
    enum { COUNT = 100 };
    uint64_t numbers[COUNT];

    for (int i = 0; i < COUNT; i++) {
        numbers[i] = rp_random();
        for (int j = 0; j < i; j++)
            CHECK(numbers[i] != numbers[j]);
    }
}

TEST(numbers)
{
    check_numbers();
}

#ifndef _WIN32
TEST(a_system_that_has_none_yet)
{
    refuse_call(SYS_getrandom, -1, 0, EAGAIN);
    check_numbers();
}
#else
TEST_ABSENT(a_system_that_has_none_yet, "Windows has such numbers from its start");
#endif
