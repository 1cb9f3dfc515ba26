/*
 * test_real_net.c - what a real Windows alone shows of the network: its Unix sockets, and what its TCP and UDP do.
 */
#include <stdio.h>

#include "base/socket.h"
#include "harness/service.h"
#include "harness/support.h"
#include "net/bind.h"

/* ---- addresses ---- */

static const rp_kernel *const kernel = &rp_system_kernel;

/* A socket that listens at a port of 127.0.0.1 (0: any), as a server's does; or the error. */
static int listen_at(int port, bool no_reuse_address)
{
    rp_server_options options = {.no_reuse_address = no_reuse_address};
    struct sockaddr_in address = loopback(0);
    struct addrinfo info = {.ai_family = AF_INET,
                            .ai_socktype = SOCK_STREAM,
                            .ai_addr = (struct sockaddr *)&address,
                            .ai_addrlen = sizeof address};
    rp_fd fd;
    int rc = rp_bind_tcp(kernel, &info, port, &options, &fd);

    if (rc < 0)
        return rc;
    CHECK_INT(rp_kernel_listen(kernel, fd, 10), ==, 0);
    CHECK_INT(fcntl((int)fd, F_SETFL, 0), ==, 0); /* accepting blocks */
    return (int)fd;
}

/* A server that is closed: connections of its port are left, one that it has closed first, and one that is open. */
static int leave_connections(int open[2])
{
    int listener = listen_at(0, false), port = rp_bind_port(kernel, listener), closed[2];
    char byte;

    CHECK_INT(listener, >=, 0);
    open[0] = wire_connect(port);
    open[1] = accept(listener, NULL, NULL);
    closed[0] = wire_connect(port);
    closed[1] = accept(listener, NULL, NULL);
    close(closed[1]);
    CHECK_INT(recv(closed[0], &byte, 1, 0), ==, 0);
    close(closed[0]);
    close(listener);
    return port;
}

static void print_finding(const char *what, int server)
{
    printf("# a server starts anew %s: %s\n", what, server < 0 ? rp_errname(server) : "it listens");
    if (server >= 0)
        close(server);
}

TEST(a_server_starts_anew_while_connections_of_the_earlier_one_linger)
{
    int open[2], port = leave_connections(open), server, client;

    print_finding("amid an open connection, with no_reuse_address", listen_at(port, true));
    print_finding("amid an open connection", listen_at(port, false));
    close(open[1]); /* first, and so it is this end that lingers */
    close(open[0]);
    print_finding("after it has closed its connections, with no_reuse_address", listen_at(port, true));
    server = listen_at(port, false);
    CHECK_INT(server, >=, 0);
    client = wire_connect(port);
    close(accept(server, NULL, NULL));
    close(client);
    close(server);
}

TEST(two_servers_never_listen_at_one_address)
{
    for (int strict = 0; strict < 2; strict++) {
        int server = listen_at(0, strict), port = rp_bind_port(kernel, server);

        CHECK_INT(server, >=, 0);
        CHECK_INT(listen_at(port, false), ==, -EADDRINUSE);
        CHECK_INT(listen_at(port, true), ==, -EADDRINUSE);
        close(server);
    }
}

/* ---- connecting ---- */

enum { REUSE_UNICASTPORT = 0x3007, TRIES = 5 };

/* The shortest of several times: a machine that is busy has no say in it. Windows itself takes 2 s each time. */
TEST(a_refused_connection_on_the_loopback_takes_no_time)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int64_t shortest = INT64_MAX;

    close(listen_tcp(&address));
    for (int i = 0; i < TRIES; i++) {
        int fd = tcp_socket();
        int64_t start = rp_monotonic();
        rp_op op;

        rp_op_connect(&op, fd, (struct sockaddr *)&address, sizeof address, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -ECONNREFUSED);
        if (rp_monotonic() - start < shortest)
            shortest = rp_monotonic() - start;
        close(fd);
    }
    printf("# a refused connection takes %.3f ms\n", (double)shortest / 1e6);
    CHECK_INT(shortest, <, RP_SEC(1));
    rp_proactor_close(port);
}

/* More connections than the range has would be too dear to make: the socket is asked for its option. */
TEST(connections_to_several_peers_may_have_one_port)
{
    test_need_real_windows("it has no such option");
    rp_proactor *port = open_port();
    struct sockaddr_in address, own;
    socklen_t length = sizeof own, size = sizeof(int);
    int listener = listen_tcp(&address), fd = tcp_socket(), on = 0;
    rp_op op;

    rp_op_connect(&op, fd, (struct sockaddr *)&address, sizeof address, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CHECK_INT(getsockopt(fd, SOL_SOCKET, REUSE_UNICASTPORT, &on, &size), ==, 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&own, &length), ==, 0);
    printf("# SO_REUSE_UNICASTPORT: %d; the port that was chosen: %d\n", on, ntohs(own.sin_port));
    CHECK_INT(on, !=, 0);
    CHECK_INT(own.sin_port, !=, 0);
    close(fd);
    close(listener);
    rp_proactor_close(port);
}

/* ---- datagrams ---- */

/* What there is to be hidden or translated: test_op_receive.c has what becomes of it. */
TEST(what_winsock_says_of_a_closed_port_of_udp)
{
    test_need_real_windows("it tells of no closed port");
    struct sockaddr_in closed = loopback(0);
    socklen_t length = sizeof closed;
    DWORD patience = 5000; /* milliseconds, if it should say nothing */

    for (int connected = 0; connected < 2; connected++) {
        int fd = socket(AF_INET, SOCK_DGRAM, 0), other = socket(AF_INET, SOCK_DGRAM, 0);
        char byte;

        closed.sin_port = 0;
        CHECK_INT(bind(other, (struct sockaddr *)&closed, sizeof closed), ==, 0);
        CHECK_INT(getsockname(other, (struct sockaddr *)&closed, &length), ==, 0);
        close(other);
        CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), ==, 0);
        if (connected)
            CHECK_INT(connect(fd, (struct sockaddr *)&closed, sizeof closed), ==, 0);
        CHECK_INT(
            sendto(fd, "lost", 4, 0, connected ? NULL : (struct sockaddr *)&closed, connected ? 0 : sizeof closed),
            ==, 4);
        int n = (recv)((SOCKET)fd, &byte, 1, 0);
        printf("# %s socket: recv() returns %d, error %d\n", connected ? "a connected" : "an unconnected", n,
               n < 0 ? WSAGetLastError() : 0);
        close(fd);
    }
}

/* ---- Unix sockets ---- */

/* The letters are of several scripts: no code page has all of them. */
#define UNIX_PATH "ringport-stra\u00dfe-\u043f\u0443\u0442\u044c-\u65e5\u672c.sock"
#define WIDE_PATH L"ringport-stra\u00dfe-\u043f\u0443\u0442\u044c-\u65e5\u672c.sock"

static bool exists(void)
{
    return GetFileAttributesW(WIDE_PATH) != INVALID_FILE_ATTRIBUTES;
}

static void connect_once(rp_loop *loop, service *s)
{
    rp_future *future;

    CHECK_INT(rp_create_unix_connection(loop, service_factory, s, UNIX_PATH, 0, &future), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, 0);
    rp_transport_close(rp_future_value(future));
    rp_future_unref(future);
    RUN_UNTIL(loop, s->made == 2 && s->lost == 2);
}

TEST(a_unix_server_takes_over_a_stale_socket_with_a_path_in_utf8)
{
    test_need_real_windows("there are no Unix sockets");
    rp_loop *loop = wire_loop();
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = UNIX_PATH};
    service s = {0};
    rp_server *server;
    int stale;

    DeleteFileW(WIDE_PATH);
    stale = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_INT(bind(stale, (struct sockaddr *)&address, sizeof address), ==, 0);
    close(stale);
    printf("# the file of a stale socket: attributes 0x%lx\n", GetFileAttributesW(WIDE_PATH));
    CHECK(exists());
    CHECK_INT(rp_create_unix_server(loop, service_factory, &s, UNIX_PATH, 0, NULL, &server), ==, 0);
    CHECK(exists());
    connect_once(loop, &s);
    rp_server_free(server);
    CHECK(!exists());
    wire_settle(loop);
    rp_loop_free(loop);
}

TEST(what_winsock_says_where_there_is_no_socket)
{
    test_need_real_windows("there are no Unix sockets");
    rp_loop *loop = wire_loop();
    rp_proactor *port = open_port();
    service s = {0};
    rp_server *server;
    rp_future *future;
    struct sockaddr_un abstract = {.sun_family = AF_UNIX, .sun_path = "\0ringport"};
    rp_op op;
    int rc, fd = socket(AF_UNIX, SOCK_STREAM, 0);

    DeleteFileW(WIDE_PATH);
    CHECK_INT(rp_create_unix_connection(loop, service_factory, &s, UNIX_PATH, 0, &future), ==, 0);
    rc = rp_run_until_complete(loop, future);
    rp_future_unref(future);
    printf("# connecting to a path where nothing is: %s\n", rp_errname(rc));
    CHECK_INT(rc, <, 0);
    rc = rp_create_unix_server(loop, service_factory, &s, "nowhere/at/all", 0, NULL, &server);
    printf("# binding to a path in no directory: %s\n", rp_errname(rc));
    CHECK_INT(rc, <, 0);
    printf("# binding to an abstract name: %d, error %d\n",
           (bind)(fd, (struct sockaddr *)&abstract, offsetof(struct sockaddr_un, sun_path) + 9),
           WSAGetLastError());
    CHECK_INT(rp_create_unix_server(loop, service_factory, &s, "\0ringport", 9, NULL, &server), ==, -ENOTSUP);
    rp_op_connect(&op, fd, (struct sockaddr *)&abstract, offsetof(struct sockaddr_un, sun_path) + 9, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -ENOTSUP);
    close(fd);
    rp_proactor_close(port);
    rp_loop_free(loop);
}
