/*
 * test_signals.c - signals as callbacks: added, replaced, removed; bursts, several loops, threads, forks.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "loop/loop.h"
#include "support.h"

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

static void (*disposition(int number))(int)
{
    struct sigaction action;

    CHECK_INT(sigaction(number, NULL, &action), ==, 0);
    return action.sa_handler;
}

static void old_handler(int number)
{
    (void)number;
}

TEST(added_and_removed)
{
    make_loop();
    signal(SIGUSR1, old_handler);
    CHECK_INT(rp_remove_signal_handler(loop, SIGUSR1), ==, 0);
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR1, count, &first_count), ==, 0);
    settle();
    CHECK_INT(first_count, ==, 0);
    for (int i = 1; i <= 5; i++) {
        raise(SIGUSR1);
        CHECK_INT(first_count, ==, i - 1); /* not in signal context */
        run_until(&first_count, i);
    }
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR1, count, &second_count), ==, 0); /* replaces it */
    raise(SIGUSR1);
    run_until(&second_count, 1);
    CHECK_INT(first_count, ==, 5);
    CHECK_INT(rp_remove_signal_handler(loop, SIGUSR1), ==, 1);
    CHECK_INT(rp_remove_signal_handler(loop, SIGUSR1), ==, 0);
    CHECK(disposition(SIGUSR1) == old_handler);
    raise(SIGUSR1);
    settle();
    CHECK_INT(second_count, ==, 1);
    rp_loop_free(loop);
}

TEST(refused)
{
    make_loop();
    int bad[] = {0, -1, SIGKILL, SIGSTOP, NSIG, 1000, 32}; /* 32 is the C library's own */

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_INT(rp_add_signal_handler(loop, bad[i], count, &first_count), ==, -EINVAL);
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR1, NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_remove_signal_handler(loop, 0), ==, -EINVAL);
    CHECK_INT(rp_remove_signal_handler(loop, NSIG), ==, -EINVAL);
    CHECK_INT(rp_remove_signal_handler(loop, SIGKILL), ==, 0);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR1, count, &first_count), ==, RP_ECLOSED);
    CHECK_INT(rp_remove_signal_handler(loop, SIGUSR1), ==, RP_ECLOSED);
    rp_loop_free(loop);
}

static void *add_abroad(void *arg)
{
    (void)arg;
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR1, count, &first_count), ==, RP_ETHREAD);
    CHECK_INT(rp_remove_signal_handler(loop, SIGUSR1), ==, RP_ETHREAD);
    return NULL;
}

TEST(main_thread_only)
{
    pthread_t thread;

    make_loop();
    CHECK_INT(pthread_create(&thread, NULL, add_abroad, NULL), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    CHECK(disposition(SIGUSR1) == SIG_DFL);
    rp_loop_free(loop);
}

TEST(many_signals)
{
    int counts[4] = {0}, numbers[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGRTMIN};

    make_loop();
    for (int i = 0; i < 4; i++)
        CHECK_INT(rp_add_signal_handler(loop, numbers[i], count, &counts[i]), ==, 0);
    for (int i = 3; i >= 0; i--)
        raise(numbers[i]);
    for (int i = 0; i < 4; i++)
        run_until(&counts[i], 1);
    settle();
    for (int i = 0; i < 4; i++)
        CHECK_INT(counts[i], ==, 1);
    rp_loop_free(loop); /* removes them all */
    for (int i = 0; i < 4; i++)
        CHECK(disposition(numbers[i]) == SIG_DFL);
}

/* More than a pipe holds: the one signal is told at least once, and the other is not lost behind it. */
TEST(burst)
{
    make_loop();
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR1, count, &first_count), ==, 0);
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR2, count, &second_count), ==, 0);
    for (int i = 0; i < 70000; i++)
        raise(SIGUSR1);
    raise(SIGUSR2);
    run_until(&first_count, 1);
    run_until(&second_count, 1);
    settle();
    CHECK_INT(first_count, ==, 1);
    CHECK_INT(second_count, ==, 1);
    raise(SIGUSR1);
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

/* One would do, but for ThreadSanitizer, which puts it off till after a system call that it does not know. */
static void *kill_until_seen(void *arg)
{
    do {
        usleep(3000);
        kill(getpid(), SIGUSR1);
    } while (!atomic_load(&seen));
    return arg;
}

/* A loop that sleeps wakes for a signal, whichever thread it hits. */
TEST(wakes_the_loop)
{
    pthread_t thread;

    make_loop();
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR1, stop_and_tell, &first_count), ==, 0);
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
    CHECK_INT(rp_remove_signal_handler(loop, SIGUSR1), ==, 1);
}

TEST(removed_in_its_callback)
{
    make_loop();
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR1, remove_itself, &first_count), ==, 0);
    raise(SIGUSR1);
    run_until(&first_count, 1);
    CHECK(disposition(SIGUSR1) == SIG_DFL);
    settle();
    rp_loop_free(loop);
}

/* Signals go to the loop that asked last. */
TEST(two_loops)
{
    rp_loop *other;

    make_loop();
    signal(SIGUSR1, old_handler);
    CHECK_INT(rp_loop_new(NULL, &other), ==, 0);
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR1, count, &first_count), ==, 0);
    CHECK_INT(rp_add_signal_handler(other, SIGUSR1, count, &second_count), ==, 0);
    raise(SIGUSR1);
    while (second_count < 1)
        turn(other);
    settle();
    CHECK_INT(first_count, ==, 0);
    CHECK_INT(rp_remove_signal_handler(loop, SIGUSR1), ==, 0); /* not its own any more */
    raise(SIGUSR1);
    while (second_count < 2)
        turn(other);
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR1, count, &first_count), ==, 0);
    rp_loop_free(other);
    raise(SIGUSR1);
    run_until(&first_count, 1);
    rp_loop_free(loop);
    CHECK(disposition(SIGUSR1) == old_handler);
}

/* A child has the handlers, but not their loop: there a signal does what it does by default. */
TEST(forked_child)
{
    int status, ready[2];
    char byte;

    make_loop();
    CHECK_INT(pipe2(ready, O_CLOEXEC), ==, 0);
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR1, count, &first_count), ==, 0);
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR2, count, &second_count), ==, 0);
    turn(loop);
    for (int with_loop = 0; with_loop < 2; with_loop++) {
        pid_t pid = fork();
        if (pid == 0) {
            rp_loop *own;

            /* A loop of its own with a handler of its own must not bring the parent's other handlers to life. */
            if (with_loop) {
                CHECK_INT(rp_loop_new(NULL, &own), ==, 0);
                CHECK_INT(rp_add_signal_handler(own, SIGUSR2, stop_loop, &second_count), ==, 0);
                CHECK_INT(rp_add_signal_handler(own, SIGUSR2, count, &second_count), ==, 0);
                raise(SIGUSR2);
                while (second_count < 1)
                    turn(own);
            }
            CHECK_INT(write(ready[1], "x", 1), ==, 1);
            for (;;)
                pause();
        }
        CHECK_INT(read(ready[0], &byte, 1), ==, 1);
        kill(pid, SIGUSR1);
        CHECK_INT(waitpid(pid, &status, 0), ==, pid);
        CHECK(WIFSIGNALED(status));
        CHECK_INT(WTERMSIG(status), ==, SIGUSR1);
        settle();
        CHECK_INT(first_count + second_count, ==, 0); /* the parent was not told of it */
    }
    raise(SIGUSR1);
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

TEST(pending_when_closed)
{
    make_loop();
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR1, count, &first_count), ==, 0);
    raise(SIGUSR1);
    rp_loop_free(loop);
    CHECK_INT(first_count, ==, 0);
    make_loop(); /* what the old one left over is not this one's */
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR1, count, &first_count), ==, 0);
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR2, count, &second_count), ==, 0);
    raise(SIGUSR2);
    run_until(&second_count, 1);
    settle();
    CHECK_INT(first_count, ==, 0);
    rp_loop_free(loop);
}

TEST(no_memory)
{
    make_loop();
    test_fail_allocation(1);
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR1, count, &first_count), ==, -ENOMEM);
    test_fail_allocation(0);
    CHECK(disposition(SIGUSR1) == SIG_DFL);
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR1, count, &first_count), ==, 0);
    rp_loop_free(loop);
}
