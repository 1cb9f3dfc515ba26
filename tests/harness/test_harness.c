/*
 * test_harness.c - tests that must fail do: each subject below misbehaves in its own way, is run by a harness of
 * its own in another process, and the line, the summary and the exit status that come out are checked.
 */
#include "harness/co_test.h"
#include "harness/harness.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "harness/platform.h"

#ifdef _WIN32
#define ABORTED "abort()"
#define CRASHED "EXCEPTION_ACCESS_VIOLATION"
#define NOTHING "NUL"
#else
#define ABORTED "SIGABRT"
#define CRASHED "SIGSEGV"
#define NOTHING "/dev/null"
#endif

static void subject_passes(void)
{
    CHECK(true);
    puts("output of a test that passes");
    puts("# what it has found");
    puts("#");
    puts(" # no finding");
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

#ifndef _WIN32
static void subject_fails_in_fork(void)
{
    pid_t pid = fork();

    if (pid == 0)
        CHECK(pid != 0);
    waitpid(pid, NULL, 0);
}
#endif

static void subject_skips(void)
{
    SKIP("no %s here", "moon");
}

static void subject_aborts(void)
{
    CHECK(true);
    abort();
}

static char *volatile nowhere = (char *)16;

static void subject_crashes(void)
{
    *nowhere = 1;
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
        sleep(1);
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
    CHECK(open(NOTHING, O_RDONLY) >= 0);
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

/* Leaves a process behind that would keep the output open, and so the checking test waiting, for ever. */
static void subject_leaves_process(void)
{
    test_start_child(-1);
}

/* Two that end only if they run side by side: each leaves a file for the other, and waits for the other's. */
static void meet(const char *own, const char *others)
{
    const char *place = getenv("HARNESS_MEETING");
    char path[256];
    int fd;

    snprintf(path, sizeof path, "%s-%s", place, own);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    CHECK_INT(fd, >=, 0);
    close(fd);
    snprintf(path, sizeof path, "%s-%s", place, others);
    while (unlink(path) < 0)
        usleep(1000);
}

static void subject_meets_the_second(void)
{
    meet("first", "second");
}

static void subject_meets_the_first(void)
{
    meet("second", "first");
}

/* ---- bodies of CO_TEST() ---- */

static int waits_for_ever(rp_co *co, void *arg)
{
    CHECK(!arg);
    return rp_sleep(co, RP_NEVER);
}

static void return_early(rp_co *co)
{
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    if (rp_current_task() == rp_co_task(co))
        return;
    CHECK(false);
}

static void fail_in_the_body(rp_co *co)
{
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 1);
}

static void fail_in_a_task(rp_co *co)
{
    rp_task *task;

    CHECK_INT(rp_create_task(&task, waits_for_ever, co), ==, 0);
    rp_join(co, task);
}

static void skip_in_the_body(rp_co *co)
{
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    SKIP("no moon for coroutines");
}

static void leave_memory(rp_co *co)
{
    CHECK(rp_malloc(20));
    CHECK_INT(rp_sleep(co, 0), ==, 0);
}

static void leave_a_task(rp_co *co)
{
    rp_task *task;

    CHECK_INT(rp_create_task(&task, waits_for_ever, NULL), ==, 0);
    rp_task_set_name(task, "astray");
    rp_future_unref(task);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
}

#define CO_SUBJECT(name, body)                                                                                    \
    static void subject_##name(void)                                                                              \
    {                                                                                                             \
        co_test_run(body, __FILE__, __LINE__);                                                                    \
    }

CO_SUBJECT(co_returns_early, return_early)
CO_SUBJECT(co_body_fails, fail_in_the_body)
CO_SUBJECT(co_task_fails, fail_in_a_task)
CO_SUBJECT(co_gives_up, skip_in_the_body)
CO_SUBJECT(co_keeps_memory, leave_memory)
enum { LEAVING_LINE = __LINE__ + 1 };
CO_SUBJECT(co_leaves_a_task, leave_a_task)

#define SUBJECT(name)                                                                                             \
    {                                                                                                             \
#name, subject_##name, NULL                                                                               \
    }

static test_case subjects[] = {
    SUBJECT(passes),
    SUBJECT(fails_plainly),
    SUBJECT(fails_int),
    SUBJECT(fails_str),
    SUBJECT(fails_in_thread),
    SUBJECT(skips),
    SUBJECT(aborts),
    SUBJECT(crashes),
    SUBJECT(exits_well),
    SUBJECT(exits_badly),
    SUBJECT(hangs),
    SUBJECT(fails_at_exit),
    SUBJECT(leaks_fd),
    SUBJECT(leaks_memory),
    SUBJECT(frees_late),
    SUBJECT(leaves_process),
    SUBJECT(meets_the_second),
    SUBJECT(meets_the_first),
    SUBJECT(co_returns_early),
    SUBJECT(co_body_fails),
    SUBJECT(co_task_fails),
    SUBJECT(co_gives_up),
    SUBJECT(co_keeps_memory),
    SUBJECT(co_leaves_a_task),
#ifndef _WIN32
    SUBJECT(fails_in_fork),
#endif
};

static char output[16384];

/* Runs the harness on the subjects, with the arguments that the environment holds, a line each. */
static void harness_of_subjects(void)
{
    enum { COUNT = sizeof subjects / sizeof subjects[0] };
    char *arguments[16], *rest = getenv("HARNESS_ARGUMENTS");
    int argc = 0;

    for (int i = 0; i + 1 < COUNT; i++)
        subjects[i].next = &subjects[i + 1];
    for (char *word = strtok(rest, "\n"); word; word = strtok(NULL, "\n"))
        arguments[argc++] = word;
    arguments[argc] = NULL;
    exit(test_main(subjects, argc, arguments));
}

/* The same in another process, with arguments that NULL ends: fills `output`, returns the exit status. */
static int run_harness(char **arguments)
{
    char lines[512] = "";
    test_end end;

    for (; *arguments; arguments++) {
        strcat(lines, *arguments);
        strcat(lines, "\n");
    }
    setenv("HARNESS_ARGUMENTS", lines, 1);
    end = test_in_child(harness_of_subjects, output, sizeof output);
    for (const char *line = output; *line; line += strspn(line, "\n")) { /* shown if a check of it fails */
        printf("  %.*s\n", (int)strcspn(line, "\n"), line);
        line += strcspn(line, "\n");
    }
    CHECK(!end.name);
    return end.status;
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
    CHECK(printed("    | # what it has found\n    | #\n"));
    CHECK(!strstr(output, "no finding"));
    CHECK_INT(HARNESS("-v", "passes"), ==, 0);
    CHECK(printed("    | output of a test that passes\n"));
}

TEST(failing_check_is_named_with_its_line)
{
    char text[64];

    snprintf(text, sizeof text, "tests/harness/test_harness.c:%d: CHECK(1 > 2)\n", FAILING_LINE);
    check_failure("fails_plainly", text);
    CHECK(printed("    | output of a test that fails\n"));
}

TEST(failing_values_are_shown)
{
    char text[128];

    check_failure("fails_int", "tests/harness/test_harness.c:");
    snprintf(text, sizeof text, ": CHECK_INT(-ECONNRESET, ==, 3): left is %d (ECONNRESET), right is 3\n",
             -ECONNRESET);
    CHECK(strstr(output, text));
    check_failure("fails_str", "tests/harness/test_harness.c:");
    CHECK(strstr(output, ": CHECK_STR(\"left\", NULL): left is \"left\", right is \"(null)\"\n"));
}

TEST(checks_count_in_threads)
{
    check_failure("fails_in_thread", "tests/harness/test_harness.c:");
    CHECK(strstr(output, ": CHECK(arg != NULL)\n"));
}

#ifndef _WIN32
TEST(checks_count_in_forks)
{
    check_failure("fails_in_fork", "tests/harness/test_harness.c:");
    CHECK(strstr(output, ": CHECK(pid != 0)\n"));
}
#else
TEST_ABSENT(checks_count_in_forks, "Windows has no fork()");
#endif

TEST(crashes_are_named)
{
    check_failure("aborts", "killed by " ABORTED " after tests/harness/test_harness.c:");
    check_failure("crashes", "killed by " CRASHED " before its first check\n");
}

TEST(early_exits_are_failures)
{
    check_failure("exits_well", "the test called exit() before its first check\n");
    check_failure("exits_badly", "exit status 3 before its first check\n");
    check_failure("fails_at_exit", "exit status 9 at the process's end\n");
}

TEST(hanging_test_meets_its_deadline)
{
    setenv("RP_TEST_TIMEOUT", "1", 1);
    check_failure("hangs", "no end within 1 s, ");
}

TEST(leaks_are_failures)
{
    check_failure("leaks_fd", "descriptors leaked: 1, the first is ");
#ifndef _WIN32
    CHECK(strstr(output, " (/dev/null)\n"));
#endif
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
    CHECK_INT(HARNESS("leaves_process"), ==, 0);
}

TEST(skipped_test)
{
    CHECK_INT(HARNESS("skips"), ==, 77);
    CHECK(printed("skipped skips: no moon here\n"));
    CHECK(printed("# 0 passed, 0 failed, 1 skipped\n"));
    CHECK_INT(HARNESS("skips", "passes"), ==, 0);
    CHECK(printed("# 1 passed, 0 failed, 1 skipped\n"));
}

CO_TEST(a_test_may_be_a_coroutine)
{
    char text[128];

    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK(rp_current_task() == rp_co_task(co));
    CHECK_INT(HARNESS("co_returns_early"), ==, 0);
    CHECK(printed("ok co_returns_early ("));
    CHECK_INT(HARNESS("co_gives_up"), ==, 77);
    CHECK(printed("skipped co_gives_up: no moon for coroutines\n"));

    check_failure("co_body_fails", "tests/harness/test_harness.c:");
    CHECK(strstr(output, ": CHECK_INT(rp_task_cancelling(rp_co_task(co)), ==, 1): left is 0, right is 1\n"));
    check_failure("co_task_fails", "tests/harness/test_harness.c:");
    CHECK(strstr(output, ": CHECK(!arg)\n"));
    check_failure("co_keeps_memory", "memory leaked: 1 blocks, the first of 20 bytes");
    snprintf(text, sizeof text, "tests/harness/test_harness.c:%d: a task is left: 'astray'\n", LEAVING_LINE);
    check_failure("co_leaves_a_task", text);
}

TEST(jobs_run_side_by_side)
{
    char place[128];

    snprintf(place, sizeof place, "%s/rp-test-meeting-%d", TEST_TMP, (int)getpid());
    setenv("HARNESS_MEETING", place, 1);
    CHECK_INT(HARNESS("-j", "4", "meets", "fails_plainly", "leaks_fd", "skips"), ==, 1);
    CHECK(printed("ok meets_the_first ("));
    CHECK(printed("ok meets_the_second ("));
    CHECK(printed("FAILED fails_plainly: "));
    CHECK(printed("FAILED leaks_fd: "));
    CHECK(printed("skipped skips: "));
    CHECK(printed("# 2 passed, 2 failed, 1 skipped\n"));
}

TEST(listing_and_selection)
{
    CHECK_INT(HARNESS("-l", "fails_in_thread", "hang"), ==, 0);
    CHECK_STR(output, "fails_in_thread\nhangs\n");
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
