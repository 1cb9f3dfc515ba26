/*
 * test_proactor.c - the contract of a bare proactor: exactly one completion, cancellation in every state, wake, close.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "proactor/proactor.h"
#include "harness/support.h"
#include "harness/wrap.h"

TEST(names)
{
    rp_proactor *port = open_port();

    CHECK_STR(rp_proactor_name(port), test_backend());
    CHECK(rp_proactor_fallback_reason(port) == NULL);
    rp_proactor_close(port);
    rp_proactor_close(NULL);
}

TEST(nothing_to_do)
{
    rp_proactor *port = open_port();
    rp_completion completion;

    CHECK_INT(rp_proactor_wait(port, &completion, 1, 0), ==, 0);
    CHECK_INT(rp_proactor_wait(port, &completion, 0, 0), ==, -EINVAL);
    CHECK_INT(rp_proactor_wait(port, &completion, -1, 0), ==, -EINVAL);
    CHECK_INT(rp_proactor_wait(port, &completion, 1, 1), ==, 0); /* long past */
    CHECK_INT(rp_proactor_wait(port, &completion, 1, INT64_MIN), ==, 0);
    int64_t deadline = rp_monotonic() + RP_MSEC(3);
    CHECK_INT(rp_proactor_wait(port, &completion, 1, deadline), ==, 0);
    CHECK_INT(rp_monotonic(), >=, deadline);
    rp_proactor_close(port);
}

TEST(one_completion_each)
{
    enum { COUNT = 300 };
    rp_proactor *port = open_port();
    rp_op ops[COUNT];

    for (int i = 0; i < COUNT; i++) {
        rp_op_nop(&ops[i], NULL, NULL);
        submit(port, &ops[i]);
        CHECK_INT(rp_proactor_submit(port, &ops[i]), ==, -EBUSY);
    }
    CHECK_INT(port->in_flight, ==, COUNT);
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(finish(port, &ops[i]), ==, 0);
    CHECK_INT(pending_count, ==, 0);
    CHECK_INT(port->in_flight, ==, 0);
    stays_quiet(port);
    CHECK_INT(perform(port, &ops[7]), ==, 0); /* as it is, again */
    rp_proactor_close(port);
}

TEST(one_completion_at_a_time)
{
    rp_proactor *port = open_port();
    rp_op ops[10];
    int seen[10] = {0};
    rp_completion completion;

    for (int i = 0; i < 10; i++) {
        rp_op_nop(&ops[i], NULL, NULL);
        submit(port, &ops[i]);
    }
    for (int i = 0; i < 10; i++) {
        while (rp_proactor_wait(port, &completion, 1, RP_NEVER) == 0)
            ;
        seen[completion.op - ops]++;
    }
    for (int i = 0; i < 10; i++)
        CHECK_INT(seen[i], ==, 1);
    CHECK_INT(rp_proactor_wait(port, &completion, 1, 0), ==, 0);
    rp_proactor_close(port);
}

/* Operations that are done at once, over and over, must not keep others from being seen. */
TEST(no_starvation)
{
    rp_proactor *port = open_port();
    rp_completion completions[4];
    rp_op busy[8], waiting;
    char path[] = TEST_TMP "/ringport-test-XXXXXX", bytes[8][4], byte;
    int file = mkstemp(path), fds[2];
    bool seen = false;

    CHECK_INT(file, >=, 0);
    unlink(path);
    CHECK_INT(write(file, "text", 4), ==, 4);
    unix_pair(fds);
    rp_op_recv(&waiting, fds[0], &byte, 1, 0, NULL, NULL);
    submit(port, &waiting);
    CHECK_INT(rp_proactor_wait(port, completions, 4, 0), ==, 0);
    for (int i = 0; i < 8; i++) {
        rp_op_read(&busy[i], file, bytes[i], 4, 0, NULL, NULL);
        submit(port, &busy[i]);
    }
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    for (int turn = 0; turn < 1000 && !seen; turn++) {
        int n = rp_proactor_wait(port, completions, 4, RP_NEVER);
        for (int i = 0; i < n; i++)
            if (completions[i].op == &waiting)
                seen = true;
            else
                submit(port, completions[i].op);
    }
    CHECK(seen);
    rp_proactor_close(port);
    close_pair(fds);
    close(file);
}

TEST(bad_operations)
{
    rp_proactor *port = open_port();
    rp_op op;

    rp_op_nop(&op, NULL, NULL);
    op.kind = RP_OP_KINDS_;
    CHECK_INT(rp_proactor_submit(port, &op), ==, -EINVAL);
    op.kind = 255;
    CHECK_INT(rp_proactor_submit(port, &op), ==, -EINVAL);
    CHECK_INT(port->in_flight, ==, 0);
    rp_op_nop(&op, NULL, NULL);
    rp_proactor_cancel(port, &op); /* not in flight: ignored */
    CHECK_INT(perform(port, &op), ==, 0);
    rp_proactor_cancel(port, &op);
    stays_quiet(port);
    rp_proactor_close(port);
}

TEST(bad_descriptors)
{
    static const int fds[] = {-1, 987, 1999999999};
    rp_proactor *port = open_port();
    char bytes[4] = "";
    struct iovec vector = {.iov_base = bytes, .iov_len = sizeof bytes};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    struct sockaddr_in address = {.sin_family = AF_INET};
    rp_op op;

    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        int fd = fds[i];

        rp_op_accept(&op, fd, NULL, NULL, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_accept_multi(&op, fd, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_connect(&op, fd, (struct sockaddr *)&address, sizeof address, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_recv(&op, fd, bytes, 4, 0, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_recv_stream(&op, fd, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_send(&op, fd, bytes, 4, 0, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_sendmsg(&op, fd, &message, 0, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_recvmsg(&op, fd, &message, 0, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_shutdown(&op, fd, SHUT_WR, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_close(&op, fd, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_poll(&op, fd, RP_POLL_IN, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_poll_multi(&op, fd, RP_POLL_IN, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_read(&op, fd, bytes, 4, -1, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_write(&op, fd, bytes, 4, 0, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_readv(&op, fd, &vector, 1, 0, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_writev(&op, fd, &vector, 1, -1, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_fsync(&op, fd, true, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
    }
    CHECK_INT(port->in_flight, ==, 0);
    rp_proactor_close(port);
}

/* ---- cancelling ---- */

enum { KINDS = 13 };

/* One operation of every kind that can wait, each for something that does not come. */
typedef struct waiting {
    rp_op ops[KINDS];
    int count;
    int fds[32];
    int fd_count;
    char bytes[16];
    struct iovec vector;
    struct msghdr message;
    struct sockaddr_in crowded;
    rp_op *connect;
    int64_t pid;
} waiting;

static rp_op *add(waiting *w)
{
    CHECK_INT(w->count, <, KINDS);
    return &w->ops[w->count++];
}

static int keep(waiting *w, int fd)
{
    CHECK_INT(fd, >=, 0);
    CHECK_INT(w->fd_count, <, 32);
    return w->fds[w->fd_count++] = fd;
}

/* A socket whose peer sends nothing, or one that takes no more. */
static int silent_socket(waiting *w, bool full)
{
    int fds[2];

    unix_pair(fds);
    if (full)
        fill(fds[0]);
    keep(w, fds[1]);
    return keep(w, fds[0]);
}

/* A listener whose queue is full: it answers no further request. */
static void make_crowd(waiting *w)
{
    int listener = keep(w, listen_tcp(&w->crowded));

    CHECK_INT(listen(listener, 0), ==, 0);
    for (int i = 0; i < 3; i++) {
        int fd = keep(w, tcp_socket());

        set_nonblocking(fd);
        connect(fd, (struct sockaddr *)&w->crowded, sizeof w->crowded);
    }
}

static void prepare_connect(waiting *w)
{
    rp_op_connect(w->connect, keep(w, tcp_socket()), (struct sockaddr *)&w->crowded, sizeof w->crowded, NULL,
                  NULL);
}

static void prepare_waiting(waiting *w)
{
    struct sockaddr_in address;
    int fds[2];

    *w = (waiting){.vector = {.iov_base = w->bytes, .iov_len = sizeof w->bytes}};
    w->message = (struct msghdr){.msg_iov = &w->vector, .msg_iovlen = 1};
    make_crowd(w);
    w->pid = test_start_child(-1);
    rp_op_accept(add(w), keep(w, listen_tcp(&address)), NULL, NULL, NULL, NULL);
    rp_op_accept_multi(add(w), keep(w, listen_tcp(&address)), NULL, NULL);
    w->connect = add(w);
    prepare_connect(w);
    rp_op_recv(add(w), silent_socket(w, false), w->bytes, sizeof w->bytes, 0, NULL, NULL);
    rp_op_recv_stream(add(w), silent_socket(w, true), NULL, NULL);
    rp_op_send(add(w), silent_socket(w, true), w->bytes, sizeof w->bytes, RP_SEND_ALL, NULL, NULL);
    rp_op_sendmsg(add(w), silent_socket(w, true), &w->message, 0, NULL, NULL);
    rp_op_recvmsg(add(w), silent_socket(w, false), &w->message, 0, NULL, NULL);
    rp_op_poll(add(w), silent_socket(w, false), RP_POLL_IN, NULL, NULL);
    rp_op_poll_multi(add(w), silent_socket(w, true), RP_POLL_IN, NULL, NULL);
    CHECK_INT(pipe2(fds, O_CLOEXEC), ==, 0);
    rp_op_read(add(w), keep(w, fds[0]), w->bytes, sizeof w->bytes, -1, NULL, NULL);
    keep(w, fds[1]);
    CHECK_INT(pipe2(fds, O_CLOEXEC), ==, 0);
    fill(keep(w, fds[1]));
    rp_op_write(add(w), fds[1], w->bytes, sizeof w->bytes, -1, NULL, NULL);
    keep(w, fds[0]);
    rp_op_wait_child(add(w), w->pid, NULL, NULL);
    CHECK_INT(w->count, ==, KINDS);
}

static void end_waiting(waiting *w)
{
    for (int i = 0; i < w->fd_count; i++)
        close(w->fds[i]);
    test_end_child(w->pid);
}

static void submit_all(rp_proactor *port, waiting *w)
{
    for (int i = 0; i < KINDS; i++)
        submit(port, &w->ops[i]);
}

/* Cancels them all, `times` times each, after `turns` turns; each ends once. */
static void cancel_all(rp_proactor *port, waiting *w, int turns, int times)
{
    submit_all(port, w);
    for (int i = 0; i < turns; i++)
        CHECK_INT(collect_once(port, 0), ==, 0);
    for (int i = 0; i < KINDS * times; i++)
        rp_proactor_cancel(port, &w->ops[i % KINDS]);
    for (int i = 0; i < KINDS; i++)
        CHECK_INT(finish(port, &w->ops[i]), ==, -ECANCELED);
    CHECK_INT(port->in_flight, ==, 0);
    stays_quiet(port);
    prepare_connect(w); /* the others and their descriptors serve again */
}

TEST(cancel_at_once)
{
    rp_proactor *port = open_port();
    waiting w;

    prepare_waiting(&w);
    cancel_all(port, &w, 0, 1);
    cancel_all(port, &w, 0, 3);
    rp_proactor_close(port);
    end_waiting(&w);
}

TEST(cancel_while_waiting)
{
    rp_proactor *port = open_port();
    waiting w;

    prepare_waiting(&w);
    cancel_all(port, &w, 3, 1);
    cancel_all(port, &w, 1, 3);
    rp_proactor_close(port);
    end_waiting(&w);
}

TEST(cancel_then_wait_between)
{
    rp_proactor *port = open_port();
    waiting w;

    prepare_waiting(&w);
    submit_all(port, &w);
    stays_quiet(port);
    for (int i = 0; i < KINDS; i++)
        cancel_and_finish(port, &w.ops[i]);
    rp_proactor_close(port);
    end_waiting(&w);
}

/* What is ready when it is cancelled ends exactly once, with the one or the other. */
TEST(cancel_races_with_result)
{
    rp_proactor *port = open_port();
    rp_op op;
    char byte;
    int fds[2], results = 0, cancellations = 0;

    unix_pair(fds);
    for (int i = 0; i < 200; i++) {
        rp_op_recv(&op, fds[0], &byte, 1, 0, NULL, NULL);
        submit(port, &op);
        if (i & 1)
            CHECK_INT(collect_once(port, 0), ==, 0);
        CHECK_INT(write(fds[1], "x", 1), ==, 1);
        if (i & 2)
            collect_once(port, 0);
        rp_proactor_cancel(port, &op);
        rp_proactor_cancel(port, &op);
        int64_t result = finish(port, &op);
        if (result == 1) {
            results++;
            continue;
        }
        CHECK_INT(result, ==, -ECANCELED);
        cancellations++;
        CHECK_INT(recv(fds[0], &byte, 1, MSG_DONTWAIT), ==, 1); /* not a byte is lost */
    }
    CHECK_INT(results + cancellations, ==, 200);
    CHECK_INT(results, >=, 50); /* those that had been collected */
    stays_quiet(port);
    CHECK_INT(port->in_flight, ==, 0);
    rp_proactor_close(port);
    close_pair(fds);
}

TEST(cancel_of_what_is_done)
{
    rp_proactor *port = open_port();
    rp_op op;
    char byte;
    int fds[2];

    unix_pair(fds);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    rp_op_recv(&op, fds[0], &byte, 1, 0, NULL, NULL);
    submit(port, &op);
    while (pending_count == 0)
        collect_once(port, RP_NEVER);
    rp_proactor_cancel(port, &op);
    CHECK_INT(finish(port, &op), ==, 1);
    stays_quiet(port);
    rp_proactor_close(port);
    close_pair(fds);
}

/* ---- waking ---- */

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

/* ---- busy polling ---- */

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

TEST(busy_poll_of_no_number)
{
    rp_proactor_options negative = {.busy_poll = -1};
    rp_proactor *port;

    CHECK_INT(rp_proactor_open(NULL, &negative, &port), ==, -EINVAL);
    setenv("RINGPORT_BUSY_POLL", "soon", 1);
    CHECK_INT(rp_proactor_open(NULL, NULL, &port), ==, -EINVAL);
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

/* ---- closing ---- */

TEST(close_with_all_in_flight)
{
    for (int turns = 0; turns < 3; turns++) {
        rp_proactor *port = open_port();
        waiting w;

        prepare_waiting(&w);
        submit_all(port, &w);
        for (int i = 0; i < turns; i++)
            CHECK_INT(collect_once(port, 0), ==, 0);
        rp_proactor_close(port);
        end_waiting(&w);
    }
}

/* Connections that were accepted and not taken, and files that were opened, must not stay open: the harness looks. */
TEST(close_drops_descriptors)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    rp_op accept_multi, openat, accept_once;
    int listeners[2], clients[40];

    listeners[0] = listen_tcp(&address);
    rp_op_accept_multi(&accept_multi, listeners[0], NULL, NULL);
    submit(port, &accept_multi);
    CHECK_INT(collect_once(port, 0), ==, 0);
    for (int i = 0; i < 39; i++)
        clients[i] = connect_tcp(&address);
    listeners[1] = listen_tcp(&address);
    rp_op_accept(&accept_once, listeners[1], NULL, NULL, NULL, NULL);
    submit(port, &accept_once);
    clients[39] = connect_tcp(&address);
    rp_op_openat(&openat, AT_FDCWD, TEST_NULL, O_RDONLY, 0, NULL, NULL);
    submit(port, &openat);
    rp_completion some[2];
    int n = rp_proactor_wait(port, some, 2, RP_NEVER); /* the rest stays where it is */
    for (int i = 0; i < n; i++)
        if (some[i].result >= 0)
            close((int)some[i].result);
    rp_proactor_close(port);
    close_pair(listeners);
    for (int i = 0; i < 40; i++)
        close(clients[i]);
}

/* ---- fork ---- */

#ifndef _WIN32
TEST(fork_refused)
{
    rp_proactor *port = open_port();
    rp_completion completion;
    rp_op op, other;
    char byte;
    int fds[2], status;

    unix_pair(fds);
    rp_op_recv(&op, fds[0], &byte, 1, 0, NULL, NULL);
    submit(port, &op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    pid_t pid = fork();
    if (pid == 0) {
        rp_op_nop(&other, NULL, NULL);
        CHECK_INT(rp_proactor_submit(port, &other), ==, RP_EFORK);
        CHECK_INT(rp_proactor_wait(port, &completion, 1, 0), ==, RP_EFORK);
        rp_proactor_cancel(port, &op);
        rp_proactor_wake(port);
        rp_proactor_close(port);
        rp_proactor *own = open_port();
        CHECK_INT(perform(own, &other), ==, 0);
        rp_proactor_close(own);
        _exit(42);
    }
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    stays_quiet(port); /* the child has harmed nothing */
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    CHECK_INT(finish(port, &op), ==, 1);
    rp_proactor_close(port);
    close_pair(fds);
}
#else
TEST_ABSENT(fork_refused, "Windows has no fork()");
#endif

/* ---- memory ---- */

static void scenario(rp_proactor *port, int fd)
{
    rp_op poll, nop;

    rp_op_poll(&poll, fd, RP_POLL_IN, NULL, NULL);
    submit(port, &poll);
    rp_op_nop(&nop, NULL, NULL);
    CHECK_INT(perform(port, &nop), ==, 0);
    rp_proactor_cancel(port, &poll);
    int64_t result = finish(port, &poll);
    CHECK(result == -ECANCELED || result == -ENOMEM);
}

TEST(allocations_fail)
{
    int fds[2];
    bool failed = true;

    unix_pair(fds);
    for (uint64_t nth = 1; failed; nth++) {
        rp_proactor *port;

        test_fail_allocation(nth);
        int rc = rp_proactor_open(NULL, NULL, &port);
        if (rc == 0) {
            scenario(port, fds[0]);
            rp_proactor_close(port);
        } else {
            CHECK_INT(rc, ==, -ENOMEM);
            CHECK(port == NULL);
        }
        failed = test_allocation_failed();
        test_fail_allocation(0);
    }
    close_pair(fds);
}

TEST(nothing_allocated_per_operation)
{
    rp_proactor *port = open_port();
    int fds[2];

    unix_pair(fds);
    scenario(port, fds[0]);
    uint64_t before = test_allocations();
    for (int i = 0; i < 100; i++)
        scenario(port, fds[0]);
    CHECK_INT(test_allocations(), ==, before);
    rp_proactor_close(port);
    close_pair(fds);
}
