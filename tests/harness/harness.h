/*
 * harness.h - tests: each runs in a process of its own, and must leave neither memory nor descriptors.
 *
 *     TEST(name)
 *     {
 *         CHECK(condition);
 *         CHECK_INT(rp_thing(), ==, 0);
 *         CHECK_STR(rp_name(), "thing");
 *     }
 *
 * A test registers itself; main() is the harness's. One that is a coroutine is a CO_TEST(name): see co_test.h. A failed
 * check ends the whole process: from any thread, callback or forked child. Live memory is counted through
 * rp_set_allocator(), and nothing is forgiven: what the library keeps for the life of the process must not come from
 * the heap. Threads that still run at the end are given the time to end.
 *
 * A test waits for events, however long they take: a machine that is busy must not decide it. The deadline of two
 * minutes, and of twelve where code runs slowly (sanitizers, Valgrind, qemu), is for hangs alone.
 *
 * ./test_x [-l] [-v] [-j jobs] [part of a name]...     -l lists, -v prints the output of tests that pass, too
 *
 * What a test has found out, and says in lines that begin with "# ", is printed in any case.
 *
 * Environment: RP_TEST_TIMEOUT (seconds, for every test), RP_TEST_TRACE=1 (where leaked memory was allocated),
 * RP_TEST_HIDE (what the kernel shall seem to lack: see hide.h),
 * RP_ALLOW_SKIP=1 (skip if RINGPORT_PROACTOR names what cannot be opened here, instead of letting tests fail).
 */
#ifndef RP_TESTS_HARNESS_H
#define RP_TESTS_HARNESS_H

#include "ringport/base.h"
#include "ringport/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct test_case {
    const char *name;
    void (*function)(void);
    struct test_case *next;
} test_case;

#define TEST(name)                                                                                                \
    static void test_##name(void);                                                                                \
    __attribute__((constructor)) static void test_register_##name(void)                                           \
    {                                                                                                             \
        static test_case test = {#name, test_##name, NULL};                                                       \
        test_register(&test);                                                                                     \
    }                                                                                                             \
    static void test_##name(void)

/*
 * A test that this platform cannot run, with the reason. What tests need of POSIX stands within #ifndef _WIN32, and in
 * the other branch their names in such lines: they are reported as skipped.
 */
#define TEST_ABSENT(name, why)                                                                                    \
    TEST(name)                                                                                                    \
    {                                                                                                             \
        SKIP("%s", why);                                                                                          \
    }                                                                                                             \
    static void test_##name(void)

#define CHECK(condition)                                                                                          \
    do {                                                                                                          \
        test_at(__FILE__, __LINE__);                                                                              \
        if (!(condition))                                                                                         \
            test_fail(__FILE__, __LINE__, "CHECK(%s)", #condition);                                               \
    } while (0)

/* Two integers and the operator that should hold between them: their values are shown if it does not. */
#define CHECK_INT(left, operator, right)                                                                          \
    do {                                                                                                          \
        test_at(__FILE__, __LINE__);                                                                              \
        long long check_left_ = (long long)(left);                                                                \
        long long check_right_ = (long long)(right);                                                              \
        if (!(check_left_ operator check_right_))                                                                 \
            test_fail_int(__FILE__, __LINE__, #left ", " #operator", " #right, check_left_, check_right_);        \
    } while (0)

/* Two strings that should be equal. */
#define CHECK_STR(left, right)                                                                                    \
    do {                                                                                                          \
        test_at(__FILE__, __LINE__);                                                                              \
        test_check_str(__FILE__, __LINE__, #left ", " #right, (left), (right));                                   \
    } while (0)

/* Ends the test as one that cannot run here, which is no failure. */
#define SKIP(...) test_skip(__VA_ARGS__)

/* The backend that RINGPORT_PROACTOR forces, or NULL. */
const char *test_backend(void);

/* Whether code runs many times slower than usual: sanitizers, Valgrind, qemu. For tests that measure time. */
bool test_slow(void);

/*
 * Skips the rest of the test under ThreadSanitizer. That does not see a child of fork() let go of the locks that were
 * taken for the fork's sake: the next one that takes such a lock there is said to take it twice.
 */
void test_need_locks_after_fork(void);

/* ---- memory: for tests that let allocations fail ---- */

/* Lets the nth allocation from now on fail (1: the next), and no other; 0: none. Those of all threads count. */
void test_fail_allocation(uint64_t nth);

/* Whether that allocation has been asked for since. */
bool test_allocation_failed(void);

/* Blocks that are allocated now, and how many ever were. */
uint64_t test_live_allocations(void);
uint64_t test_allocations(void);

/* ---- processes ---- */

/* How a process ended. */
typedef struct test_end {
    int status;       /* what it handed to exit() */
    const char *name; /* the signal or exception that killed it; NULL: none, it exited */
} test_end;

/* Runs a function in a process of its own, which exits with 0 after it, and takes what that prints. */
test_end test_in_child(void (*function)(void), char *output, size_t size);

/* Starts a process that exits with a status, or with -1 only when it is killed: its number. */
int64_t test_start_child(int status);

/* Kills such a process, and reaps it where that is to be done. */
void test_end_child(int64_t pid);

/* ---- behind the macros ---- */

void test_register(test_case *test);

/* Runs a list of tests as main() does its own, and returns the exit status. */
int test_main(test_case *tests, int argc, char **argv);

void test_at(const char *file, int line);
__attribute__((noreturn)) void test_fail(const char *file, int line, const char *format, ...) RP_PRINTF(3, 4);
__attribute__((noreturn)) void test_fail_int(const char *file, int line, const char *text, long long left,
                                             long long right);
void test_check_str(const char *file, int line, const char *text, const char *left, const char *right);
__attribute__((noreturn)) void test_skip(const char *format, ...) RP_PRINTF(1, 2);

#ifdef __cplusplus
}
#endif

#endif
