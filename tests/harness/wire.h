/*
 * wire.h - for tests of the network: the plain sockets at the other end, bytes that can be told apart, running a loop
 * until something holds.
 */
#ifndef RP_TESTS_WIRE_H
#define RP_TESTS_WIRE_H

#include <string.h>

#include "harness/co_test.h"
#include "harness/harness.h"
#include "harness/sockets.h"
#include "ringport.h"

/* Runs the loop until the condition holds; the harness's deadline is the limit. */
#define RUN_UNTIL(loop, condition)                                                                                \
    do {                                                                                                          \
        while (!(condition))                                                                                      \
            wire_run(loop, RP_MSEC(2));                                                                           \
    } while (0)

static inline void wire_stop(void *loop)
{
    rp_loop_stop(loop);
}

static inline void wire_stop_when_ready(rp_fd fd, void *loop)
{
    (void)fd;
    rp_loop_stop(loop);
}

static inline void wire_run(rp_loop *loop, int64_t duration)
{
    rp_timer timer = {0};

    CHECK_INT(rp_call_later(loop, &timer, duration, wire_stop, loop), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    rp_timer_cancel(&timer);
}

/* Turns that wait for nothing: the loop deals with all that has come by now, and with what that leads to. */
static inline void wire_settle(rp_loop *loop)
{
    for (int i = 0; i < 20; i++) {
        rp_loop_stop(loop);
        CHECK_INT(rp_run_forever(loop), ==, 0);
    }
}

/* The same for the loop of a coroutine, whose other tasks get as far as they can. */
static inline void wire_settle_in(rp_co *co)
{
    for (int i = 0; i < 20; i++)
        CHECK_INT(rp_sleep(co, 0), ==, 0);
}

static inline rp_loop *wire_loop(void)
{
    rp_loop *loop;

    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    return loop;
}

/* A listening socket of 127.0.0.1. */
static inline int wire_listen(int *port)
{
    struct sockaddr_in address;
    int fd = listen_blocking(&address);

    *port = ntohs(address.sin_port);
    return fd;
}

static inline int wire_connect(int port)
{
    struct sockaddr_in address = loopback(port);

    return connect_tcp(&address);
}

/* Whether nobody listens there. */
static inline bool wire_is_refused(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = tcp_socket(), rc = connect(fd, (struct sockaddr *)&address, sizeof address);

    close(fd);
    return rc < 0;
}

/* Two connected TCP sockets. */
static inline void wire_pair(int *here, int *there)
{
    int fds[2];

    tcp_pair(fds);
    *there = fds[0];
    *here = fds[1];
}

/* The byte at a place of a stream: streams that lost, doubled or swapped something do not look the same. */
static inline unsigned char wire_byte(uint64_t at)
{
    return (unsigned char)((at * 2654435761u) >> 13 ^ at);
}

static inline void wire_fill(void *buffer, size_t length, uint64_t at)
{
    for (size_t i = 0; i < length; i++)
        ((unsigned char *)buffer)[i] = wire_byte(at + i);
}

static inline bool wire_same(const void *buffer, size_t length, uint64_t at)
{
    for (size_t i = 0; i < length; i++)
        if (((const unsigned char *)buffer)[i] != wire_byte(at + i))
            return false;
    return true;
}

/* What a peer reads first of a connection that is reset. Wine shuts it down before: the peer sees the stream's end. */
static inline int wire_reset(void)
{
    return test_under_wine() ? 0 : -ECONNRESET;
}

/* What can be read without waiting: bytes, 0 at the end, -errno. */
static inline ssize_t wire_read(int fd, void *buffer, size_t length)
{
    ssize_t n = recv(fd, buffer, length, MSG_DONTWAIT);

    return n < 0 ? -errno : n;
}

/* The same, but waited for: while the loop runs, or in a coroutine. */
static inline ssize_t wire_await(rp_loop *loop, int fd, void *buffer, size_t length)
{
    ssize_t n;

    RUN_UNTIL(loop, (n = wire_read(fd, buffer, length)) != -EAGAIN);
    return n;
}

static inline ssize_t wire_await_in(rp_co *co, int fd, void *buffer, size_t length)
{
    ssize_t n;

    while ((n = wire_read(fd, buffer, length)) == -EAGAIN)
        CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
    return n;
}

/*
 * Reads all that comes, while the loop runs, until the stream ends or fails: its bytes from the first one on. Returns
 * how many there were, and in *error how it ended.
 */
static inline size_t wire_drain(rp_loop *loop, int fd, int *error)
{
    static char chunk[65536];
    size_t total = 0;
    ssize_t n;

    while ((n = wire_await(loop, fd, chunk, sizeof chunk)) > 0) {
        CHECK(wire_same(chunk, (size_t)n, total));
        total += (size_t)n;
    }
    *error = (int)n;
    return total;
}

enum { WIRE_MESSAGE = 3000 };

/* Sends a message to an echo server, and compares what comes back. */
static inline void wire_exchange(int fd, uint64_t seed)
{
    char sent[WIRE_MESSAGE], got[WIRE_MESSAGE];
    size_t done = 0;

    wire_fill(sent, sizeof sent, seed);
    CHECK_INT(send(fd, sent, sizeof sent, MSG_NOSIGNAL), ==, sizeof sent);
    while (done < sizeof got) {
        ssize_t n = recv(fd, got + done, sizeof got - done, 0);

        CHECK_INT(n, >, 0);
        done += (size_t)n;
    }
    CHECK(memcmp(sent, got, sizeof got) == 0);
}

#endif
