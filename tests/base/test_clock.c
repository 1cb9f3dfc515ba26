/*
 * test_clock.c - the monotonic clock, and the version.
 */
#include "harness/harness.h"

#include <stdio.h>
#include <time.h>

TEST(clock_goes_forward)
{
    int64_t before = rp_monotonic();

    for (int i = 0; i < 10000; i++) {
        int64_t now = rp_monotonic();
        CHECK_INT(now, >=, before);
        before = now;
    }
}

TEST(clock_counts_nanoseconds_of_the_monotonic_clock)
{
    int64_t before = rp_monotonic();
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    CHECK_INT(RP_SEC(now.tv_sec) + now.tv_nsec, >=, before);
    nanosleep(&(struct timespec){0, 20000000}, NULL);
    CHECK_INT(rp_monotonic() - before, >=, RP_MSEC(20));
}

TEST(units)
{
    CHECK_INT(RP_SEC(1), ==, 1000000000);
    CHECK_INT(RP_MSEC(250), ==, 250000000);
    CHECK_INT(RP_USEC(3), ==, 3000);
    CHECK_INT(RP_SEC(0.5), ==, RP_MSEC(500));
}

TEST(version_is_the_headers)
{
    char text[32];

    snprintf(text, sizeof text, "%d.%d.%d", RP_VERSION_MAJOR, RP_VERSION_MINOR, RP_VERSION_PATCH);
    CHECK_STR(rp_version(), text);
}
