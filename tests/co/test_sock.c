/* test_sock.c - operations on the program's own sockets: what they return, and that a cancellation loses nothing. */
#include "harness/sockets.h"
#include "harness/tasks.h"
#include "harness/wire.h"

typedef struct job {
    int fd;
    const char *data;
    char *buffer;
    size_t length;
    size_t sent;
} job;

static int receives(rp_co *co, void *arg)
{
    job *j = arg;

    return (int)rp_sock_recv(co, j->fd, j->buffer, j->length);
}

static int sends_all(rp_co *co, void *arg)
{
    job *j = arg;

    return rp_sock_sendall(co, j->fd, j->data, j->length, &j->sent);
}

/* ---- streams of each kind, blocking or not ---- */

CO_TEST(a_stream_by_calls_of_both_names)
{
    for (int kind = 0; kind < PAIR_KINDS; kind++) {
        char bytes[16];
        size_t sent = 99;
        int fds[2];

        pair_of_kind(kind, fds);
        CHECK_INT(rp_sock_sendall(co, fds[0], "hello", 5, &sent), ==, 0);
        CHECK_INT(sent, ==, 5);
        CHECK_INT(rp_sock_recv(co, fds[1], bytes, 2), ==, 2);
        CHECK_INT(rp_sock_recv_into(co, fds[1], bytes + 2, sizeof bytes - 2), ==, 3);
        CHECK(memcmp(bytes, "hello", 5) == 0);
        CHECK_INT(rp_sock_sendall(co, fds[0], "", 0, NULL), ==, 0);
        CHECK_INT(shutdown(fds[0], SHUT_WR), ==, 0);
        CHECK_INT(rp_sock_recv(co, fds[1], bytes, sizeof bytes), ==, 0);
        close_pair(fds);
    }
}

/* Were the loop blocked by the first task, the second would never send. */
CO_TEST(a_socket_that_blocks_does_not_block_the_loop)
{
    char byte = 0;
    job j = {.buffer = &byte, .length = 1};
    rp_task *task;
    int fds[2];

    tcp_pair(fds);
    j.fd = fds[0];
    task = spawn(receives, &j);
    settle(co);
    CHECK(!rp_future_done(task));
    CHECK_INT(rp_sock_sendall(co, fds[1], "x", 1, NULL), ==, 0);
    CHECK_INT(rp_join(co, task), ==, 1);
    CHECK_INT(byte, ==, 'x');
#ifndef _WIN32
    CHECK(!(fcntl(fds[0], F_GETFL) & O_NONBLOCK)); /* and it blocks still */
#endif
    close_pair(fds);
}

CO_TEST(tasks_on_one_socket_are_served_in_order)
{
    char bytes[3] = {0};
    job jobs[3];
    rp_task *tasks[3];
    int fds[2];

    nonblocking_pair(fds);
    for (int i = 0; i < 3; i++) {
        jobs[i] = (job){.fd = fds[0], .buffer = &bytes[i], .length = 1};
        tasks[i] = spawn(receives, &jobs[i]);
    }
    settle(co);
    CHECK_INT(rp_sock_sendall(co, fds[1], "abc", 3, NULL), ==, 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_join(co, tasks[i]), ==, 1);
    CHECK(memcmp(bytes, "abc", 3) == 0);
    close_pair(fds);
}

/* ---- sending all ---- */

enum { MUCH = 8 << 20 }; /* more than the buffers of a socket take */

static char *much(void)
{
    char *data = malloc(MUCH);

    CHECK(data);
    for (size_t i = 0; i < MUCH; i++)
        data[i] = (char)(i * 7 + i / 251);
    return data;
}

/* Reads until the end, and compares: how many bytes. */
static size_t read_all(rp_co *co, int fd, const char *expected)
{
    static char bytes[65536];
    size_t total = 0;
    ssize_t n;

    while ((n = rp_sock_recv(co, fd, bytes, sizeof bytes)) > 0) {
        CHECK(memcmp(bytes, expected + total, (size_t)n) == 0);
        total += (size_t)n;
    }
    CHECK_INT(n, ==, 0);
    return total;
}

CO_TEST(all_of_it_is_sent)
{
    char *data = much();

    for (int kind = 0; kind < PAIR_KINDS; kind++) {
        job j = {.data = data, .length = MUCH};
        rp_task *task;
        int fds[2];

        pair_of_kind(kind, fds);
        j.fd = fds[0];
        task = spawn(sends_all, &j);
        settle(co);
        CHECK(!rp_future_done(task)); /* the peer has read nothing */
        for (size_t total = 0; total < MUCH;) {
            static char bytes[65536];
            ssize_t n = rp_sock_recv(co, fds[1], bytes, sizeof bytes);

            CHECK_INT(n, >, 0);
            CHECK(memcmp(bytes, data + total, (size_t)n) == 0);
            total += (size_t)n;
        }
        CHECK_INT(rp_join(co, task), ==, 0);
        CHECK_INT(j.sent, ==, MUCH);
        close_pair(fds);
    }
    free(data);
}

CO_TEST(a_cancelled_sendall_tells_how_much_went)
{
    char *data = much();

    for (int kind = 0; kind < PAIR_KINDS; kind++) {
        job j = {.data = data, .length = MUCH};
        rp_task *task;
        int fds[2];

        pair_of_kind(kind, fds);
        j.fd = fds[0];
        task = spawn(sends_all, &j);
        for (int turns = 0; turns < 3 * kind + 1; turns++)
            CHECK_INT(rp_sleep(co, 0), ==, 0);
        rp_task_cancel(task);
        CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
        CHECK_INT(j.sent, >, 0);
        CHECK_INT(j.sent, <, MUCH);
        CHECK_INT(shutdown(fds[0], SHUT_WR), ==, 0);
        CHECK_INT(read_all(co, fds[1], data), ==, j.sent);
        close_pair(fds);
    }
    free(data);
}

/* The socket tells of a reset once, and the call passes that on with the number of bytes. */
CO_TEST(a_failed_sendall_tells_why_and_how_much_went)
{
    char *data = much();
    job j = {.data = data, .length = MUCH};
    rp_task *task;
    int fds[2], rc;

    nonblocking_pair(fds);
    j.fd = fds[0];
    task = spawn(sends_all, &j);
    settle(co);
    CHECK(!rp_future_done(task));
    close_with_reset(fds[1]);
    rc = rp_join(co, task);
    CHECK(rc == -ECONNRESET || rc == -EPIPE);
    CHECK_INT(j.sent, >, 0);
    CHECK_INT(j.sent, <, MUCH);

    rc = rp_sock_sendall(co, fds[0], data, 1, &j.sent); /* and no signal ends the process */
    CHECK(rc == -ECONNRESET || rc == -EPIPE || rc == -ECONNABORTED);
    CHECK_INT(j.sent, ==, 0);
    close(fds[0]);
    free(data);
}

/* ---- datagrams ---- */

static int bound_udp(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    *address = loopback(0);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(bind(fd, (struct sockaddr *)address, sizeof *address), ==, 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)address, &length), ==, 0);
    return fd;
}

CO_TEST(datagrams_go_to_addresses)
{
    struct sockaddr_in here, there, sender = {0};
    int fds[2] = {bound_udp(&here), bound_udp(&there)};
    uint32_t length = sizeof sender;
    char bytes[16];

    CHECK_INT(rp_sock_sendto(co, fds[0], "hello", 5, (struct sockaddr *)&there, sizeof there), ==, 5);
    CHECK_INT(rp_sock_sendto(co, fds[0], "", 0, (struct sockaddr *)&there, sizeof there), ==, 0);
    CHECK_INT(rp_sock_sendto(co, fds[0], "long", 4, (struct sockaddr *)&there, sizeof there), ==, 4);
    CHECK_INT(rp_sock_recvfrom(co, fds[1], bytes, sizeof bytes, (struct sockaddr *)&sender, &length), ==, 5);
    CHECK_INT(length, ==, sizeof sender);
    CHECK_INT(sender.sin_port, ==, here.sin_port);
    CHECK_INT(rp_sock_recvfrom(co, fds[1], bytes, sizeof bytes, NULL, NULL), ==, 0); /* empty, and no end */
    CHECK_INT(rp_sock_recvfrom(co, fds[1], bytes, 2, NULL, NULL), ==, 2);
    CHECK_INT(rp_sock_recvfrom(co, fds[1], bytes, 2, (struct sockaddr *)&sender, NULL), ==, -EINVAL);

    CHECK_INT(rp_sock_connect(co, fds[0], (struct sockaddr *)&there, sizeof there), ==, 0);
    CHECK_INT(rp_sock_sendall(co, fds[0], "whole", 5, NULL), ==, 0);
    CHECK_INT(rp_sock_recv(co, fds[1], bytes, sizeof bytes), ==, 5);
    close(fds[0]);
    close(fds[1]);
}

/* ---- connecting and accepting ---- */

typedef struct acceptor {
    int listener;
    rp_fd accepted;
} acceptor;

static int accepts(rp_co *co, void *arg)
{
    acceptor *a = arg;

    a->accepted = rp_sock_accept(co, a->listener, NULL, NULL);
    return a->accepted < 0 ? (int)a->accepted : 0;
}

CO_TEST(connections)
{
    struct sockaddr_in address, peer = {0}, own = {0};
    uint32_t length = sizeof peer;
    int listener = listen_blocking(&address);
    socklen_t own_length = sizeof own;
    char byte;
    rp_fd accepted;

    for (int blocking = 0; blocking < 2; blocking++) {
        acceptor a = {.listener = listener};
        rp_task *task = spawn(accepts, &a);
        int fd = tcp_socket();

        if (!blocking)
            set_nonblocking(fd);
        settle(co);
        CHECK(!rp_future_done(task));
        CHECK_INT(rp_sock_connect(co, fd, (struct sockaddr *)&address, sizeof address), ==, 0);
        CHECK_INT(rp_join(co, task), ==, 0);
        CHECK_INT(rp_sock_sendall(co, fd, "x", 1, NULL), ==, 0);
        CHECK_INT(rp_sock_recv(co, a.accepted, &byte, 1), ==, 1);
        close((int)a.accepted);

        int other = connect_tcp(&address);
        CHECK_INT(rp_sock_accept(co, listener, (struct sockaddr *)&peer, NULL), ==, -EINVAL);
        accepted = rp_sock_accept(co, listener, (struct sockaddr *)&peer, &length);
        CHECK_INT(accepted, >=, 0);
        CHECK_INT(getsockname(other, (struct sockaddr *)&own, &own_length), ==, 0);
        CHECK_INT(length, ==, sizeof peer);
        CHECK_INT(peer.sin_port, ==, own.sin_port);
        CHECK(fcntl((int)accepted, F_GETFL) & O_NONBLOCK);
        close((int)accepted);
        close(other);
        close(fd);
    }
    close(listener);
}

CO_TEST(nobody_listens)
{
    struct sockaddr_in address;
    int holder = bound_tcp(&address), fd = tcp_socket();

    CHECK_INT(rp_sock_connect(co, fd, (struct sockaddr *)&address, sizeof address), ==, -ECONNREFUSED);
    CHECK_INT(rp_sock_connect(co, fd, NULL, 0), ==, -EINVAL);
    CHECK_INT(rp_sock_accept(co, holder, NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_sock_accept(co, holder, (struct sockaddr *)&address, NULL), ==, -EINVAL);
    close(holder);
    close(fd);
}

/* However the connection and the cancellation meet, somebody gets the connection. */
CO_TEST(a_cancelled_accept_loses_no_connection)
{
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    unsigned returned = 0;

    for (int before = 0; before < 6; before++) {
        for (int after = 0; after < 6; after++) {
            acceptor a = {.listener = listener, .accepted = -1};
            rp_task *task = spawn(accepts, &a);
            int fd, rc;
            char byte = 0;

            for (int turns = 0; turns < before; turns++)
                CHECK_INT(rp_sleep(co, 0), ==, 0);
            fd = connect_tcp(&address);
            for (int turns = 0; turns < after; turns++)
                CHECK_INT(rp_sleep(co, 0), ==, 0);
            rp_task_cancel(task);
            rc = rp_join(co, task);
            CHECK(rc == 0 || rc == RP_EFUTCANCELED);
            if (a.accepted >= 0)
                returned++;
            else
                a.accepted = rp_sock_accept(co, listener, NULL, NULL);
            CHECK_INT(a.accepted, >=, 0);
            CHECK_INT(rp_sock_sendall(co, fd, "x", 1, NULL), ==, 0);
            CHECK_INT(rp_sock_recv(co, a.accepted, &byte, 1), ==, 1);
            CHECK_INT(byte, ==, 'x');
            close((int)a.accepted);
            close(fd);
        }
    }
    CHECK_INT(returned, >, 0); /* else the race was never there */
    close(listener);
}

#ifdef _WIN32

TEST_ABSENT(whoever_runs_accepts_what_two_wait_for, "a socket belongs to one port on Windows");
TEST_ABSENT(an_accept_without_descriptors_loses_no_connection, "there is no limit on descriptors to run into");

#else

/* Two loops stand for two processes: the one that waits first, and does not run, keeps no connection. */
TEST(whoever_runs_accepts_what_two_wait_for)
{
    rp_loop *loops[2] = {wire_loop(), wire_loop()};
    struct sockaddr_in address;
    acceptor acceptors[2];
    rp_task *tasks[2];
    int listener = listen_tcp(&address);

    for (int i = 0; i < 2; i++) {
        acceptors[i] = (acceptor){.listener = listener};
        CHECK_INT(rp_loop_create_task(loops[i], &tasks[i], accepts, &acceptors[i]), ==, 0);
        wire_settle(loops[i]);
    }
    for (int i = 1; i >= 0; i--) {
        int client = connect_tcp(&address);

        CHECK_INT(rp_run_until_complete(loops[i], tasks[i]), ==, 0);
        close((int)acceptors[i].accepted);
        close(client);
        rp_future_unref(tasks[i]);
        rp_loop_free(loops[i]);
    }
    close(listener);
}

CO_TEST(an_accept_without_descriptors_loses_no_connection)
{
    struct sockaddr_in address;
    int listener = listen_tcp(&address), fd = connect_tcp(&address), used[64], count = 0;
    struct rlimit old, low = {0};
    rp_fd accepted;

    CHECK_INT(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
    low = (struct rlimit){.rlim_cur = 64, .rlim_max = old.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &low), ==, 0);
    while (count < 64 && (used[count] = fcntl(0, F_DUPFD_CLOEXEC, 3)) >= 0)
        count++;
    CHECK_INT(rp_sock_accept(co, listener, NULL, NULL), ==, -EMFILE);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &old), ==, 0);
    while (count > 0)
        close(used[--count]);
    accepted = rp_sock_accept(co, listener, NULL, NULL);
    CHECK_INT(accepted, >=, 0);
    close((int)accepted);
    close(fd);
    close(listener);
}

#endif

static int connects(rp_co *co, void *arg)
{
    const struct sockaddr_in *address = arg;
    int fd = tcp_socket();
    int rc = rp_sock_connect(co, fd, (const struct sockaddr *)address, sizeof *address);

    close(fd); /* which no operation uses any more */
    return rc;
}

CO_TEST(a_cancelled_connect_lets_go_of_its_socket)
{
    struct sockaddr_in address;
    int listener = listen_tcp(&address);

    for (int turns = 0; turns < 5; turns++) {
        rp_task *task = spawn(connects, &address);
        int rc;

        for (int i = 0; i < turns; i++)
            CHECK_INT(rp_sleep(co, 0), ==, 0);
        rp_task_cancel(task);
        rc = rp_join(co, task);
        CHECK(rc == 0 || rc == RP_EFUTCANCELED);
    }
    close(listener);
}

/* ---- mistakes ---- */

CO_TEST(what_is_no_socket)
{
    struct sockaddr_in address = loopback(9);
    size_t sent = 99;
    char byte;

    CHECK_INT(rp_sock_recv(co, -1, &byte, 1), ==, -EBADF);
    CHECK_INT(rp_sock_recvfrom(co, -1, &byte, 1, NULL, NULL), ==, -EBADF);
    CHECK_INT(rp_sock_sendall(co, -1, "x", 1, &sent), ==, -EBADF);
    CHECK_INT(sent, ==, 0);
    CHECK_INT(rp_sock_sendto(co, -1, "x", 1, (struct sockaddr *)&address, sizeof address), ==, -EBADF);
    CHECK_INT(rp_sock_connect(co, -1, (struct sockaddr *)&address, sizeof address), ==, -EBADF);
    CHECK_INT(rp_sock_accept(co, -1, NULL, NULL), ==, -EBADF);
    CHECK_INT(rp_sock_recv(NULL, -1, &byte, 1), ==, RP_ENOTASK);
}

CO_TEST(a_pending_cancellation_begins_nothing)
{
    size_t sent = 99;
    char byte;
    int fds[2];

    nonblocking_pair(fds);
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_sock_sendall(co, fds[0], "x", 1, &sent), ==, -ECANCELED);
    CHECK_INT(sent, ==, 0);
    CHECK_INT(rp_sock_sendall(co, fds[0], "y", 1, &sent), ==, 0);
    CHECK_INT(rp_sock_recv(co, fds[1], &byte, 1), ==, 1);
    CHECK_INT(byte, ==, 'y');
    close_pair(fds);
}
