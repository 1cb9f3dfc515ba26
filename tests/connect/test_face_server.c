/*
 * test_face_server.c - what a face in another language needs of servers and connecting: it binds and resolves names
 * itself, and its objects refer to servers and attempts for as long as they like.
 *
 * The face is played by a protocol that counts, and by references that are kept over the end of everything.
 */
#include <stdio.h>

#include "harness/wire.h"

/* A face's protocol: all connections share it. */
typedef struct face {
    int factories, made, lost;
    int refuse; /* what the factory fails with */
    rp_transport *transport;
    char received[16];
} face;

static void made(void *self, rp_transport *transport)
{
    face *f = self;

    f->made++;
    f->transport = transport;
}

static void echo(void *self, const void *data, size_t length)
{
    face *f = self;

    CHECK_INT(rp_transport_write(f->transport, data, length), ==, 0);
}

static void lost(void *self, int error)
{
    face *f = self;

    (void)error;
    f->lost++;
    f->transport = NULL;
}

static const rp_protocol protocol = {.connection_made = made, .data_received = echo, .connection_lost = lost};

static int factory(void *arg, const rp_protocol **made_protocol, void **self)
{
    face *f = arg;

    f->factories++;
    *made_protocol = &protocol;
    *self = f;
    return f->refuse;
}

/* Sockets that are bound and do not listen yet. */
static void bind_both(int fds[2], int ports[2])
{
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in address;

        fds[i] = bound_tcp(&address);
        ports[i] = ntohs(address.sin_port);
    }
}

static void converse(rp_loop *loop, face *f, int port)
{
    int fd = wire_connect(port);
    char byte = 'x';

    CHECK_INT(send(fd, &byte, 1, 0), ==, 1);
    CHECK_INT(wire_await(loop, fd, &byte, 1), ==, 1);
    close(fd);
    RUN_UNTIL(loop, f->lost == f->made);
}

static void wait_closed(rp_loop *loop, rp_server *server)
{
    rp_future *closed;

    CHECK_INT(rp_server_closed_future(server, &closed), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, closed), ==, 0);
    rp_future_unref(closed);
}

/* ---- servers on sockets that the face has made ---- */

TEST(a_server_listens_on_all_sockets_that_the_face_has_bound)
{
    rp_loop *loop = wire_loop();
    rp_server_options options = {.backlog = 10, .delay_start = true};
    rp_server *server;
    face f = {0};
    int fds[2], ports[2];

    bind_both(fds, ports);
    CHECK_INT(rp_create_server_fds(loop, factory, &f, (rp_fd[]){fds[0], fds[1]}, 2, &options, &server), ==, 0);
    CHECK_INT(rp_server_sockets(server), ==, 2);
    CHECK_INT(rp_server_fd(server, 1), ==, fds[1]);
    CHECK(!rp_server_is_serving(server));
    CHECK(wire_is_refused(ports[0]));
    CHECK_INT(rp_server_start_serving(server), ==, 0);
    CHECK(rp_server_is_serving(server));
    converse(loop, &f, ports[0]);
    converse(loop, &f, ports[1]);
    CHECK_INT(f.made, ==, 2);
    rp_server_close(server);
    wait_closed(loop, server);
    CHECK(wire_is_refused(ports[1]));
    CHECK_INT(rp_server_start_serving(server), ==, -EINVAL);
    rp_server_free(server);
    rp_loop_free(loop);
}

TEST(a_socket_that_is_bound_needs_a_backlog)
{
    rp_loop *loop = wire_loop();
    rp_server *server;
    face f = {0};
    int fds[2], ports[2];

    bind_both(fds, ports);
    CHECK_INT(rp_create_server_fd(loop, factory, &f, fds[0], NULL, &server), ==, -EINVAL);
    CHECK_INT(rp_create_server_fd(loop, factory, &f, fds[0], &(rp_server_options){.backlog = 1}, &server), ==, 0);
    converse(loop, &f, ports[0]);
    rp_server_free(server);
    close(fds[1]);
    rp_loop_free(loop);
}

TEST(sockets_that_cannot_all_be_served_stay_the_callers)
{
    rp_loop *loop = wire_loop();
    rp_server_options options = {.backlog = 10};
    rp_server *server;
    face f = {0};
    int fds[2], ports[2], here, there;
    int datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    bind_both(fds, ports);
    wire_pair(&here, &there);
    const rp_fd wrong[][2] = {{fds[0], datagram}, {here, fds[0]}, {fds[0], -1}, {fds[0], fds[0]}};
    const int errors[] = {-EINVAL, -EINVAL, -EBADF, -EINVAL};

    for (int i = 0; i < 4; i++)
        CHECK_INT(rp_create_server_fds(loop, factory, &f, wrong[i], 2, &options, &server), ==, errors[i]);
    CHECK_INT(rp_create_server_fds(loop, factory, &f, wrong[0], 0, &options, &server), ==, -EINVAL);
    test_fail_allocation(1);
    CHECK_INT(rp_create_server_fds(loop, factory, &f, (rp_fd[]){fds[0], fds[1]}, 2, &options, &server), ==,
              -ENOMEM);
    CHECK_INT(rp_create_server_fds(loop, factory, &f, (rp_fd[]){fds[0], fds[1]}, 2, &options, &server), ==, 0);
    converse(loop, &f, ports[1]);
    rp_server_free(server);
    close(here);
    close(there);
    close(datagram);
    rp_loop_free(loop);
}

/* One that is not even bound: listen() says so, on Linux of a Unix socket only, which has no port to choose. */
TEST(sockets_that_listen_fails_on_stay_the_callers)
{
    rp_loop *loop = wire_loop();
    rp_server_options options = {.backlog = 10, .delay_start = true};
    rp_server *server;
    face f = {0};
    int fds[2], ports[2];
#ifdef _WIN32
    int unbound = socket(AF_INET, SOCK_STREAM, 0);
#else
    int unbound = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
#endif

    bind_both(fds, ports);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(rp_create_server_fds(loop, factory, &f, (rp_fd[]){fds[i], unbound}, 2,
                                       &(rp_server_options){.backlog = 10}, &server),
                  ==, -EINVAL);
        close(fds[i]);
    }
    /* Its server can be made, and tells later. */
    CHECK_INT(rp_create_server_fds(loop, factory, &f, (rp_fd[]){unbound}, 1, &options, &server), ==, 0);
    CHECK_INT(rp_server_start_serving(server), ==, -EINVAL);
    CHECK(!rp_server_is_serving(server));
    rp_server_free(server);
    rp_loop_free(loop);
}

/* ---- servers that are referred to ---- */

static void check_at_its_end(rp_server *server, int error)
{
    struct sockaddr_storage name;
    uint32_t length = sizeof name;
    rp_future *closed;

    CHECK(!rp_server_is_serving(server));
    CHECK_INT(rp_server_sockets(server), ==, 0);
    CHECK_INT(rp_server_fd(server, 0), ==, -1);
    CHECK_INT(rp_server_port(server), ==, 0);
    CHECK_INT(rp_server_connections(server), ==, 0);
    CHECK_INT(rp_server_sockname(server, 0, (struct sockaddr *)&name, &length), ==, -EBADF);
    CHECK_INT(rp_server_start_serving(server), ==, error);
    if (error == RP_ECLOSED)
        CHECK_INT(rp_server_closed_future(server, &closed), ==, RP_ECLOSED);
    rp_server_close_clients(server);
    rp_server_abort_clients(server);
    rp_server_close(server);
}

static rp_server *serve(rp_loop *loop, face *f, const rp_server_options *options, int *port)
{
    rp_server *server;

    CHECK_INT(rp_create_server_fd(loop, factory, f, wire_listen(port), options, &server), ==, 0);
    return server;
}

TEST(a_server_is_there_for_whoever_refers_to_it_when_its_loop_is_not)
{
    rp_loop *loop = wire_loop();
    face f = {0};
    int port;
    rp_server *server = serve(loop, &f, NULL, &port), *kept = rp_server_ref(server);
    int fd = wire_connect(port);

    RUN_UNTIL(loop, f.made == 1);
    rp_loop_close(loop);
    CHECK_INT(f.lost, ==, 0);
    CHECK(rp_server_get_loop(kept) == loop);
    check_at_its_end(kept, RP_ECLOSED);
    rp_server_free(server);
    rp_loop_free(loop);
    check_at_its_end(kept, RP_ECLOSED);
    rp_server_unref(kept);
    rp_server_unref(NULL);
    close(fd);
}

TEST(a_server_is_there_for_whoever_refers_to_it_when_its_owner_has_freed_it)
{
    rp_loop *loop = wire_loop();
    face f = {0};
    int port;
    rp_server *server = serve(loop, &f, NULL, &port), *kept = rp_server_ref(server);
    int fd = wire_connect(port);

    RUN_UNTIL(loop, f.made == 1);
    rp_server_free(server);
    CHECK_INT(rp_server_connections(kept), ==, 1); /* which goes on */
    close(fd);
    RUN_UNTIL(loop, f.lost == 1);
    check_at_its_end(kept, -EINVAL);
    wait_closed(loop, kept);
    rp_server_free(kept);
    rp_loop_free(loop);
    check_at_its_end(kept, RP_ECLOSED);
    rp_server_unref(kept);
}

static rp_server *left;

static void close_what_is_left(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    ++*(int *)arg;
    rp_server_free(left);
    left = NULL;
}

TEST(a_handler_that_is_told_of_what_is_left_may_close_the_server)
{
    for (int serving = 0; serving < 2; serving++) {
        rp_loop *loop = wire_loop();
        rp_server_options options = {.delay_start = serving == 0};
        rp_transport *transport;
        face f = {0};
        int port, here, there, reports = 0;

        rp_set_debug(loop, true);
        rp_set_exception_handler(loop, close_what_is_left, &reports);
        left = serve(loop, &f, &options, &port);
        wire_pair(&here, &there);
        CHECK_INT(rp_connect_accepted_socket(loop, here, &protocol, &f, &transport), ==, 0);
        wire_run(loop, RP_MSEC(1));
        rp_loop_free(loop);
        CHECK_INT(reports, ==, 1);
        close(there);
    }
}

/* ---- connecting a socket that the face has made ---- */

static int open_bound(unsigned host)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK_INT(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    return fd;
}

static int begin(rp_loop *loop, face *f, int fd, int port, rp_future **future)
{
    struct sockaddr_in address = loopback(port);

    return rp_create_connection_fd(loop, factory, f, fd, (struct sockaddr *)&address, sizeof address, NULL,
                                   future);
}

static int finish(rp_loop *loop, rp_future *future)
{
    int rc = rp_run_until_complete(loop, future);

    rp_future_unref(future);
    return rc;
}

TEST(a_given_socket_is_connected_and_attached)
{
    rp_loop *loop = wire_loop();
    int port, listener = wire_listen(&port), fd = open_bound(0x7f000009), there, on = 0;
    struct sockaddr_in name;
    uint32_t length = sizeof name, on_length = sizeof on;
    rp_future *future;
    face f = {0};
    char byte = 'x';

    CHECK_INT(begin(loop, &f, fd, port, &future), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, 0);
    CHECK(rp_future_value(future) == f.transport);
    rp_future_unref(future);
    CHECK_INT(rp_transport_fd(f.transport), ==, fd);
    CHECK_INT(rp_transport_sockname(f.transport, (struct sockaddr *)&name, &length), ==, 0);
    CHECK_INT(ntohl(name.sin_addr.s_addr), ==, 0x7f000009);
    CHECK_INT(rp_transport_getsockopt(f.transport, IPPROTO_TCP, TCP_NODELAY, &on, &on_length), ==, 0);
    CHECK_INT(on, !=, 0);
    there = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK_INT(send(there, &byte, 1, 0), ==, 1);
    CHECK_INT(wire_await(loop, there, &byte, 1), ==, 1);
    rp_transport_close(f.transport);
    RUN_UNTIL(loop, f.lost == 1);
    close(there);
    close(listener);
    rp_loop_free(loop);
}

/* The harness finds descriptors that are left open. */
TEST(an_attempt_that_fails_closes_its_socket)
{
    rp_loop *loop = wire_loop();
    int port, listener = wire_listen(&port);
    rp_future *future;
    face f = {.refuse = -EPERM};

    CHECK_INT(begin(loop, &f, open_bound(INADDR_LOOPBACK), port, &future), ==, 0);
    CHECK_INT(finish(loop, future), ==, -EPERM);
    close(listener);
    CHECK_INT(begin(loop, &f, open_bound(INADDR_LOOPBACK), port, &future), ==, 0);
    CHECK_INT(finish(loop, future), ==, -ECONNREFUSED);
    CHECK_INT(f.factories, ==, 1);
    CHECK_INT(f.made, ==, 0);
    rp_loop_free(loop);
}

TEST(a_socket_that_cannot_be_connected_stays_the_callers)
{
    rp_loop *loop = wire_loop();
    int port, listener = wire_listen(&port), datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int fd = open_bound(INADDR_LOOPBACK);
    struct sockaddr_storage address = {.ss_family = AF_INET};
    struct sockaddr *given = (struct sockaddr *)&address;
    rp_future *future;
    face f = {0};

    CHECK_INT(begin(loop, &f, listener, port, &future), ==, -EINVAL);
    CHECK_INT(begin(loop, &f, datagram, port, &future), ==, -EINVAL);
    CHECK_INT(begin(loop, &f, -1, port, &future), ==, -EBADF);
    CHECK_INT(rp_create_connection_fd(loop, factory, &f, fd, given, sizeof address + 1, NULL, &future), ==,
              -EINVAL);
    CHECK_INT(rp_create_connection_fd(loop, factory, &f, fd, given, 0, NULL, &future), ==, -EINVAL);
    test_fail_allocation(1);
    CHECK_INT(begin(loop, &f, fd, port, &future), ==, -ENOMEM);
    rp_loop_close(loop);
    CHECK_INT(begin(loop, &f, fd, port, &future), ==, RP_ECLOSED);
    close(fd);
    close(datagram);
    close(listener);
    rp_loop_free(loop);
}

/* A listener whose queue is full answers nobody: the attempt stays under way. */
static int full_listener(int *port, int *filler)
{
    int listener = wire_listen(port);

    CHECK_INT(listen(listener, 0), ==, 0);
    *filler = wire_connect(*port);
    return listener;
}

TEST(an_attempt_of_a_given_socket_can_be_cancelled)
{
    rp_loop *loop = wire_loop();
    int filler, port, listener = full_listener(&port, &filler);
    rp_future *future;
    face f = {0};

    for (int turns = 0; turns < 3; turns++) {
        CHECK_INT(begin(loop, &f, open_bound(INADDR_LOOPBACK), port, &future), ==, 0);
        for (int i = 0; i < turns; i++)
            wire_run(loop, RP_MSEC(1));
        CHECK(rp_future_cancel(future));
        CHECK_INT(finish(loop, future), ==, RP_EFUTCANCELED);
    }
    CHECK_INT(f.factories, ==, 0);
    close(filler);
    close(listener);
    rp_loop_free(loop);
}

/* ---- a race, as happy eyeballs run it: both connect, and the first one wins ---- */

typedef struct runner runner;
struct runner {
    runner *other;
    runner **winner;
    face face;
    rp_future *future;
};

static int finish_line(void *arg, const rp_protocol **made_protocol, void **self)
{
    runner *r = arg;

    if (*r->winner)
        return -ECANCELED;
    *r->winner = r;
    rp_future_cancel(r->other->future);
    return factory(&r->face, made_protocol, self);
}

TEST(the_loser_of_a_race_leaves_nothing_even_if_it_has_connected)
{
    rp_loop *loop = wire_loop();
    int ports[2], listeners[2], there;
    runner *winner = NULL,
           runners[2] = {{.other = &runners[1], .winner = &winner}, {.other = &runners[0], .winner = &winner}};
    char byte;

    for (int i = 0; i < 2; i++) {
        struct sockaddr_in address;

        listeners[i] = wire_listen(&ports[i]);
        address = loopback(ports[i]);
        CHECK_INT(rp_create_connection_fd(loop, finish_line, &runners[i], open_bound(INADDR_LOOPBACK),
                                          (struct sockaddr *)&address, sizeof address, NULL, &runners[i].future),
                  ==, 0);
    }
    RUN_UNTIL(loop, rp_future_done(runners[0].future) && rp_future_done(runners[1].future));
    CHECK_INT(rp_future_result(winner->future), ==, 0);
    CHECK_INT(rp_future_result(winner->other->future), ==, RP_EFUTCANCELED);
    CHECK_INT(winner->face.made, ==, 1);
    CHECK_INT(winner->other->face.factories, ==, 0);
    for (int i = 0; i < 2; i++)
        rp_future_unref(runners[i].future);
    there = accept4(listeners[winner == &runners[1]], NULL, NULL, SOCK_CLOEXEC);
    rp_transport_close(winner->face.transport);
    RUN_UNTIL(loop, winner->face.lost == 1);
    CHECK_INT(recv(there, &byte, 1, 0), ==, 0);
    close(there);
    close(listeners[0]);
    close(listeners[1]);
    rp_loop_free(loop);
}

/* ---- attempts that are referred to ---- */

TEST(an_attempt_is_there_for_whoever_refers_to_it_when_its_loop_is_not)
{
    rp_loop *loop = wire_loop();
    int filler, port, listener = full_listener(&port, &filler);
    rp_future *connecting, *resolving, *serving;
    face f = {0};

    CHECK_INT(begin(loop, &f, open_bound(INADDR_LOOPBACK), port, &connecting), ==, 0);
    CHECK_INT(rp_create_connection(loop, factory, &f, "localhost", port, NULL, &resolving), ==, 0);
    CHECK_INT(rp_create_server(loop, factory, &f, "localhost", 0, NULL, &serving), ==, 0);
    rp_loop_free(loop);
    rp_future *left_over[] = {connecting, resolving, serving};
    for (int i = 0; i < 3; i++) {
        CHECK(!rp_future_done(left_over[i]));
        CHECK_INT(rp_future_result(left_over[i]), <, 0);
        CHECK(rp_future_cancel(left_over[i]));
        CHECK(rp_future_cancelled(left_over[i]));
        CHECK(!rp_future_cancel(left_over[i]));
        rp_future_unref(left_over[i]);
    }
    CHECK_INT(f.factories, ==, 0);
    close(filler);
    close(listener);
}
