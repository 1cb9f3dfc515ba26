/*
 * test_secure.c - TLS in connecting and serving: the protocol comes after the handshake, and what becomes of one that
 * fails, is given up, or never ends. The engine is a toy, so that tests can be the peer by hand.
 */
#include "connect/secure.h"
#include "harness/record.h"
#include "harness/reports.h"
#include "harness/service.h"
#include "harness/toy_engine.h"

/* A client's protocol, which a test can have refused. */
typedef struct client {
    record r;
    int factories, refuses;
} client;

static int make_client(void *arg, const rp_protocol **protocol, void **self)
{
    client *c = arg;

    c->factories++;
    *protocol = &record_plain;
    *self = &c->r;
    return c->refuses;
}

static rp_future *begin(rp_loop *loop, client *c, const char *host, int port, rp_connect_options options)
{
    rp_future *future;

    options.tls = toy_context();
    CHECK_INT(rp_create_connection(loop, make_client, c, host, port, &options, &future), ==, 0);
    return future;
}

/* Waits for the attempt's end: its result. */
static int end(rp_loop *loop, rp_future *future)
{
    RUN_UNTIL(loop, rp_future_done(future));
    int rc = rp_future_result(future);
    rp_future_unref(future);
    return rc;
}

static rp_server *serve(rp_loop *loop, service *s)
{
    return service_start(loop, s, "127.0.0.1", 0, &(rp_server_options){.tls = toy_context()});
}

static void quit(rp_loop *loop, client *c)
{
    if (c->r.transport && !c->r.lost) {
        rp_transport_close(c->r.transport);
        RUN_UNTIL(loop, c->r.lost);
    }
    CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0);
    rp_loop_free(loop);
    free(c->r.data);
    CHECK_INT(toy_engines()->made, ==, toy_engines()->freed);
}

/* A listener's next connection, whose first bytes have come: the client has begun its handshake. */
static int accept_hello(rp_loop *loop, int listener)
{
    int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    char bytes[100];

    CHECK_INT(wire_await(loop, peer, bytes, sizeof bytes), >, 0);
    CHECK_INT(bytes[0], ==, TOY_HELLO);
    return peer;
}

/* A client by hand, that never says hello. */
static int connect_silently(rp_loop *loop, rp_server *server, size_t connections)
{
    int fd = wire_connect(rp_server_port(server));

    RUN_UNTIL(loop, rp_server_connections(server) == connections);
    return fd;
}

/* In debug mode a busy machine has slow callbacks reported, too. */
static void keep_failure(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    if (context->error)
        keep_report(loop, context, arg);
}

/* ---- connecting ---- */

TEST(both_ends_have_their_protocols_after_the_handshake)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    client c = {0};
    rp_server *server = serve(loop, &s);
    char sent[1000];

    CHECK_INT(end(loop, begin(loop, &c, "localhost", rp_server_port(server), (rp_connect_options){0})), ==, 0);
    CHECK_INT(c.r.made, ==, 1);
    CHECK(rp_tls_filter_engine(c.r.transport));
    wire_fill(sent, sizeof sent, 0);
    CHECK_INT(rp_transport_write(c.r.transport, sent, sizeof sent), ==, 0);
    RUN_UNTIL(loop, c.r.length == sizeof sent);
    CHECK(wire_same(c.r.data, c.r.length, 0));
    CHECK_INT(s.made, ==, 1);
    CHECK_INT(rp_server_connections(server), ==, 1);
    rp_transport_close(c.r.transport);
    RUN_UNTIL(loop, s.lost && rp_server_connections(server) == 0);
    CHECK_INT(c.r.error, ==, 0);
    rp_server_free(server);
    quit(loop, &c);
}

TEST(the_protocol_is_not_made_before_the_handshake_is_done)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    int port, listener = wire_listen(&port), peer, on = 0;
    uint32_t length = sizeof on;
    rp_future *future = begin(loop, &c, "127.0.0.1", port, (rp_connect_options){0});

    RUN_UNTIL(loop, toy_engines()->made);
    peer = accept_hello(loop, listener);
    wire_settle(loop);
    CHECK_INT(c.factories, ==, 0);
    CHECK(!rp_future_done(future));
    toy_send(peer, TOY_HELLO, "hello");
    CHECK_INT(end(loop, future), ==, 0);
    CHECK_INT(c.factories, ==, 1);
    CHECK_INT(rp_transport_getsockopt(c.r.transport, IPPROTO_TCP, TCP_NODELAY, &on, &length), ==, 0);
    CHECK_INT(on, !=, 0);
    char bytes[100];
    CHECK_INT(wire_await(loop, peer, bytes, sizeof bytes), >, 0);
    close(peer);
    close(listener);
    RUN_UNTIL(loop, c.r.lost);
    CHECK_INT(c.r.error, ==, RP_ETLS_TRUNCATED);
    quit(loop, &c);
}

/* The name is the host's, another one, or none. */
TEST(the_server_is_called_by_its_host_unless_the_options_say_otherwise)
{
    static const char *const names[][2] = {{NULL, "localhost"}, {"other.test", "other.test"}, {"", ""}};
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = serve(loop, &s);
    client all[3] = {0};

    for (int i = 0; i < 3; i++) {
        rp_connect_options options = {.server_name = names[i][0]};
        rp_future *future = begin(loop, &all[i], "localhost", rp_server_port(server), options);

        RUN_UNTIL(loop, rp_future_done(future) && s.made == i + 1);
        CHECK_INT(end(loop, future), ==, 0);
        CHECK_STR(toy_engines()->client_name, names[i][1]);
    }
    rp_server_close(server);
    rp_server_abort_clients(server);
    for (int i = 0; i < 3; i++)
        RUN_UNTIL(loop, all[i].r.lost);
    rp_server_free(server);
    quit(loop, &(client){0});
}

TEST(options_that_make_no_sense_are_refused)
{
    rp_loop *loop = wire_loop();
    rp_tls_context *tls = toy_context();
    const rp_connect_options wrong[] = {
        {.server_name = "x"},
        {.tls_handshake_timeout = 1},
        {.tls_shutdown_timeout = 1},
        {.tls = tls, .tls_handshake_timeout = -1},
        {.tls = tls, .tls_shutdown_timeout = -1},
    };
    rp_tls_failure failure = {.alert = 1, .text = "of another one"};
    const rp_connect_options nameless = {.tls = tls, .tls_failure = &failure};
    const rp_server_options wrong_server = {.tls_handshake_timeout = 1},
                            negative = {.tls = tls, .tls_shutdown_timeout = -1};
    struct sockaddr_in address = {.sin_family = AF_INET};
    rp_server *server;
    rp_future *future;
    int port, listener = wire_listen(&port);

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CHECK_INT(rp_create_connection(loop, make_client, NULL, "localhost", port, &wrong[i], &future), ==,
                  -EINVAL);
    CHECK_INT(rp_create_connection(loop, make_client, NULL, NULL, port, &nameless, &future), ==, -EINVAL);
    CHECK(failure.alert == -1 && failure.text[0] == '\0');
    CHECK_INT(rp_create_unix_connection_with(loop, make_client, NULL, "/x", 0, &nameless, &future), ==, -EINVAL);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(rp_create_connection_fd(loop, make_client, NULL, fd, (struct sockaddr *)&address, sizeof address,
                                      &nameless, &future),
              ==, -EINVAL);
    close(fd);
    CHECK_INT(rp_create_server(loop, make_client, NULL, NULL, 0, &wrong_server, &future), ==, -EINVAL);
    CHECK_INT(rp_create_server(loop, make_client, NULL, NULL, 0, &negative, &future), ==, -EINVAL);
    CHECK_INT(rp_create_server_fd(loop, make_client, NULL, listener, &negative, &server), ==, -EINVAL);
    close(listener);
    quit(loop, &(client){0});
}

/* ---- handshakes that fail ---- */

TEST(a_handshake_that_fails_ends_the_attempt_and_tells_why)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    client c = {0};
    rp_server *server = serve(loop, &s);
    rp_connect_error list[2];
    rp_connect_errors errors = {.list = list, .capacity = 2};
    rp_tls_failure failure;
    rp_connect_options options = {.errors = &errors, .tls_failure = &failure};
    struct sockaddr_in address;

    toy_engines()->refuses = RP_ETLS_UNTRUSTED;
    CHECK_INT(end(loop, begin(loop, &c, "127.0.0.1", rp_server_port(server), options)), ==, RP_ETLS_ALERT);
    CHECK_INT(c.factories, ==, 0);
    CHECK_INT(failure.alert, ==, TOY_ALERT_REFUSED);
    CHECK_STR(failure.text, "it is a toy");
    CHECK_INT(errors.count, ==, 1);
    CHECK_INT(list[0].error, ==, RP_ETLS_ALERT);
    memcpy(&address, list[0].address, sizeof address);
    CHECK_INT(ntohs(address.sin_port), ==, rp_server_port(server));
    RUN_UNTIL(loop, rp_server_connections(server) == 0);
    CHECK_INT(s.made, ==, 0);
    rp_server_free(server);
    toy_engines()->refuses = 0;
    quit(loop, &c);
}

TEST(a_server_reports_failed_handshakes_in_debug_mode_alone)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    last_report report = {0};
    rp_server *server = serve(loop, &s);

    rp_set_exception_handler(loop, keep_failure, &report);
    for (int debug = 0; debug < 2; debug++) {
        rp_set_debug(loop, debug);
        int peer = connect_silently(loop, server, 1);
        CHECK_INT(send(peer, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), ==, 18);
        RUN_UNTIL(loop, rp_server_connections(server) == 0);
        CHECK_INT(report.count, ==, debug);
        close(peer);
    }
    CHECK_INT(report.error, ==, RP_ETLS_PROTOCOL);
    CHECK(strstr(report.message, "handshake"));
    /* Want of memory is nobody's everyday, in any mode. */
    rp_set_debug(loop, false);
    toy_engines()->make_error = -ENOMEM;
    int peer = wire_connect(rp_server_port(server));
    RUN_UNTIL(loop, report.count == 2);
    CHECK_INT(report.error, ==, -ENOMEM);
    CHECK_INT(rp_server_connections(server), ==, 0);
    toy_engines()->make_error = 0;
    close(peer);
    rp_server_free(server);
    quit(loop, &(client){0});
}

TEST(a_context_that_makes_no_engine_ends_the_attempt)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    int port, listener = wire_listen(&port);

    toy_engines()->make_error = -ENOMEM;
    CHECK_INT(end(loop, begin(loop, &c, "127.0.0.1", port, (rp_connect_options){0})), ==, -ENOMEM);
    CHECK_INT(c.factories, ==, 0);
    toy_engines()->make_error = 0;
    close(listener);
    quit(loop, &c);
}

TEST(a_factory_may_refuse_after_the_handshake)
{
    rp_loop *loop = wire_loop();
    service s = {.refuse = -EPERM};
    last_report report = {0};
    client c = {.refuses = -EACCES}, other = {0};
    rp_server *server = serve(loop, &s);

    rp_set_exception_handler(loop, keep_report, &report);
    CHECK_INT(end(loop, begin(loop, &c, "127.0.0.1", rp_server_port(server), (rp_connect_options){0})), ==,
              -EACCES);
    CHECK_INT(c.r.made, ==, 0);
    CHECK_INT(end(loop, begin(loop, &other, "127.0.0.1", rp_server_port(server), (rp_connect_options){0})), ==, 0);
    RUN_UNTIL(loop, other.r.lost && rp_server_connections(server) == 0);
    CHECK_INT(report.error, ==, -EPERM);
    rp_server_free(server);
    quit(loop, &other);
}

/* ---- handshakes that do not end ---- */

TEST(cancelling_the_future_ends_the_handshake)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    int port, listener = wire_listen(&port), peer;
    rp_future *future = begin(loop, &c, "127.0.0.1", port, (rp_connect_options){0});
    char byte;

    RUN_UNTIL(loop, toy_engines()->made);
    peer = accept_hello(loop, listener);
    CHECK(rp_future_cancel(future));
    RUN_UNTIL(loop, rp_future_done(future));
    CHECK(rp_future_cancelled(future));
    CHECK_INT(wire_await(loop, peer, &byte, 1), <=, 0);
    CHECK_INT(c.factories, ==, 0);
    rp_future_unref(future);
    close(peer);
    close(listener);
    quit(loop, &c);
}

TEST(a_silent_peer_has_so_much_time)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    service s = {0};
    rp_server_options options = {.tls = toy_context(), .tls_handshake_timeout = RP_MSEC(1)};
    rp_server *server = service_start(loop, &s, "127.0.0.1", 0, &options);
    int port, listener = wire_listen(&port), peer = wire_connect(rp_server_port(server));
    char byte;

    CHECK_INT(
        end(loop, begin(loop, &c, "127.0.0.1", port, (rp_connect_options){.tls_handshake_timeout = RP_MSEC(1)})),
        ==, -ETIMEDOUT);
    CHECK_INT(wire_await(loop, peer, &byte, 1), <=, 0);
    RUN_UNTIL(loop, rp_server_connections(server) == 0);
    CHECK_INT(s.made + c.factories, ==, 0);
    rp_server_free(server);
    close(peer);
    close(listener);
    quit(loop, &c);
}

TEST(connections_in_the_handshake_are_the_servers)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    last_report report = {0};
    char byte;

    rp_set_debug(loop, true);
    rp_set_exception_handler(loop, keep_failure, &report);
    for (int how = 0; how < 2; how++) {
        rp_server *server = serve(loop, &s);
        rp_future *closed;
        int one = connect_silently(loop, server, 1), two = connect_silently(loop, server, 2);

        rp_server_close(server);
        CHECK_INT(rp_server_closed_future(server, &closed), ==, 0);
        wire_settle(loop);
        CHECK(!rp_future_done(closed));
        (how ? rp_server_abort_clients : rp_server_close_clients)(server);
        RUN_UNTIL(loop, rp_future_done(closed));
        CHECK_INT(wire_await(loop, one, &byte, 1), <=, 0);
        CHECK_INT(wire_await(loop, two, &byte, 1), <=, 0);
        rp_future_unref(closed);
        rp_server_free(server);
        close(one);
        close(two);
    }
    CHECK_INT(s.made + report.count, ==, 0);
    quit(loop, &(client){0});
}

/* Of either kind, and the server's listening goes on: nothing is left, and nobody is told. */
TEST(a_loop_that_is_closed_frees_handshakes)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    client c = {0};
    rp_server *server = serve(loop, &s);
    int port, listener = wire_listen(&port), silent = connect_silently(loop, server, 1), peer;
    rp_future *future = begin(loop, &c, "127.0.0.1", port, (rp_connect_options){0});

    RUN_UNTIL(loop, toy_engines()->made == 2);
    peer = accept_hello(loop, listener);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK(!rp_future_done(future));
    CHECK(rp_future_cancel(future));
    rp_future_unref(future);
    rp_loop_free(loop);
    CHECK_INT(toy_engines()->freed, ==, 2);
    close(peer);
    close(silent);
    close(listener);
    CHECK_INT(s.made + c.factories, ==, 0);
}
