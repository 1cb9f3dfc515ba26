/*
 * pipes.h - pipes for tests, and what is read and written like them: the two ends of each kind, which block.
 */
#ifndef RP_TESTS_PIPES_H
#define RP_TESTS_PIPES_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include "harness/record.h"

/* Makes the two ends of one: from `writer` to `reader`. */
typedef void pipe_maker(int *reader, int *writer);

static inline void make_pipe(int *reader, int *writer)
{
    int fds[2];

    CHECK_INT(pipe2(fds, O_CLOEXEC), ==, 0);
    *reader = fds[0];
    *writer = fds[1];
}

static inline void make_sockets(int *reader, int *writer)
{
    int fds[2];

    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    *reader = fds[0];
    *writer = fds[1];
}

static inline void make_fifo(int *reader, int *writer)
{
    char directory[] = "/tmp/ringport-XXXXXX", path[64];

    CHECK(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/fifo", directory);
    CHECK_INT(mkfifo(path, 0600), ==, 0);
    *reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* it waits for no writer */
    *writer = open(path, O_WRONLY | O_CLOEXEC);
    CHECK(*reader >= 0 && *writer >= 0);
    CHECK_INT(fcntl(*reader, F_SETFL, O_RDONLY), ==, 0);
    unlink(path);
    rmdir(directory);
}

/* A raw pseudo-terminal. */
static inline void make_terminal(int *master, int *slave)
{
    struct termios settings;
    int unlocked = 0;

    *master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(*master >= 0);
    CHECK_INT(ioctl(*master, TIOCSPTLCK, &unlocked), ==, 0);
    *slave = ioctl(*master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(*slave >= 0);
    CHECK_INT(tcgetattr(*slave, &settings), ==, 0);
    cfmakeraw(&settings);
    CHECK_INT(tcsetattr(*slave, TCSANOW, &settings), ==, 0);
}

static inline void make_slave(int *reader, int *writer)
{
    make_terminal(writer, reader);
}

static inline bool is_nonblocking(int fd)
{
    return fcntl(fd, F_GETFL) & O_NONBLOCK;
}

static inline bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static inline void put(int fd, const char *text)
{
    CHECK_INT(write(fd, text, strlen(text)), ==, strlen(text));
}

/* Transports of one end each, with `record_plain`. */
static inline void connect_reader(rp_loop *loop, record *r, int fd)
{
    rp_transport *transport;

    CHECK_INT(rp_connect_read_pipe(loop, fd, &record_plain, r, &transport), ==, 0);
    CHECK_INT(r->made, ==, 1);
    CHECK(r->transport == transport);
}

static inline void connect_writer(rp_loop *loop, record *r, int fd)
{
    rp_transport *transport;

    CHECK_INT(rp_connect_write_pipe(loop, fd, &record_plain, r, &transport), ==, 0);
    CHECK_INT(r->made, ==, 1);
    CHECK(r->transport == transport);
}

#endif
