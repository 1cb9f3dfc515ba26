/*
 * test_server.c - servers: many connections, addresses, running out of descriptors, closing, Unix sockets.
 */
#include <stdio.h>
#include <stdlib.h>

#include "harness/reports.h"
#include "harness/wire.h"

/* An echo server's connections. */
typedef struct service {
    int made, lost, refused;
    int fd;           /* of the last one */
    int refuse;       /* what the factory fails with */
    rp_server *close; /* the factory closes it, if set */
} service;

typedef struct connection {
    service *service;
    rp_transport *transport;
} connection;

static void made(void *self, rp_transport *transport)
{
    connection *c = self;

    c->transport = transport;
    c->service->fd = (int)rp_transport_fd(transport);
    c->service->made++;
}

static void echo(void *self, const void *data, size_t length)
{
    connection *c = self;
    int rc = rp_transport_write(c->transport, data, length);

    CHECK(rc == 0 || rc == -ECONNRESET || rc == -EPIPE);
}

static void lost(void *self, int error)
{
    connection *c = self;

    (void)error;
    c->service->lost++;
    free(c);
}

static void hold_back(void *self)
{
    connection *c = self;

    rp_transport_pause_reading(c->transport);
}

static void go_on(void *self)
{
    connection *c = self;

    rp_transport_resume_reading(c->transport);
}

static const rp_protocol protocol = {.connection_made = made,
                                     .data_received = echo,
                                     .connection_lost = lost,
                                     .pause_writing = hold_back,
                                     .resume_writing = go_on};

static int factory(void *arg, const rp_protocol **made_protocol, void **self)
{
    service *s = arg;
    connection *c;

    if (s->close)
        rp_server_close(s->close);
    if (s->refuse < 0) {
        s->refused++;
        return s->refuse;
    }
    c = calloc(1, sizeof *c);
    c->service = s;
    *made_protocol = &protocol;
    *self = c;
    return 0;
}

static int try_serve(rp_loop *loop, service *s, const char *host, int port, const rp_server_options *options,
                     rp_server **server)
{
    rp_future *future;
    int rc = rp_create_server(loop, factory, s, host, port, options, &future);

    if (rc < 0)
        return rc;
    rc = rp_run_until_complete(loop, future);
    *server = rp_future_value(future);
    rp_future_unref(future);
    return rc;
}

static rp_server *serve(rp_loop *loop, service *s, const char *host, int port, const rp_server_options *options)
{
    rp_server *server;

    CHECK_INT(try_serve(loop, s, host, port, options, &server), ==, 0);
    return server;
}

/* ---- serving ---- */

typedef struct peer {
    int fd;
    uint64_t sent, received, total;
} peer;

static void exchange(peer *p, uint64_t offset)
{
    char bytes[9000];
    size_t length = 1 + (size_t)rand() % sizeof bytes;
    ssize_t n;

    if (length > p->total - p->sent)
        length = (size_t)(p->total - p->sent);
    wire_fill(bytes, length, offset + p->sent);
    if (length > 0) {
        n = send(p->fd, bytes, length, MSG_DONTWAIT);
        p->sent += n > 0 ? (uint64_t)n : 0;
    }
    n = wire_read(p->fd, bytes, 1 + (size_t)rand() % sizeof bytes);
    if (n == -EAGAIN)
        return;
    CHECK_INT(n, >, 0);
    CHECK(wire_same(bytes, (size_t)n, offset + p->received));
    p->received += (uint64_t)n;
}

TEST(many_connections_get_their_own_bytes_back)
{
    enum { PEERS = 100 };
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = serve(loop, &s, "127.0.0.1", 0, NULL);
    peer peers[PEERS];
    int left = PEERS;

    CHECK(rp_server_is_serving(server));
    CHECK(rp_server_get_loop(server) == loop);
    CHECK_INT(rp_server_sockets(server), ==, 1);
    srand(1);
    for (int i = 0; i < PEERS; i++)
        peers[i] = (peer){.fd = wire_connect(rp_server_port(server)), .total = 1 + (uint64_t)rand() % 300000};
    while (left > 0) {
        left = 0;
        for (int i = 0; i < PEERS; i++) {
            if (peers[i].received == peers[i].total)
                continue;
            exchange(&peers[i], (uint64_t)i << 32);
            left++;
        }
        rp_loop_stop(loop);
        CHECK_INT(rp_run_forever(loop), ==, 0);
    }
    CHECK_INT(rp_server_connections(server), ==, PEERS);
    for (int i = 0; i < PEERS; i++)
        close(peers[i].fd);
    RUN_UNTIL(loop, s.lost == PEERS);
    CHECK_INT(rp_server_connections(server), ==, 0);
    rp_server_free(server);
    wire_run(loop, RP_MSEC(5));
    rp_loop_free(loop);
}

TEST(killed_peers_leave_nothing_behind)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    /* Room for all, however slowly they are accepted: connect() would wait for this thread. */
    rp_server *server = serve(loop, &s, "127.0.0.1", 0, &(rp_server_options){.backlog = 200});

    for (int i = 0; i < 200; i++) {
        int fd = wire_connect(rp_server_port(server));

        CHECK_INT(send(fd, "0123456789", 10, 0), ==, 10);
        if (i % 3 == 0)
            wire_run(loop, RP_MSEC(1));
        close_with_reset(fd);
    }
    RUN_UNTIL(loop, s.made > 0 && s.lost == s.made);
    wire_run(loop, RP_MSEC(50));
    CHECK_INT(s.lost, ==, s.made);
    rp_server_free(server);
    rp_loop_free(loop);
}

TEST(accepted_sockets_have_no_delay_and_do_not_leak_into_children)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = serve(loop, &s, "127.0.0.1", 0, NULL);
    rp_server *slow = serve(loop, &s, "127.0.0.1", 0, &(rp_server_options){.nagle = true});

    for (int i = 0; i < 2; i++) {
        int client = wire_connect(rp_server_port(i ? slow : server)), on = 0; /* Windows writes one byte of it */
        socklen_t length = sizeof on;

        RUN_UNTIL(loop, s.made == i + 1);
        CHECK_INT(getsockopt(s.fd, IPPROTO_TCP, TCP_NODELAY, &on, &length), ==, 0);
        CHECK_INT(on == 0, ==, i);
        CHECK(fcntl(s.fd, F_GETFD) & FD_CLOEXEC);
        CHECK(fcntl(s.fd, F_GETFL) & O_NONBLOCK);
        close(client);
        RUN_UNTIL(loop, s.lost == i + 1);
    }
    CHECK(fcntl(rp_server_fd(server, 0), F_GETFD) & FD_CLOEXEC);
    rp_server_free(server);
    rp_server_free(slow);
    wire_run(loop, RP_MSEC(5));
    rp_loop_free(loop);
}

/* ---- addresses ---- */

TEST(every_interface_has_the_same_port)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = serve(loop, &s, NULL, 0, NULL);
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int port = rp_server_port(server), four, six;

    CHECK_INT(rp_server_sockets(server), ==, 2);
    for (size_t i = 0; i < 2; i++) {
        struct sockaddr_storage name;
        uint32_t length = sizeof name;
        char text[64], end[16];

        CHECK_INT(rp_server_sockname(server, i, (struct sockaddr *)&name, &length), ==, 0);
        CHECK_INT(rp_sockaddr_format((struct sockaddr *)&name, length, text, sizeof text), ==, 0);
        snprintf(end, sizeof end, ":%d", port);
        CHECK_STR(strrchr(text, ':'), end);
    }
    CHECK_INT(rp_server_fd(server, 2), ==, -1);
    CHECK_INT(rp_server_sockname(server, 2, (struct sockaddr *)&address, &(uint32_t){0}), ==, -EBADF);
    four = wire_connect(port);
    six = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin6_port = htons((uint16_t)port);
    CHECK_INT(connect(six, (struct sockaddr *)&address, sizeof address), ==, 0);
    RUN_UNTIL(loop, s.made == 2);
    close(four);
    close(six);
    RUN_UNTIL(loop, s.lost == 2);
    rp_server_free(server);
    wire_run(loop, RP_MSEC(5));
    rp_loop_free(loop);
}

TEST(names_and_families)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = serve(loop, &s, "localhost", 0, &(rp_server_options){.family = AF_INET});
    int fd = wire_connect(rp_server_port(server));

    RUN_UNTIL(loop, s.made == 1);
    close(fd);
    RUN_UNTIL(loop, s.lost == 1);
    rp_server_free(server);
    CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0);
    rp_loop_free(loop);
}

TEST(an_address_in_use_and_other_errors)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = serve(loop, &s, "127.0.0.1", 0, NULL), *second = NULL;
    int port = rp_server_port(server);
    rp_future *future;

    CHECK_INT(try_serve(loop, &s, "127.0.0.1", port, NULL, &second), ==, -EADDRINUSE);
    CHECK_INT(try_serve(loop, &s, "127.0.0.1", 65536, NULL, &second), ==, -EINVAL);
    CHECK_INT(try_serve(loop, &s, "192.0.2.1", 0, NULL, &second), ==, -EADDRNOTAVAIL);
    CHECK_INT(
        try_serve(loop, &s, "no.such.host.invalid", 0, &(rp_server_options){.flags = AI_NUMERICHOST}, &second), ==,
        RP_EAI_NONAME);
    CHECK(second == NULL);
    rp_server_free(server);
    wire_run(loop, RP_MSEC(5));
    /* The port is free again. */
    rp_server_free(serve(loop, &s, "127.0.0.1", port, NULL));
    rp_server_free(NULL);
    CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0);
    rp_loop_close(loop);
    CHECK_INT(rp_create_server(loop, factory, &s, "127.0.0.1", 0, NULL, &future), ==, RP_ECLOSED);
    rp_loop_free(loop);
}

#ifndef _WIN32
TEST(servers_can_share_a_port)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server_options options = {.reuse_port = true};
    rp_server *first = serve(loop, &s, "127.0.0.1", 0, &options);
    rp_server *second = serve(loop, &s, "127.0.0.1", rp_server_port(first), &options);

    CHECK_INT(rp_server_port(first), ==, rp_server_port(second));
    rp_server_free(first);
    rp_server_free(second);
    wire_run(loop, RP_MSEC(5));
    rp_loop_free(loop);
}
#else
TEST_ABSENT(servers_can_share_a_port, "Windows has no SO_REUSEPORT");

TEST(servers_cannot_share_a_port)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server_options options = {.reuse_port = true};
    rp_server *server;

    CHECK_INT(try_serve(loop, &s, "127.0.0.1", 0, &options, &server), ==, -ENOTSUP);
    rp_loop_free(loop);
}
#endif

TEST(serving_can_begin_later)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = serve(loop, &s, "127.0.0.1", 0, &(rp_server_options){.delay_start = true, .backlog = 5});
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)rp_server_port(server))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(!rp_server_is_serving(server));
    CHECK_INT(connect(fd, (struct sockaddr *)&address, sizeof address), ==, -1);
    close(fd);
    CHECK_INT(rp_server_start_serving(server), ==, 0);
    CHECK_INT(rp_server_start_serving(server), ==, 0);
    CHECK(rp_server_is_serving(server));
    fd = wire_connect(rp_server_port(server));
    RUN_UNTIL(loop, s.made == 1);
    close(fd);
    RUN_UNTIL(loop, s.lost == 1);
    rp_server_close(server);
    CHECK_INT(rp_server_start_serving(server), ==, -EINVAL);
    rp_server_free(server);
    server = serve(loop, &s, "127.0.0.1", 0, &(rp_server_options){.delay_start = true});
    rp_server_free(server);
    wire_run(loop, RP_MSEC(5));
    rp_loop_free(loop);
}

/* ---- trouble ---- */

#ifndef _WIN32
/* Few descriptors, and a way to use up all of them. */
typedef struct descriptors {
    int taken[100];
    int count;
} descriptors;

static void limit_descriptors(void)
{
    struct rlimit limit = {.rlim_cur = 64, .rlim_max = 64};

    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
}

static void take_all(descriptors *all)
{
    all->count = 0;
    while ((all->taken[all->count] = fcntl(2, F_DUPFD_CLOEXEC, 0)) >= 0)
        all->count++;
}

static void give_back(descriptors *all)
{
    while (all->count > 0)
        close(all->taken[--all->count]);
}

TEST(without_descriptors_accepting_rests_and_goes_on_later)
{
    limit_descriptors();
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = serve(loop, &s, "127.0.0.1", 0, NULL);
    int reports = 0, fd = wire_connect(rp_server_port(server));
    rp_loop_stats before, after;
    descriptors all;
    int64_t start;

    rp_set_exception_handler(loop, count_report, &reports);
    take_all(&all);
    start = rp_monotonic();
    RUN_UNTIL(loop, reports > 0);
    rp_loop_get_stats(loop, &before);
    wire_run(loop, RP_MSEC(300));
    rp_loop_get_stats(loop, &after);
    CHECK_INT(reports, ==, 1);
    CHECK_INT(after.turns - before.turns, <, 10);
    CHECK_INT(s.made, ==, 0);
    give_back(&all);
    RUN_UNTIL(loop, s.made == 1);
    CHECK_INT(rp_monotonic() - start, >=, RP_SEC(1));
    CHECK_INT(reports, ==, 1);
    close(fd);
    RUN_UNTIL(loop, s.lost == 1);
    fd = wire_connect(rp_server_port(server));
    RUN_UNTIL(loop, s.made == 2);
    close(fd);
    RUN_UNTIL(loop, s.lost == 2);
    rp_server_free(server);
    wire_run(loop, RP_MSEC(5));
    rp_loop_free(loop);
}

TEST(a_server_can_be_closed_while_accepting_rests)
{
    limit_descriptors();
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = serve(loop, &s, "127.0.0.1", 0, NULL);
    int reports = 0, fd = wire_connect(rp_server_port(server));
    descriptors all;

    rp_set_exception_handler(loop, count_report, &reports);
    take_all(&all);
    RUN_UNTIL(loop, reports == 1);
    give_back(&all);
    rp_server_free(server);
    wire_run(loop, RP_MSEC(5));
    close(fd);
    rp_loop_free(loop);
}
#else
TEST_ABSENT(without_descriptors_accepting_rests_and_goes_on_later,
            "Windows has no limit on descriptors to run into");
TEST_ABSENT(a_server_can_be_closed_while_accepting_rests, "Windows has no limit on descriptors to run into");
#endif

TEST(a_factory_that_fails_closes_the_connection_and_is_reported)
{
    rp_loop *loop = wire_loop();
    service s = {.refuse = -EPERM};
    rp_server *server = serve(loop, &s, "127.0.0.1", 0, NULL);
    int reports = 0, fd = wire_connect(rp_server_port(server));
    char byte;

    rp_set_exception_handler(loop, count_report, &reports);
    RUN_UNTIL(loop, s.refused == 1);
    CHECK_INT(recv(fd, &byte, 1, 0), ==, 0);
    CHECK_INT(reports, ==, 1);
    CHECK_INT(rp_server_connections(server), ==, 0);
    close(fd);
    s.refuse = 0;
    test_fail_allocation(1);
    fd = wire_connect(rp_server_port(server));
    RUN_UNTIL(loop, reports == 2);
    CHECK_INT(recv(fd, &byte, 1, 0), ==, 0);
    close(fd);
    rp_server_free(server);
    wire_run(loop, RP_MSEC(5));
    rp_loop_free(loop);
}

/* ---- ending ---- */

TEST(connections_outlive_a_server_that_is_closed)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = serve(loop, &s, "127.0.0.1", 0, NULL);
    int port = rp_server_port(server), fd = wire_connect(port), second;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    rp_future *closed, *cancelled;
    char bytes[4];

    RUN_UNTIL(loop, s.made == 1);
    CHECK_INT(rp_server_closed_future(server, &closed), ==, 0);
    CHECK_INT(rp_server_closed_future(server, &cancelled), ==, 0);
    CHECK(rp_future_cancel(cancelled));
    rp_future_unref(cancelled);
    rp_server_close(server);
    rp_server_close(server);
    CHECK(!rp_server_is_serving(server));
    CHECK_INT(rp_server_sockets(server), ==, 0);
    CHECK_INT(rp_server_port(server), ==, 0);
    wire_run(loop, RP_MSEC(10));
    second = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(second, (struct sockaddr *)&address, sizeof address), ==, -1);
    close(second);
    CHECK_INT(send(fd, "abcd", 4, 0), ==, 4);
    CHECK_INT(wire_await(loop, fd, bytes, 4), ==, 4);
    CHECK(!rp_future_done(closed));
    close(fd);
    CHECK_INT(rp_run_until_complete(loop, closed), ==, 0);
    rp_future_unref(closed);
    CHECK_INT(rp_server_closed_future(server, &closed), ==, 0);
    CHECK(rp_future_done(closed));
    rp_future_unref(closed);
    rp_server_free(server);
    rp_loop_free(loop);
}

TEST(a_server_can_be_freed_before_its_connections_end)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = serve(loop, &s, "127.0.0.1", 0, NULL);
    int fd = wire_connect(rp_server_port(server));
    char byte;

    RUN_UNTIL(loop, s.made == 1);
    rp_server_free(server);
    CHECK_INT(send(fd, "a", 1, 0), ==, 1);
    CHECK_INT(wire_await(loop, fd, &byte, 1), ==, 1);
    close(fd);
    RUN_UNTIL(loop, s.lost == 1);
    rp_loop_free(loop);
}

TEST(no_connection_that_was_accepted_is_lost_when_the_server_closes)
{
    for (int round = 0; round < 30; round++) {
        enum { PEERS = 20 };
        rp_loop *loop = wire_loop();
        service s = {0};
        rp_server *server = serve(loop, &s, "127.0.0.1", 0, NULL);
        int fds[PEERS];
        char byte;

        for (int i = 0; i < PEERS; i++) {
            fds[i] = wire_connect(rp_server_port(server));
            CHECK_INT(send(fds[i], "x", 1, MSG_NOSIGNAL), ==, 1);
        }
        for (int i = 0; i < round % 3; i++) {
            rp_loop_stop(loop);
            CHECK_INT(rp_run_forever(loop), ==, 0);
        }
        rp_server_free(server);
        /* Each was either served or refused; none was accepted and then forgotten. */
        for (int i = 0; i < PEERS; i++) {
            ssize_t n = wire_await(loop, fds[i], &byte, 1);

            CHECK(n == 1 || n == wire_reset());
            s.made -= n == 1;
            close(fds[i]);
        }
        CHECK_INT(s.made, ==, 0);
        wire_run(loop, RP_MSEC(10));
        rp_loop_free(loop);
    }
}

TEST(the_factory_may_close_and_free_its_server)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    int fd;
    char byte;

    s.close = serve(loop, &s, "127.0.0.1", 0, NULL);
    fd = wire_connect(rp_server_port(s.close));
    CHECK_INT(send(fd, "x", 1, 0), ==, 1);
    CHECK_INT(wire_await(loop, fd, &byte, 1), ==, 1);
    CHECK(!rp_server_is_serving(s.close));
    rp_server_free(s.close);
    close(fd);
    RUN_UNTIL(loop, s.lost == 1);
    rp_loop_free(loop);
}

static rp_server *closed_by_the_first;

static void made_and_closes(void *self, rp_transport *transport)
{
    made(self, transport);
    rp_server_close(closed_by_the_first);
}

static int factory_of_closers(void *arg, const rp_protocol **made_protocol, void **self)
{
    static const rp_protocol closing = {.connection_made = made_and_closes, .connection_lost = lost};
    int rc = factory(arg, made_protocol, self);

    *made_protocol = &closing;
    return rc;
}

TEST(a_connection_that_closes_the_server_leaves_each_one_its_own_descriptor)
{
    enum { PEERS = 3 };
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_future *request;
    int fds[PEERS];

    CHECK_INT(rp_create_server(loop, factory_of_closers, &s, "127.0.0.1", 0, NULL, &request), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, request), ==, 0);
    closed_by_the_first = rp_future_value(request);
    rp_future_unref(request);
    for (int i = 0; i < PEERS; i++)
        fds[i] = wire_connect(rp_server_port(closed_by_the_first));
    RUN_UNTIL(loop, s.made >= 1);
    wire_run(loop, RP_MSEC(20));
    CHECK_INT(s.made, <=, PEERS);
    for (int i = 0; i < PEERS; i++)
        close(fds[i]);
    RUN_UNTIL(loop, s.lost == s.made);
    rp_server_free(closed_by_the_first);
    rp_loop_free(loop);
}

TEST(all_clients_can_be_closed_or_aborted)
{
    for (int abort = 0; abort < 2; abort++) {
        rp_loop *loop = wire_loop();
        service s = {0};
        rp_server *server = serve(loop, &s, "127.0.0.1", 0, NULL);
        int fds[10];
        char byte;

        for (int i = 0; i < 10; i++)
            fds[i] = wire_connect(rp_server_port(server));
        RUN_UNTIL(loop, s.made == 10);
        if (abort)
            rp_server_abort_clients(server);
        else
            rp_server_close_clients(server);
        RUN_UNTIL(loop, s.lost == 10);
        for (int i = 0; i < 10; i++) {
            CHECK_INT(wire_await(loop, fds[i], &byte, 1), ==, abort ? wire_reset() : 0);
            close(fds[i]);
        }
        CHECK(rp_server_is_serving(server));
        rp_server_free(server);
        wire_run(loop, RP_MSEC(5));
        rp_loop_free(loop);
    }
}

TEST(a_loop_that_is_closed_frees_servers_and_requests)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = serve(loop, &s, NULL, 0, NULL), *closed = serve(loop, &s, NULL, 0, NULL);
    rp_future *future, *waiting;
    int fd = wire_connect(rp_server_port(server));

    CHECK_INT(rp_server_closed_future(server, &waiting), ==, 0);
    rp_server_close(closed);
    CHECK_INT(rp_create_server(loop, factory, &s, "127.0.0.1", 0, NULL, &future), ==, 0);
    rp_loop_close(loop);
    CHECK(!rp_future_done(waiting));
    CHECK(rp_future_cancel(waiting));
    rp_future_unref(waiting);
    rp_future_unref(future);
    rp_loop_free(loop);
    close(fd);
}

TEST(a_request_can_be_cancelled_while_the_name_is_looked_up)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_future *future;

    CHECK_INT(rp_create_server(loop, factory, &s, "localhost", 0, NULL, &future), ==, 0);
    CHECK(rp_future_cancel(future));
    CHECK_INT(rp_run_until_complete(loop, future), ==, RP_EFUTCANCELED);
    rp_future_unref(future);
    CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0);
    rp_loop_free(loop);
}

TEST(no_memory_for_a_server)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = NULL;
    int rc = -ENOMEM;

    for (uint64_t n = 1; rc < 0; n++) {
        test_fail_allocation(n);
        rc = try_serve(loop, &s, "127.0.0.1", 0, NULL, &server);
        CHECK(rc == 0 || rc == -ENOMEM);
    }
    test_fail_allocation(0);
    rp_server_free(server);
    rp_loop_free(loop);
}

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

    CHECK_INT(rp_create_unix_server(loop, factory, &s, unix_path(), 0, NULL, &server), ==, 0);
    check_echo(loop, &s, unix_connect(path, strlen(path)));
    CHECK_INT(rp_server_port(server), ==, 0);
    /* As asyncio does, a second server takes the path over; the first one then leaves it alone. */
    CHECK_INT(rp_create_unix_server(loop, factory, &s, path, 0, NULL, &second), ==, 0);
    rp_server_free(server);
    wire_run(loop, RP_MSEC(5));
    check_echo(loop, &s, unix_connect(path, strlen(path)));
    rp_server_close(second);
    CHECK_INT(access(path, F_OK), ==, -1);
    rp_server_free(second);
    wire_run(loop, RP_MSEC(5));
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
    CHECK_INT(rp_create_unix_server(loop, factory, &s, path, 0, NULL, &server), ==, -EADDRINUSE);
    CHECK_INT(access(path, F_OK), ==, 0);
    unlink(path);
    CHECK_INT(rp_create_unix_server(loop, factory, &s, "/nowhere/at/all", 0, NULL, &server), ==, -ENOENT);
    CHECK_INT(rp_create_unix_server(loop, factory, &s, "", 0, NULL, &server), ==, -EINVAL);
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

    CHECK_INT(rp_create_unix_server(loop, factory, &s, name, length, NULL, &server), ==, 0);
    check_echo(loop, &s, unix_connect(name, length));
    rp_server_free(server);
    wire_run(loop, RP_MSEC(5));
    rp_loop_free(loop);
}

TEST(a_loop_that_is_closed_removes_the_path)
{
    test_need_unix_sockets();
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server;

    CHECK_INT(rp_create_unix_server(loop, factory, &s, unix_path(), 0, NULL, &server), ==, 0);
    rp_loop_free(loop);
    CHECK_INT(access(path, F_OK), ==, -1);
}

/* ---- sockets that listen already ---- */

static void exchange_by(rp_loop *loop, service *s, int fd)
{
    char text[8];

    CHECK_INT(send(fd, "hello", 5, 0), ==, 5);
    while (wire_read(fd, text, sizeof text) == -EAGAIN)
        wire_run(loop, RP_MSEC(1));
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

    CHECK_INT(rp_create_server_fd(loop, factory, &s, listener, NULL, &server), ==, 0);
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

    CHECK_INT(rp_create_server_fd(loop, factory, &s, listener, &options, &server), ==, 0);
    CHECK(!rp_server_is_serving(server));
    early = wire_connect(port);
    for (int i = 0; i < 5; i++)
        wire_run(loop, 1);
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
    int port, listener = wire_listen(&port), here, there, bound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), file = open(TEST_NULL, O_RDONLY | O_CLOEXEC);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    CHECK_INT(bind(bound, (struct sockaddr *)&address, sizeof address), ==, 0);
    wire_pair(&here, &there);
    CHECK_INT(rp_create_server_fd(loop, factory, &s, bound, NULL, &server), ==, -EINVAL);
    CHECK_INT(rp_create_server_fd(loop, factory, &s, here, NULL, &server), ==, -EINVAL);
    CHECK_INT(rp_create_server_fd(loop, factory, &s, datagram, NULL, &server), ==, -EINVAL);
    CHECK_INT(rp_create_server_fd(loop, factory, &s, file, NULL, &server), ==, -ENOTSOCK);
    CHECK_INT(rp_create_server_fd(loop, factory, &s, -1, NULL, &server), ==, -EBADF);
    test_fail_allocation(1);
    CHECK_INT(rp_create_server_fd(loop, factory, &s, listener, NULL, &server), ==, -ENOMEM);
    rp_loop_close(loop);
    CHECK_INT(rp_create_server_fd(loop, factory, &s, listener, NULL, &server), ==, RP_ECLOSED);
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
    CHECK_INT(rp_create_server_fd(loop, factory, &s, listener, NULL, &server), ==, 0);
    there = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(there, (struct sockaddr *)&address, sizeof address), ==, 0);
    exchange_by(loop, &s, there);
    rp_server_free(server);
    wire_run(loop, RP_MSEC(1));
    CHECK_INT(unlink(address.sun_path), ==, 0);
    rp_loop_free(loop);
}
#else
TEST_ABSENT(a_unix_socket_that_listens_already_keeps_its_file, "the tests' Unix sockets are TCP's here");
#endif

/* ---- a factory forks: the connection that it was called for is the parent's ---- */

#ifndef _WIN32
static pid_t child;

static int fork_in_factory(void *arg, const rp_protocol **made_protocol, void **self)
{
    int status, rc = factory(arg, made_protocol, self);

    child = fork();
    if (child == 0)
        return rc;
    CHECK_INT(waitpid(child, &status, 0), ==, child);
    CHECK_INT(status, ==, 0);
    return rc;
}

TEST(a_server_makes_no_connection_in_a_child_of_its_factory)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    int reports = 0, rc = 0, there;
    rp_future *future;
    rp_server *server;

    rp_set_exception_handler(loop, count_report, &reports);
    CHECK_INT(rp_create_server(loop, fork_in_factory, &s, "127.0.0.1", 0, NULL, &future), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, 0);
    server = rp_future_value(future);
    rp_future_unref(future);
    there = wire_connect(rp_server_port(server));
    while (s.made == 0 && rc == 0) {
        CHECK_INT(rp_call_later(loop, NULL, RP_MSEC(1), wire_stop, loop), ==, 0);
        rc = rp_run_forever(loop);
    }
    if (child == 0)
        _exit(rc == RP_EFORK && s.made == 0 && reports == 0 ? 0 : 1);
    CHECK_INT(s.made, ==, 1);
    close(there);
    RUN_UNTIL(loop, s.lost == 1);
    CHECK_INT(reports, ==, 0);
    rp_server_free(server);
    rp_loop_free(loop);
}

TEST(a_client_makes_no_connection_in_a_child_of_its_factory)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    int reports = 0, port, listener = wire_listen(&port), rc;
    rp_future *future;

    rp_set_exception_handler(loop, count_report, &reports);
    CHECK_INT(rp_create_connection(loop, fork_in_factory, &s, "127.0.0.1", port, NULL, &future), ==, 0);
    rc = rp_run_until_complete(loop, future);
    if (child == 0)
        _exit(rc == RP_EFORK && s.made == 0 && reports == 0 ? 0 : 1);
    CHECK_INT(rc, ==, 0);
    CHECK_INT(s.made, ==, 1);
    CHECK_INT(reports, ==, 0);
    rp_transport_abort(rp_future_value(future));
    RUN_UNTIL(loop, s.lost == 1);
    rp_future_unref(future);
    close(listener);
    rp_loop_free(loop);
}
#else
TEST_ABSENT(a_server_makes_no_connection_in_a_child_of_its_factory, "Windows has no fork()");
TEST_ABSENT(a_client_makes_no_connection_in_a_child_of_its_factory, "Windows has no fork()");
#endif
