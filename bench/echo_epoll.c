/*
 * echo_epoll.c - the plainest echo server there can be: one epoll loop that reads and writes back. What the event
 * system of a library costs is measured against it.
 *
 * It closes a connection whose peer does not take its echo at once: the load of the benchmarks always does.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[128 * 1024];

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 1024) < 0) {
        perror("echo_epoll");
        exit(1);
    }
    getsockname(fd, (struct sockaddr *)&address, &length);
    printf("serving on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void accept_one(int epoll, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), on = 1;

    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(epoll, fd);
}

int main(int argc, char **argv)
{
    int listener = listen_on((uint16_t)(argc > 1 ? atoi(argv[1]) : 0)), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[256];

    watch(epoll, listener);
    for (;;) {
        int count = epoll_wait(epoll, events, 256, -1);

        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            ssize_t n;

            if (fd == listener) {
                accept_one(epoll, listener);
                continue;
            }
            n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
            if (n <= 0 || send(fd, buffer, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) != n)
                close(fd);
        }
    }
}
