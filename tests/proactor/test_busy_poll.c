/*
 * test_busy_poll.c - a proactor that looks for completions a while before it sleeps, as long as that pays.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "proactor/proactor.h"
#include "harness/support.h"
#include "harness/wrap.h"

static rp_proactor *open_spinning(int64_t nanoseconds)
{
    rp_proactor_options options = {.busy_poll = nanoseconds};
    rp_proactor *port;

    CHECK_INT(rp_proactor_open(NULL, &options, &port), ==, 0);
    return port;
}

static atomic_bool spinning;

/* What the proactor does between two looks. */
WRAP(void, rp_thread_yield, void)
{
    atomic_store(&spinning, true);
    __real_rp_thread_yield();
}

static void await_spin(void)
{
    while (!atomic_load(&spinning))
        usleep(100);
}

static void *send_a_byte(void *arg)
{
    await_spin();
    CHECK_INT(send(*(int *)arg, "x", 1, 0), ==, 1);
    return NULL;
}

TEST(busy_poll_finds_a_completion)
{
    rp_proactor *port = open_spinning(RP_SEC(60));
    int fds[2];
    pthread_t thread;
    rp_op op;
    char byte;

    tcp_pair(fds);
    rp_op_recv(&op, fds[0], &byte, 1, 0, NULL, NULL);
    submit(port, &op);
    CHECK_INT(pthread_create(&thread, NULL, send_a_byte, &fds[1]), ==, 0);
    CHECK_INT(finish(port, &op), ==, 1);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    CHECK_INT(port->busy_poll.begun, ==, 1);
    CHECK_INT(port->busy_poll.found, ==, 1);
    rp_proactor_close(port);
    close_pair(fds);
}

static void *wake_a_spin(void *arg)
{
    await_spin();
    rp_proactor_wake(arg);
    return NULL;
}

TEST(busy_poll_is_ended_by_a_wake)
{
    rp_proactor *port = open_spinning(RP_SEC(60));

    for (int i = 0; i < 5; i++) {
        pthread_t thread;

        atomic_store(&spinning, false);
        CHECK_INT(pthread_create(&thread, NULL, wake_a_spin, port), ==, 0);
        CHECK_INT(collect_once(port, RP_NEVER), ==, 0);
        CHECK_INT(pthread_join(thread, NULL), ==, 0);
        CHECK_INT(atomic_load(&port->wakeups), ==, 0); /* it never slept */
    }
    rp_proactor_close(port);
}

/* In a thousand idle waits: the 8 that are forgiven, then after 1, 3, 7, 15, 31, 63, 64, 64... waits without. */
TEST(busy_poll_gets_rare_when_it_finds_nothing)
{
    rp_proactor *port = open_spinning(1);

    for (int i = 0; i < 1000; i++)
        CHECK_INT(collect_once(port, rp_monotonic() + 1), ==, 0);
    CHECK_INT(port->busy_poll.begun, >=, 8 + 6);
    CHECK_INT(port->busy_poll.begun, <=, 8 + 6 + 1000 / 64);
    CHECK_INT(port->busy_poll.found, ==, 0);
    rp_proactor_wake(port); /* something, once a spin is due: all is forgiven */
    for (int i = 0; i < 65; i++) {
        rp_proactor_wake(port);
        collect_once(port, RP_NEVER);
    }
    CHECK_INT(port->busy_poll.found, >=, 1);
    CHECK_INT(port->busy_poll.to_pass, ==, 0);
    rp_proactor_close(port);
}

TEST(a_find_forgives_and_each_further_miss_doubles_the_way)
{
    static const unsigned passed[] = {1, 3, 7, 15, 31, 63, 64, 64};
    rp_busy_poll poll;

    CHECK_INT(rp_busy_poll_init(&poll, 1), ==, 0);
    for (int i = 0; i < 16; i++) { /* the last of the first 8 finds something, after which 8 more are forgiven */
        CHECK(rp_busy_poll_begin(&poll));
        rp_busy_poll_end(&poll, i == 7);
    }
    for (int i = 0; i < 8; i++) {
        CHECK(rp_busy_poll_begin(&poll));
        rp_busy_poll_end(&poll, false);
        for (unsigned n = 0; n < passed[i]; n++)
            CHECK(!rp_busy_poll_begin(&poll));
    }
    CHECK_INT(poll.begun, ==, 24);
    CHECK_INT(poll.found, ==, 1);
}

TEST(busy_poll_of_no_number)
{
    rp_proactor_options negative = {.busy_poll = -1}, some = {.busy_poll = 10};
    rp_proactor *port;

    CHECK_INT(rp_proactor_open(NULL, &negative, &port), ==, -EINVAL);
    setenv("RINGPORT_BUSY_POLL", "soon", 1);
    CHECK_INT(rp_proactor_open(NULL, NULL, &port), ==, -EINVAL);
    CHECK_INT(rp_proactor_open(NULL, &some, &port), ==, 0); /* the variable is not read then */
    CHECK_INT(port->busy_poll.duration, ==, 10);
    rp_proactor_close(port);
    setenv("RINGPORT_BUSY_POLL", "20000", 1);
    CHECK_INT(rp_proactor_open(NULL, NULL, &port), ==, 0);
    CHECK_INT(port->busy_poll.duration, ==, 20000);
    rp_proactor_close(port);
    unsetenv("RINGPORT_BUSY_POLL");
}

static void open_with(const char *variable, const char *value)
{
    rp_proactor *port;

    setenv(variable, value, 1);
    if (rp_proactor_open(NULL, NULL, &port) == 0)
        rp_proactor_close(port);
}

static void open_misspelt(void)
{
    open_with("RINGPORT_PROACTOR", "io-uring");
}

static void open_absent(void)
{
#ifdef _WIN32
    open_with("RINGPORT_PROACTOR", "epoll");
#else
    open_with("RINGPORT_PROACTOR", "iocp");
#endif
}

static void open_with_text(void)
{
    open_with("RINGPORT_BUSY_POLL", "soon");
}

static void open_with_nothing(void)
{
    open_with("RINGPORT_PROACTOR", "");
}

/* A program that knows nothing of the variable can say no more than that its loop could not be made. */
TEST(what_is_wrong_in_the_environment_is_named)
{
    char output[256];

    test_in_child(open_misspelt, output, sizeof output);
    CHECK(strstr(output, "ringport: RINGPORT_PROACTOR=io-uring: ") != NULL);
    test_in_child(open_absent, output, sizeof output);
    CHECK(strstr(output, "this build has no such backend") != NULL);
    test_in_child(open_with_text, output, sizeof output);
    CHECK(strstr(output, "ringport: RINGPORT_BUSY_POLL=soon: ") != NULL);
    test_in_child(open_with_nothing, output, sizeof output);
    CHECK_STR(output, "");
}
