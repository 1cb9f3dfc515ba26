/* test_report.c - the report of a run on a real Windows: that nothing which failed is missing. */
#include "harness/harness.h"

#include <stdlib.h>

#include "windows/report.h"

static report all;

static void run(const char *name, const char *const lines[], int status)
{
    report_program program = {.name = name};

    for (int i = 0; lines[i]; i++)
        report_line(&all, &program, lines[i]);
    report_exit(&all, &program, status);
}

static void check_end(const char *text, int status)
{
    int actual;
    char *whole = report_end(&all, &actual);

    CHECK_STR(whole, text);
    CHECK_INT(actual, ==, status);
    free(whole);
}

TEST(what_was_found_and_skipped)
{
    const char *const one[] = {"ok a (3 ms)\r\n",
                               "    | # Windows 10.0\r\n",
                               "    | other output\n",
                               "skipped b: not here\r\n",
                               "    | # links: no\n",
                               "# 1 passed, 0 failed, 1 skipped\r\n",
                               NULL};
    const char *const two[] = {"skipped c: nor here", "# 0 passed, 0 failed, 1 skipped", NULL};

    run("one", one, 0);
    run("two", two, 77);
    check_end("\nFound:\n  one: Windows 10.0\n  one: links: no\n\n"
              "Skipped:\n  one: b: not here\n  two: c: nor here\n\n"
              "Failed:\n  nothing\n\n1 passed, 0 failed, 2 skipped\n",
              0);
}

TEST(what_failed)
{
    const char *const lines[] = {"FAILED a: x.c:1: CHECK(0)",
                                 "    | its output",
                                 "    | # found",
                                 "ok b (1 ms)",
                                 "    | # found, too",
                                 "# 1 passed, 1 failed, 0 skipped",
                                 NULL};

    run("one", lines, 1);
    check_end("\nFound:\n  one: found\n  one: found, too\n\nSkipped:\n  nothing\n\n"
              "Failed:\n  one: a: x.c:1: CHECK(0)\n      its output\n      # found\n\n"
              "1 passed, 1 failed, 0 skipped\n",
              1);
}

TEST(programs_that_die)
{
    const char *const amid[] = {"ok a (3 ms)", NULL}, *const after[] = {"# 2 passed, 0 failed, 0 skipped", NULL};
    const char *const never[] = {NULL}, *const silent[] = {"# 0 passed, 0 failed, 1 skipped", NULL};

    run("amid", amid, (int)0xc0000005);
    run("after", after, 1);
    run("never", never, 0);
    run("silent", silent, 0);
    check_end("\nFound:\n  nothing\n\nSkipped:\n  nothing\n\n"
              "Failed:\n  amid: ended amid its tests, exit status 0xc0000005\n"
              "  after: after its tests, exit status 0x1\n"
              "  never: ended amid its tests, exit status 0x0\n"
              "  silent: after its tests, exit status 0x0\n\n2 passed, 4 failed, 1 skipped\n",
              1);
}

TEST(a_run_of_nothing_has_not_passed)
{
    check_end(
        "\nFound:\n  nothing\n\nSkipped:\n  nothing\n\nFailed:\n  nothing\n\n0 passed, 0 failed, 0 skipped\n", 1);
}
