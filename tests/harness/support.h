/*
 * support.h - what the tests of the proactor and the loop share: a bare proactor's completions one by one, sockets.
 */
#ifndef RP_TESTS_SUPPORT_H
#define RP_TESTS_SUPPORT_H

#include "harness/harness.h"
#include "harness/platform.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ringport/proactor.h"

#define UNUSED __attribute__((unused))

/* Completions that have come and were not asked for yet. */
enum { MAX_PENDING = 512 };
static UNUSED rp_completion pending[MAX_PENDING];
static UNUSED int pending_count;

/* The proactor that the environment forces. */
static inline UNUSED rp_proactor *open_port(void)
{
    rp_proactor *port;

    CHECK_INT(rp_proactor_open(NULL, NULL, &port), ==, 0);
    return port;
}

static inline UNUSED bool on_uring(void)
{
    return test_backend() != NULL && strcmp(test_backend(), "io_uring") == 0;
}

static inline UNUSED void submit(rp_proactor *port, rp_op *op)
{
    CHECK_INT(rp_proactor_submit(port, op), ==, 0);
}

static inline UNUSED int collect_once(rp_proactor *port, int64_t deadline)
{
    CHECK(pending_count < MAX_PENDING);
    int n = rp_proactor_wait(port, pending + pending_count, MAX_PENDING - pending_count, deadline);

    CHECK_INT(n, >=, 0);
    pending_count += n;
    return n;
}

static inline UNUSED bool take_pending(const rp_op *op, rp_completion *completion)
{
    for (int i = 0; i < pending_count; i++)
        if (pending[i].op == op) {
            *completion = pending[i];
            memmove(pending + i, pending + i + 1, (size_t)(--pending_count - i) * sizeof *pending);
            return true;
        }
    return false;
}

/* The next completion of an operation, waited for. */
static inline UNUSED rp_completion next_completion(rp_proactor *port, const rp_op *op)
{
    rp_completion completion;

    while (!take_pending(op, &completion))
        collect_once(port, RP_NEVER);
    return completion;
}

/* The result of a single-shot operation, or of the last completion of a multishot one. */
static inline UNUSED int64_t finish(rp_proactor *port, const rp_op *op)
{
    rp_completion completion = next_completion(port, op);

    CHECK_INT(completion.flags & RP_OP_MORE, ==, 0);
    return completion.result;
}

static inline UNUSED int64_t perform(rp_proactor *port, rp_op *op)
{
    submit(port, op);
    return finish(port, op);
}

/* Turns that find nothing: whatever has been started does not complete by itself. */
static inline UNUSED void stays_quiet(rp_proactor *port)
{
    for (int i = 0; i < 5; i++) {
        CHECK_INT(collect_once(port, 0), ==, 0);
        CHECK_INT(collect_once(port, rp_monotonic() + RP_MSEC(1)), ==, 0);
    }
}

/* Cancels an operation that waits, and sees it end. */
static inline UNUSED void cancel_and_finish(rp_proactor *port, rp_op *op)
{
    rp_proactor_cancel(port, op);
    CHECK_INT(finish(port, op), ==, -ECANCELED);
}

/* ---- sockets and pipes ---- */

static inline UNUSED void set_nonblocking(int fd)
{
    CHECK_INT(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), ==, 0);
}

static inline UNUSED int listen_tcp(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_INT(fd, >=, 0);
    CHECK_INT(bind(fd, (struct sockaddr *)address, sizeof *address), ==, 0);
    CHECK_INT(listen(fd, 1024), ==, 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)address, &length), ==, 0);
    return fd;
}

static inline UNUSED int tcp_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK_INT(fd, >=, 0);
    return fd;
}

static inline UNUSED int connect_tcp(const struct sockaddr_in *address)
{
    int fd = tcp_socket();

    CHECK_INT(connect(fd, (const struct sockaddr *)address, sizeof *address), ==, 0);
    return fd;
}

/* Two ends of a TCP connection. */
static inline UNUSED void tcp_pair(int fds[2])
{
    struct sockaddr_in address;
    int listener = listen_tcp(&address);

    fds[0] = connect_tcp(&address);
    fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK_INT(fds[1], >=, 0);
    close(listener);
}

static inline UNUSED void unix_pair(int fds[2])
{
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
}

/* Two stream sockets of each kind that there is: TCP's, or Unix's, of which the first blocks, or does not. */
enum { PAIR_KINDS = 4 };

static inline UNUSED void pair_of_kind(int kind, int fds[2])
{
    if (kind & 1)
        unix_pair(fds);
    else
        tcp_pair(fds);
    if (kind & 2)
        set_nonblocking(fds[0]);
}

static inline UNUSED void close_pair(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

#ifndef _WIN32
/* Passes a descriptor on, with one byte. */
static inline UNUSED void send_descriptor(int fd, int sent)
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
#endif

/* Closes with a reset instead of a FIN. */
static inline UNUSED void close_with_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), ==, 0);
    close(fd);
}

/*
 * The pairs of Windows are TCP connections: an acknowledgement that comes late makes room once more. Their buffers are
 * small for that (platform_windows.c): nothing moves from one end to the other any more when they have been full once.
 */
#ifdef _WIN32
enum { FILL_ROUNDS = 3, FILL_PAUSE = 50000 }; /* microseconds */
#else
enum { FILL_ROUNDS = 1, FILL_PAUSE = 0 };
#endif

/* Fills a socket or pipe (non-blocking) until it takes no more: how many bytes that were. */
static inline UNUSED size_t fill(int fd)
{
    static char zeros[65536];
    size_t total = 0;
    ssize_t n;

    set_nonblocking(fd);
    for (int dry = 0; dry < FILL_ROUNDS; dry++) {
        /* After a success as much as ever: room that comes while there is one byte to go is not filled byte by byte. */
        for (size_t size = sizeof zeros; size > 0; size = n < 0 ? size / 2 : sizeof zeros)
            if ((n = write(fd, zeros, size)) > 0) {
                total += (size_t)n;
                dry = 0;
            }
        usleep(FILL_PAUSE);
    }
    return total;
}

#endif
