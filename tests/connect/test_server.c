/*
 * test_server.c - serving: many connections, addresses and names, ports in use and shared, a start that comes later.
 */
#include <stdio.h>
#include <stdlib.h>

#include "harness/service.h"

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
    rp_server *server = service_start(loop, &s, "127.0.0.1", 0, NULL);
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
    wire_settle(loop);
    rp_loop_free(loop);
}

TEST(killed_peers_leave_nothing_behind)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    /* Room for all, however slowly they are accepted: connect() would wait for this thread. */
    rp_server *server = service_start(loop, &s, "127.0.0.1", 0, &(rp_server_options){.backlog = 200});

    for (int i = 0; i < 200; i++) {
        int fd = wire_connect(rp_server_port(server));

        CHECK_INT(send(fd, "0123456789", 10, 0), ==, 10);
        if (i % 3 == 0)
            wire_settle(loop);
        close_with_reset(fd);
    }
    RUN_UNTIL(loop, s.made > 0 && s.lost == s.made);
    wire_settle(loop);
    CHECK_INT(s.lost, ==, s.made);
    rp_server_free(server);
    rp_loop_free(loop);
}

TEST(accepted_sockets_have_no_delay_and_do_not_leak_into_children)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = service_start(loop, &s, "127.0.0.1", 0, NULL);
    rp_server *slow = service_start(loop, &s, "127.0.0.1", 0, &(rp_server_options){.nagle = true});

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
    wire_settle(loop);
    rp_loop_free(loop);
}

/* ---- addresses ---- */

TEST(every_interface_has_the_same_port)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = service_start(loop, &s, NULL, 0, NULL);
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
    wire_settle(loop);
    rp_loop_free(loop);
}

TEST(names_and_families)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = service_start(loop, &s, "localhost", 0, &(rp_server_options){.family = AF_INET});
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
    rp_server *server = service_start(loop, &s, "127.0.0.1", 0, NULL), *second = NULL;
    int port = rp_server_port(server);
    rp_future *future;

    CHECK_INT(service_try(loop, &s, "127.0.0.1", port, NULL, &second), ==, -EADDRINUSE);
    CHECK_INT(service_try(loop, &s, "127.0.0.1", 65536, NULL, &second), ==, -EINVAL);
    CHECK_INT(service_try(loop, &s, "192.0.2.1", 0, NULL, &second), ==, -EADDRNOTAVAIL);
    CHECK_INT(
        service_try(loop, &s, "no.such.host.invalid", 0, &(rp_server_options){.flags = AI_NUMERICHOST}, &second),
        ==, RP_EAI_NONAME);
    CHECK(second == NULL);
    rp_server_free(server);
    wire_settle(loop);
    /* The port is free again. */
    rp_server_free(service_start(loop, &s, "127.0.0.1", port, NULL));
    rp_server_free(NULL);
    CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0);
    rp_loop_close(loop);
    CHECK_INT(rp_create_server(loop, service_factory, &s, "127.0.0.1", 0, NULL, &future), ==, RP_ECLOSED);
    rp_loop_free(loop);
}

#ifndef _WIN32
TEST(servers_can_share_a_port)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server_options options = {.reuse_port = true};
    rp_server *first = service_start(loop, &s, "127.0.0.1", 0, &options);
    rp_server *second = service_start(loop, &s, "127.0.0.1", rp_server_port(first), &options);

    CHECK_INT(rp_server_port(first), ==, rp_server_port(second));
    rp_server_free(first);
    rp_server_free(second);
    wire_settle(loop);
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

    CHECK_INT(service_try(loop, &s, "127.0.0.1", 0, &options, &server), ==, -ENOTSUP);
    rp_loop_free(loop);
}
#endif

TEST(serving_can_begin_later)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server =
        service_start(loop, &s, "127.0.0.1", 0, &(rp_server_options){.delay_start = true, .backlog = 5});
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
    server = service_start(loop, &s, "127.0.0.1", 0, &(rp_server_options){.delay_start = true});
    rp_server_free(server);
    wire_settle(loop);
    rp_loop_free(loop);
}
