/*
 * test_op_stream.c - receive streams: what comes is announced, and taken in pieces, up to the end or a reset.
 */
#include <pthread.h>

#include "proactor/proactor.h"
#include "harness/support.h"

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

/* Completions that found what an earlier one had announced are ignored. */
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

TEST(what_comes_is_announced_and_taken_in_pieces)
{
    rp_proactor *port = open_port();
    int fds[2];

    for (int i = 0; i < PAIR_KINDS; i++) {
        pair_of_kind(i, fds);
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

    for (int i = 0; i < PAIR_KINDS; i++) {
        pair_of_kind(i, fds);
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

        pair_of_kind(kind & 1, fds);
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

/* Messages have bounds, may be empty, and are taken whole: what comes in them is no stream. Nothing of them is lost. */
TEST(messages_are_no_stream)
{
#ifdef _WIN32
    static const int types[] = {SOCK_DGRAM};
#else
    static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
#endif
    rp_proactor *port = open_port();
    char bytes[8];
    int fds[2];
    rp_op op;

    for (size_t i = 0; i < 2 * sizeof types / sizeof types[0]; i++) {
        CHECK_INT(socketpair(AF_UNIX, types[i / 2] | SOCK_CLOEXEC, 0, fds), ==, 0);
        if (i % 2)
            CHECK_INT(write(fds[1], "hello", 5), ==, 5);
        rp_op_recv_stream(&op, fds[0], NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -ENOTSUP);
        CHECK_INT(rp_op_receive(&op, bytes, sizeof bytes), <, 0);
        if (i % 2 == 0)
            CHECK_INT(write(fds[1], "hello", 5), ==, 5);
        rp_op_recv(&op, fds[0], bytes, sizeof bytes, 0, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, 5);
        close_pair(fds);
    }
    rp_proactor_close(port);
}

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
