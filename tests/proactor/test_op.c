/*
 * test_op.c - what each kind of socket, poll and child operation does, the same on every backend. Files: test_files.c.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "proactor/proactor.h"
#include "harness/support.h"

/* ---- accept, connect ---- */

TEST(accept_one)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address, peer, own;
    uint32_t length = sizeof peer;
    socklen_t own_length = sizeof own;
    int listener = listen_tcp(&address);
    rp_op op;

    for (int i = 0; i < 2; i++) { /* waits, then does not have to */
        int client = -1;

        rp_op_accept(&op, listener, (struct sockaddr *)&peer, &length, NULL, NULL);
        if (i == 0) {
            submit(port, &op);
            stays_quiet(port);
            client = connect_tcp(&address);
        } else {
            client = connect_tcp(&address);
            submit(port, &op);
        }
        int fd = (int)finish(port, &op);
        CHECK_INT(fd, >=, 0);
        CHECK_INT(fcntl(fd, F_GETFL) & O_NONBLOCK, !=, 0);
        CHECK_INT(fcntl(fd, F_GETFD) & FD_CLOEXEC, !=, 0);
        CHECK_INT(getsockname(client, (struct sockaddr *)&own, &own_length), ==, 0);
        CHECK_INT(length, ==, sizeof peer);
        CHECK(memcmp(&peer, &own, sizeof own) == 0);
        close(client);
        close(fd);
    }
    rp_proactor_close(port);
    close(listener);
}

TEST(accept_on_blocking_listener)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    rp_op op;

    CHECK_INT(fcntl(listener, F_SETFL, 0), ==, 0);
    rp_op_accept(&op, listener, NULL, NULL, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    int client = connect_tcp(&address);
    int64_t fd = finish(port, &op);
    CHECK_INT(fd, >=, 0);
    close((int)fd);
    close(client);
    close(listener);
    rp_proactor_close(port);
}

#ifndef _WIN32
static void still_blocks(int fd)
{
    CHECK_INT(fcntl(fd, F_GETFL) & O_NONBLOCK, ==, 0);
}

/* Whatever becomes of the operation, and while it waits. */
TEST(blocking_sockets_stay_blocking)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address, full;
    int listener = listen_tcp(&address), crowded, fd;
    rp_op op;

    CHECK_INT(fcntl(listener, F_SETFL, 0), ==, 0);
    for (int multi = 0; multi < 2; multi++) {
        if (multi)
            rp_op_accept_multi(&op, listener, NULL, NULL);
        else
            rp_op_accept(&op, listener, NULL, NULL, NULL, NULL);
        submit(port, &op);
        stays_quiet(port);
        still_blocks(listener);
        fd = connect_tcp(&address);
        rp_completion completion = next_completion(port, &op);
        CHECK_INT(completion.result, >=, 0);
        close((int)completion.result);
        close(fd);
        still_blocks(listener);
        if (!multi)
            submit(port, &op);
        cancel_and_finish(port, &op);
        still_blocks(listener);
    }

    fd = tcp_socket();
    rp_op_connect(&op, fd, (struct sockaddr *)&address, sizeof address, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    still_blocks(fd);
    close(fd);
    close(listener);
    fd = tcp_socket();
    rp_op_connect(&op, fd, (struct sockaddr *)&address, sizeof address, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -ECONNREFUSED);
    still_blocks(fd);
    close(fd);

    /* One that waits, since the listener's queue is full. */
    crowded = listen_tcp(&full);
    CHECK_INT(listen(crowded, 0), ==, 0);
    int first = connect_tcp(&full);
    fd = tcp_socket();
    rp_op_connect(&op, fd, (struct sockaddr *)&full, sizeof full, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    still_blocks(fd);
    cancel_and_finish(port, &op);
    still_blocks(fd);
    close(fd);
    close(first);
    close(crowded);
    rp_proactor_close(port);
}
#else
TEST_ABSENT(blocking_sockets_stay_blocking, "Windows does not tell whether a socket blocks");
#endif

TEST(accept_multi)
{
    enum { COUNT = 100 };
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int listener = listen_tcp(&address), clients[COUNT];
    rp_op op;

    clients[0] = connect_tcp(&address); /* one is there already */
    rp_op_accept_multi(&op, listener, NULL, NULL);
    submit(port, &op);
    for (int i = 0; i < COUNT; i++) {
        if (i > 0 && i < 30)
            clients[i] = connect_tcp(&address); /* one by one */
        for (int j = 30; i == 30 && j < COUNT; j++)
            clients[j] = connect_tcp(&address); /* many at a time */
        rp_completion completion = next_completion(port, &op);
        CHECK_INT(completion.result, >=, 0);
        CHECK_INT(completion.flags, ==, RP_OP_MORE);
        CHECK_INT(fcntl((int)completion.result, F_GETFL) & O_NONBLOCK, !=, 0);
        CHECK_INT(fcntl((int)completion.result, F_GETFD) & FD_CLOEXEC, !=, 0);
        close((int)completion.result);
        CHECK_INT(rp_proactor_submit(port, &op), ==, -EBUSY);
    }
    stays_quiet(port);
    CHECK_INT(port->in_flight, ==, 1);
    cancel_and_finish(port, &op);
    CHECK_INT(port->in_flight, ==, 0);
    for (int i = 0; i < COUNT; i++)
        close(clients[i]);
    close(listener);
    rp_proactor_close(port);
}

/* Connections that come along with a cancellation are delivered, or stay in the queue, and are not lost. */
TEST(accept_multi_cancelled_amid)
{
    enum { COUNT = 60 };
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int listener = listen_tcp(&address), clients[COUNT], accepted = 0;
    rp_completion completion;
    rp_op op;

    for (int round = 0; round < 3; round++) {
        rp_op_accept_multi(&op, listener, NULL, NULL);
        submit(port, &op);
        collect_once(port, 0); /* perhaps those that the round before has left */
        for (int i = 0; i < COUNT / 3; i++)
            clients[round * COUNT / 3 + i] = connect_tcp(&address);
        if (round == 1) {
            CHECK_INT(close((int)next_completion(port, &op).result), ==, 0);
            accepted++;
        }
        rp_proactor_cancel(port, &op);
        while ((completion = next_completion(port, &op)).flags & RP_OP_MORE) {
            CHECK_INT(close((int)completion.result), ==, 0);
            accepted++;
        }
        CHECK_INT(completion.result, ==, -ECANCELED);
    }
    int fd;
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        accepted++;
        close(fd);
    }
    CHECK_INT(accepted, ==, COUNT);
    for (int i = 0; i < COUNT; i++)
        close(clients[i]);
    close(listener);
    rp_proactor_close(port);
}

#ifndef _WIN32
TEST(accept_without_descriptors)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int listener = listen_tcp(&address), client = connect_tcp(&address);
    struct rlimit limit, none;
    rp_op op;

    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)client + 1, .rlim_max = limit.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), ==, 0);
    rp_op_accept(&op, listener, NULL, NULL, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EMFILE);
    rp_op_accept_multi(&op, listener, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EMFILE);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    submit(port, &op); /* the connection is still there */
    rp_completion completion = next_completion(port, &op);
    CHECK_INT(completion.result, >=, 0);
    close((int)completion.result);
    cancel_and_finish(port, &op);
    close(client);
    close(listener);
    rp_proactor_close(port);
}
#else
TEST_ABSENT(accept_without_descriptors, "Windows has no limit on descriptors to run into");
#endif

TEST(accept_on_no_listener)
{
    rp_proactor *port = open_port();
    int fds[2];
    rp_op op;

    tcp_pair(fds);
    rp_op_accept(&op, fds[0], NULL, NULL, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EINVAL);
    rp_op_accept_multi(&op, fds[0], NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EINVAL);
    close_pair(fds);
    rp_proactor_close(port);
}

TEST(connect_tcp_sockets)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    rp_op op;

    for (int i = 0; i < 4; i++) { /* blocking or not */
        int fd = tcp_socket();

        if (i & 1)
            set_nonblocking(fd);
        rp_op_connect(&op, fd, (struct sockaddr *)&address, sizeof address, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, 0);
        close(fd);
    }
    close(listener);
    for (int i = 0; i < 2; i++) { /* nobody listens any more */
        int fd = tcp_socket();

        if (i & 1)
            set_nonblocking(fd);
        rp_op_connect(&op, fd, (struct sockaddr *)&address, sizeof address, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -ECONNREFUSED);
        close(fd);
    }
    rp_proactor_close(port);
}

TEST(connect_unix_sockets)
{
    test_need_unix_sockets();
    rp_proactor *port = open_port();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), fd = socket(AF_UNIX, SOCK_STREAM, 0);
    rp_op op, accept_op;

    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "ringport-test-%d", (int)getpid());
    rp_op_connect(&op, fd, (struct sockaddr *)&address, sizeof address, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -ECONNREFUSED);
    CHECK_INT(bind(listener, (struct sockaddr *)&address, sizeof address), ==, 0);
    CHECK_INT(listen(listener, 0), ==, 0);
    rp_op_accept(&accept_op, listener, NULL, NULL, NULL, NULL);
    submit(port, &accept_op);
    CHECK_INT(perform(port, &op), ==, 0);
    int64_t accepted = finish(port, &accept_op);
    CHECK_INT(accepted, >=, 0);
    close((int)accepted);
    close(fd);

    /* A full queue is told, by the same error everywhere. */
    int others[3];
    int64_t result = 0;
    for (int i = 0; i < 3; i++) {
        others[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        rp_op_connect(&op, others[i], (struct sockaddr *)&address, sizeof address, NULL, NULL);
        result = perform(port, &op);
        CHECK(result == 0 || result == -EAGAIN);
    }
    CHECK_INT(result, ==, -EAGAIN);
    for (int i = 0; i < 3; i++)
        close(others[i]);
    close(listener);
    rp_proactor_close(port);
}

TEST(connect_to_nothing_of_the_kind)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address = {.sin_family = AF_INET6};
    int fd = tcp_socket();
    rp_op op;

    rp_op_connect(&op, fd, (struct sockaddr *)&address, sizeof address, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EAFNOSUPPORT);
    close(fd);
    rp_proactor_close(port);
}

/* ---- receiving ---- */

static void try_recv(rp_proactor *port, const int fds[2])
{
    char bytes[64];
    rp_op op;

    rp_op_recv(&op, fds[0], bytes, sizeof bytes, MSG_DONTWAIT, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EAGAIN);

    rp_op_recv(&op, fds[0], bytes, sizeof bytes, 0, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    CHECK_INT(write(fds[1], "hello", 5), ==, 5);
    CHECK_INT(finish(port, &op), ==, 5);
    CHECK(memcmp(bytes, "hello", 5) == 0);

    CHECK_INT(write(fds[1], "again", 5), ==, 5); /* there before it is asked for */
    CHECK_INT(perform(port, &op), ==, 5);

    CHECK_INT(write(fds[1], "peek", 4), ==, 4);
    rp_op_recv(&op, fds[0], bytes, sizeof bytes, MSG_PEEK, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 4);
    rp_op_recv(&op, fds[0], bytes, 4, MSG_DONTWAIT, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 4);

    CHECK_INT(shutdown(fds[1], SHUT_WR), ==, 0);
    rp_op_recv(&op, fds[0], bytes, sizeof bytes, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CHECK_INT(perform(port, &op), ==, 0);
}

TEST(recv_once)
{
    rp_proactor *port = open_port();
    int fds[2];

    for (int i = 0; i < 4; i++) {
        if (i & 1)
            unix_pair(fds);
        else
            tcp_pair(fds);
        if (i & 2)
            set_nonblocking(fds[0]);
        try_recv(port, fds);
        close_pair(fds);
    }
    rp_proactor_close(port);
}

TEST(recv_all)
{
    rp_proactor *port = open_port();
    char bytes[8];
    int fds[2];
    rp_op op;

    for (int i = 0; i < 2; i++) {
        tcp_pair(fds);
        if (i == 1)
            set_nonblocking(fds[0]);
        rp_op_recv(&op, fds[0], bytes, 8, MSG_WAITALL, NULL, NULL);
        submit(port, &op);
        CHECK_INT(write(fds[1], "abc", 3), ==, 3);
        stays_quiet(port);
        CHECK_INT(write(fds[1], "defghij", 7), ==, 7);
        CHECK_INT(finish(port, &op), ==, 8);
        CHECK(memcmp(bytes, "abcdefgh", 8) == 0);
        submit(port, &op); /* 2 are there; then the end */
        stays_quiet(port);
        shutdown(fds[1], SHUT_WR);
        CHECK_INT(finish(port, &op), ==, 2);
        close_pair(fds);

        tcp_pair(fds); /* cancelled half-way: what has come is told */
        rp_op_recv(&op, fds[0], bytes, 8, MSG_WAITALL, NULL, NULL);
        submit(port, &op);
        CHECK_INT(write(fds[1], "abc", 3), ==, 3);
        stays_quiet(port);
        rp_proactor_cancel(port, &op);
        CHECK_INT(finish(port, &op), ==, 3);
        close_pair(fds);
    }
    rp_proactor_close(port);
}

TEST(recv_reset)
{
    rp_proactor *port = open_port();
    char bytes[8];
    int fds[2];
    rp_op op;

    tcp_pair(fds);
    rp_op_recv(&op, fds[0], bytes, 8, 0, NULL, NULL);
    submit(port, &op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    close_with_reset(fds[1]);
    CHECK_INT(finish(port, &op), ==, -ECONNRESET);
    close(fds[0]);
    rp_proactor_close(port);
}

/* What waits for room learns that there will be none. */
TEST(send_reset)
{
    rp_proactor *port = open_port();
    int fds[2];
    rp_op op;

    tcp_pair(fds);
    fill(fds[0]);
    rp_op_send(&op, fds[0], "x", 1, 0, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    close_with_reset(fds[1]);
    CHECK_INT(finish(port, &op), ==, -ECONNRESET);
    close(fds[0]);
    rp_proactor_close(port);
}

/* ---- receive streams ---- */

/* Waits until the stream has something, and takes it: its bytes, or how it ended. */
static int64_t take_from_stream(rp_proactor *port, rp_op *op, void *buffer, size_t size)
{
    for (;;) {
        int64_t n = rp_op_receivable(op) ? rp_op_receive(op, buffer, size) : -EAGAIN;

        if (n != -EAGAIN)
            return n;
        CHECK(!rp_op_receivable(op));
        rp_completion completion = next_completion(port, op);
        CHECK_INT(completion.flags, ==, RP_OP_MORE);
        CHECK_INT(completion.result, >=, 0);
    }
}

/* Completions that found what an earlier one had announced are let pass. */
static void stream_is_dry(rp_proactor *port, rp_op *op)
{
    char byte;

    for (int i = 0; i < 5; i++) {
        collect_once(port, 0);
        collect_once(port, rp_monotonic() + RP_MSEC(1));
        CHECK_INT(rp_op_receive(op, &byte, 1), ==, -EAGAIN);
        CHECK(!rp_op_receivable(op));
    }
    rp_completion completion;
    while (take_pending(op, &completion))
        CHECK_INT(completion.flags, ==, RP_OP_MORE);
}

static int64_t end_stream(rp_proactor *port, rp_op *op)
{
    rp_completion completion;

    rp_proactor_cancel(port, op);
    while ((completion = next_completion(port, op)).flags & RP_OP_MORE)
        ;
    return completion.result;
}

static void try_stream(rp_proactor *port, const int fds[2])
{
    char bytes[64];
    rp_op op;

    rp_op_recv_stream(&op, fds[0], NULL, NULL);
    submit(port, &op);
    CHECK_INT(rp_op_receive(&op, bytes, sizeof bytes), ==, -EAGAIN);
    stream_is_dry(port, &op);
    for (int i = 0; i < 20; i++) {
        CHECK_INT(write(fds[1], "hello", 5), ==, 5);
        CHECK_INT(take_from_stream(port, &op, bytes, sizeof bytes), ==, 5);
    }
    stream_is_dry(port, &op);
    /* Taken in pieces: what is left is not announced again, and is there all the same. */
    CHECK_INT(write(fds[1], "abcdefghij", 10), ==, 10);
    CHECK_INT(take_from_stream(port, &op, bytes, 3), ==, 3);
    CHECK(rp_op_receivable(&op));
    CHECK_INT(rp_op_receive(&op, bytes, 0), ==, -EINVAL); /* and not 0, as if this were the end */
    CHECK_INT(rp_op_receive(&op, bytes, 3), ==, 3);
    CHECK_INT(rp_op_receive(&op, bytes, 4), ==, 4);
    CHECK_INT(rp_op_receive(&op, bytes, 4), ==, -EAGAIN);
    stream_is_dry(port, &op);
    /* The last bytes together with the end: all is found without another completion. */
    CHECK_INT(write(fds[1], "abcdefghij", 10), ==, 10);
    CHECK_INT(shutdown(fds[1], SHUT_WR), ==, 0);
    CHECK_INT(take_from_stream(port, &op, bytes, 4), ==, 4);
    CHECK_INT(take_from_stream(port, &op, bytes, 64), ==, 6);
    CHECK_INT(take_from_stream(port, &op, bytes, 64), ==, 0);
    CHECK_INT(take_from_stream(port, &op, bytes, 64), ==, 0);
    CHECK_INT(end_stream(port, &op), ==, -ECANCELED);
    CHECK_INT(rp_op_receive(&op, bytes, 64), ==, 0);
}

TEST(stream)
{
    rp_proactor *port = open_port();
    int fds[2];

    for (int i = 0; i < 4; i++) {
        if (i & 1)
            unix_pair(fds);
        else
            tcp_pair(fds);
        if (i & 2)
            set_nonblocking(fds[0]);
        try_stream(port, fds);
        close_pair(fds);
    }
    rp_proactor_close(port);
}

/* Data and end are there before the stream starts, and again before a second one starts. */
TEST(stream_on_data_that_is_there)
{
    rp_proactor *port = open_port();
    char bytes[64];
    int fds[2];
    rp_op op;

    for (int i = 0; i < 2; i++) {
        if (i & 1)
            unix_pair(fds);
        else
            tcp_pair(fds);
        CHECK_INT(write(fds[1], "abcdef", 6), ==, 6);
        rp_op_recv_stream(&op, fds[0], NULL, NULL);
        submit(port, &op);
        CHECK_INT(take_from_stream(port, &op, bytes, 3), ==, 3);
        CHECK_INT(end_stream(port, &op), ==, -ECANCELED);
        shutdown(fds[1], SHUT_WR);
        submit(port, &op);
        CHECK(!rp_op_receivable(&op));
        rp_completion completion = next_completion(port, &op);
        CHECK_INT(completion.flags, ==, RP_OP_MORE);
        CHECK(rp_op_receivable(&op));
        CHECK_INT(rp_op_receive(&op, bytes, 64), ==, 3);
        CHECK_INT(take_from_stream(port, &op, bytes, 64), ==, 0);
        CHECK_INT(end_stream(port, &op), ==, -ECANCELED);
        close_pair(fds);
    }
    rp_proactor_close(port);
}

enum { HANGUP_TOTAL = 300000 };

/* Who sends odd pieces, and ends by half or by whole. */
typedef struct hanging_up {
    int fd;
    bool half;
} hanging_up;

static void *send_and_hang_up(void *arg)
{
    static const char data[HANGUP_TOTAL];
    const hanging_up *h = arg;

    for (size_t sent = 0; sent < HANGUP_TOTAL;) {
        size_t piece = HANGUP_TOTAL - sent < 7777 ? HANGUP_TOTAL - sent : 7777;
        ssize_t n = write(h->fd, data + sent, piece);
        CHECK_INT(n, >, 0);
        sent += (size_t)n;
    }
    if (h->half)
        shutdown(h->fd, SHUT_WR);
    else
        close(h->fd);
    return NULL;
}

/* More than one buffer of data before the end: a short read in between must not hide it. */
TEST(stream_hangup_with_data)
{
    static char buffer[4096];
    rp_proactor *port = open_port();
    int fds[2];
    rp_op op;

    for (int kind = 0; kind < 4; kind++) {
        pthread_t thread;
        size_t total = 0;
        int64_t n;

        if (kind & 1)
            unix_pair(fds);
        else
            tcp_pair(fds);
        rp_op_recv_stream(&op, fds[0], NULL, NULL);
        submit(port, &op);
        hanging_up h = {fds[1], kind & 2};
        CHECK_INT(pthread_create(&thread, NULL, send_and_hang_up, &h), ==, 0);
        while ((n = take_from_stream(port, &op, buffer, sizeof buffer)) > 0)
            total += (size_t)n;
        CHECK_INT(n, ==, 0);
        CHECK_INT(total, ==, HANGUP_TOTAL);
        CHECK_INT(end_stream(port, &op), ==, -ECANCELED);
        CHECK_INT(pthread_join(thread, NULL), ==, 0);
        if (h.half)
            close(fds[1]);
        close(fds[0]);
    }
    rp_proactor_close(port);
}

TEST(stream_reset)
{
    rp_proactor *port = open_port();
    char bytes[8];
    int fds[2];
    rp_op op;

    tcp_pair(fds);
    rp_op_recv_stream(&op, fds[0], NULL, NULL);
    submit(port, &op);
    stream_is_dry(port, &op);
    close_with_reset(fds[1]);
    CHECK_INT(take_from_stream(port, &op, bytes, 8), ==, -ECONNRESET);
    CHECK_INT(end_stream(port, &op), ==, -ECANCELED);
    close(fds[0]);
    rp_proactor_close(port);
}

/*
 * Urgent data splits what is read: the read before it is short, and yet there is more. epoll tells of it at once,
 * io_uring when something more arrives.
 */
TEST(stream_with_urgent_data)
{
    rp_proactor *port = open_port();
    char bytes[64];
    int fds[2];
    size_t total = 0;
    rp_op op;

    for (int late = 0; late < 2; late++) {
        tcp_pair(fds);
        rp_op_recv_stream(&op, fds[0], NULL, NULL);
        if (late == 0)
            submit(port, &op);
        CHECK_INT(send(fds[1], "abcde", 5, 0), ==, 5);
        CHECK_INT(send(fds[1], "!", 1, MSG_OOB), ==, 1);
        CHECK_INT(send(fds[1], "fghij", 5, 0), ==, 5);
        if (late == 1)
            submit(port, &op);
        usleep(1000);
        total = (size_t)take_from_stream(port, &op, bytes, sizeof bytes);
        CHECK_INT(total, ==, 5);
        if (strcmp(rp_proactor_name(port), "io_uring") == 0)
            CHECK_INT(send(fds[1], "k", 1, 0), ==, 1);
        while (total < 10) {
            int64_t n = take_from_stream(port, &op, bytes, sizeof bytes);
            CHECK_INT(n, >, 0);
            total += (size_t)n;
        }
        CHECK_INT(end_stream(port, &op), ==, -ECANCELED);
        close_pair(fds);
    }
    rp_proactor_close(port);
}

#ifndef _WIN32
static void send_descriptor(int fd, int sent)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    char byte = 'x';
    struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof sent);
    memcpy(CMSG_DATA(header), &sent, sizeof sent);
    CHECK_INT(sendmsg(fd, &message, 0), ==, 1);
}

/* So do descriptors that come along with the bytes of a Unix socket. */
TEST(stream_with_descriptors)
{
    rp_proactor *port = open_port();
    char bytes[64];
    int fds[2];
    size_t total = 0;
    rp_op op;

    unix_pair(fds);
    rp_op_recv_stream(&op, fds[0], NULL, NULL);
    submit(port, &op);
    for (int i = 0; i < 3; i++)
        send_descriptor(fds[1], fds[1]);
    CHECK_INT(write(fds[1], "abcd", 4), ==, 4);
    while (total < 7) {
        int64_t n = take_from_stream(port, &op, bytes, sizeof bytes);
        CHECK_INT(n, >, 0);
        total += (size_t)n;
    }
    CHECK_INT(end_stream(port, &op), ==, -ECANCELED);
    close_pair(fds);
    rp_proactor_close(port);
}
#else
TEST_ABSENT(stream_with_descriptors, "no descriptors pass through sockets on Windows");
#endif

TEST(receive_from_what_is_no_stream)
{
    rp_op op;
    char byte;

    rp_op_recv(&op, 0, &byte, 1, 0, NULL, NULL);
    CHECK_INT(rp_op_receive(&op, &byte, 1), ==, -EINVAL);
    rp_op_recv_stream(&op, 0, NULL, NULL);
    CHECK_INT(rp_op_receive(&op, &byte, 1), ==, -EINVAL); /* of no proactor yet */
    CHECK(!rp_op_receivable(&op));
}

/* Descriptors' numbers are reused, with streams on them, over and over. */
TEST(stream_on_reused_descriptors)
{
    rp_proactor *port = open_port();
    char bytes[8];
    int fds[2], first = -1;
    rp_op op, close_op;

    for (int i = 0; i < 100; i++) {
        tcp_pair(fds);
        if (first < 0)
            first = fds[0];
#ifndef _WIN32
        CHECK_INT(fds[0], ==, first);
#endif
        rp_op_recv_stream(&op, fds[0], NULL, NULL);
        submit(port, &op);
        CHECK_INT(write(fds[1], "hello", 5), ==, 5);
        CHECK_INT(take_from_stream(port, &op, bytes, 8), ==, 5);
        CHECK_INT(end_stream(port, &op), ==, -ECANCELED);
        if (i % 2) {
            close(fds[0]);
        } else {
            rp_op_close(&close_op, fds[0], NULL, NULL);
            CHECK_INT(perform(port, &close_op), ==, 0);
        }
        close(fds[1]);
    }
    rp_proactor_close(port);
}

/* ---- sending ---- */

/* A thread that reads all there is, slowly at first, and checks it. */
typedef struct sink {
    pthread_t thread;
    int fd;
    size_t expected;
    bool pattern;
} sink;

static void *run_sink(void *arg)
{
    static unsigned char bytes[65536];
    sink *s = arg;
    size_t total = 0;
    ssize_t n;

    usleep(2000);
    while ((n = read(s->fd, bytes, sizeof bytes)) > 0)
        for (ssize_t i = 0; i < n; i++, total++)
            CHECK(!s->pattern || bytes[i] == (unsigned char)(total * 7 + total / 256));
    CHECK_INT(total, ==, s->expected);
    close(s->fd);
    return NULL;
}

static void start_sink(sink *s, int fd, size_t expected, bool pattern)
{
    *s = (sink){.fd = fd, .expected = expected, .pattern = pattern};
    CHECK_INT(pthread_create(&s->thread, NULL, run_sink, s), ==, 0);
}

static void end_sink(const sink *s)
{
    CHECK_INT(pthread_join(s->thread, NULL), ==, 0);
}

TEST(send_all)
{
    enum { SIZE = 8 << 20 }; /* more than any buffer between */
    rp_proactor *port = open_port();
    unsigned char *data = malloc(SIZE);
    rp_op op;
    int fds[2];

    for (size_t i = 0; i < SIZE; i++)
        data[i] = (unsigned char)(i * 7 + i / 256);
    for (int i = 0; i < 4; i++) {
        if (i & 1)
            unix_pair(fds);
        else
            tcp_pair(fds);
        if (i & 2)
            set_nonblocking(fds[0]);
        sink s;
        start_sink(&s, fds[1], SIZE, true);
        rp_op_send(&op, fds[0], data, SIZE, RP_SEND_ALL, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, SIZE);
        close(fds[0]);
        end_sink(&s);
    }
    free(data);
    rp_proactor_close(port);
}

TEST(send_part)
{
    static char data[1 << 20];
    rp_proactor *port = open_port();
    rp_op op;
    int fds[2];

    unix_pair(fds);
    set_nonblocking(fds[0]);
    rp_op_send(&op, fds[0], data, sizeof data, 0, NULL, NULL);
    int64_t n = perform(port, &op);
    CHECK_INT(n, >, 0);
#ifndef _WIN32 /* which buffers all of a send, or nothing */
    CHECK_INT(n, <, sizeof data);
#endif
    fill(fds[0]);
    rp_op_send(&op, fds[0], data, 10, MSG_DONTWAIT, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EAGAIN);
    rp_op_send(&op, fds[0], data, 10, 0, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    set_nonblocking(fds[1]);
    while (read(fds[1], data, sizeof data) > 0)
        ;
    CHECK_INT(finish(port, &op), ==, 10);
    close_pair(fds);
    rp_proactor_close(port);
}

TEST(send_cancelled_part_way)
{
    static char data[8 << 20];
    rp_proactor *port = open_port();
    rp_op op;
    int fds[2];

    tcp_pair(fds);
    rp_op_send(&op, fds[0], data, sizeof data, RP_SEND_ALL, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    rp_proactor_cancel(port, &op);
    int64_t sent = finish(port, &op);
    CHECK_INT(sent, >, 0);
    CHECK_INT(sent, <, sizeof data);
    sink s;
    start_sink(&s, fds[1], (size_t)sent, false); /* what was told is what arrives */
    close(fds[0]);
    end_sink(&s);
    rp_proactor_close(port);
}

/* No signal, but an error. */
TEST(send_to_closed)
{
    rp_proactor *port = open_port();
    struct iovec vector = {.iov_base = (char[]){"x"}, .iov_len = 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    int fds[2];
    rp_op op;

#ifdef _WIN32
    tcp_pair(fds); /* which hears of the peer's end later: its own end will do */
    shutdown(fds[0], SHUT_WR);
#else
    signal(SIGPIPE, SIG_DFL);
    unix_pair(fds);
#endif
    close(fds[1]);
    rp_op_send(&op, fds[0], "x", 1, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EPIPE);
    rp_op_send(&op, fds[0], "x", 1, RP_SEND_ALL, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EPIPE);
    rp_op_sendmsg(&op, fds[0], &message, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EPIPE);
    close(fds[0]);
    rp_proactor_close(port);
}

TEST(both_directions_at_once)
{
    rp_proactor *port = open_port();
    char bytes[8], buffer[65536];
    rp_op receive, send_op, poll;
    int fds[2];

    unix_pair(fds);
    fill(fds[0]);
    rp_op_recv(&receive, fds[0], bytes, 8, 0, NULL, NULL);
    rp_op_send(&send_op, fds[0], "x", 1, 0, NULL, NULL);
    rp_op_poll(&poll, fds[0], RP_POLL_OUT, NULL, NULL);
    submit(port, &receive);
    submit(port, &send_op);
    submit(port, &poll);
    stays_quiet(port);
    CHECK_INT(write(fds[1], "abc", 3), ==, 3);
    CHECK_INT(finish(port, &receive), ==, 3);
    stays_quiet(port);
    set_nonblocking(fds[1]);
    while (read(fds[1], buffer, sizeof buffer) > 0)
        ;
    CHECK_INT(finish(port, &send_op), ==, 1);
    CHECK_INT(finish(port, &poll), ==, RP_POLL_OUT);
    close_pair(fds);
    rp_proactor_close(port);
}

/* ---- messages ---- */

TEST(messages)
{
    rp_proactor *port = open_port();
    char one[3] = "ab", two[4] = "cde", in[16];
    struct iovec out_vector[2] = {{.iov_base = one, .iov_len = 2}, {.iov_base = two, .iov_len = 3}};
    struct msghdr out = {.msg_iov = out_vector, .msg_iovlen = 2};
    struct iovec in_vector[2] = {{.iov_base = in, .iov_len = 4}, {.iov_base = in + 4, .iov_len = 12}};
    struct msghdr message = {.msg_iov = in_vector, .msg_iovlen = 2};
    rp_op send_op, receive;
    int fds[2];

    for (int i = 0; i < 4; i++) {
        if (i & 1)
            CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), ==, 0);
        else
            tcp_pair(fds);
        if (i & 2)
            set_nonblocking(fds[0]);
        rp_op_recvmsg(&receive, fds[0], &message, MSG_DONTWAIT, NULL, NULL);
        CHECK_INT(perform(port, &receive), ==, -EAGAIN);
        rp_op_recvmsg(&receive, fds[0], &message, 0, NULL, NULL);
        submit(port, &receive);
        stays_quiet(port);
        rp_op_sendmsg(&send_op, fds[1], &out, 0, NULL, NULL);
        CHECK_INT(perform(port, &send_op), ==, 5);
        CHECK_INT(finish(port, &receive), ==, 5);
        CHECK(memcmp(in, "abcde", 5) == 0);
        close_pair(fds);
    }
    rp_proactor_close(port);
}

TEST(datagram_with_address)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, from, own;
    socklen_t length = sizeof address;
    int server = socket(AF_INET, SOCK_DGRAM, 0), client = socket(AF_INET, SOCK_DGRAM, 0);
    char in[16] = "";
    struct iovec in_vector = {.iov_base = in, .iov_len = 3}, out_vector = {.iov_base = in, .iov_len = 5};
    struct msghdr received = {
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &in_vector, .msg_iovlen = 1};
    struct msghdr sent = {.msg_name = &address, .msg_namelen = length, .msg_iov = &out_vector, .msg_iovlen = 1};
    rp_op op;

    CHECK_INT(bind(server, (struct sockaddr *)&address, length), ==, 0);
    CHECK_INT(getsockname(server, (struct sockaddr *)&address, &length), ==, 0);
    rp_op_sendmsg(&op, client, &sent, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 5);
    rp_op_recvmsg(&op, server, &received, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 3);
    CHECK_INT(received.msg_flags & MSG_TRUNC, ==, MSG_TRUNC);
    CHECK_INT(getsockname(client, (struct sockaddr *)&own, &length), ==, 0);
    CHECK_INT(from.sin_port, ==, own.sin_port);
    close(server);
    close(client);
    rp_proactor_close(port);
}

#ifndef _WIN32
TEST(descriptor_in_message)
{
    rp_proactor *port = open_port();
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    char byte;
    struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    rp_op op;
    int fds[2], pipe_fds[2], passed;

    unix_pair(fds);
    CHECK_INT(pipe(pipe_fds), ==, 0);
    for (int i = 0; i < 2; i++) { /* waits, then does not have to */
        struct msghdr message = {.msg_iov = &vector,
                                 .msg_iovlen = 1,
                                 .msg_control = control.space,
                                 .msg_controllen = sizeof control.space};

        rp_op_recvmsg(&op, fds[0], &message, MSG_CMSG_CLOEXEC, NULL, NULL);
        if (i == 0) {
            submit(port, &op);
            CHECK_INT(collect_once(port, 0), ==, 0);
            send_descriptor(fds[1], pipe_fds[1]);
        } else {
            send_descriptor(fds[1], pipe_fds[1]);
            submit(port, &op);
        }
        CHECK_INT(finish(port, &op), ==, 1);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        CHECK(header != NULL);
        CHECK_INT(header->cmsg_type, ==, SCM_RIGHTS);
        memcpy(&passed, CMSG_DATA(header), sizeof passed);
        CHECK_INT(fcntl(passed, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
        CHECK_INT(write(passed, "y", 1), ==, 1);
        CHECK_INT(read(pipe_fds[0], &byte, 1), ==, 1);
        CHECK_INT(byte, ==, 'y');
        close(passed);
    }
    close_pair(fds);
    close_pair(pipe_fds);
    rp_proactor_close(port);
}
#else
TEST_ABSENT(descriptor_in_message, "no descriptors pass through sockets on Windows");
#endif

/* ---- shutdown, close ---- */

/* Also while the other direction waits: a half-close must not stand in its queue. */
TEST(shutdown_while_receiving)
{
    rp_proactor *port = open_port();
    char bytes[8];
    int fds[2];
    rp_op receive, shut;

    tcp_pair(fds);
    rp_op_recv(&receive, fds[0], bytes, 8, 0, NULL, NULL);
    submit(port, &receive);
    CHECK_INT(collect_once(port, 0), ==, 0);
    rp_op_shutdown(&shut, fds[0], SHUT_WR, NULL, NULL);
    CHECK_INT(perform(port, &shut), ==, 0);
    CHECK_INT(read(fds[1], bytes, 8), ==, 0);
    CHECK_INT(write(fds[1], "bye", 3), ==, 3);
    CHECK_INT(finish(port, &receive), ==, 3);
    rp_op_shutdown(&shut, fds[0], 77, NULL, NULL);
    CHECK_INT(perform(port, &shut), ==, -EINVAL);
    close_pair(fds);
    rp_proactor_close(port);
}

/* The design's order: cancel, await, then close; and the peer sees the end there and then. */
TEST(close_sends_end)
{
    rp_proactor *port = open_port();
    char bytes[8];
    int fds[2];
    rp_op receive, stream, op;

    tcp_pair(fds);
    rp_op_recv(&receive, fds[0], bytes, 8, 0, NULL, NULL);
    rp_op_recv_stream(&stream, fds[0], NULL, NULL);
    submit(port, &receive);
    submit(port, &stream);
    CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(recv(fds[1], bytes, 8, MSG_DONTWAIT), ==, -1);
    rp_proactor_cancel(port, &receive);
    rp_proactor_cancel(port, &stream);
    CHECK_INT(finish(port, &receive), ==, -ECANCELED);
    CHECK_INT(finish(port, &stream), ==, -ECANCELED);
    rp_op_close(&op, fds[0], NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CHECK_INT(recv(fds[1], bytes, 8, MSG_DONTWAIT), ==, 0);
    CHECK_INT(perform(port, &op), ==, -EBADF);
    close(fds[1]);
    rp_proactor_close(port);
}

/* ---- polling ---- */

TEST(poll_once)
{
    rp_proactor *port = open_port();
    int fds[2];
    rp_op op, other;

    CHECK_INT(pipe2(fds, O_CLOEXEC), ==, 0);
    rp_op_poll(&op, fds[0], RP_POLL_IN, NULL, NULL);
    rp_op_poll(&other, fds[0], RP_POLL_IN, NULL, NULL); /* two may wait for the same */
    submit(port, &op);
    submit(port, &other);
    stays_quiet(port);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    CHECK_INT(finish(port, &op), ==, RP_POLL_IN);
    CHECK_INT(finish(port, &other), ==, RP_POLL_IN);
    CHECK_INT(perform(port, &op), ==, RP_POLL_IN); /* it is level-triggered */
    rp_op_poll(&op, fds[1], RP_POLL_OUT, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, RP_POLL_OUT);
    close_pair(fds);
    rp_proactor_close(port);
}

/* The end is told behind data that nobody has read; but Wine tells it only when all is read. */
TEST(poll_once_for_the_peers_end)
{
    rp_proactor *port = open_port();
    int fds[2];
    char byte;
    rp_op op, other;

    tcp_pair(fds);
    rp_op_poll(&op, fds[0], RP_POLL_RDHUP, NULL, NULL);
    submit(port, &op);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    stays_quiet(port);
    CHECK_INT(send(fds[1], "!", 1, MSG_OOB), ==, 1);
    rp_op_poll(&other, fds[0], RP_POLL_PRI, NULL, NULL);
    CHECK_INT(perform(port, &other), ==, RP_POLL_PRI);
    shutdown(fds[1], SHUT_WR);
    if (test_under_wine())
        CHECK_INT(read(fds[0], &byte, 1), ==, 1);
    CHECK_INT(finish(port, &op), ==, RP_POLL_RDHUP);
    close_pair(fds);
    rp_proactor_close(port);
}

#ifndef _WIN32
TEST(poll_once_what_is_no_socket)
{
    rp_proactor *port = open_port();
    int fds[2], event = eventfd(0, EFD_CLOEXEC), file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    uint64_t one = 1;
    rp_op op;

    CHECK_INT(pipe2(fds, O_CLOEXEC), ==, 0);
    rp_op_poll(&op, fds[1], RP_POLL_IN, NULL, NULL); /* never: but the reader's end makes an error */
    submit(port, &op);
    stays_quiet(port);
    close(fds[0]);
    CHECK_INT(finish(port, &op), ==, RP_POLL_ERR);
    close(fds[1]);

    rp_op_poll(&op, event, RP_POLL_IN, NULL, NULL);
    submit(port, &op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(write(event, &one, sizeof one), ==, sizeof one);
    CHECK_INT(finish(port, &op), ==, RP_POLL_IN);
    close(event);

    rp_op_poll(&op, file, RP_POLL_IN | RP_POLL_OUT, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, RP_POLL_IN | RP_POLL_OUT);
    close(file);
    rp_proactor_close(port);
}
#else
TEST_ABSENT(poll_once_what_is_no_socket, "only sockets can be polled on Windows");
#endif

/* Nor does it keep a send that finds no room from being cancelled. */
TEST(cancel_send_beside_the_peers_end)
{
    rp_proactor *port = open_port();
    int fds[2];
    rp_op op;

    for (int turns = 0; turns < 4; turns++) {
        unix_pair(fds);
        fill(fds[0]);
        CHECK_INT(fcntl(fds[0], F_SETFL, 0), ==, 0);
        CHECK_INT(shutdown(fds[1], SHUT_WR), ==, 0);
        rp_op_send(&op, fds[0], "x", 1, 0, NULL, NULL);
        submit(port, &op);
        for (int i = 0; i < turns; i++)
            CHECK_INT(collect_once(port, 0), ==, 0);
        cancel_and_finish(port, &op);
        close_pair(fds);
    }
    rp_proactor_close(port);
}

/* What is always ready is so for reading and writing; whoever polls it for anything else waits until cancelled. */
static void poll_what_is_always_ready(int fd)
{
    static const uint32_t never[] = {0, RP_POLL_PRI, RP_POLL_HUP, RP_POLL_RDHUP, RP_POLL_PRI | RP_POLL_RDHUP};
    enum { COUNT = sizeof never / sizeof never[0] };
    rp_proactor *port = open_port();
    rp_op ops[COUNT], op;

    CHECK_INT(fd, >=, 0);
    for (int multi = 0; multi < 2; multi++) {
        for (int i = 0; i < COUNT; i++) {
            if (multi)
                rp_op_poll_multi(&ops[i], fd, never[i], NULL, NULL);
            else
                rp_op_poll(&ops[i], fd, never[i], NULL, NULL);
            submit(port, &ops[i]);
        }
        rp_op_poll(&op, fd, RP_POLL_IN | RP_POLL_RDHUP, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, RP_POLL_IN);
        stays_quiet(port);
        for (int i = 0; i < COUNT; i++)
            cancel_and_finish(port, &ops[i]);
    }
    rp_op_poll(&op, fd, RP_POLL_PRI, NULL, NULL); /* cancelled at once */
    submit(port, &op);
    cancel_and_finish(port, &op);
    CHECK_INT(port->in_flight, ==, 0);
    rp_proactor_close(port);
    close(fd);
}

TEST(poll_file_for_what_never_comes)
{
    poll_what_is_always_ready(open(TEST_EXE, O_RDONLY | O_CLOEXEC));
}

#ifndef _WIN32
TEST(poll_device_for_what_never_comes)
{
    poll_what_is_always_ready(open("/dev/null", O_RDWR | O_CLOEXEC));
}

TEST(poll_directory_for_what_never_comes)
{
    poll_what_is_always_ready(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}
#else
TEST_ABSENT(poll_device_for_what_never_comes, "only sockets and files can be polled on Windows");
TEST_ABSENT(poll_directory_for_what_never_comes, "only sockets and files can be polled on Windows");
#endif

/* The peer has ended, which nobody asked for: it is not told, and ends no wait for something else. */
TEST(poll_once_beside_the_peers_end)
{
    rp_proactor *port = open_port();
    char bytes[65536];
    int fds[2];
    rp_op op, other;

    for (int tcp = 0; tcp < 2; tcp++) {
        if (tcp)
            tcp_pair(fds);
        else
            unix_pair(fds);
        CHECK_INT(shutdown(fds[1], SHUT_WR), ==, 0);
        rp_op_poll(&op, fds[0], RP_POLL_IN, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, RP_POLL_IN);
        rp_op_poll(&op, fds[0], RP_POLL_OUT, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, RP_POLL_OUT);
        rp_op_poll(&op, fds[0], RP_POLL_PRI, NULL, NULL);
        submit(port, &op);
        stays_quiet(port);
        cancel_and_finish(port, &op);
        fill(fds[0]);
        rp_op_poll(&op, fds[0], RP_POLL_OUT, NULL, NULL);
        rp_op_send(&other, fds[0], "x", 1, 0, NULL, NULL); /* its descriptor does not block: it polls, too */
        submit(port, &op);
        submit(port, &other);
#ifndef _WIN32 /* whose pairs are TCP connections: an acknowledgement that comes late makes room once more */
        stays_quiet(port);
#endif
        set_nonblocking(fds[1]);
        rp_completion completion;
        while (!take_pending(&op, &completion)) {
            while (read(fds[1], bytes, sizeof bytes) > 0)
                ;
            collect_once(port, rp_monotonic() + RP_MSEC(1));
        }
        CHECK_INT(completion.result, ==, RP_POLL_OUT);
        CHECK_INT(finish(port, &other), ==, 1);
        close_pair(fds);
    }
    CHECK_INT(port->in_flight, ==, 0);
    rp_proactor_close(port);
}

static void expect_edge(rp_proactor *port, const rp_op *op, uint32_t events)
{
    rp_completion completion = next_completion(port, op);

    CHECK_INT(completion.flags, ==, RP_OP_MORE);
    CHECK_INT(completion.result & events, ==, events);
}

TEST(poll_many_times)
{
    rp_proactor *port = open_port();
    int fds[2];
    char bytes[8];
    rp_op op;

    CHECK_INT(pipe2(fds, O_CLOEXEC), ==, 0);
    rp_op_poll_multi(&op, fds[0], RP_POLL_IN, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    expect_edge(port, &op, RP_POLL_IN);
    CHECK_INT(read(fds[0], bytes, 8), ==, 1);
    close(fds[1]);
#ifdef _WIN32
    expect_edge(port, &op, RP_POLL_IN); /* of a socket: there is the end to be read */
#else
    expect_edge(port, &op, RP_POLL_HUP);
#endif
    rp_proactor_cancel(port, &op);
    rp_completion completion;
    while ((completion = next_completion(port, &op)).flags & RP_OP_MORE)
        ;
    CHECK_INT(completion.result, ==, -ECANCELED);
    close(fds[0]);
    rp_proactor_close(port);
}

#ifndef _WIN32
TEST(poll_many_times_on_event)
{
    rp_proactor *port = open_port();
    int event = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    uint64_t count;
    rp_op op;

    rp_op_poll_multi(&op, event, RP_POLL_IN, NULL, NULL);
    submit(port, &op);
    expect_edge(port, &op, RP_POLL_IN); /* it holds already */
    stays_quiet(port);                  /* and is not told again */
    for (int i = 0; i < 10; i++) {
        CHECK_INT(read(event, &count, sizeof count), ==, sizeof count);
        CHECK_INT(eventfd_write(event, 1), ==, 0);
        expect_edge(port, &op, RP_POLL_IN);
    }
    cancel_and_finish(port, &op);
    CHECK_INT(eventfd_write(event, 1), ==, 0);
    stays_quiet(port);
    close(event);
    rp_proactor_close(port);
}
#else
TEST_ABSENT(poll_many_times_on_event, "only sockets can be polled on Windows");
#endif

#ifndef _WIN32
/* What is always ready is told once, as nothing changes. */
static void expect_told_once(const char *path)
{
    rp_proactor *port = open_port();
    int file = open(path, O_RDONLY | O_CLOEXEC);
    rp_op op;

    rp_op_poll_multi(&op, file, RP_POLL_IN, NULL, NULL);
    submit(port, &op);
    expect_edge(port, &op, RP_POLL_IN);
    stays_quiet(port);
    cancel_and_finish(port, &op);
    close(file);
    rp_proactor_close(port);
}

TEST(poll_many_times_on_file)
{
    expect_told_once("/proc/self/exe");
}

TEST(poll_many_times_on_device)
{
    expect_told_once("/dev/null");
}

/* MSG_WAITALL is for streams: a datagram is whole. */
TEST(datagrams_are_not_put_together)
{
    rp_proactor *port = open_port();
    char bytes[64];
    int fds[2];
    rp_op op;

    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    CHECK_INT(write(fds[1], "abc", 3), ==, 3);
    CHECK_INT(write(fds[1], "defg", 4), ==, 4);
    rp_op_recv(&op, fds[0], bytes, sizeof bytes, MSG_WAITALL, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 3);
    CHECK_INT(perform(port, &op), ==, 4);
    close_pair(fds);
    rp_proactor_close(port);
}
#else
TEST_ABSENT(poll_many_times_on_file, "only sockets can be polled on Windows");
TEST_ABSENT(poll_many_times_on_device, "only sockets can be polled on Windows");
TEST_ABSENT(datagrams_are_not_put_together, "MSG_WAITALL is for streams only on Windows");
#endif

/* Two watch the same: each is told. */
TEST(poll_many_times_twice)
{
    rp_proactor *port = open_port();
    int fds[2];
    rp_op first, second;

    unix_pair(fds);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    rp_op_poll_multi(&first, fds[0], RP_POLL_IN, NULL, NULL);
    rp_op_poll_multi(&second, fds[0], RP_POLL_IN | RP_POLL_OUT, NULL, NULL);
    submit(port, &first);
    submit(port, &second);
    expect_edge(port, &first, RP_POLL_IN);
    expect_edge(port, &second, RP_POLL_IN | RP_POLL_OUT);
    rp_proactor_cancel(port, &first);
    rp_proactor_cancel(port, &second);
    while (next_completion(port, &first).flags & RP_OP_MORE)
        ;
    while (next_completion(port, &second).flags & RP_OP_MORE)
        ;
    close_pair(fds);
    rp_proactor_close(port);
}

/* ---- children ---- */

#ifndef _WIN32
static pid_t start_child(int gate)
{
    pid_t pid = fork();

    if (pid == 0) {
        char byte;

        if (gate >= 0 && read(gate, &byte, 1) == 1)
            _exit(byte);
        _exit(7);
    }
    return pid;
}

TEST(wait_for_child)
{
    rp_proactor *port = open_port();
    int gate[2];
    rp_op op, other;

    CHECK_INT(pipe2(gate, O_CLOEXEC), ==, 0);
    pid_t pid = start_child(gate[0]);
    rp_op_wait_child(&op, pid, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    CHECK_INT(write(gate[1], "\003", 1), ==, 1);
    int status = (int)finish(port, &op);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), ==, 3);
    CHECK_INT(waitpid(pid, NULL, WNOHANG), ==, -1); /* it was reaped */

    pid = start_child(gate[0]);
    rp_op_wait_child(&op, pid, NULL, NULL);
    submit(port, &op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    kill(pid, SIGKILL);
    status = (int)finish(port, &op);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), ==, SIGKILL);

    siginfo_t ended;
    pid = start_child(-1); /* has ended before anybody asks */
    CHECK_INT(waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT), ==, 0);
    rp_op_wait_child(&op, pid, NULL, NULL);
    status = (int)perform(port, &op);
    CHECK_INT(WEXITSTATUS(status), ==, 7);
    CHECK_INT(perform(port, &op), ==, -ECHILD); /* and is no more */

    pid = start_child(gate[0]); /* reaped by somebody else, meanwhile */
    rp_op_wait_child(&op, pid, NULL, NULL);
    rp_op_wait_child(&other, pid, NULL, NULL);
    submit(port, &op);
    submit(port, &other);
    CHECK_INT(write(gate[1], "\004", 1), ==, 1);
    int64_t results[2] = {finish(port, &op), finish(port, &other)};
    CHECK((results[0] == -ECHILD) != (results[1] == -ECHILD));
    CHECK_INT(port->in_flight, ==, 0);
    close_pair(gate);
    rp_proactor_close(port);
}

#else
/* A process exits; one is killed; one is gone. */
TEST(wait_for_child)
{
    rp_proactor *port = open_port();
    int64_t pid = test_start_child(3);
    rp_op op;

    rp_op_wait_child(&op, pid, NULL, NULL);
    int status = (int)perform(port, &op);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), ==, 3);

    pid = test_start_child(-1);
    rp_op_wait_child(&op, pid, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    test_end_child(pid);
    CHECK(finish(port, &op) != 0);
    CHECK_INT(port->in_flight, ==, 0);
    rp_proactor_close(port);
}
#endif

TEST(wait_for_no_child)
{
    rp_proactor *port = open_port();
    rp_op op;

#ifndef _WIN32
    rp_op_wait_child(&op, getppid(), NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -ECHILD);
#endif
    rp_op_wait_child(&op, INT32_MAX - 4, NULL, NULL); /* a number that no process has, on Windows either */
    CHECK_INT(perform(port, &op), ==, -ECHILD);
    rp_op_wait_child(&op, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EINVAL);
    rp_op_wait_child(&op, -1, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EINVAL);
    rp_op_wait_child(&op, INT64_C(1) << 40, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EINVAL);
    rp_proactor_close(port);
}
