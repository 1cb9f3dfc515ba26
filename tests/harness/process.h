/*
 * process.h - for the harness: a process for each test, what it prints, how it ends, what it leaves open.
 *
 * POSIX forks (process_posix.c). Windows starts the program anew and tells it where in it the test is
 * (process_windows.c). Either way the process comes to test_run_case(), and is killed whole, with all that it started.
 */
#ifndef RP_TESTS_PROCESS_H
#define RP_TESTS_PROCESS_H

#include "harness/harness.h"

/* A test's process. The fields are the platform's own. */
typedef struct test_process {
    intptr_t id;     /* the process: its number, or its handle */
    intptr_t group;  /* Windows: the job object that it and its children are in */
    intptr_t output; /* a file that takes what it prints */
} test_process;

enum { TEST_MAX_PROCESSES = 64 };

/* First of all in main(). In a process that process_start() has started on Windows, it does not return. */
void process_main(int argc, char **argv);

/* Zeroed memory that processes which are started later share with this one. Ends this process if there is none. */
void *process_share(size_t size);

/* Starts a test; its verdict lies in the memory above. Ends this process if it cannot. */
void process_start(test_process *process, test_case *test, void *verdict);

/* Sleeps until one of the processes may have ended, or the monotonic clock reaches the deadline. */
void process_wait(const test_process *const *processes, int count, int64_t deadline);

/* Whether it has ended, and how; what it has started is gone then, too. */
bool process_ended(test_process *process, test_end *end);

/* Kills it; its end is still to be awaited. */
void process_kill(test_process *process);

/* Reads what it has printed, from that byte on: how many bytes, 0 at the end. */
size_t process_output(const test_process *process, size_t offset, char *buffer, size_t size);
void process_forget_output(test_process *process);

/* Whether code is emulated: qemu-user. */
bool process_emulated(void);

/* ---- in the test's process ---- */

/* Hides from it what RP_TEST_HIDE names: see hide.h. On Windows nothing can be hidden. */
void process_hide(void);

/* harness.c's: runs one test. */
_Noreturn void test_run_case(test_case *test, void *verdict);

/* harness.c's: runs a part of a test in a process of its own. A check that fails there fails the test. */
_Noreturn void test_run_call(void (*function)(void), void *verdict);
void *test_own_verdict(void);

/* Notes what is open now, and later describes what has been opened since and is still open. */
void process_note_open(void);
bool process_left_open(char *text, size_t size);

/* Whether no more threads run than did when that was noted. */
bool process_threads_ended(void);

#endif
