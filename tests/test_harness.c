/*
 * test_harness.c - tests that must fail do: each subject below misbehaves in its own way, is run by a harness of
 * its own in a forked process, and the line, the summary and the exit status that come out are checked.
 */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"

static void subject_passes(void)
{
    CHECK(true);
    puts("output of a test that passes");
}

enum { FAILING_LINE = __LINE__ + 5 };

static void subject_fails_plainly(void)
{
    puts("output of a test that fails");
    CHECK(1 > 2);
}

static void subject_fails_int(void)
{
    CHECK_INT(-ECONNRESET, ==, 3);
}

static void subject_fails_str(void)
{
    CHECK_STR("left", NULL);
}

static void *fail_in_thread(void *arg)
{
    CHECK(arg != NULL);
    return NULL;
}

static void subject_fails_in_thread(void)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, fail_in_thread, NULL) == 0);
    pthread_join(thread, NULL);
}

static void subject_fails_in_fork(void)
{
    pid_t pid = fork();

    if (pid == 0)
        CHECK(pid != 0);
    waitpid(pid, NULL, 0);
}

static void subject_skips(void)
{
    SKIP("no %s here", "moon");
}

static void subject_aborts(void)
{
    CHECK(true);
    abort();
}

static void subject_crashes(void)
{
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}

static void subject_exits_well(void)
{
    exit(0);
}

static void subject_exits_badly(void)
{
    exit(3);
}

static void subject_hangs(void)
{
    CHECK(true);
    for (;;)
        pause();
}

static void fail_at_exit(void)
{
    _exit(9);
}

static void subject_fails_at_exit(void)
{
    atexit(fail_at_exit);
}

static void subject_leaks_fd(void)
{
    CHECK(open("/dev/null", O_RDONLY) >= 0);
}

static void subject_leaks_memory(void)
{
    void *memory = rp_malloc(100);

    rp_free(rp_realloc(memory, 200));
    CHECK(rp_malloc(48) != NULL);
    CHECK(rp_malloc(3) != NULL);
}

static void *free_late(void *memory)
{
    usleep(50000);
    rp_free(memory);
    return NULL;
}

/* A detached thread that still holds memory when the test returns, but not for long, is no leak. */
static void subject_frees_late(void)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, free_late, rp_malloc(1)) == 0);
    pthread_detach(thread);
}

/* Leaves a process behind that would keep the pipe open, and so the checking test waiting, for a minute. */
static void subject_leaves_process(void)
{
    if (fork() == 0) {
        sleep(60);
        _exit(0);
    }
}

#define SUBJECT(name, timeout)                                                                                    \
    {                                                                                                             \
#name, subject_##name, timeout, NULL                                                                      \
    }

static test_case subjects[] = {
    SUBJECT(passes, 0),          SUBJECT(fails_plainly, 0), SUBJECT(fails_int, 0),    SUBJECT(fails_str, 0),
    SUBJECT(fails_in_thread, 0), SUBJECT(fails_in_fork, 0), SUBJECT(skips, 0),        SUBJECT(aborts, 0),
    SUBJECT(crashes, 0),         SUBJECT(exits_well, 0),    SUBJECT(exits_badly, 0),  SUBJECT(hangs, 1),
    SUBJECT(fails_at_exit, 0),   SUBJECT(leaks_fd, 0),      SUBJECT(leaks_memory, 0), SUBJECT(frees_late, 0),
    SUBJECT(leaves_process, 0),
};

static char output[16384];

/* Runs the harness on the subjects with arguments that NULL ends: fills `output`, returns the exit status. */
static int run_harness(char **arguments)
{
    enum { COUNT = sizeof subjects / sizeof subjects[0] };
    int ends[2], argc = 0, status;
    size_t length = 0;
    ssize_t n;
    pid_t pid;

    while (arguments[argc])
        argc++;
    for (int i = 0; i + 1 < COUNT; i++)
        subjects[i].next = &subjects[i + 1];
    CHECK_INT(pipe(ends), ==, 0);
    pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        _exit(test_main(subjects, argc, arguments));
    }
    close(ends[1]);
    while ((n = read(ends[0], output + length, sizeof output - 1 - length)) > 0)
        length += (size_t)n;
    output[length] = '\0';
    close(ends[0]);
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#define HARNESS(...) run_harness((char *[]){"harness", __VA_ARGS__, NULL})

/* Whether `line` begins a line of the output. */
static bool printed(const char *line)
{
    size_t length = strlen(line);

    for (const char *place = output; (place = strstr(place, line)); place += length)
        if (place == output || place[-1] == '\n')
            return true;
    return false;
}

/* Checks that one subject fails with a line that begins so; of its line number, only that there is one. */
static void check_failure(const char *subject, const char *text)
{
    char line[512];

    CHECK_INT(run_harness((char *[]){"harness", (char *)subject, NULL}), ==, 1);
    snprintf(line, sizeof line, "FAILED %s: %s", subject, text);
    if (!printed(line))
        fprintf(stderr, "expected: %s\nin:\n%s", line, output);
    CHECK(printed(line));
    CHECK(printed("# 0 passed, 1 failed, 0 skipped\n"));
}

TEST(passing_test)
{
    CHECK_INT(HARNESS("passes"), ==, 0);
    CHECK(printed("ok passes ("));
    CHECK(printed("# 1 passed, 0 failed, 0 skipped\n"));
    CHECK(!strstr(output, "output of a test"));
    CHECK_INT(HARNESS("-v", "passes"), ==, 0);
    CHECK(printed("    | output of a test that passes\n"));
}

TEST(failing_check_is_named_with_its_line)
{
    char text[64];

    snprintf(text, sizeof text, "tests/test_harness.c:%d: CHECK(1 > 2)\n", FAILING_LINE);
    check_failure("fails_plainly", text);
    CHECK(printed("    | output of a test that fails\n"));
}

TEST(failing_values_are_shown)
{
    check_failure("fails_int", "tests/test_harness.c:");
    CHECK(strstr(output, ": CHECK_INT(-ECONNRESET, ==, 3): left is -104 (ECONNRESET), right is 3\n"));
    check_failure("fails_str", "tests/test_harness.c:");
    CHECK(strstr(output, ": CHECK_STR(\"left\", NULL): left is \"left\", right is \"(null)\"\n"));
}

TEST(checks_count_in_threads_and_forks)
{
    check_failure("fails_in_thread", "tests/test_harness.c:");
    CHECK(strstr(output, ": CHECK(arg != NULL)\n"));
    check_failure("fails_in_fork", "tests/test_harness.c:");
    CHECK(strstr(output, ": CHECK(pid != 0)\n"));
}

TEST(crashes_are_named)
{
    check_failure("aborts", "killed by SIGABRT after tests/test_harness.c:");
    check_failure("crashes", "killed by SIGSEGV before its first check\n");
}

TEST(early_exits_are_failures)
{
    check_failure("exits_well", "the test called exit() before its first check\n");
    check_failure("exits_badly", "exit status 3 before its first check\n");
    check_failure("fails_at_exit", "exit status 9 at the process's end\n");
}

TEST(hanging_test_meets_its_deadline)
{
    int64_t start = rp_monotonic();

    setenv("RP_TEST_TIMEOUT", "1", 1);
    check_failure("hangs", "no end within 1 s, after tests/test_harness.c:");
    CHECK_INT(rp_monotonic() - start, <, RP_SEC(10));
}

TEST(leaks_are_failures)
{
    check_failure("leaks_fd", "descriptors leaked: 1, the first is ");
    CHECK(strstr(output, " (/dev/null)\n"));
    check_failure("leaks_memory", "memory leaked: 2 blocks, the first of 48 bytes (allocation 3; RP_TEST_TRACE=1");
    setenv("RP_TEST_TRACE", "1", 1);
    check_failure("leaks_memory", "memory leaked: 2 blocks, the first of 48 bytes (allocation 3, ");
    CHECK(strstr(output, "    |     "));
}

TEST(late_release_is_no_leak)
{
    CHECK_INT(HARNESS("frees_late"), ==, 0);
}

TEST(processes_left_behind_are_killed)
{
    int64_t start = rp_monotonic();

    CHECK_INT(HARNESS("leaves_process"), ==, 0);
    CHECK_INT(rp_monotonic() - start, <, RP_SEC(30));
}

TEST(skipped_test)
{
    CHECK_INT(HARNESS("skips"), ==, 77);
    CHECK(printed("skipped skips: no moon here\n"));
    CHECK(printed("# 0 passed, 0 failed, 1 skipped\n"));
    CHECK_INT(HARNESS("skips", "passes"), ==, 0);
    CHECK(printed("# 1 passed, 0 failed, 1 skipped\n"));
}

TEST(jobs_run_side_by_side)
{
    setenv("RP_TEST_TIMEOUT", "2", 1);
    CHECK_INT(HARNESS("-j", "4", "hangs", "passes", "leaks_fd", "skips"), ==, 1);
    CHECK(printed("FAILED hangs: no end within 2 s"));
    CHECK(printed("ok passes ("));
    CHECK(printed("FAILED leaks_fd: "));
    CHECK(printed("skipped skips: "));
    CHECK(printed("# 1 passed, 2 failed, 1 skipped\n"));
    CHECK(strstr(output, "ok passes (") < strstr(output, "FAILED hangs: "));
}

TEST(listing_and_selection)
{
    CHECK_INT(HARNESS("-l", "fails_in_", "hang"), ==, 0);
    CHECK_STR(output, "fails_in_thread\nfails_in_fork\nhangs\n");
    CHECK_INT(HARNESS("no such name"), ==, 1);
    CHECK_INT(HARNESS("-x"), ==, 1);
    CHECK(printed("usage: "));
}

/* A backend that cannot be opened lets tests fail by themselves, unless skipping is allowed. */
TEST(forced_backend_that_is_missing)
{
    setenv("RINGPORT_PROACTOR", "no such backend", 1);
    CHECK_STR(test_backend(), "no such backend");
    CHECK_INT(HARNESS("passes"), ==, 0);
    setenv("RP_ALLOW_SKIP", "1", 1);
    CHECK_INT(HARNESS("passes"), ==, 77);
    CHECK(printed("skipped passes: no such backend: "));
    unsetenv("RINGPORT_PROACTOR");
    CHECK(!test_backend());
    CHECK_INT(HARNESS("passes"), ==, 0);
}

TEST(allocations_fail_by_order)
{
    uint64_t before = test_allocations();
    void *memory;

    test_fail_allocation(2);
    memory = rp_malloc(1);
    CHECK(memory != NULL);
    CHECK_INT(test_live_allocations(), ==, 1);
    CHECK(!test_allocation_failed());
    CHECK(rp_realloc(memory, 2) == NULL);
    CHECK(test_allocation_failed());
    CHECK_INT(test_allocations() - before, ==, 2);
    memory = rp_realloc(memory, 2);
    CHECK(memory != NULL);
    rp_free(memory);
    CHECK_INT(test_live_allocations(), ==, 0);
}
