/*
 * test_proactor_wake.c - what ends a wait: other threads, signals and their handlers.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "proactor/proactor.h"
#include "harness/support.h"

TEST(wake_before_wait)
{
    rp_proactor *port = open_port();

    for (int i = 0; i < 3; i++) {
        rp_proactor_wake(port);
        rp_proactor_wake(port);
        CHECK_INT(collect_once(port, RP_NEVER), ==, 0);
    }
    CHECK_INT(atomic_load(&port->wakeups), ==, 0); /* it was not asleep */
    int64_t deadline = rp_monotonic() + RP_MSEC(2);
    CHECK_INT(collect_once(port, deadline), ==, 0);
    CHECK_INT(rp_monotonic(), >=, deadline); /* nothing was left over */
    rp_proactor_close(port);
}

static void *wake_when_asleep(void *arg)
{
    rp_proactor *port = arg;

    while (atomic_load(&port->wake_state) != RP_ASLEEP)
        usleep(100);
    for (int i = 0; i < 100; i++)
        rp_proactor_wake(port);
    return NULL;
}

TEST(wake_from_thread)
{
    rp_proactor *port = open_port();

    for (int i = 0; i < 20; i++) {
        pthread_t thread;

        CHECK_INT(pthread_create(&thread, NULL, wake_when_asleep, port), ==, 0);
        CHECK_INT(collect_once(port, RP_NEVER), ==, 0);
        CHECK_INT(pthread_join(thread, NULL), ==, 0);
        CHECK_INT(atomic_load(&port->wakeups), ==, (uint64_t)i + 1); /* all but the first found it awake */
        CHECK_INT(collect_once(port, 0), ==, 0);                     /* the others have ended this wait */
    }
    rp_proactor_close(port);
}

static atomic_bool wakes;

static void *prompt_then_wake(void *arg)
{
    rp_proactor *port = arg;

    for (int i = 0; i < 2; i++) {
        while (atomic_load(&port->wake_state) != RP_ASLEEP)
            usleep(100);
        atomic_store(&wakes, i == 1);
        (i == 0 ? rp_proactor_prompt : rp_proactor_wake)(port);
    }
    return NULL;
}

/* A thread of the backend has something for it, which may turn out to have been delivered: the wait goes on. */
TEST(a_prompt_ends_a_sleep_and_no_wait)
{
    rp_proactor *port = open_port();
    pthread_t thread;

    rp_proactor_prompt(port);
    int64_t deadline = rp_monotonic() + RP_MSEC(2);
    CHECK_INT(collect_once(port, deadline), ==, 0);
    CHECK_INT(rp_monotonic(), >=, deadline);
    CHECK_INT(pthread_create(&thread, NULL, prompt_then_wake, port), ==, 0);
    CHECK_INT(collect_once(port, RP_NEVER), ==, 0);
    CHECK(atomic_load(&wakes));
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    CHECK_INT(atomic_load(&port->wakeups), ==, 2);
    rp_proactor_prompt(port); /* a wake is told, whatever came before it or comes after */
    rp_proactor_wake(port);
    rp_proactor_prompt(port);
    CHECK_INT(collect_once(port, RP_NEVER), ==, 0);
    rp_proactor_close(port);
}

#ifndef _WIN32
static rp_proactor *signalled_port;

static void wake_in_handler(int number)
{
    int before = errno;

    (void)number;
    rp_proactor_wake(signalled_port);
    if (errno != before)
        abort();
}

TEST(wake_from_signal_handler)
{
    struct itimerval soon = {.it_value.tv_usec = 5000};

    signalled_port = open_port();
    signal(SIGALRM, wake_in_handler);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(setitimer(ITIMER_REAL, &soon, NULL), ==, 0);
        CHECK_INT(collect_once(signalled_port, RP_NEVER), ==, 0);
        collect_once(signalled_port, 0);
    }
    rp_proactor_close(signalled_port);
}

static void ignore_signal(int number)
{
    (void)number;
}

TEST(signal_ends_wait)
{
    rp_proactor *port = open_port();
    /* Again and again: the first may come before the wait. */
    struct itimerval soon = {.it_value.tv_usec = 5000, .it_interval.tv_usec = 5000};
    struct sigaction action = {.sa_handler = ignore_signal, .sa_flags = SA_RESTART};

    sigaction(SIGALRM, &action, NULL);
    CHECK_INT(setitimer(ITIMER_REAL, &soon, NULL), ==, 0);
    CHECK_INT(collect_once(port, RP_NEVER), ==, 0);
    CHECK_INT(setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL), ==, 0);
    rp_proactor_close(port);
}
#else
TEST_ABSENT(wake_from_signal_handler, "no signal interrupts a thread on Windows");
TEST_ABSENT(signal_ends_wait, "no signal interrupts a thread on Windows");
#endif
