/*
 * echo_epoll_tls.c - the plainest echo server under TLS: OpenSSL has the socket (SSL_set_fd), and epoll tells when to
 * call it, edge-triggered, until it wants more.
 *
 * echo_epoll_tls PORT CERTIFICATE (of 127.0.0.1; 0: one that is free). OpenSSL asks the kernel for the head of a record
 * first, and then for the rest. With a third argument, "read-ahead", it asks for as much as there is, as nginx has it.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls.h"

typedef struct connection {
    int fd;
    SSL *ssl;
    char *rest; /* of an echo that the kernel did not take at once; nothing is read meanwhile */
    size_t start, end;
} connection;

static char buffer[128 * 1024];
static SSL_CTX *context;
static int epoll;

static int listen_tcp(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bench_check(bind(fd, (struct sockaddr *)&address, length), "bind");
    getsockname(fd, (struct sockaddr *)&address, &length);
    bench_check(listen(fd, 1024), "listen");
    printf("serving on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void watch(connection *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};

    bench_check(epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event), "epoll_ctl");
}

static void accept_one(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), on = 1;
    connection *c;

    if (fd < 0)
        return;
    c = bench_alloc(sizeof *c);
    c->fd = fd;
    c->ssl = SSL_new(context);
    if (!c->ssl || SSL_set_fd(c->ssl, fd) != 1)
        bench_die("no memory");
    SSL_set_accept_state(c->ssl);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(c, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

static void end(connection *c)
{
    SSL_free(c->ssl);
    close(c->fd);
    free(c->rest);
    free(c);
}

/* How much of it was taken; the rest is kept. -1: the connection has failed. */
static ssize_t send_some(connection *c, const char *data, size_t length)
{
    size_t sent = 0;
    int n, error;

    while (sent < length) {
        ERR_clear_error();
        n = SSL_write(c->ssl, data + sent, (int)(length - sent));
        if (n <= 0) {
            error = SSL_get_error(c->ssl, n);
            return error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ ? (ssize_t)sent : -1;
        }
        sent += (size_t)n;
    }
    return (ssize_t)sent;
}

/* Whether reading may go on. */
static bool echo(connection *c, size_t length)
{
    ssize_t sent = send_some(c, buffer, length);

    if (sent == (ssize_t)length)
        return true;
    if (sent < 0) {
        end(c);
        return false;
    }
    c->start = 0;
    c->end = length - (size_t)sent;
    c->rest = bench_alloc(c->end);
    memcpy(c->rest, buffer + sent, c->end);
    return false;
}

static bool send_rest(connection *c)
{
    ssize_t sent = send_some(c, c->rest + c->start, c->end - c->start);

    if (sent < 0) {
        end(c);
        return false;
    }
    c->start += (size_t)sent;
    if (c->start < c->end)
        return false;
    free(c->rest);
    c->rest = NULL;
    return true;
}

static void go_on(connection *c)
{
    int n, error;

    if (c->rest && !send_rest(c))
        return;
    for (;;) {
        ERR_clear_error();
        n = SSL_read(c->ssl, buffer, sizeof buffer);
        if (n <= 0)
            break;
        if (!echo(c, (size_t)n))
            return;
    }
    error = SSL_get_error(c->ssl, n);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return;
    if (error == SSL_ERROR_ZERO_RETURN)
        SSL_shutdown(c->ssl);
    end(c);
}

int main(int argc, char **argv)
{
    connection listener = {0};
    struct epoll_event events[256];

    if (argc < 3 || argc > 4 || (argc == 4 && strcmp(argv[3], "read-ahead") != 0))
        bench_die("usage: echo_epoll_tls PORT CERTIFICATE [read-ahead]");
    context = bench_tls_context(argv[2]);
    SSL_CTX_set_read_ahead(context, argc == 4);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    listener.fd = listen_tcp(atoi(argv[1]));
    watch(&listener, EPOLLIN);
    for (;;) {
        int count = epoll_wait(epoll, events, 256, -1);

        for (int i = 0; i < count; i++) {
            connection *c = events[i].data.ptr;

            if (c == &listener)
                accept_one(listener.fd);
            else
                go_on(c);
        }
    }
}
