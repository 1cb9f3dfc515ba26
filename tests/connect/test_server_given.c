/*
 * test_server_given.c - sockets that have a name in the file system, and sockets that somebody else has made to listen.
 */
#include <stdio.h>

#include "harness/service.h"
#include "proactor/kernel.h"

/* ---- Unix sockets ---- */

static char path[64];

static const char *unix_path(void)
{
    snprintf(path, sizeof path, TEST_TMP "/ringport-server-%d", (int)getpid());
    unlink(path);
    return path;
}

static int unix_connect(const char *name, size_t length)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, name, length);
    if (connect(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) ==
        0)
        return fd;
    close(fd);
    return -1;
}

static void check_echo(rp_loop *loop, service *s, int fd)
{
    char byte;

    CHECK(fd >= 0);
    CHECK_INT(send(fd, "x", 1, 0), ==, 1);
    CHECK_INT(wire_await(loop, fd, &byte, 1), ==, 1);
    close(fd);
    RUN_UNTIL(loop, s->lost == s->made);
}

TEST(a_unix_server_takes_over_a_stale_socket_and_removes_its_own)
{
    test_need_unix_sockets();
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server, *second;

    CHECK_INT(rp_create_unix_server(loop, service_factory, &s, unix_path(), 0, NULL, &server), ==, 0);
    check_echo(loop, &s, unix_connect(path, strlen(path)));
    CHECK_INT(rp_server_port(server), ==, 0);
    /* As asyncio does, a second server takes the path over; the first one then leaves it alone. */
    CHECK_INT(rp_create_unix_server(loop, service_factory, &s, path, 0, NULL, &second), ==, 0);
    rp_server_free(server);
    wire_settle(loop);
    check_echo(loop, &s, unix_connect(path, strlen(path)));
    rp_server_close(second);
    CHECK_INT(access(path, F_OK), ==, -1);
    rp_server_free(second);
    wire_settle(loop);
    rp_loop_free(loop);
}

TEST(what_is_no_socket_is_left_alone)
{
    test_need_unix_sockets();
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server;
    int file = open(unix_path(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    close(file);
    CHECK_INT(rp_create_unix_server(loop, service_factory, &s, path, 0, NULL, &server), ==, -EADDRINUSE);
    CHECK_INT(access(path, F_OK), ==, 0);
    unlink(path);
    int rc = rp_create_unix_server(loop, service_factory, &s, "/nowhere/at/all", 0, NULL, &server);
#ifdef _WIN32 /* it is bind()'s error, and another one there */
    CHECK_INT(rc, <, 0);
#else
    CHECK_INT(rc, ==, -ENOENT);
#endif
    CHECK_INT(rp_create_unix_server(loop, service_factory, &s, "", 0, NULL, &server), ==, -EINVAL);
    rp_loop_free(loop);
}

TEST(abstract_names_need_no_file)
{
    test_need_unix_sockets();
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server;
    char name[64];
    size_t length = (size_t)snprintf(name, sizeof name, "%cringport-server-%d", 0, (int)getpid());

    if (!rp_system_kernel.abstract)
        SKIP("no abstract names here");
    CHECK_INT(rp_create_unix_server(loop, service_factory, &s, name, length, NULL, &server), ==, 0);
    check_echo(loop, &s, unix_connect(name, length));
    rp_server_free(server);
    wire_settle(loop);
    rp_loop_free(loop);
}

TEST(a_loop_that_is_closed_removes_the_path)
{
    test_need_unix_sockets();
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server;

    CHECK_INT(rp_create_unix_server(loop, service_factory, &s, unix_path(), 0, NULL, &server), ==, 0);
    rp_loop_free(loop);
    CHECK_INT(access(path, F_OK), ==, -1);
}

/* ---- sockets that listen already ---- */

static void exchange_by(rp_loop *loop, service *s, int fd)
{
    char text[8];

    CHECK_INT(send(fd, "hello", 5, 0), ==, 5);
    while (wire_read(fd, text, sizeof text) == -EAGAIN)
        wire_settle(loop);
    CHECK(memcmp(text, "hello", 5) == 0);
    close(fd);
    RUN_UNTIL(loop, s->lost == s->made);
}

static void wait_for(rp_loop *loop, rp_server *server)
{
    rp_future *closed;

    CHECK_INT(rp_server_closed_future(server, &closed), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, closed), ==, 0);
    rp_future_unref(closed);
}

/* A blocking one, as it is inherited, with a client that has come before. */
TEST(a_socket_that_listens_already_is_served)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    int port, on = 0, listener = wire_listen(&port), early = wire_connect(port);
    uint32_t length = sizeof on;
    rp_server *server;

    CHECK_INT(rp_create_server_fd(loop, service_factory, &s, listener, NULL, &server), ==, 0);
    CHECK(rp_server_is_serving(server));
    CHECK_INT(rp_server_sockets(server), ==, 1);
    CHECK_INT(rp_server_fd(server, 0), ==, listener);
    CHECK_INT(rp_server_port(server), ==, port);
    RUN_UNTIL(loop, s.made == 1);
    CHECK_INT(getsockopt(s.fd, IPPROTO_TCP, TCP_NODELAY, (void *)&on, (socklen_t *)&length), ==, 0);
    CHECK_INT(on, !=, 0);
    exchange_by(loop, &s, early);
    for (int i = 0; i < 5; i++)
        exchange_by(loop, &s, wire_connect(port));
    CHECK_INT(s.made, ==, 6);
    rp_server_close(server);
    wait_for(loop, server);
    CHECK_INT(listen(listener, 1), ==, -1); /* it is closed */
    rp_server_free(server);
    rp_loop_free(loop);
}

TEST(such_a_server_may_start_later_and_have_another_backlog)
{
    rp_loop *loop = wire_loop();
    rp_server_options options = {.delay_start = true, .backlog = 5, .nagle = true};
    service s = {0};
    int port, listener = wire_listen(&port), early;
    rp_server *server;

    CHECK_INT(rp_create_server_fd(loop, service_factory, &s, listener, &options, &server), ==, 0);
    CHECK(!rp_server_is_serving(server));
    early = wire_connect(port);
    for (int i = 0; i < 5; i++)
        wire_settle(loop);
    CHECK_INT(s.made, ==, 0);
    CHECK_INT(rp_server_start_serving(server), ==, 0);
    exchange_by(loop, &s, early);
    rp_server_free(server);
    rp_loop_free(loop);
}

TEST(what_does_not_listen_is_refused_and_stays_the_callers)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server;
    struct sockaddr_in address;
    int port, listener = wire_listen(&port), here, there, bound = bound_tcp(&address);
    int datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), file = open(TEST_NULL, O_RDONLY | O_CLOEXEC);

    wire_pair(&here, &there);
    CHECK_INT(rp_create_server_fd(loop, service_factory, &s, bound, NULL, &server), ==, -EINVAL);
    CHECK_INT(rp_create_server_fd(loop, service_factory, &s, here, NULL, &server), ==, -EINVAL);
    CHECK_INT(rp_create_server_fd(loop, service_factory, &s, datagram, NULL, &server), ==, -EINVAL);
    CHECK_INT(rp_create_server_fd(loop, service_factory, &s, file, NULL, &server), ==, -ENOTSOCK);
    CHECK_INT(rp_create_server_fd(loop, service_factory, &s, -1, NULL, &server), ==, -EBADF);
    test_fail_allocation(1);
    CHECK_INT(rp_create_server_fd(loop, service_factory, &s, listener, NULL, &server), ==, -ENOMEM);
    rp_loop_close(loop);
    CHECK_INT(rp_create_server_fd(loop, service_factory, &s, listener, NULL, &server), ==, RP_ECLOSED);
    close(listener);
    close(bound);
    close(here);
    close(there);
    close(datagram);
    close(file);
    rp_loop_free(loop);
}

#ifndef _WIN32
TEST(a_unix_socket_that_listens_already_keeps_its_file)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), there;
    rp_server *server;

    snprintf(address.sun_path, sizeof address.sun_path, TEST_TMP "/ringport-listens-%d", (int)getpid());
    unlink(address.sun_path);
    CHECK_INT(bind(listener, (struct sockaddr *)&address, sizeof address), ==, 0);
    CHECK_INT(listen(listener, 10), ==, 0);
    CHECK_INT(rp_create_server_fd(loop, service_factory, &s, listener, NULL, &server), ==, 0);
    there = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(there, (struct sockaddr *)&address, sizeof address), ==, 0);
    exchange_by(loop, &s, there);
    rp_server_free(server);
    wire_settle(loop);
    CHECK_INT(unlink(address.sun_path), ==, 0);
    rp_loop_free(loop);
}
#else
TEST_ABSENT(a_unix_socket_that_listens_already_keeps_its_file, "the tests' Unix sockets are TCP's here");
#endif
