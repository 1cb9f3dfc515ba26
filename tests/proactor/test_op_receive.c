/*
 * test_op_receive.c - receiving once or until all is there, messages and datagrams: the same on every backend.
 */
#include <pthread.h>

#include "proactor/proactor.h"
#include "harness/support.h"

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

    for (int i = 0; i < PAIR_KINDS; i++) {
        pair_of_kind(i, fds);
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

/* The rest of a message, sent when the first part has been taken. */
static void *send_rest(void *arg)
{
    const int *fds = arg;
    char byte;

    while (recv(fds[0], &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
        usleep(1000);
    CHECK_INT(write(fds[1], "cd", 2), ==, 2);
    return NULL;
}

/* A wait without a time limit ends by a completion, not by a part of what is to complete. */
TEST(a_part_ends_no_wait)
{
    rp_proactor *port = open_port();
    rp_completion completion;
    pthread_t thread;
    char bytes[4];
    int fds[2];
    rp_op op;

    for (int i = 0; i < PAIR_KINDS; i++) {
        pair_of_kind(i, fds);
        set_nonblocking(fds[0]);
        rp_op_recv(&op, fds[0], bytes, 4, MSG_WAITALL, NULL, NULL);
        submit(port, &op);
        CHECK_INT(collect_once(port, 0), ==, 0);
        CHECK_INT(write(fds[1], "ab", 2), ==, 2);
        CHECK_INT(pthread_create(&thread, NULL, send_rest, fds), ==, 0);
        CHECK_INT(rp_proactor_wait(port, &completion, 1, RP_NEVER), ==, 1);
        CHECK_INT(completion.result, ==, 4);
        CHECK(memcmp(bytes, "abcd", 4) == 0);
        CHECK_INT(pthread_join(thread, NULL), ==, 0);
        close_pair(fds);
    }
    rp_proactor_close(port);
}

/* What wakes a descriptor's operations and is for none of them ends no wait before its time. */
TEST(what_nobody_waits_for_ends_no_wait)
{
    rp_proactor *port = open_port();
    int fds[2];
    rp_op op;

    tcp_pair(fds);
    rp_op_poll(&op, fds[0], RP_POLL_PRI, NULL, NULL);
    submit(port, &op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    int64_t deadline = rp_monotonic() + RP_MSEC(20);
    CHECK_INT(collect_once(port, deadline), ==, 0);
    CHECK_INT(rp_monotonic(), >=, deadline);
    cancel_and_finish(port, &op);
    close_pair(fds);
    rp_proactor_close(port);
}

/* Until a peek finds so many bytes. */
static void await_bytes(int fd, ssize_t count)
{
    char bytes[64];

    while (recv(fd, bytes, sizeof bytes, MSG_PEEK) < count)
        usleep(1000);
}

/* A peek leaves what it finds: it cannot go on behind it, and completes with what there is. */
TEST(a_peek_does_not_wait_for_all)
{
    rp_proactor *port = open_port();
    char bytes[8];
    int fds[2];
    rp_op op;

    for (int i = 0; i < PAIR_KINDS; i++) {
        pair_of_kind(i, fds);
        memset(bytes, 0, sizeof bytes);
        rp_op_recv(&op, fds[0], bytes, 4, MSG_PEEK | MSG_WAITALL, NULL, NULL);
        submit(port, &op);
        stays_quiet(port);
        CHECK_INT(write(fds[1], "ab", 2), ==, 2);
        CHECK_INT(finish(port, &op), ==, 2);
        CHECK(memcmp(bytes, "ab\0\0", 4) == 0);
        CHECK_INT(perform(port, &op), ==, 2);
        CHECK_INT(write(fds[1], "cdef", 4), ==, 4);
        await_bytes(fds[0], 6);
        CHECK_INT(perform(port, &op), ==, 4);
        CHECK(memcmp(bytes, "abcd", 4) == 0);
        rp_op_recv(&op, fds[0], bytes, 8, 0, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, 6);
        CHECK(memcmp(bytes, "abcdef", 6) == 0);
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

/* ---- messages ---- */

TEST(messages_are_gathered_and_scattered)
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
    struct sockaddr_in address = loopback(0), from, own;
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

static int udp_socket(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    *address = loopback(0);
    CHECK_INT(bind(fd, (struct sockaddr *)address, sizeof *address), ==, 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)address, &length), ==, 0);
    return fd;
}

/* A port of UDP at which nobody receives any more. */
static struct sockaddr_in closed_port(void)
{
    struct sockaddr_in address;

    close(udp_socket(&address));
    return address;
}

static void send_away(rp_proactor *port, int fd, struct sockaddr_in *address)
{
    struct iovec vector = {.iov_base = "lost", .iov_len = 4};
    struct msghdr message = {
        .msg_name = address, .msg_namelen = sizeof *address, .msg_iov = &vector, .msg_iovlen = 1};
    rp_op op;

    rp_op_sendmsg(&op, fd, &message, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 4);
}

/* It is the fate of a datagram to one peer of many: Windows tells of it, and it is kept from the receive. */
TEST(a_closed_port_ends_no_receive_of_a_socket_with_many_peers)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address, closed = closed_port(), other;
    int fd = udp_socket(&address), peer = udp_socket(&other);
    rp_op op;

    for (int i = 0; i < 6; i++) {
        char byte = 0;

        rp_op_recv(&op, fd, &byte, 1, 0, NULL, NULL);
        if (i % 2)
            submit(port, &op);
        for (int n = 0; n < 3; n++)
            send_away(port, fd, &closed);
        CHECK_INT(sendto(peer, "x", 1, 0, (struct sockaddr *)&address, sizeof address), ==, 1);
        if (i % 2 == 0)
            submit(port, &op);
        CHECK_INT(finish(port, &op), ==, 1);
        CHECK_INT(byte, ==, 'x');
    }
    close(fd);
    close(peer);
    rp_proactor_close(port);
}

TEST(a_closed_port_refuses_a_socket_with_one_peer)
{
#ifdef _WIN32
    test_need_real_windows("it tells of no closed port");
#endif
    rp_proactor *port = open_port();
    struct sockaddr_in address, closed = closed_port();
    int fd = udp_socket(&address);
    char byte;
    rp_op op;

    rp_op_connect(&op, fd, (struct sockaddr *)&closed, sizeof closed, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    for (int i = 0; i < 4; i++) {
        rp_op_recv(&op, fd, &byte, 1, 0, NULL, NULL);
        if (i % 2)
            submit(port, &op);
        CHECK_INT(send(fd, "lost", 4, 0), ==, 4);
        if (i % 2 == 0)
            submit(port, &op);
        CHECK_INT(finish(port, &op), ==, -ECONNREFUSED);
    }
    close(fd);
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

/* It is for rp_op_recv() alone: a message completes with what there is. */
TEST(messages_do_not_wait_for_all)
{
    rp_proactor *port = open_port();
    char bytes[8];
    struct iovec vector = {.iov_base = bytes, .iov_len = sizeof bytes};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    int fds[2];
    rp_op op;

    for (int i = 0; i < PAIR_KINDS; i++) {
        pair_of_kind(i, fds);
        rp_op_recvmsg(&op, fds[0], &message, MSG_WAITALL, NULL, NULL);
        submit(port, &op);
        stays_quiet(port);
        CHECK_INT(write(fds[1], "abc", 3), ==, 3);
        CHECK_INT(finish(port, &op), ==, 3);
        close_pair(fds);
    }
    rp_proactor_close(port);
}
