/*
 * test_proactor_waiting.c - operations of every kind that wait: cancelled in each state, or there when the port closes.
 */
#include "proactor/proactor.h"
#include "harness/support.h"

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
