/*
 * test_origin.c - creation tracebacks.
 */
#include "harness/harness.h"
#include "harness/platform.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/names.h"
#include "base/origin.h"

TEST(depth_is_kept_within_bounds)
{
    CHECK_INT(rp_origin_get_depth(), ==, 10);
    CHECK_INT(rp_origin_set_depth(64), ==, 10);
    CHECK_INT(rp_origin_set_depth(65), ==, -EINVAL);
    CHECK_INT(rp_origin_set_depth(-1), ==, -EINVAL);
    CHECK_INT(rp_origin_set_depth(0), ==, 64);
    CHECK_INT(rp_origin_get_depth(), ==, 0);
}

__attribute__((noinline)) static rp_origin *capture_here(void)
{
    rp_origin *origin = rp_origin_capture();

    __asm__ volatile("" ::: "memory"); /* the call above is not the last thing here: no tail call */
    return origin;
}

TEST(capture_begins_with_its_caller)
{
    rp_origin *origin = capture_here();
    char *start = (char *)capture_here;

    CHECK(origin != NULL);
    CHECK_INT(origin->depth, >=, 1);
    CHECK_INT(origin->depth, <=, 10);
    CHECK((char *)origin->addresses[0] > start);
    CHECK((char *)origin->addresses[0] < start + 1024);
    rp_free(origin);
}

TEST(capture_goes_no_deeper_than_asked)
{
    rp_origin *origin;

    rp_origin_set_depth(1);
    origin = rp_origin_capture();
    CHECK_INT(origin->depth, ==, 1);
    rp_free(origin);
    rp_origin_set_depth(0);
    CHECK(rp_origin_capture() == NULL);
}

TEST(capture_without_memory)
{
    test_fail_allocation(1);
    CHECK(rp_origin_capture() == NULL);
}

TEST(functions_have_names)
{
    char text[64], hex[64];
    void *function = test_next_function("getenv");

    CHECK_STR(rp_origin_symbol(function, text, sizeof text), "getenv");
    CHECK_STR(rp_origin_symbol(function, text, 4), "get");
    snprintf(hex, sizeof hex, "%p", (void *)8);
    CHECK_STR(rp_origin_symbol((void *)8, text, sizeof text), hex);
}

TEST(addresses_are_printed_a_line_each)
{
    char *function = test_next_function("getenv");
    void *addresses[] = {function + 1, (void *)9};
    char last[64];
    char text[512];
    FILE *file = tmpfile();

    rp_origin_print(file, addresses, 2);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    CHECK(strncmp(text, "    getenv (", 12) == 0);
    snprintf(last, sizeof last, "\n    %p", (void *)8);
    CHECK(strstr(text, last) != NULL);
}
