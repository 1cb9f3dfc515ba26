/*
 * sockets.h - plain sockets for the tests: pairs of each kind, all of 127.0.0.1, and what their owners do to them.
 */
#ifndef RP_TESTS_SOCKETS_H
#define RP_TESTS_SOCKETS_H

#include "harness/harness.h"
#include "harness/platform.h"

#define UNUSED __attribute__((unused))

static inline UNUSED void set_nonblocking(int fd)
{
    CHECK_INT(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), ==, 0);
}

static inline UNUSED struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
}

static inline UNUSED int tcp_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK_INT(fd, >=, 0);
    return fd;
}

/* A socket that is bound to 127.0.0.1, on a port that the system chooses, and does not listen. It blocks. */
static inline UNUSED int bound_tcp(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int fd = tcp_socket();

    *address = loopback(0);
    CHECK_INT(bind(fd, (struct sockaddr *)address, sizeof *address), ==, 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)address, &length), ==, 0);
    return fd;
}

/* One that listens. */
static inline UNUSED int listen_blocking(struct sockaddr_in *address)
{
    int fd = bound_tcp(address);

    CHECK_INT(listen(fd, 1024), ==, 0);
    return fd;
}

/* One that does not block. */
static inline UNUSED int listen_tcp(struct sockaddr_in *address)
{
    int fd = listen_blocking(address);

    set_nonblocking(fd);
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
    int listener = listen_blocking(&address);

    fds[0] = connect_tcp(&address);
    fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK_INT(fds[1], >=, 0);
    close(listener);
}

/* The same, and neither of them blocks. */
static inline UNUSED void nonblocking_pair(int fds[2])
{
    tcp_pair(fds);
    set_nonblocking(fds[0]);
    set_nonblocking(fds[1]);
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
