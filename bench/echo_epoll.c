/*
 * echo_epoll.c - the plainest echo server there can be: one epoll loop of recv() and send(), with a buffer as large
 * as echo_ringport's. What the event system of a library costs is measured against it.
 *
 * echo_epoll PORT (of 127.0.0.1; 0: one that is free) or echo_epoll PATH (of a Unix socket). With a second argument,
 * "edge", the connections are registered edge-triggered.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench.h"

typedef struct connection {
    int fd;
    char *rest; /* of an echo that the kernel did not take at once; nothing is read meanwhile */
    size_t start, end;
} connection;

static char buffer[128 * 1024];
static int epoll;
static bool local;    /* the socket is a Unix socket */
static uint32_t edge; /* EPOLLET, or 0 */

static int listen_tcp(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bench_check(bind(fd, (struct sockaddr *)&address, length), "bind");
    getsockname(fd, (struct sockaddr *)&address, &length);
    printf("serving on 127.0.0.1:%d\n", ntohs(address.sin_port));
    return fd;
}

static int listen_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    bench_check(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
    printf("serving on %s:0\n", path);
    return fd;
}

static void watch(int how, connection *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};

    bench_check(epoll_ctl(epoll, how, c->fd, &event), "epoll_ctl");
}

static void accept_one(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), on = 1;
    connection *c;

    if (fd < 0)
        return;
    c = bench_alloc(sizeof *c);
    c->fd = fd;
    if (!local)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(EPOLL_CTL_ADD, c, EPOLLIN | edge);
}

static void end(connection *c)
{
    close(c->fd);
    free(c->rest);
    free(c);
}

static void keep_rest(connection *c, size_t sent, size_t length)
{
    c->rest = bench_alloc(length - sent);
    memcpy(c->rest, buffer + sent, length - sent);
    c->start = 0;
    c->end = length - sent;
    watch(EPOLL_CTL_MOD, c, EPOLLOUT | edge);
}

static void send_rest(connection *c)
{
    ssize_t n = send(c->fd, c->rest + c->start, c->end - c->start, MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN) {
        end(c);
        return;
    }
    c->start += n > 0 ? (size_t)n : 0;
    if (c->start < c->end)
        return;
    free(c->rest);
    c->rest = NULL;
    watch(EPOLL_CTL_MOD, c, EPOLLIN | edge);
}

/* Whether there may be more that no event will tell of: an edge is told once. A short read leaves nothing behind. */
static bool echo(connection *c)
{
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0), sent;

    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            end(c);
        return false;
    }
    sent = send(c->fd, buffer, (size_t)n, MSG_NOSIGNAL);
    if (sent == n)
        return edge && (size_t)n == sizeof buffer;
    if (sent < 0 && errno != EAGAIN)
        end(c);
    else
        keep_rest(c, sent > 0 ? (size_t)sent : 0, (size_t)n);
    return false;
}

int main(int argc, char **argv)
{
    connection listener = {0};
    struct epoll_event events[256];

    if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "edge") != 0))
        bench_die("usage: echo_epoll PORT|PATH [edge]");
    edge = argc == 3 ? EPOLLET : 0;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    local = argv[1][0] == '/';
    listener.fd = local ? listen_unix(argv[1]) : listen_tcp(atoi(argv[1]));
    bench_check(listen(listener.fd, 1024), "listen");
    fflush(stdout);
    watch(EPOLL_CTL_ADD, &listener, EPOLLIN);
    for (;;) {
        int count = epoll_wait(epoll, events, 256, -1);

        for (int i = 0; i < count; i++) {
            connection *c = events[i].data.ptr;

            if (c == &listener)
                accept_one(listener.fd);
            else if (c->rest)
                send_rest(c);
            else
                while (echo(c))
                    ;
        }
    }
}
