/*
 * test_op_send.c - sending, in part or all of it, while the peer is slow or gone; half-closes and closes.
 */
#include <pthread.h>
#include <signal.h>

#include "proactor/proactor.h"
#include "harness/support.h"

/* ---- sending ---- */

/* A thread that reads all there is, and checks it. */
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
    for (int i = 0; i < PAIR_KINDS; i++) {
        pair_of_kind(i, fds);
        rp_op_send(&op, fds[0], data, SIZE, RP_SEND_ALL, NULL, NULL);
        submit(port, &op);
        collect_once(port, 0); /* the buffers between are full before anybody reads */
        sink s;
        start_sink(&s, fds[1], SIZE, true);
        CHECK_INT(finish(port, &op), ==, SIZE);
        close(fds[0]);
        end_sink(&s);
    }
    free(data);
    rp_proactor_close(port);
}

#ifdef _WIN32

TEST_ABSENT(datagrams_that_wait_for_their_peer_keep_their_bytes, "no datagrams of Unix sockets");

#else

/* A socket that is always ready, and a peer that takes some ten datagrams: the others wait, one after the other. */
TEST(datagrams_that_wait_for_their_peer_keep_their_bytes)
{
    enum { COUNT = 40 };
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), peer = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t length = sizeof to;
    rp_proactor *port = open_port();
    struct msghdr headers[COUNT];
    struct iovec vectors[COUNT];
    int numbers[COUNT], number;
    rp_op ops[COUNT];

    CHECK_INT(bind(peer, (struct sockaddr *)&to, sizeof to.sun_family), ==, 0); /* the system finds a name */
    CHECK_INT(getsockname(peer, (struct sockaddr *)&to, &length), ==, 0);
    for (int connected = 0; connected < 2; connected++) {
        for (int i = 0; i < COUNT; i++) {
            numbers[i] = i;
            vectors[i] = (struct iovec){&numbers[i], sizeof numbers[i]};
            headers[i] = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
            if (!connected) {
                headers[i].msg_name = &to;
                headers[i].msg_namelen = length;
            }
            if (connected && i % 2)
                rp_op_send(&ops[i], fd, &numbers[i], sizeof numbers[i], 0, NULL, NULL);
            else
                rp_op_sendmsg(&ops[i], fd, &headers[i], 0, NULL, NULL);
            submit(port, &ops[i]);
        }
        for (int i = 0; i < 200; i++) /* the kernel would be tired of trying again by then */
            collect_once(port, 0);
        for (int i = 0; i < COUNT; i++) {
            ssize_t n;

            while ((n = recv(peer, &number, sizeof number, MSG_DONTWAIT)) < 0)
                collect_once(port, 0);
            CHECK_INT(n, ==, sizeof number);
            CHECK_INT(number, ==, i);
        }
        for (int i = 0; i < COUNT; i++)
            CHECK_INT(finish(port, &ops[i]), ==, sizeof number);
        CHECK_INT(connect(fd, (struct sockaddr *)&to, length), ==, 0);
    }
    close(fd);
    close(peer);
    rp_proactor_close(port);
}

#endif

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

/* What waits for room learns that there will be none. If TCP finds room for it after all, it is tried again. */
TEST(send_reset)
{
    rp_proactor *port = open_port();
    int64_t result;
    int fds[2];
    rp_op op;

    do {
        tcp_pair(fds);
        fill(fds[0]);
        rp_op_send(&op, fds[0], "x", 1, 0, NULL, NULL);
        submit(port, &op);
        collect_once(port, 0);
        close_with_reset(fds[1]);
        result = finish(port, &op);
        close(fds[0]);
    } while (result == 1);
    CHECK_INT(result, ==, -ECONNRESET);
    rp_proactor_close(port);
}

/* The peer's end does not keep a send that finds no room from being cancelled. */
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
