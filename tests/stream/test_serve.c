/*
 * test_serve.c - servers for coroutines: a task for each connection, its errors, serving until the end.
 */
#include <stdio.h>
#include <stdlib.h>

#include "harness/reports.h"
#include "harness/wire.h"

static int served;

static int echo(rp_co *co, rp_stream *stream, void *arg)
{
    char bytes[3000];
    ssize_t n;

    (void)arg;
    while ((n = rp_stream_read(co, stream, bytes, sizeof bytes)) > 0)
        RP_TRY(rp_stream_write(co, stream, bytes, (size_t)n));
    served++;
    return (int)n;
}

/* Closes a server, and waits until its connections and their tasks have ended. */
static void end_server(rp_co *co, rp_server *server)
{
    rp_server_close(server);
    CHECK_INT(rp_server_wait_closed(co, server), ==, 0);
    rp_server_free(server);
}

/* ---- load ---- */

typedef struct client {
    int port;
    uint64_t seed, total;
    rp_stream *stream;
} client;

static int write_all(rp_co *co, void *arg)
{
    client *c = arg;
    char bytes[20000];
    unsigned seed = (unsigned)c->seed;

    for (uint64_t sent = 0; sent < c->total;) {
        size_t n = 1 + (size_t)rand_r(&seed) % sizeof bytes;

        n = n < c->total - sent ? n : (size_t)(c->total - sent);
        wire_fill(bytes, n, (c->seed << 32) + sent);
        RP_TRY(rp_stream_write(co, c->stream, bytes, n));
        sent += n;
    }
    return rp_stream_write_eof(c->stream);
}

static int converse(rp_co *co, void *arg)
{
    client *c = arg;
    char bytes[20000];
    unsigned seed = (unsigned)c->seed + 1000;
    uint64_t got = 0;
    rp_group group;
    ssize_t n = 1;

    RP_TRY(rp_open_connection(co, &c->stream, "127.0.0.1", c->port, NULL));
    rp_group_begin(co, &group);
    CHECK_INT(rp_group_create_task(&group, NULL, write_all, c), ==, 0);
    while (n > 0) {
        n = rp_stream_read(co, c->stream, bytes, 1 + (size_t)rand_r(&seed) % sizeof bytes);
        CHECK_INT(n, >=, 0);
        CHECK(wire_same(bytes, (size_t)n, (c->seed << 32) + got));
        got += (uint64_t)n;
    }
    CHECK_INT(rp_group_end(co, &group, 0), ==, 0);
    CHECK_INT(got, ==, c->total);
    rp_stream_close(c->stream);
    CHECK_INT(rp_stream_wait_closed(co, c->stream), ==, 0);
    rp_stream_free(c->stream);
    return 0;
}

CO_TEST(many_clients_get_their_own_bytes_back)
{
    enum { CLIENTS = 100 };
    static client clients[CLIENTS];
    rp_server *server;
    rp_group group;

    CHECK_INT(rp_start_server(co, &server, echo, NULL, "127.0.0.1", 0, NULL), ==, 0);
    rp_group_begin(co, &group);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (client){rp_server_port(server), (uint64_t)i + 1, (uint64_t)rand() % 500000, NULL};
        CHECK_INT(rp_group_create_task(&group, NULL, converse, &clients[i]), ==, 0);
    }
    CHECK_INT(rp_group_end(co, &group, 0), ==, 0);
    end_server(co, server);
    CHECK_INT(served, ==, CLIENTS);
}

/* ---- handlers ---- */

static int fail(rp_co *co, rp_stream *stream, void *arg)
{
    RP_TRY(rp_stream_write(co, stream, "bye", 3));
    served++;
    return *(int *)arg;
}

CO_TEST(an_unusual_error_of_a_handler_is_reported_and_the_stream_is_closed)
{
    static const int errors[] = {-EPROTO, -ECONNRESET, -EPIPE, -ECONNABORTED, -ECANCELED, 5, 0};
    last_report r = {0};
    rp_server *server;
    int error;
    char text[8];

    rp_set_exception_handler(rp_co_loop(co), keep_report, &r);
    CHECK_INT(rp_start_server(co, &server, NULL, NULL, "127.0.0.1", 0, NULL), ==, -EINVAL);
    CHECK_INT(rp_start_server(co, &server, fail, &error, "127.0.0.1", 0, NULL), ==, 0);
    for (int i = 0; i < 7; i++) {
        int fd = wire_connect(rp_server_port(server));

        error = errors[i];
        while (served <= i)
            CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
        CHECK_INT(wire_await_in(co, fd, text, sizeof text), ==, 3); /* flushed, and closed */
        CHECK_INT(wire_await_in(co, fd, text, sizeof text), ==, 0);
        close(fd);
        CHECK_INT(r.count, ==, 1);
    }
    CHECK_INT(r.error, ==, -EPROTO);
    CHECK_STR(r.name, "client-1");
    end_server(co, server);
}

static int no_task(rp_loop *loop, rp_task **task, rp_coro *coro, const void *arg, size_t copy_size, void *data)
{
    (void)loop;
    (void)task;
    (void)coro;
    (void)arg;
    (void)copy_size;
    (void)data;
    return -ENOMEM;
}

CO_TEST(without_a_task_the_connection_is_aborted_and_reported)
{
    last_report r = {0};
    rp_server *server;
    int fd;
    char byte;

    rp_set_exception_handler(rp_co_loop(co), keep_report, &r);
    CHECK_INT(rp_start_server(co, &server, echo, NULL, "127.0.0.1", 0, NULL), ==, 0);
    rp_set_task_factory(rp_co_loop(co), no_task, NULL);
    fd = wire_connect(rp_server_port(server));
    while (r.count == 0)
        CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
    CHECK_INT(r.error, ==, -ENOMEM);
    CHECK_INT(wire_await_in(co, fd, &byte, 1), ==, wire_reset());
    close(fd);
    rp_set_task_factory(rp_co_loop(co), NULL, NULL);
    fd = wire_connect(rp_server_port(server));
    CHECK_INT(send(fd, "x", 1, 0), ==, 1);
    CHECK_INT(wire_await_in(co, fd, &byte, 1), ==, 1);
    close(fd);
    end_server(co, server);
}

static int leave_much(rp_co *co, rp_stream *stream, void *arg)
{
    static char bytes[10000000];

    (void)arg;
    wire_fill(bytes, sizeof bytes, 0);
    rp_transport_set_write_buffer_limits(rp_stream_transport(stream), sizeof bytes, SIZE_MAX);
    return rp_stream_write(co, stream, bytes, sizeof bytes);
}

CO_TEST(what_a_handler_wrote_is_flushed_after_it_returned)
{
    static char bytes[65536];
    rp_server *server;
    uint64_t got = 0;
    int fd;

    CHECK_INT(rp_start_server(co, &server, leave_much, NULL, "127.0.0.1", 0, NULL), ==, 0);
    fd = wire_connect(rp_server_port(server));
    for (;;) {
        ssize_t n = wire_await_in(co, fd, bytes, sizeof bytes);

        CHECK_INT(rp_sleep(co, 0), ==, 0);
        if (n == 0)
            break;
        CHECK(n > 0 && wire_same(bytes, (size_t)n, got));
        got += (uint64_t)n;
    }
    CHECK_INT(got, ==, 10000000);
    close(fd);
    end_server(co, server);
}

/* ---- serving ---- */

static int serve_forever(rp_co *co, void *arg)
{
    return rp_server_serve_forever(co, arg);
}

CO_TEST(serve_forever_ends_by_cancellation_and_leaves_connections_alone)
{
    rp_server *server;
    rp_task *task;
    int fd, port;
    char byte;

    CHECK_INT(rp_start_server(co, &server, echo, NULL, "127.0.0.1", 0, &(rp_server_options){.delay_start = true}),
              ==, 0);
    CHECK(!rp_server_is_serving(server));
    port = rp_server_port(server);
    CHECK_INT(rp_create_task(&task, serve_forever, server), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK(rp_server_is_serving(server));
    fd = wire_connect(port);
    while (rp_server_connections(server) == 0)
        CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
    rp_task_cancel(task);
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
    CHECK(!rp_server_is_serving(server));
    CHECK_INT(rp_server_connections(server), ==, 1); /* which goes on */
    CHECK_INT(send(fd, "x", 1, 0), ==, 1);
    CHECK_INT(wire_await_in(co, fd, &byte, 1), ==, 1);
    close(fd);
    CHECK_INT(rp_server_wait_closed(co, server), ==, 0);
    CHECK_INT(rp_server_serve_forever(co, server), ==, -EINVAL);
    rp_server_free(server);
}

CO_TEST(serve_forever_ends_when_somebody_closes_the_server)
{
    rp_server *server;
    rp_task *task;

    CHECK_INT(rp_start_server(co, &server, echo, NULL, "localhost", 0, NULL), ==, 0);
    CHECK_INT(rp_create_task(&task, serve_forever, server), ==, 0);
    wire_settle_in(co);
    rp_server_close(server);
    CHECK_INT(rp_join(co, task), ==, 0);
    rp_server_free(server);
}

CO_TEST(handlers_end_when_their_clients_are_closed)
{
    rp_server *server;
    char text[8];

    CHECK_INT(rp_start_server(co, &server, echo, NULL, "127.0.0.1", 0, NULL), ==, 0);
    for (int abort = 0; abort < 2; abort++) {
        int fd = wire_connect(rp_server_port(server));

        while (rp_server_connections(server) == 0)
            CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
        wire_settle_in(co);
        if (abort)
            rp_server_abort_clients(server);
        else
            rp_server_close_clients(server);
        while (rp_server_connections(server) > 0)
            CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
        CHECK_INT(wire_await_in(co, fd, text, sizeof text), ==, abort ? wire_reset() : 0);
        close(fd);
    }
    end_server(co, server);
}

CO_TEST(a_socket_that_listens_already)
{
    int port, listener = wire_listen(&port), fd;
    rp_server *server;

    CHECK_INT(rp_start_server_fd(co, &server, NULL, NULL, listener, NULL), ==, -EINVAL);
    fd = wire_connect(port);
    CHECK_INT(rp_start_server_fd(co, &server, echo, NULL, fd, NULL), ==, -EINVAL);
    CHECK_INT(rp_start_server_fd(co, &server, echo, NULL, listener, NULL), ==, 0);
    for (int i = 0; i < 3; i++) {
        char byte = 'x';

        CHECK_INT(send(fd, &byte, 1, 0), ==, 1);
        while (wire_read(fd, &byte, 1) == -EAGAIN)
            CHECK_INT(rp_sleep(co, 0), ==, 0);
        close(fd);
        fd = wire_connect(port);
    }
    close(fd);
    end_server(co, server);
    CHECK_INT(served, >=, 3);
}

CO_TEST(unix_sockets)
{
    rp_server *server;
    rp_stream *stream;
    char path[64], text[64];

    test_need_unix_sockets();
    snprintf(path, sizeof path, TEST_TMP "/ringport-serve-%d", (int)getpid());
    CHECK_INT(rp_start_unix_server(co, &server, echo, NULL, "/nowhere/at/all", NULL), ==, -ENOENT);
    CHECK_INT(rp_start_unix_server(co, &server, NULL, NULL, path, NULL), ==, -EINVAL);
    CHECK_INT(rp_start_unix_server(co, &server, echo, NULL, path, NULL), ==, 0);
    CHECK_INT(rp_open_unix_connection(co, &stream, path), ==, 0);
    CHECK_INT(rp_stream_peername(stream, text, sizeof text), ==, 0);
    CHECK_STR(text, path);
    CHECK_INT(rp_stream_sockname(stream, text, sizeof text), ==, 0);
    CHECK_STR(text, "");
    CHECK_INT(rp_stream_write(co, stream, "hello\n", 6), ==, 0);
    CHECK_INT(rp_stream_read_line(co, stream, text, sizeof text), ==, 6);
    CHECK_STR(text, "hello\n");
    rp_stream_free(stream);
    end_server(co, server);
}

CO_TEST(ipv6)
{
    rp_server *server;
    rp_stream *stream;
    char text[64];

    CHECK_INT(rp_start_server(co, &server, echo, NULL, "::1", 0, NULL), ==, 0);
    CHECK_INT(rp_open_connection(co, &stream, "::1", rp_server_port(server), NULL), ==, 0);
    CHECK_INT(rp_stream_peername(stream, text, sizeof text), ==, 0);
    CHECK(strncmp(text, "[::1]:", 6) == 0);
    CHECK_INT(rp_stream_write(co, stream, "six", 3), ==, 0);
    CHECK_INT(rp_stream_read_exactly(co, stream, text, 3), ==, 3);
    rp_stream_free(stream);
    end_server(co, server);
}

/* ---- what is left when the program ends ---- */

/* A server, a connection to it, and the handler that has answered and reads on. */
static int leave_all_open(rp_co *co, void *arg)
{
    rp_server *server;
    rp_stream *stream;
    char byte = 'x';

    (void)arg;
    CHECK_INT(rp_start_server(co, &server, echo, NULL, "127.0.0.1", 0, NULL), ==, 0);
    CHECK_INT(rp_open_connection(co, &stream, "127.0.0.1", rp_server_port(server), NULL), ==, 0);
    CHECK_INT(rp_stream_write(co, stream, &byte, 1), ==, 0);
    CHECK_INT(rp_stream_read(co, stream, &byte, 1), ==, 1);
    return 0;
}

TEST(a_program_may_end_with_all_of_it_open)
{
    CHECK_INT(rp_run(leave_all_open, NULL), ==, 0);
}

static int start_in_task(rp_co *co, void *arg)
{
    rp_server *server;

    return rp_start_server(co, arg ? arg : &server, echo, NULL, "127.0.0.1", 0, NULL);
}

TEST(a_loop_that_is_closed_leaves_no_start_behind)
{
    rp_loop *loop = wire_loop();
    rp_task *task;

    rp_set_exception_handler(loop, be_quiet, NULL);
    CHECK_INT(rp_loop_create_task(loop, &task, start_in_task, NULL), ==, 0);
    rp_loop_stop(loop);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK(!rp_future_done(task));
    rp_loop_free(loop);
    rp_future_unref(task);
}

/* The harness finds out whether the cancelled task looks at the server. */
CO_TEST(a_server_may_be_freed_after_its_serving_task_is_cancelled)
{
    rp_server *server;
    rp_task *task;

    CHECK_INT(rp_start_server(co, &server, echo, NULL, "127.0.0.1", 0, NULL), ==, 0);
    CHECK_INT(rp_create_task(&task, serve_forever, server), ==, 0);
    wire_settle_in(co);
    rp_task_cancel(task);
    rp_server_free(server);
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
}

TEST(a_loop_may_be_closed_over_a_serving_task)
{
    rp_loop *loop = wire_loop();
    rp_server *server;
    rp_task *task;

    rp_set_exception_handler(loop, be_quiet, NULL);
    CHECK_INT(rp_loop_create_task(loop, &task, start_in_task, &server), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, task), ==, 0);
    rp_future_unref(task);
    CHECK_INT(rp_loop_create_task(loop, &task, serve_forever, server), ==, 0);
    rp_loop_stop(loop);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    rp_loop_free(loop);
    rp_future_unref(task);
}
