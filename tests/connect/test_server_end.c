/*
 * test_server_end.c - closing and freeing a server: its connections, its clients, requests for it.
 */
#include "harness/service.h"

TEST(connections_outlive_a_server_that_is_closed)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = service_start(loop, &s, "127.0.0.1", 0, NULL);
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
    wire_settle(loop);
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
    rp_server *server = service_start(loop, &s, "127.0.0.1", 0, NULL);
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
        rp_server *server = service_start(loop, &s, "127.0.0.1", 0, NULL);
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
        wire_settle(loop);
        rp_loop_free(loop);
    }
}

TEST(the_factory_may_close_and_free_its_server)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    int fd;
    char byte;

    s.close = service_start(loop, &s, "127.0.0.1", 0, NULL);
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
    service_made(self, transport);
    rp_server_close(closed_by_the_first);
}

static int factory_of_closers(void *arg, const rp_protocol **made_protocol, void **self)
{
    static const rp_protocol closing = {.connection_made = made_and_closes, .connection_lost = service_lost};
    int rc = service_factory(arg, made_protocol, self);

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
    wire_settle(loop);
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
        rp_server *server = service_start(loop, &s, "127.0.0.1", 0, NULL);
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
        wire_settle(loop);
        rp_loop_free(loop);
    }
}

TEST(a_loop_that_is_closed_frees_servers_and_requests)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = service_start(loop, &s, NULL, 0, NULL), *closed = service_start(loop, &s, NULL, 0, NULL);
    rp_future *future, *waiting;
    int fd = wire_connect(rp_server_port(server));

    CHECK_INT(rp_server_closed_future(server, &waiting), ==, 0);
    rp_server_close(closed);
    CHECK_INT(rp_create_server(loop, service_factory, &s, "127.0.0.1", 0, NULL, &future), ==, 0);
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

    CHECK_INT(rp_create_server(loop, service_factory, &s, "localhost", 0, NULL, &future), ==, 0);
    CHECK(rp_future_cancel(future));
    CHECK_INT(rp_run_until_complete(loop, future), ==, RP_EFUTCANCELED);
    rp_future_unref(future);
    CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0);
    rp_loop_free(loop);
}
