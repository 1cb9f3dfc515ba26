/*
 * harness.c - runs each test in a process of its own, and judges it by what that wrote and how it ended.
 *
 * The verdict lies in memory that both share; its first writer wins, and without one only the end of the process
 * speaks: a signal or exception, an exit, or the deadline. process.h says what a process is.
 */
#include "harness/harness.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef RP_HAVE_VALGRIND
#include <valgrind/valgrind.h>
#endif

#include "base/sanitized.h"
#include "harness/leaks.h"
#include "harness/process.h"
#include "harness/puppet.h"
#include "ringport/proactor.h"

enum {
    TIMEOUT = 120, /* seconds */
    SLOWNESS = 3,
    EXIT_SKIPPED = 77, /* what Meson and Automake take for "skipped" */
};

typedef enum { RUNNING, PASSED, SKIPPED, FAILED } outcome;

typedef struct test_verdict {
    atomic_int outcome;
    char text[1024];
    atomic_intptr_t file; /* the check that was reached last: its file's name, as the distance from `anchor` */
    atomic_int line;
} test_verdict;

static test_case *own_tests, **own_tests_end = &own_tests;
static test_verdict *current; /* in a test's process: its verdict */

/* The program may be loaded elsewhere in another process: what is in it is named by its distance from here. */
static const char anchor[1];

/* ---- where are we ---- */

static bool under_sanitizer(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
    return true;
#endif
#endif
    return false;
}

static bool under_valgrind(void)
{
#ifdef RP_HAVE_VALGRIND
    return RUNNING_ON_VALGRIND;
#else
    return false;
#endif
}

#ifdef RP_TSAN
/*
 * ThreadSanitizer does not see the atomic operations by which OpenSSL orders what its threads do, but does see what it
 * has memcmp(), free() and the like do. That much is left out: what OpenSSL itself calls. Our code is looked at, also
 * where OpenSSL calls it.
 */
const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:libcrypto.so\n"
           "called_from_lib:libssl.so\n";
}
#endif

bool test_slow(void)
{
    return under_sanitizer() || under_valgrind() || process_emulated();
}

void test_need_locks_after_fork(void)
{
#ifdef __SANITIZE_THREAD__
    SKIP("ThreadSanitizer does not see the locks that a child of fork() lets go of");
#endif
}

const char *test_backend(void)
{
    const char *name = getenv("RINGPORT_PROACTOR");

    return name && *name ? name : NULL;
}

static bool flag_set(const char *name)
{
    const char *value = getenv(name);

    return value && strcmp(value, "1") == 0;
}

/* ---- verdicts ---- */

void test_register(test_case *test)
{
    *own_tests_end = test;
    own_tests_end = &test->next;
}

/* "tests/base/test_list.c", from wherever the compiler was called. */
static const char *short_path(const char *file)
{
    const char *start = file;

    for (const char *place = file; (place = strstr(place, "tests/")); place++)
        start = place;
    return start;
}

void test_at(const char *file, int line)
{
    atomic_store_explicit(&current->file, (intptr_t)file - (intptr_t)anchor, memory_order_relaxed);
    atomic_store_explicit(&current->line, line, memory_order_relaxed);
}

/* Settles the verdict, unless that has happened already: then returns false. */
static bool settle(outcome result)
{
    int running = RUNNING;

    return atomic_compare_exchange_strong(&current->outcome, &running, result);
}

/* After _exit() neither handlers nor other threads run on: the process ends in the state that it failed in. */
void test_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;

    if (settle(FAILED)) {
        int length = snprintf(current->text, sizeof current->text, "%s:%d: ", short_path(file), line);
        va_start(arguments, format);
        vsnprintf(current->text + length, sizeof current->text - (size_t)length, format, arguments);
        va_end(arguments);
    }
    _exit(1);
}

/* "-104 (ECONNRESET)": a number, with its name if it is an error. */
static const char *number_text(long long number, char *text, size_t size)
{
    bool error = number < 0 && number > -5000 && strcmp(rp_errname((int)number), "EUNKNOWN") != 0;

    snprintf(text, size, error ? "%lld (%s)" : "%lld", number, error ? rp_errname((int)number) : "");
    return text;
}

void test_fail_int(const char *file, int line, const char *text, long long left, long long right)
{
    char left_text[64], right_text[64];

    number_text(left, left_text, sizeof left_text);
    number_text(right, right_text, sizeof right_text);
    test_fail(file, line, "CHECK_INT(%s): left is %s, right is %s", text, left_text, right_text);
}

void test_check_str(const char *file, int line, const char *text, const char *left, const char *right)
{
    if (left && right ? strcmp(left, right) != 0 : left != right)
        test_fail(file, line, "CHECK_STR(%s): left is \"%s\", right is \"%s\"", text, left ? left : "(null)",
                  right ? right : "(null)");
}

void test_skip(const char *format, ...)
{
    va_list arguments;

    if (settle(SKIPPED)) {
        va_start(arguments, format);
        vsnprintf(current->text, sizeof current->text, format, arguments);
        va_end(arguments);
    }
    _exit(0);
}

/* ---- in the test's process ---- */

/* Ends the test as failed by what it left behind, if it did. */
static void check_leaks(void)
{
    char text[512];

    if (!leaks_find(text, sizeof text))
        return;
    if (settle(FAILED))
        snprintf(current->text, sizeof current->text, "%s", text);
    _exit(1);
}

static void skip_if_backend_is_missing(void)
{
    rp_proactor *proactor;
    int rc;

    if (!test_backend() || !flag_set("RP_ALLOW_SKIP"))
        return;
    rc = rp_proactor_open(NULL, NULL, &proactor);
    if (rc < 0)
        SKIP("%s: %s", test_backend(), rp_strerror(rc));
    rp_proactor_close(proactor);
}

void *test_own_verdict(void)
{
    return current;
}

_Noreturn void test_run_call(void (*function)(void), void *verdict)
{
    current = verdict;
    function();
    exit(0);
}

_Noreturn void test_run_case(test_case *test, void *verdict)
{
    current = verdict;
    process_hide();
    skip_if_backend_is_missing();
    leaks_begin();
    test->function();
    check_leaks();
    /* exit() and not _exit(): leak checkers and the like have their say at exit. */
    exit(settle(PASSED) ? 0 : 1);
}

/* ---- the parent ---- */

typedef struct test_job {
    test_case *test; /* NULL: the job is free */
    test_process process;
    int64_t started;
    int64_t deadline;
    bool timed_out;
    test_verdict *verdict;
} test_job;

typedef struct test_run {
    test_case *next; /* test to start */
    char **names;    /* ended by NULL */
    bool verbose;
    int width; /* how many jobs at a time */
    int active;
    test_job jobs[TEST_MAX_PROCESSES];
    int passed, failed, skipped;
} test_run;

static bool selected(const test_case *test, char **names)
{
    if (!*names)
        return true;
    for (; *names; names++)
        if (strstr(test->name, *names))
            return true;
    return false;
}

static test_case *next_selected(test_case *test, char **names)
{
    while (test && !selected(test, names))
        test = test->next;
    return test;
}

static int64_t time_for_a_test(void)
{
    const char *forced = getenv("RP_TEST_TIMEOUT");

    if (forced && atoi(forced) > 0)
        return RP_SEC(atoi(forced));
    return RP_SEC(test_slow() ? TIMEOUT * SLOWNESS : TIMEOUT);
}

static void start(test_run *run, test_job *job)
{
    test_case *test = run->next;

    run->next = next_selected(test->next, run->names);
    memset(job->verdict, 0, sizeof *job->verdict);
    process_start(&job->process, test, job->verdict);
    job->test = test;
    job->started = rp_monotonic();
    job->deadline = job->started + time_for_a_test();
    job->timed_out = false;
    run->active++;
}

/* Where the test was when it ended without a word. */
static const char *place(const test_verdict *verdict, char *text, size_t size)
{
    const char *file = (const char *)((intptr_t)anchor + atomic_load(&verdict->file));

    if (file == anchor)
        snprintf(text, size, "before its first check");
    else
        snprintf(text, size, "after %s:%d", short_path(file), atomic_load(&verdict->line));
    return text;
}

/* Turns a process's end into the final outcome, with its text in the verdict. */
static outcome judge(test_job *job, test_end end)
{
    test_verdict *verdict = job->verdict;
    outcome result = (outcome)atomic_load(&verdict->outcome);
    char where[256];

    place(verdict, where, sizeof where);
    if (result == FAILED || (result == SKIPPED && !end.name && end.status == 0))
        return result;
    if (job->timed_out)
        snprintf(verdict->text, sizeof verdict->text, "no end within %d s, %s",
                 (int)((job->deadline - job->started) / RP_SEC(1)), where);
    else if (end.name)
        snprintf(verdict->text, sizeof verdict->text, "killed by %s %s", end.name, where);
    else if (end.status != 0)
        snprintf(verdict->text, sizeof verdict->text, "exit status %d %s", end.status,
                 result == PASSED ? "at the process's end" : where);
    else if (result == RUNNING)
        snprintf(verdict->text, sizeof verdict->text, "the test called exit() %s", where);
    else
        return PASSED;
    return FAILED;
}

/* Copies what a test printed, each line marked as such: all of it, or what it has found alone (lines with a '#'). */
static void print_output(const test_process *process, bool all)
{
    bool line_start = true, shown = false;
    size_t offset = 0, n;
    char bytes[512];

    while ((n = process_output(process, offset, bytes, sizeof bytes)) > 0) {
        offset += n;
        for (size_t i = 0; i < n; i++) {
            if (bytes[i] == '\r')
                continue;
            if (line_start && (shown = all || bytes[i] == '#'))
                fputs("    | ", stdout);
            if (shown)
                putchar(bytes[i]);
            line_start = bytes[i] == '\n';
        }
    }
    if (shown && !line_start)
        putchar('\n');
}

static void finish(test_run *run, test_job *job, test_end end)
{
    int milliseconds = (int)((rp_monotonic() - job->started) / RP_MSEC(1));
    outcome result = judge(job, end);

    if (result == PASSED)
        printf("ok %s (%d ms)\n", job->test->name, milliseconds);
    else
        printf("%s %s: %s\n", result == FAILED ? "FAILED" : "skipped", job->test->name, job->verdict->text);
    run->passed += result == PASSED;
    run->failed += result == FAILED;
    run->skipped += result == SKIPPED;
    print_output(&job->process, result == FAILED || run->verbose);
    process_forget_output(&job->process);
    fflush(stdout);
    job->test = NULL;
    run->active--;
}

/* Takes the verdict if the process has ended, or kills it if its time is up. */
static void look_after(test_run *run, test_job *job)
{
    test_end end;

    if (process_ended(&job->process, &end)) {
        finish(run, job, end);
    } else if (!job->timed_out && rp_monotonic() >= job->deadline) {
        job->timed_out = true;
        process_kill(&job->process);
    }
}

/* Sleeps until a process has ended or the first deadline has come. */
static void wait_for_end(test_run *run)
{
    const test_process *processes[TEST_MAX_PROCESSES];
    int64_t deadline = rp_monotonic() + RP_SEC(1);
    int count = 0;

    for (int i = 0; i < run->width; i++) {
        test_job *job = &run->jobs[i];
        if (!job->test)
            continue;
        processes[count++] = &job->process;
        if (!job->timed_out && job->deadline < deadline)
            deadline = job->deadline;
    }
    process_wait(processes, count, deadline);
}

static void run_tests(test_run *run)
{
    while (run->next || run->active > 0) {
        for (int i = 0; i < run->width && run->next; i++)
            if (!run->jobs[i].test)
                start(run, &run->jobs[i]);
        wait_for_end(run);
        for (int i = 0; i < run->width; i++)
            if (run->jobs[i].test)
                look_after(run, &run->jobs[i]);
    }
}

static int usage(const char *program)
{
    fprintf(stderr, "usage: %s [-l] [-v] [-j jobs] [part of a name]...\n", program);
    return 1;
}

int test_main(test_case *tests, int argc, char **argv)
{
    static test_run run;
    test_verdict *verdicts;
    bool list = false;
    int option;

    run = (test_run){.width = 1};
    optind = 1;
    while ((option = getopt(argc, argv, "lvj:")) != -1)
        if (option == 'l')
            list = true;
        else if (option == 'v')
            run.verbose = true;
        else if (option == 'j' && atoi(optarg) > 0)
            run.width = atoi(optarg) < TEST_MAX_PROCESSES ? atoi(optarg) : TEST_MAX_PROCESSES;
        else
            return usage(argv[0]);
    run.names = argv + optind;
    run.next = next_selected(tests, run.names);
    if (!run.next) {
        fprintf(stderr, "%s: no such test\n", argv[0]);
        return 1;
    }
    if (list) {
        for (; run.next; run.next = next_selected(run.next->next, run.names))
            puts(run.next->name);
        return 0;
    }
    verdicts = process_share((size_t)run.width * sizeof *verdicts);
    for (int i = 0; i < run.width; i++)
        run.jobs[i].verdict = &verdicts[i];
    run_tests(&run);
    printf("# %d passed, %d failed, %d skipped\n", run.passed, run.failed, run.skipped);
    return run.failed ? 1 : run.passed ? 0 : EXIT_SKIPPED;
}

int main(int argc, char **argv)
{
    puppet_main(argc, argv);
    process_main(argc, argv);
    return test_main(own_tests, argc, argv);
}
