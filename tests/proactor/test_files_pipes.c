/*
 * test_files_pipes.c - read and write of what has no places and may have to be waited for: pipes, sockets and devices,
 * the same on every backend.
 */
#include <signal.h>
#ifndef _WIN32
#include <sys/ioctl.h>
#include <termios.h>
#endif

#include "proactor/proactor.h"
#include "harness/support.h"

static void try_pipe(rp_proactor *port, const int fds[2], int64_t offset)
{
    char bytes[8];
    rp_op op;

    rp_op_read(&op, fds[0], bytes, 8, offset, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    CHECK_INT(write_at(port, fds[1], "hello", 5, offset), ==, 5);
    CHECK_INT(finish(port, &op), ==, 5);
    CHECK(memcmp(bytes, "hello", 5) == 0);
    CHECK_INT(write_at(port, fds[1], "again", 5, offset), ==, 5);
    CHECK_INT(read_at(port, fds[0], bytes, 3, offset), ==, 3);
    CHECK_INT(read_at(port, fds[0], bytes, 8, offset), ==, 2);

    struct iovec out[2] = {{"ab", 2}, {"cde", 3}}, in[2] = {{bytes, 4}, {bytes + 4, 4}};
    size_t total = 0;
    while (total < 5) { /* a blocking pipe may be written to in pieces */
        rp_op_writev(&op, fds[1], total < 2 ? out : out + 1, total < 2 ? 2 : 1, offset, NULL, NULL);
        total += (size_t)perform(port, &op);
    }
    rp_op_readv(&op, fds[0], in, 2, offset, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 5);
    CHECK(memcmp(bytes, "abcde", 5) == 0);
}

TEST(pipes)
{
    rp_proactor *port = open_port();
    int fds[2];

    for (int i = 0; i < 4; i++) { /* offset 0 as well: a pipe has no positions */
        CHECK_INT(pipe2(fds, O_CLOEXEC | (i & 1 ? O_NONBLOCK : 0)), ==, 0);
        try_pipe(port, fds, i & 2 ? 0 : -1);
        close_pair(fds);
    }
    unix_pair(fds); /* and sockets are much the same */
    CHECK_INT(write_at(port, fds[0], "x", 1, -1), ==, 1);
    char byte;
    CHECK_INT(read_at(port, fds[1], &byte, 1, -1), ==, 1);
    close_pair(fds);
    rp_proactor_close(port);
}

TEST(pipe_ends)
{
    rp_proactor *port = open_port();
    char byte;
    rp_op op;
    int fds[2];

#ifndef _WIN32
    signal(SIGPIPE, SIG_IGN);
#endif
    CHECK_INT(pipe2(fds, O_CLOEXEC), ==, 0);
    rp_op_read(&op, fds[0], &byte, 1, -1, NULL, NULL);
    submit(port, &op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    close(fds[1]);
    CHECK_INT(finish(port, &op), ==, 0);
    close(fds[0]);

    CHECK_INT(pipe2(fds, O_CLOEXEC), ==, 0);
    fill(fds[1]);
    rp_op_write(&op, fds[1], "x", 1, -1, NULL, NULL);
    submit(port, &op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    close(fds[0]);
#ifdef _WIN32 /* a socket's answer */
    CHECK_INT(finish(port, &op), ==, -ECONNRESET);
#else
    CHECK_INT(finish(port, &op), ==, -EPIPE);
#endif
    close(fds[1]);
    rp_proactor_close(port);
}

/* A blocking pipe that is full must not block the proactor, and takes the rest when there is room. */
TEST(full_pipe)
{
    static char data[300000], buffer[300000];
    rp_proactor *port = open_port();
    size_t total = 0, taken = 0;
    rp_op op;
    int fds[2];

    for (int i = 0; i < 2; i++) {
        CHECK_INT(pipe2(fds, O_CLOEXEC | (i ? O_NONBLOCK : 0)), ==, 0);
        for (total = taken = 0; total < sizeof data;) {
            rp_op_write(&op, fds[1], data + total, sizeof data - total, -1, NULL, NULL);
            submit(port, &op);
            rp_completion completion;
            while (!take_pending(&op, &completion)) {
                if (collect_once(port, rp_monotonic() + RP_MSEC(1)) > 0)
                    continue;
                ssize_t n = read(fds[0], buffer, 50000);
                if (n < 0 && errno == EAGAIN)
                    continue; /* of a pipe that is a TCP connection: it may be under way */
                CHECK_INT(n, >, 0);
                taken += (size_t)n;
            }
            CHECK_INT(completion.result, >, 0);
            total += (size_t)completion.result;
        }
        CHECK_INT(total, ==, sizeof data);
        close(fds[1]);
        for (ssize_t n = 1; n > 0; taken += (size_t)n)
            n = read(fds[0], buffer, sizeof buffer);
        CHECK_INT(taken, ==, total);
        close(fds[0]);
    }
    rp_proactor_close(port);
}

#ifndef _WIN32
/* Nothing that has been read is gone: whoever asked again would take what comes after it. */
TEST(empty_datagrams)
{
    rp_proactor *port = open_port();
    char byte;
    int fds[2];
    rp_op op;

    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    for (int waits = 0; waits < 2; waits++) {
        rp_op_read(&op, fds[0], &byte, 1, -1, NULL, NULL);
        if (waits)
            submit(port, &op);
        CHECK_INT(send(fds[1], "", 0, 0), ==, 0);
        CHECK_INT(send(fds[1], "x", 1, 0), ==, 1);
        if (!waits)
            submit(port, &op);
        CHECK_INT(finish(port, &op), ==, 0);
        CHECK_INT(read_at(port, fds[0], &byte, 1, -1), ==, 1);
    }
    close_pair(fds);
    rp_proactor_close(port);
}
/* What needs no waiting does not wait. */
TEST(nothing_of_a_pipe)
{
    rp_proactor *port = open_port();
    struct iovec vector[] = {{.iov_base = "", .iov_len = 0}, {.iov_base = "hello", .iov_len = 5}};
    char bytes[8];
    int fds[2];
    rp_op op;

    CHECK_INT(pipe(fds), ==, 0);
    CHECK_INT(read_at(port, fds[0], bytes, 0, -1), ==, 0);
    CHECK_INT(read_at(port, fds[0], bytes, 1, -2), ==, -EINVAL);
    CHECK_INT(write_at(port, fds[1], bytes, 0, -1), ==, 0);
    rp_op_writev(&op, fds[1], vector, 2, -1, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 5);
    rp_op_writev(&op, fds[1], vector, -1, -1, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EINVAL);
    CHECK_INT(read_at(port, fds[0], bytes, sizeof bytes, -1), ==, 5);
    close_pair(fds);
    rp_proactor_close(port);
}

/* Reads and writes of nothing, or of no place, are told at once, whoever waits before them. */
TEST(nothing_waits_for_nobody)
{
    rp_proactor *port = open_port();
    char bytes[8];
    int fds[2];
    rp_op waits;

    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    rp_op_read(&waits, fds[0], bytes, sizeof bytes, -1, NULL, NULL);
    submit(port, &waits);
    CHECK_INT(read_at(port, fds[0], bytes, 0, -1), ==, 0);
    CHECK_INT(read_at(port, fds[0], bytes, 8, -2), ==, -EINVAL);
    CHECK_INT(write_at(port, fds[1], bytes, 0, -1), ==, 0); /* not even an empty datagram */
    stays_quiet(port);
    CHECK_INT(write_at(port, fds[1], "hello", 5, 7), ==, 5); /* nor has a socket any places */
    CHECK_INT(finish(port, &waits), ==, 5);
    CHECK_INT(write_at(port, fds[1], "again", 5, 0), ==, 5);
    CHECK_INT(read_at(port, fds[0], bytes, 8, 3), ==, 5);
    close_pair(fds);
    rp_proactor_close(port);
}

/* A socket tells its error once: that is the answer, and no end of the stream instead. */
TEST(error_of_a_socket)
{
    rp_proactor *port = open_port();
    char byte;
    int fds[2];

    for (int sort = 0; sort < 2; sort++) {
        CHECK_INT(socketpair(AF_UNIX, (sort ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC, 0, fds), ==, 0);
        CHECK_INT(write(fds[0], "unread", 6), ==, 6);
        close(fds[1]);
        CHECK_INT(read_at(port, fds[0], &byte, 1, -1), ==, -ECONNRESET);
        CHECK_INT(read_at(port, fds[0], &byte, 1, -1), ==, 0);
        close(fds[0]);
    }
    tcp_pair(fds);
    close_with_reset(fds[1]);
    CHECK_INT(read_at(port, fds[0], &byte, 1, -1), ==, -ECONNRESET);
    close(fds[0]);
    rp_proactor_close(port);
}

/* A terminal that nobody looks at is full before long, and then says that there is room for a little. */
TEST(full_terminal)
{
    static char data[100000], buffer[100000];
    rp_proactor *port = open_port();
    struct termios settings;
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), unlocked = 0;

    CHECK(master >= 0);
    CHECK_INT(ioctl(master, TIOCSPTLCK, &unlocked), ==, 0);
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK_INT(tcgetattr(slave, &settings), ==, 0);
    cfmakeraw(&settings);
    CHECK_INT(tcsetattr(slave, TCSANOW, &settings), ==, 0);
    for (size_t total = 0, taken = 0; total < sizeof data || taken < sizeof data;) {
        rp_completion completion;
        rp_op op;

        size_t left = sizeof data - total;

        rp_op_write(&op, slave, data + total, left < 3001 ? left : 3001, -1, NULL, NULL);
        submit(port, &op);
        while (!take_pending(&op, &completion)) {
            if (collect_once(port, rp_monotonic() + RP_MSEC(1)) > 0)
                continue;
            ssize_t n = read(master, buffer, 10000);
            taken += n > 0 ? (size_t)n : 0;
        }
        CHECK_INT(completion.result, >, total < sizeof data ? 0 : -1);
        total += (size_t)completion.result;
        for (ssize_t n; total == sizeof data && taken<total; taken += n> 0 ? (size_t)n : 0)
            n = read(master, buffer, sizeof buffer);
    }
    close(master);
    close(slave);
    rp_proactor_close(port);
}

TEST(devices)
{
    rp_proactor *port = open_port();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    char bytes[8] = "1234567";
    rp_op op;

    CHECK_INT(read_at(port, null, bytes, 8, 0), ==, 0);
    CHECK_INT(read_at(port, null, bytes, 8, -1), ==, 0);
    CHECK_INT(write_at(port, null, bytes, 8, -1), ==, 8);
    CHECK_INT(read_at(port, zero, bytes, 8, -1), ==, 8);
    CHECK_INT(bytes[0], ==, 0);
    rp_op_poll(&op, null, RP_POLL_IN | RP_POLL_OUT, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, RP_POLL_IN | RP_POLL_OUT);
    close(null);
    close(zero);
    rp_proactor_close(port);
}
#else
TEST_ABSENT(empty_datagrams, "files and pipes alone are read on Windows");
TEST_ABSENT(nothing_of_a_pipe, "a pipe of messages has empty ones on Windows");
TEST_ABSENT(nothing_waits_for_nobody, "pipes and sockets are two things on Windows");
TEST_ABSENT(error_of_a_socket, "no datagrams of Unix sockets on Windows");
TEST_ABSENT(full_terminal, "Windows has no terminals of that kind");
TEST_ABSENT(devices, "Windows has no devices of that kind");
#endif
