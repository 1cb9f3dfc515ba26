/*
 * test_real_c_library.c - the library's C library is Windows' own (UCRT): it hears what a program tells that one.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "harness/platform.h"
#include "harness/support.h"
#include "harness/tasks.h"
#include "ringport.h"

#ifdef _UCRT
/* A function as a program of another compiler finds it, which shares nothing with this one but that DLL. */
static void *ucrt(const char *name)
{
    HMODULE module = GetModuleHandleA("ucrtbase.dll");

    CHECK(module != NULL);
    CHECK(GetProcAddress(module, name) != NULL);
    return (void *)GetProcAddress(module, name);
}

TEST(errors_streams_variables_and_time_are_those_of_ucrt)
{
    int *(*error)(void) = ucrt("_errno");
    FILE *(*stream)(unsigned) = ucrt("__acrt_iob_func");
    char *(*get)(const char *) = ucrt("getenv");
    int (*put)(const char *) = ucrt("_putenv");
    long *(*zone)(void) = ucrt("__timezone");

    CHECK(error() == &errno);
    CHECK(stream(0) == stdin && stream(1) == stdout && stream(2) == stderr);
    CHECK_INT(putenv("RP_TEST_VARIABLE=ours"), ==, 0);
    CHECK_STR(get("RP_TEST_VARIABLE"), "ours");
    CHECK_INT(put("RP_TEST_VARIABLE=theirs"), ==, 0);
    CHECK_STR(getenv("RP_TEST_VARIABLE"), "theirs");
    CHECK_INT(putenv("TZ=ABC5"), ==, 0);
    tzset();
    CHECK_INT(*zone(), ==, 5 * 3600);
}

TEST(the_library_sees_variables_that_are_set_there)
{
    int (*put)(const char *) = ucrt("_putenv");
    rp_loop *loop;

    CHECK_INT(put("RINGPORT_PROACTOR=none-such"), ==, 0);
    CHECK_INT(rp_loop_new(NULL, &loop), <, 0);
    CHECK_INT(put("RINGPORT_PROACTOR="), ==, 0);
    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    rp_loop_free(loop);
}

static void count(void *arg)
{
    ++*(int *)arg;
}

CO_TEST(and_signals_that_are_raised_there)
{
    int (*raise_there)(int) = ucrt("raise");
    int raised = 0;

    CHECK_INT(rp_add_signal_handler(rp_co_loop(co), SIGTERM, count, &raised), ==, 0);
    CHECK_INT(raise_there(SIGTERM), ==, 0);
    while (raised == 0)
        CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
    CHECK_INT(rp_remove_signal_handler(rp_co_loop(co), SIGTERM), ==, 1);
}
#endif
