/*
 * test_op_order.c - operations on one descriptor are served first come, first served, whoever of them waits.
 */
#include <stdio.h>

#include "proactor/proactor.h"
#include "harness/support.h"

enum { COUNT = 5 };

/* The kinds of descriptor: a pipe, Unix and TCP sockets; blocking or not. */
enum { PIPE, UNIX, TCP, SORTS };

static void open_pair(int fds[2], int sort, bool blocking)
{
    if (sort == PIPE)
        CHECK_INT(pipe2(fds, O_CLOEXEC), ==, 0);
    else if (sort == UNIX)
        unix_pair(fds);
    else
        tcp_pair(fds);
    if (!blocking) {
        set_nonblocking(fds[0]);
        set_nonblocking(fds[1]);
    }
}

static void prepare_read(rp_op *op, int sort, int fd, char *buffer, size_t size)
{
    if (sort == PIPE)
        rp_op_read(op, fd, buffer, size, -1, NULL, NULL);
    else
        rp_op_recv(op, fd, buffer, size, 0, NULL, NULL);
}

/* They wait; then what they wait for comes, at once or one by one. */
static void reads_in_order(int sort, bool blocking, bool at_once)
{
    rp_proactor *port = open_port();
    char bytes[COUNT + 1][2] = {{0}};
    rp_op ops[COUNT + 1];
    int fds[2];

    open_pair(fds, sort, blocking);
    for (int i = 0; i < COUNT; i++) {
        prepare_read(&ops[i], sort, fds[0], bytes[i], 1);
        submit(port, &ops[i]);
    }
    stays_quiet(port);
    if (at_once) {
        CHECK_INT(write(fds[1], "abcdef", COUNT + 1), ==, COUNT + 1);
        /* One more might be had at once, but others came first. */
        prepare_read(&ops[COUNT], sort, fds[0], bytes[COUNT], 1);
        submit(port, &ops[COUNT]);
    }
    for (int i = 0; i < COUNT + at_once; i++) {
        if (!at_once)
            CHECK_INT(write(fds[1], &"abcdef"[i], 1), ==, 1);
        CHECK_INT(finish(port, &ops[i]), ==, 1);
        CHECK_INT(bytes[i][0], ==, 'a' + i);
    }
    close_pair(fds);
    CHECK_INT(port->in_flight, ==, 0);
    rp_proactor_close(port);
}

TEST(reads)
{
    for (int i = 0; i < SORTS * 4; i++)
        reads_in_order(i / 4, i & 1, i & 2);
}

TEST(accepts)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address, peers[COUNT], own;
    uint32_t lengths[COUNT];
    socklen_t length = sizeof own;
    int listener = listen_tcp(&address), clients[COUNT];
    rp_op ops[COUNT];

    for (int i = 0; i < COUNT; i++) {
        lengths[i] = sizeof peers[i];
        rp_op_accept(&ops[i], listener, (struct sockaddr *)&peers[i], &lengths[i], NULL, NULL);
        submit(port, &ops[i]);
    }
    stays_quiet(port);
    for (int i = 0; i < COUNT; i++)
        clients[i] = connect_tcp(&address);
    for (int i = 0; i < COUNT; i++) {
        int64_t fd = finish(port, &ops[i]);
        CHECK_INT(fd, >=, 0);
        close((int)fd);
        CHECK_INT(getsockname(clients[i], (struct sockaddr *)&own, &length), ==, 0);
        CHECK_INT(peers[i].sin_port, ==, own.sin_port);
        close(clients[i]);
    }
    close(listener);
    rp_proactor_close(port);
}

/* Whoever leaves the queue, at its head, amid or at its end, holds nobody up, and takes no bytes along. */
TEST(cancelled)
{
    for (int sort = 0; sort < SORTS; sort++)
        for (int left = 0; left < COUNT; left++) {
            rp_proactor *port = open_port();
            char bytes[COUNT][2];
            rp_op ops[COUNT];
            int fds[2], next = 0;

            open_pair(fds, sort, left & 1);
            for (int i = 0; i < COUNT; i++) {
                prepare_read(&ops[i], sort, fds[0], bytes[i], 1);
                submit(port, &ops[i]);
            }
            collect_once(port, 0);
            cancel_and_finish(port, &ops[left]);
            CHECK_INT(write(fds[1], "abcde", COUNT - 1), ==, COUNT - 1);
            for (int i = 0; i < COUNT; i++)
                if (i != left) {
                    CHECK_INT(finish(port, &ops[i]), ==, 1);
                    CHECK_INT(bytes[i][0], ==, 'a' + next++);
                }
            close_pair(fds);
            rp_proactor_close(port);
        }
}

/* With no room in the queues: it is kept as well. */
TEST(small_queues)
{
    enum { MANY = 40 };
    rp_proactor_options options = {.submission_entries = 2, .completion_entries = 2};
    rp_proactor *port;
    char bytes[MANY];
    rp_op ops[MANY];
    int fds[2];

    CHECK_INT(rp_proactor_open(NULL, &options, &port), ==, 0);
    unix_pair(fds);
    for (int i = 0; i < MANY; i++) {
        rp_op_recv(&ops[i], fds[0], &bytes[i], 1, 0, NULL, NULL);
        submit(port, &ops[i]);
    }
    stays_quiet(port);
    for (int i = 0; i < MANY; i += 3)
        rp_proactor_cancel(port, &ops[i]);
    for (int i = 0; i < MANY; i += 3)
        CHECK_INT(finish(port, &ops[i]), ==, -ECANCELED);
    for (char byte = 0; byte < MANY; byte++)
        CHECK_INT(write(fds[1], &byte, 1), ==, 1);
    for (int i = 0, next = 0; i < MANY; i++)
        if (i % 3 != 0) {
            CHECK_INT(finish(port, &ops[i]), ==, 1);
            CHECK_INT(bytes[i], ==, next++);
        }
    close_pair(fds);
    rp_proactor_close(port);
}

/* Files have places, not turns: none of many is held up by another. */
TEST(files_take_none)
{
    rp_proactor *port = open_port();
    char path[] = TEST_TMP "/ringport-test-XXXXXX", bytes[COUNT][4];
    int fd = mkstemp(path);
    rp_op writes[COUNT], reads[COUNT];

    CHECK_INT(fd, >=, 0);
    unlink(path);
    for (int i = 0; i < COUNT; i++) {
        rp_op_write(&writes[i], fd, &"abcdefgh"[i], 3, i * 3, NULL, NULL);
        submit(port, &writes[i]);
    }
    for (int i = COUNT; i-- > 0;)
        CHECK_INT(finish(port, &writes[i]), ==, 3);
    for (int i = 0; i < COUNT; i++) {
        rp_op_read(&reads[i], fd, bytes[i], 3, i * 3, NULL, NULL);
        submit(port, &reads[i]);
    }
    for (int i = COUNT; i-- > 0;) {
        CHECK_INT(finish(port, &reads[i]), ==, 3);
        CHECK(memcmp(bytes[i], &"abcdefgh"[i], 3) == 0);
    }
    close(fd);
    rp_proactor_close(port);
}

#ifndef _WIN32
/* The first waits for more than there is: those behind it wait on, though there is something. */
TEST(head_of_line)
{
    rp_proactor *port = open_port();
    char bytes[8], more[8];
    int fds[2];
    rp_op whole, next;

    unix_pair(fds);
    rp_op_recv(&whole, fds[0], bytes, 4, MSG_WAITALL, NULL, NULL);
    rp_op_recv(&next, fds[0], more, 4, 0, NULL, NULL);
    submit(port, &whole);
    submit(port, &next);
    CHECK_INT(write(fds[1], "ab", 2), ==, 2);
    stays_quiet(port);
    CHECK_INT(write(fds[1], "cdef", 4), ==, 4);
    CHECK_INT(finish(port, &whole), ==, 4);
    CHECK_INT(finish(port, &next), ==, 2);
    close_pair(fds);
    rp_proactor_close(port);
}

/* What would have to wait behind others, and is not to, does not; but it takes what they leave. */
TEST(behind_others_without_waiting)
{
    rp_proactor *port = open_port();
    char bytes[3][4];
    rp_op first, hasty, last;
    int fds[2];

    for (int blocking = 0; blocking < 2; blocking++) {
        open_pair(fds, UNIX, blocking);
        rp_op_recv(&first, fds[0], bytes[0], 3, 0, NULL, NULL);
        rp_op_recv(&hasty, fds[0], bytes[1], 3, MSG_DONTWAIT, NULL, NULL);
        rp_op_recv(&last, fds[0], bytes[2], 3, 0, NULL, NULL);
        submit(port, &first);
        submit(port, &hasty);
        submit(port, &last);
        CHECK_INT(finish(port, &hasty), ==, -EAGAIN);
        stays_quiet(port);
        CHECK_INT(write(fds[1], "abcdef", 6), ==, 6);
        CHECK_INT(finish(port, &first), ==, 3);
        CHECK_INT(finish(port, &last), ==, 3);
        CHECK(memcmp(bytes[0], "abc", 3) == 0 && memcmp(bytes[2], "def", 3) == 0);

        CHECK_INT(write(fds[1], "abcdef", 6), ==, 6);
        submit(port, &first);
        submit(port, &hasty);
        CHECK_INT(finish(port, &first), ==, 3);
        CHECK_INT(finish(port, &hasty), ==, 3);
        CHECK(memcmp(bytes[0], "abc", 3) == 0 && memcmp(bytes[1], "def", 3) == 0);
        close_pair(fds);
    }
    rp_proactor_close(port);
}

/* What the one before waited for, and the next one does not, is no reason to wait when that has left. */
TEST(next_after_a_cancelled_one)
{
    rp_proactor *port = open_port();
    char bytes[8];
    rp_op whole, peek;
    int fds[2];

    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    rp_op_recv(&whole, fds[0], bytes, 8, 0, NULL, NULL);
    rp_op_recv(&peek, fds[0], bytes, 0, 0, NULL, NULL); /* is done with nothing */
    submit(port, &whole);
    submit(port, &peek);
    stays_quiet(port);
    cancel_and_finish(port, &whole);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    CHECK_INT(finish(port, &peek), ==, 0);
    close_pair(fds);

    CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), ==, 0);
    rp_op_accept(&whole, fds[0], NULL, NULL, NULL, NULL); /* which is no listener: an error, but in its turn */
    rp_op_recv(&peek, fds[0], bytes, 8, 0, NULL, NULL);
    submit(port, &peek);
    submit(port, &whole);
    stays_quiet(port);
    cancel_and_finish(port, &peek);
    CHECK(finish(port, &whole) < 0);
    close_pair(fds);
    rp_proactor_close(port);
}

/* recvmsg() takes one message, and what does not wait takes what is there. */
TEST(packets_whole_or_one_by_one)
{
    rp_proactor *port = open_port();
    char bytes[8];
    struct iovec vector = {.iov_base = bytes, .iov_len = 8};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    int fds[2];
    rp_op op;

    CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), ==, 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(write(fds[1], "abc", 3), ==, 3);
    rp_op_recvmsg(&op, fds[0], &message, MSG_WAITALL, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 3);
    rp_op_recv(&op, fds[0], bytes, 8, MSG_WAITALL | MSG_DONTWAIT, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 3);
    close_pair(fds);
    rp_proactor_close(port);
}

/* Reads all that comes, and checks that it is a number of each letter, in order. */
static void drain_letters(rp_proactor *port, int fd, size_t each, int letters)
{
    static char bytes[1 << 16];
    size_t total = 0;

    while (total < each * (size_t)letters) {
        ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);

        if (n < 0)
            collect_once(port, rp_monotonic() + RP_MSEC(1));
        for (ssize_t i = 0; i < n; i++, total++)
            CHECK_INT(bytes[i], ==, 'a' + (long long)(total / each));
        CHECK(n != 0);
    }
}

/* Several sends that do not fit stay whole and in order; a half-close comes after those that were there before it. */
TEST(sends)
{
    enum { SIZE = 1 << 20 };
    rp_proactor *port = open_port();
    static char data[3][SIZE];
    rp_op ops[3], shut;
    char byte;
    int fds[2];

    for (int sort = UNIX; sort <= TCP; sort++) {
        open_pair(fds, sort, sort & 1);
        for (int i = 0; i < 3; i++) {
            memset(data[i], 'a' + i, SIZE);
            rp_op_send(&ops[i], fds[0], data[i], SIZE, RP_SEND_ALL, NULL, NULL);
            submit(port, &ops[i]);
        }
        drain_letters(port, fds[1], SIZE, 3);
        for (int i = 0; i < 3; i++)
            CHECK_INT(finish(port, &ops[i]), ==, SIZE);

        for (int i = 0; i < 3; i++) {
            rp_op_send(&ops[i], fds[0], data[i], 10, 0, NULL, NULL);
            submit(port, &ops[i]);
        }
        rp_op_shutdown(&shut, fds[0], SHUT_WR, NULL, NULL);
        submit(port, &shut);
        for (int i = 0; i < 3; i++)
            CHECK_INT(finish(port, &ops[i]), ==, 10);
        CHECK_INT(finish(port, &shut), ==, 0);
        drain_letters(port, fds[1], 10, 3);
        CHECK_INT(read(fds[1], &byte, 1), ==, 0);
        close_pair(fds);
    }
    rp_proactor_close(port);
}

/* Nor does a half-close wait for what waits for room: it ends that. */
TEST(half_close_ends_waiting_sends)
{
    rp_proactor *port = open_port();
    rp_op ops[3], shut;
    int fds[2];

    unix_pair(fds);
    fill(fds[0]);
    for (int i = 0; i < 3; i++) {
        rp_op_send(&ops[i], fds[0], "x", 1, 0, NULL, NULL);
        submit(port, &ops[i]);
    }
    rp_op_shutdown(&shut, fds[0], SHUT_WR, NULL, NULL);
    CHECK_INT(perform(port, &shut), ==, 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(finish(port, &ops[i]), ==, -EPIPE);
    close_pair(fds);
    rp_proactor_close(port);
}
#else
TEST_ABSENT(head_of_line, "one that receives in parts may be overtaken between them on Windows");
TEST_ABSENT(behind_others_without_waiting, "one that does not wait may be had before others that do on Windows");
TEST_ABSENT(next_after_a_cancelled_one, "Windows keeps order by itself, and has no such socketpair()");
TEST_ABSENT(packets_whole_or_one_by_one, "there are no packets of that kind on Windows");
TEST_ABSENT(sends, "sends are not in order on Windows, unless one waits for the other");
TEST_ABSENT(half_close_ends_waiting_sends, "sockets have no room that could be filled for good on Windows");
#endif
