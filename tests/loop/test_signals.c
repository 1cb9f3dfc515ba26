/*
 * test_signals.c - signals as callbacks: added, replaced, removed; bursts, several loops, threads, forks.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "loop/loop.h"
#include "harness/support.h"

#ifdef _WIN32
enum { FIRST = SIGINT, SECOND = SIGTERM };
#define KNOWN SIGINT, SIGTERM, SIGBREAK
#define UNKNOWN 0, -1, SIGSEGV, SIGABRT, NSIG, 1000
#else
enum { FIRST = SIGUSR1, SECOND = SIGUSR2 };
#define KNOWN SIGUSR1, SIGUSR2, SIGTERM, SIGRTMIN
#define UNKNOWN                                                                                                   \
    0, -1, NSIG, 1000, 32 /* 32 is the C library's own */, SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL,     \
        SIGTRAP, SIGSYS, SIGABRT
#endif

static rp_loop *loop;
static int first_count, second_count;

static void count(void *arg)
{
    ++*(int *)arg;
}

static void make_loop(void)
{
    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
}

static void turn(rp_loop *which)
{
    rp_loop_stop(which);
    CHECK_INT(rp_run_forever(which), ==, 0);
}

/* A pipe that is written to has been read two turns later: the poll's completion, and its callback. */
static void settle(void)
{
    for (int i = 0; i < 4; i++)
        turn(loop);
}

static void run_until(const int *value, int least)
{
    while (*value < least)
        turn(loop);
}

static void old_handler(int number)
{
    (void)number;
}

TEST(added_and_removed)
{
    make_loop();
    signal(FIRST, old_handler);
    CHECK_INT(rp_remove_signal_handler(loop, FIRST), ==, 0);
    CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &first_count), ==, 0);
    settle();
    CHECK_INT(first_count, ==, 0);
    for (int i = 1; i <= 5; i++) {
        raise(FIRST);
        CHECK_INT(first_count, ==, i - 1); /* not in signal context */
        run_until(&first_count, i);
    }
    CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &second_count), ==, 0); /* replaces it */
    raise(FIRST);
    run_until(&second_count, 1);
    CHECK_INT(first_count, ==, 5);
    CHECK_INT(rp_remove_signal_handler(loop, FIRST), ==, 1);
    CHECK_INT(rp_remove_signal_handler(loop, FIRST), ==, 0);
    CHECK(test_disposition(FIRST) == old_handler);
    raise(FIRST);
    settle();
    CHECK_INT(second_count, ==, 1);
    rp_loop_free(loop);
}

TEST(refused)
{
    const int unknown[] = {UNKNOWN};

    make_loop();
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        CHECK_INT(rp_add_signal_handler(loop, unknown[i], count, &first_count), ==, -EINVAL);
    CHECK_INT(rp_add_signal_handler(loop, FIRST, NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_remove_signal_handler(loop, 0), ==, -EINVAL);
    CHECK_INT(rp_remove_signal_handler(loop, NSIG), ==, -EINVAL);
    CHECK_INT(rp_remove_signal_handler(loop, SIGABRT), ==, 0);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &first_count), ==, RP_ECLOSED);
    CHECK_INT(rp_remove_signal_handler(loop, FIRST), ==, RP_ECLOSED);
    rp_loop_free(loop);
}

#ifndef _WIN32
static void *add_abroad(void *arg)
{
    (void)arg;
    CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &first_count), ==, RP_ETHREAD);
    CHECK_INT(rp_remove_signal_handler(loop, FIRST), ==, RP_ETHREAD);
    return NULL;
}

TEST(main_thread_only)
{
    pthread_t thread;

    make_loop();
    CHECK_INT(pthread_create(&thread, NULL, add_abroad, NULL), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    CHECK(test_disposition(FIRST) == SIG_DFL);
    rp_loop_free(loop);
}
#else
TEST_ABSENT(main_thread_only, "any thread may catch signals on Windows");

static void *catch_abroad(void *arg)
{
    rp_loop *own;
    int count_here = 0;

    CHECK_INT(rp_loop_new(NULL, &own), ==, 0);
    CHECK_INT(rp_add_signal_handler(own, SECOND, count, &count_here), ==, 0);
    raise(SECOND);
    while (count_here < 1)
        turn(own);
    CHECK_INT(rp_remove_signal_handler(own, SECOND), ==, 1);
    CHECK(test_disposition(SECOND) == old_handler);
    CHECK_INT(rp_add_signal_handler(own, FIRST, count, &count_here), ==, 0); /* takes it over */
    raise(FIRST);
    while (count_here < 2)
        turn(own);
    rp_loop_free(own);
    return arg;
}

TEST(a_thread_has_signals_of_its_own_and_takes_others_over)
{
    pthread_t thread;

    make_loop();
    signal(SECOND, old_handler);
    CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &first_count), ==, 0);
    raise(FIRST); /* is still to run when the other loop takes it over */
    CHECK_INT(pthread_create(&thread, NULL, catch_abroad, NULL), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    settle();
    CHECK_INT(first_count, ==, 0);
    CHECK_INT(rp_remove_signal_handler(loop, FIRST), ==, 0);
    CHECK(test_disposition(FIRST) == SIG_DFL);
    CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &first_count), ==, 0);
    settle();
    CHECK_INT(first_count, ==, 0); /* what came before is not this handler's */
    raise(FIRST);
    run_until(&first_count, 1);
    rp_loop_free(loop);
}

enum { ROUNDS = 2000 };

static atomic_int takers;

static void *take_again_and_again(void *arg)
{
    rp_loop *own;

    CHECK_INT(rp_loop_new(NULL, &own), ==, 0);
    for (int i = 0, here = 0; i < ROUNDS; i++) {
        CHECK_INT(rp_add_signal_handler(own, FIRST, count, &here), ==, 0);
        turn(own);
    }
    atomic_fetch_sub(&takers, 1);
    while (atomic_load(&takers) >= 0) /* the signal is caught as long as it is raised */
        turn(own);
    rp_loop_free(own);
    return arg;
}

TEST(threads_take_a_signal_from_each_other)
{
    pthread_t threads[2];

    make_loop();
    atomic_store(&takers, 2);
    CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &first_count), ==, 0);
    for (int i = 0; i < 2; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, take_again_and_again, NULL), ==, 0);
    while (atomic_load(&takers) > 0)
        raise(FIRST);
    atomic_store(&takers, -1);
    for (int i = 0; i < 2; i++)
        CHECK_INT(pthread_join(threads[i], NULL), ==, 0);
    CHECK(test_disposition(FIRST) == SIG_DFL);
    CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &second_count), ==, 0);
    raise(FIRST);
    run_until(&second_count, 1);
    rp_loop_free(loop);
}
#endif

TEST(many_signals)
{
    const int numbers[] = {KNOWN};
    enum { COUNT = sizeof numbers / sizeof numbers[0] };
    int counts[COUNT] = {0};

    make_loop();
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(rp_add_signal_handler(loop, numbers[i], count, &counts[i]), ==, 0);
    for (int i = COUNT - 1; i >= 0; i--)
        raise(numbers[i]);
    for (int i = 0; i < COUNT; i++)
        run_until(&counts[i], 1);
    settle();
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(counts[i], ==, 1);
    rp_loop_free(loop); /* removes them all */
    for (int i = 0; i < COUNT; i++)
        CHECK(test_disposition(numbers[i]) == SIG_DFL);
}

/* More than a pipe holds: the one signal is told at least once, and the other is not lost behind it. */
TEST(burst)
{
    make_loop();
    CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &first_count), ==, 0);
    CHECK_INT(rp_add_signal_handler(loop, SECOND, count, &second_count), ==, 0);
    for (int i = 0; i < 70000; i++)
        raise(FIRST);
    raise(SECOND);
    run_until(&first_count, 1);
    run_until(&second_count, 1);
    settle();
    CHECK_INT(first_count, ==, 1);
    CHECK_INT(second_count, ==, 1);
    raise(FIRST);
    run_until(&first_count, 2);
    rp_loop_free(loop);
}

static void stop_loop(void *arg)
{
    count(arg);
    rp_loop_stop(loop);
}

static atomic_bool seen;

static void stop_and_tell(void *arg)
{
    stop_loop(arg);
    atomic_store(&seen, true);
}

/* To the process, whichever thread takes it: there is no kill() on Windows, and raise() is in this one. */
static void signal_process(int number)
{
#ifdef _WIN32
    raise(number);
#else
    kill(getpid(), number);
#endif
}

/* One would do, but for ThreadSanitizer, which puts it off till after a system call that it does not know. */
static void *kill_until_seen(void *arg)
{
    do {
        usleep(3000);
        signal_process(FIRST);
    } while (!atomic_load(&seen));
    return arg;
}

/* A loop that sleeps wakes for a signal, whichever thread it hits. */
TEST(wakes_the_loop)
{
    pthread_t thread;

    make_loop();
    CHECK_INT(rp_add_signal_handler(loop, FIRST, stop_and_tell, &first_count), ==, 0);
    for (int i = 1; i <= 3; i++) {
        atomic_store(&seen, false);
        CHECK_INT(pthread_create(&thread, NULL, kill_until_seen, NULL), ==, 0);
        CHECK_INT(rp_run_forever(loop), ==, 0);
        CHECK_INT(first_count, >=, i);
        CHECK_INT(pthread_join(thread, NULL), ==, 0);
    }
    rp_loop_free(loop);
}

static void remove_itself(void *arg)
{
    count(arg);
    CHECK_INT(rp_remove_signal_handler(loop, FIRST), ==, 1);
}

TEST(removed_in_its_callback)
{
    make_loop();
    CHECK_INT(rp_add_signal_handler(loop, FIRST, remove_itself, &first_count), ==, 0);
    raise(FIRST);
    run_until(&first_count, 1);
    CHECK(test_disposition(FIRST) == SIG_DFL);
    settle();
    rp_loop_free(loop);
}

#ifndef _WIN32
static uint64_t operations(void)
{
    rp_loop_stats stats;

    rp_loop_get_stats(loop, &stats);
    return stats.operations_in_flight;
}

/* A loop without handlers has no operation in flight for their sake, and may move to another thread. */
TEST(nothing_is_left_in_flight_by_the_last_handler)
{
    make_loop();
    for (int i = 0; i < 3; i++) {
        CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &first_count), ==, 0);
        CHECK_INT(rp_add_signal_handler(loop, SECOND, count, &second_count), ==, 0);
        CHECK_INT(rp_remove_signal_handler(loop, FIRST), ==, 1);
        while (operations() > 1)
            turn(loop);
        raise(SECOND);
        run_until(&second_count, i + 1);
        CHECK_INT(rp_remove_signal_handler(loop, SECOND), ==, 1);
        while (operations() > 0)
            turn(loop);
    }
    CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &first_count), ==, 0);
    CHECK_INT(rp_remove_signal_handler(loop, FIRST), ==, 1);
    CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &first_count), ==, 0); /* before the poll has ended */
    raise(FIRST);
    run_until(&first_count, 1);
    rp_loop_free(loop);
}
#else
TEST_ABSENT(nothing_is_left_in_flight_by_the_last_handler, "signals there are no operations");
#endif

/* Signals go to the loop that asked last. */
TEST(two_loops)
{
    rp_loop *other;

    make_loop();
    signal(FIRST, old_handler);
    CHECK_INT(rp_loop_new(NULL, &other), ==, 0);
    CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &first_count), ==, 0);
    CHECK_INT(rp_add_signal_handler(other, FIRST, count, &second_count), ==, 0);
    raise(FIRST);
    while (second_count < 1)
        turn(other);
    settle();
    CHECK_INT(first_count, ==, 0);
    CHECK_INT(rp_remove_signal_handler(loop, FIRST), ==, 0); /* not its own any more */
    raise(FIRST);
    while (second_count < 2)
        turn(other);
    CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &first_count), ==, 0);
    rp_loop_free(other);
    raise(FIRST);
    run_until(&first_count, 1);
    rp_loop_free(loop);
    CHECK(test_disposition(FIRST) == old_handler);
}

#ifndef _WIN32
/* A child has the handlers, but not their loop: there a signal does what it does by default. */
TEST(forked_child)
{
    int status, ready[2];
    char byte;

    make_loop();
    CHECK_INT(pipe2(ready, O_CLOEXEC), ==, 0);
    CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &first_count), ==, 0);
    CHECK_INT(rp_add_signal_handler(loop, SECOND, count, &second_count), ==, 0);
    turn(loop);
    for (int with_loop = 0; with_loop < 2; with_loop++) {
        pid_t pid = fork();
        if (pid == 0) {
            rp_loop *own;

            /* A loop of its own with a handler of its own must not bring the parent's other handlers to life. */
            if (with_loop) {
                CHECK_INT(rp_loop_new(NULL, &own), ==, 0);
                CHECK_INT(rp_add_signal_handler(own, SECOND, stop_loop, &second_count), ==, 0);
                CHECK_INT(rp_add_signal_handler(own, SECOND, count, &second_count), ==, 0);
                raise(SECOND);
                while (second_count < 1)
                    turn(own);
            }
            CHECK_INT(write(ready[1], "x", 1), ==, 1);
            for (;;)
                pause();
        }
        CHECK_INT(read(ready[0], &byte, 1), ==, 1);
        kill(pid, FIRST);
        CHECK_INT(waitpid(pid, &status, 0), ==, pid);
        CHECK(WIFSIGNALED(status));
        CHECK_INT(WTERMSIG(status), ==, FIRST);
        settle();
        CHECK_INT(first_count + second_count, ==, 0); /* the parent was not told of it */
    }
    raise(FIRST);
    run_until(&first_count, 1);
    rp_loop_free(loop);
    close_pair(ready);
}

/* The children's end is a signal too. */
TEST(child_ends)
{
    make_loop();
    CHECK_INT(rp_add_signal_handler(loop, SIGCHLD, count, &first_count), ==, 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    run_until(&first_count, 1);
    CHECK_INT(waitpid(pid, NULL, 0), ==, pid);
    rp_loop_free(loop);
}

#else
TEST_ABSENT(forked_child, "Windows has no fork()");
TEST_ABSENT(child_ends, "Windows has no signal that tells of a child's end");
#endif

#ifdef _WIN32
static void receive_ctrl_c(void)
{
    SetConsoleCtrlHandler(NULL, FALSE); /* or a parent may have had it ignored */
    make_loop();
    CHECK_INT(rp_add_signal_handler(loop, SIGINT, stop_loop, &first_count), ==, 0);
    for (int i = 1; i <= 3; i++) {
        CHECK(GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0));
        CHECK_INT(rp_run_forever(loop), ==, 0);
        CHECK_INT(first_count, ==, i);
    }
    rp_loop_free(loop);
    puts("received");
}

static void receive_ctrl_c_in_own_console(void)
{
    FreeConsole();
    CHECK(AllocConsole());
    receive_ctrl_c();
}

/* The events of a console go to all that share it: the process gets one of its own. */
TEST(ctrl_c)
{
    char output[64];
    test_end end = test_in_child(receive_ctrl_c_in_own_console, output, sizeof output);

    CHECK(end.name == NULL && end.status == 0);
    CHECK_STR(output, "received\n");
}
#endif

TEST(pending_when_closed)
{
    make_loop();
    CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &first_count), ==, 0);
    raise(FIRST);
    rp_loop_free(loop);
    CHECK_INT(first_count, ==, 0);
    make_loop(); /* what the old one left over is not this one's */
    CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &first_count), ==, 0);
    CHECK_INT(rp_add_signal_handler(loop, SECOND, count, &second_count), ==, 0);
    raise(SECOND);
    run_until(&second_count, 1);
    settle();
    CHECK_INT(first_count, ==, 0);
    rp_loop_free(loop);
}

TEST(no_memory)
{
    make_loop();
    test_fail_allocation(1);
    CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &first_count), ==, -ENOMEM);
    test_fail_allocation(0);
    CHECK(test_disposition(FIRST) == SIG_DFL);
    CHECK_INT(rp_add_signal_handler(loop, FIRST, count, &first_count), ==, 0);
    rp_loop_free(loop);
}
