/*
 * test_signal_masks.c - signals in what our threads run for a user: jobs of executors, workers of a group. They are as
 * open there as in the thread that asked for it, and so are they in the programs that it starts.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "base/thread.h"
#include "harness/co_test.h"
#include "ringport.h"
#include "harness/support.h"

static const int ordinary[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD, SIGALRM};

enum { ORDINARY = sizeof ordinary / sizeof ordinary[0] };

/* The signals of the list that this thread blocks, a bit each. */
static int blocked(void)
{
    rp_signal_mask mask;
    int bits = 0;

    rp_signal_mask_get(&mask);
    for (int i = 0; i < ORDINARY; i++)
        bits |= sigismember(&mask.signals, ordinary[i]) ? 1 << i : 0;
    return bits;
}

static void block(int how, int number)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, number);
    CHECK_INT(pthread_sigmask(how, &signals, NULL), ==, 0);
}

static int blocked_in_job(void *arg)
{
    (void)arg;
    return blocked();
}

/* Leaves the mask changed, as a careless function may. */
static int block_all(void *arg)
{
    sigset_t all;

    (void)arg;
    sigfillset(&all);
    return -pthread_sigmask(SIG_SETMASK, &all, NULL);
}

CO_TEST(a_job_runs_under_the_mask_of_its_caller)
{
    CHECK_INT(rp_to_thread(co, blocked_in_job, NULL), ==, 0);
    /* The same thread of the executor, for another caller's mask, and after one that has left its own behind. */
    block(SIG_BLOCK, SIGUSR1);
    CHECK_INT(blocked(), ==, 1 << 3);
    CHECK_INT(rp_to_thread(co, blocked_in_job, NULL), ==, 1 << 3);
    block(SIG_UNBLOCK, SIGUSR1);
    CHECK_INT(rp_to_thread(co, block_all, NULL), ==, 0);
    CHECK_INT(rp_to_thread(co, blocked_in_job, NULL), ==, 0);
}

/* ---- programs that are started there ---- */

/* Starts a child that waits for SIGTERM and stands for a program: 0 if that ends it. */
static int end_a_program(void *arg)
{
    int ready[2], status;
    char byte;

    (void)arg;
    CHECK_INT(pipe2(ready, O_CLOEXEC), ==, 0);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", "exec sleep 1000", NULL);
        _exit(127);
    }
    close(ready[1]);
    CHECK_INT(read(ready[0], &byte, 1), ==, 0); /* the program has replaced the child */
    close(ready[0]);
    kill(pid, SIGTERM);
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM ? 0 : -EPROTO;
}

CO_TEST(a_program_started_in_a_job_ends_by_sigterm)
{
    CHECK_INT(rp_to_thread(co, end_a_program, NULL), ==, 0);
}

static int end_a_program_in_worker(rp_co *co, void *arg)
{
    (void)co;
    return rp_worker_index() == 1 ? end_a_program(arg) : 0;
}

TEST(a_program_started_in_a_worker_ends_by_sigterm)
{
    CHECK_INT(rp_run_workers(2, end_a_program_in_worker, NULL), ==, 0);
}

/* ---- workers ---- */

static int compare_mask(rp_co *co, void *arg)
{
    (void)co;
    CHECK_INT(blocked(), ==, *(int *)arg);
    return 0;
}

TEST(workers_run_under_the_mask_of_their_starter)
{
    int expected = 0;

    CHECK_INT(rp_run_workers(3, compare_mask, &expected), ==, 0);
    block(SIG_BLOCK, SIGUSR2);
    expected = blocked();
    CHECK_INT(expected, ==, 1 << 4);
    CHECK_INT(rp_run_workers(3, compare_mask, &expected), ==, 0);
}

/* ---- faults ---- */

static _Thread_local sigjmp_buf back;
static atomic_int faults;

static void on_fault(int number)
{
    (void)number;
    atomic_fetch_add(&faults, 1);
    siglongjmp(back, 1);
}

/* Touches what is not there, as a program does that recovers from it by a handler of its own. */
static int fault(void *arg)
{
    void *nothing = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)arg;
    if (sigsetjmp(back, 1) == 0)
        *(volatile char *)nothing = 1;
    munmap(nothing, 4096);
    return 0;
}

static int fault_in_worker(rp_co *co, void *arg)
{
    fault(arg);
    return rp_to_thread(co, fault, arg);
}

TEST(a_programs_own_handler_of_faults_is_called_on_all_threads)
{
    struct sigaction action = {.sa_handler = on_fault};

    CHECK_INT(sigaction(SIGSEGV, &action, NULL), ==, 0);
    CHECK_INT(rp_run_workers(2, fault_in_worker, NULL), ==, 0);
    CHECK_INT(atomic_load(&faults), ==, 4);
}
