/*
 * test_iocp_named_pipes.c - servers of named pipes and their clients: by callbacks, and for coroutines.
 */
#include <stdio.h>
#include <stdlib.h>

#include "harness/platform.h"
#include "harness/record.h"
#include "harness/reports.h"
#include "harness/service.h"
#include "harness/tasks.h"

enum { CLIENTS = 20, MUCH = 300000 };

/* A name of a pipe that nobody else has. */
static const char *new_name(void)
{
    static char name[64];
    static int number;

    snprintf(name, sizeof name, "\\\\.\\pipe\\rp-named-%lu-%d", GetCurrentProcessId(), number++);
    return name;
}

static int make_record(void *arg, const rp_protocol **protocol, void **self)
{
    *protocol = &record_plain;
    *self = arg;
    return 0;
}

static rp_future *connect_to(rp_loop *loop, const char *name, record *r)
{
    rp_future *future;

    CHECK_INT(rp_create_pipe_connection(loop, make_record, r, name, &future), ==, 0);
    return future;
}

static void is_connected(rp_loop *loop, rp_future *future, const record *r)
{
    RUN_UNTIL(loop, rp_future_done(future));
    CHECK_INT(rp_future_result(future), ==, 0);
    CHECK(rp_future_value(future) == r->transport);
    rp_future_unref(future);
}

/* A client whose factory would rather not connect. */
typedef struct doubter {
    record client;
    rp_future *future;
    bool cancelled;
} doubter;

static int make_doubtful(void *arg, const rp_protocol **protocol, void **self)
{
    doubter *d = arg;

    d->cancelled = rp_future_cancel(d->future);
    return make_record(&d->client, protocol, self);
}

/* ---- servers by callbacks ---- */

TEST(a_factory_cancels_too_late)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    doubter d = {0};
    const char *name = new_name();
    rp_server *server;

    CHECK_INT(rp_create_pipe_server(loop, service_factory, &s, name, NULL, &server), ==, 0);
    CHECK_INT(rp_create_pipe_connection(loop, make_doubtful, &d, name, &d.future), ==, 0);
    is_connected(loop, d.future, &d.client);
    CHECK(!d.cancelled);
    rp_transport_close(d.client.transport);
    RUN_UNTIL(loop, d.client.lost && s.made == 1 && s.lost == 1);
    rp_server_free(server);
    rp_loop_free(loop);
}

TEST(a_server_echoes_to_its_clients)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    record clients[CLIENTS] = {0};
    const char *name = new_name();
    rp_server *server;

    CHECK_INT(rp_create_pipe_server(loop, service_factory, &s, name, NULL, &server), ==, 0);
    CHECK(rp_server_is_serving(server));
    CHECK_INT(rp_server_sockets(server), ==, 0);
    for (int i = 0; i < CLIENTS; i++)
        is_connected(loop, connect_to(loop, name, &clients[i]), &clients[i]);
    RUN_UNTIL(loop, s.made == CLIENTS);
    CHECK_INT(rp_server_connections(server), ==, CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        record_write(&clients[i], 10000, 0);
    for (int i = 0; i < CLIENTS; i++) {
        RUN_UNTIL(loop, clients[i].length == 10000);
        CHECK(wire_same(clients[i].data, clients[i].length, 0));
        CHECK_INT(rp_transport_write_eof(clients[i].transport), ==, -ENOTSUP);
        CHECK_INT(rp_transport_write(clients[i].transport, "x", 1), ==, 0); /* nothing has changed by that */
        rp_transport_close(clients[i].transport);
    }
    RUN_UNTIL(loop, s.lost == CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        RUN_UNTIL(loop, clients[i].lost);
        free(clients[i].data);
    }
    rp_server_free(server);
    rp_loop_free(loop);
}

/* While nobody serves, there is nothing; and a name is free again when its server is closed. */
TEST(no_server_and_another_one)
{
    rp_loop *loop = wire_loop();
    const char *name = new_name();
    service s = {0};

    for (int i = 0; i < 3; i++) {
        record r = {0};
        rp_server *server;
        rp_future *future = connect_to(loop, name, &r);

        CHECK(rp_future_done(future));
        CHECK_INT(rp_future_result(future), ==, -ENOENT);
        rp_future_unref(future);
        CHECK_INT(rp_create_pipe_server(loop, service_factory, &s, name, NULL, &server), ==, 0);
        is_connected(loop, connect_to(loop, name, &r), &r);
        RUN_UNTIL(loop, s.made == i + 1);
        rp_server_close(server);
        CHECK(!rp_server_is_serving(server));
        rp_transport_close(r.transport);
        RUN_UNTIL(loop, r.lost && s.lost == i + 1);
        rp_server_free(server);
        wire_settle(loop);
    }
    rp_loop_free(loop);
}

/* At once: nothing of it is left. */
TEST(a_name_is_free_when_its_server_is_closed)
{
    rp_loop *loop = wire_loop();
    const char *name = new_name();
    service s = {0};

    for (int i = 0; i < 5; i++) {
        record r = {0};
        rp_server *server;
        rp_future *future;

        CHECK_INT(rp_create_pipe_server(loop, service_factory, &s, name, NULL, &server), ==, 0);
        if (i > 1)
            wire_settle(loop);
        rp_server_close(server);
        future = connect_to(loop, name, &r);
        CHECK_INT(rp_future_result(future), ==, -ENOENT);
        rp_future_unref(future);
        rp_server_free(server);
    }
    rp_loop_free(loop);
}

/* A client that finds no instance free tries on until there is one: the pipe is the test's own, and has one. */
TEST(a_client_waits_for_its_turn)
{
    rp_loop *loop = wire_loop();
    const char *name = new_name();
    record first = {0}, second = {0};
    HANDLE pipe = CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX, PIPE_TYPE_BYTE, 1, 4096, 4096, 0, NULL);

    CHECK(pipe != INVALID_HANDLE_VALUE);
    is_connected(loop, connect_to(loop, name, &first), &first);
    rp_future *future = connect_to(loop, name, &second), *given_up = connect_to(loop, name, &second);
    wire_settle(loop);
    CHECK(!rp_future_done(future) && !rp_future_done(given_up));
    CHECK(rp_future_cancel(given_up));
    CHECK(rp_future_cancelled(given_up));
    rp_future_unref(given_up);
    rp_transport_close(first.transport);
    RUN_UNTIL(loop, first.lost);
    CHECK(DisconnectNamedPipe(pipe)); /* the instance is free for the next client */
    DWORD mode = PIPE_NOWAIT;
    CHECK(SetNamedPipeHandleState(pipe, &mode, NULL, NULL));
    ConnectNamedPipe(pipe, NULL);
    is_connected(loop, future, &second);
    rp_loop_free(loop);
    CloseHandle(pipe);
}

TEST(what_cannot_be_served_or_reached)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    record r = {0};
    rp_server *server = NULL;
    rp_future *future = NULL;

    CHECK_INT(rp_create_pipe_server(loop, service_factory, &s, "no name of a pipe", NULL, &server), ==, -EINVAL);
    CHECK_INT(rp_create_pipe_server(loop, service_factory, &s, "\xff", NULL, &server), ==, -EILSEQ);
    CHECK_INT(rp_create_pipe_connection(loop, make_record, &r, "\xff", &future), ==, -EILSEQ);
    CHECK(!server && !future);
    future = connect_to(loop, "NUL", &r);
    CHECK_INT(rp_future_result(future), ==, -EINVAL);
    rp_future_unref(future);
    rp_loop_free(loop);
}

TEST(a_name_is_one_server_s_alone)
{
    rp_loop *loop;
    const char *name = new_name();
    service s = {0};
    rp_server *server, *other;

    test_need_real_windows("FILE_FLAG_FIRST_PIPE_INSTANCE");
    loop = wire_loop();
    CHECK_INT(rp_create_pipe_server(loop, service_factory, &s, name, NULL, &server), ==, 0);
    CHECK_INT(rp_create_pipe_server(loop, service_factory, &s, name, NULL, &other), ==, -EADDRINUSE);
    rp_server_free(server);
    rp_loop_free(loop);
}

/* What a factory refuses is closed, and the next one is served. */
TEST(a_factory_may_refuse)
{
    rp_loop *loop = wire_loop();
    const char *name = new_name();
    service s = {.refuse = -EPERM};
    record r = {0}, next = {0};
    rp_server *server;

    rp_set_exception_handler(loop, be_quiet, NULL);
    CHECK_INT(rp_create_pipe_server(loop, service_factory, &s, name, NULL, &server), ==, 0);
    is_connected(loop, connect_to(loop, name, &r), &r);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(s.refused, ==, 1);
    s.refuse = 0;
    is_connected(loop, connect_to(loop, name, &next), &next);
    RUN_UNTIL(loop, s.made == 1);
    rp_transport_close(next.transport);
    RUN_UNTIL(loop, next.lost && s.lost == 1);
    rp_server_free(server);
    rp_loop_free(loop);
}

/* A server that does not serve yet lets its clients wait: the pipe is there. */
TEST(a_server_may_begin_later)
{
    rp_loop *loop = wire_loop();
    const char *name = new_name();
    service s = {0};
    record r = {0};
    rp_server *server;
    rp_server_options options = {.delay_start = true};

    CHECK_INT(rp_create_pipe_server(loop, service_factory, &s, name, &options, &server), ==, 0);
    CHECK(!rp_server_is_serving(server));
    CHECK_INT(rp_server_start_serving(server), ==, 0);
    is_connected(loop, connect_to(loop, name, &r), &r);
    RUN_UNTIL(loop, s.made == 1);
    rp_transport_abort(r.transport);
    RUN_UNTIL(loop, r.lost && s.lost == 1);
    rp_server_free(server);
    CHECK_INT(rp_create_pipe_server(loop, service_factory, &s, new_name(), &options, &server), ==, 0);
    rp_server_free(server); /* before it has served */
    rp_loop_free(loop);
}

/* With connections, a server, and an attempt that waits for its turn. */
TEST(a_loop_closes_with_all_of_it)
{
    rp_loop *loop = wire_loop();
    const char *name = new_name();
    char busy[64];
    service s = {0};
    record r = {0}, first = {0}, second = {0};
    rp_server *server;

    CHECK_INT(rp_create_pipe_server(loop, service_factory, &s, name, NULL, &server), ==, 0);
    is_connected(loop, connect_to(loop, name, &r), &r);
    snprintf(busy, sizeof busy, "%s", new_name());
    HANDLE pipe = CreateNamedPipeA(busy, PIPE_ACCESS_DUPLEX, PIPE_TYPE_BYTE, 1, 4096, 4096, 0, NULL);
    is_connected(loop, connect_to(loop, busy, &first), &first);
    rp_future *waiting = connect_to(loop, busy, &second);
    record_write(&r, 1000000, 0);
    rp_loop_free(loop);
    CHECK(!rp_future_done(waiting));
    CHECK(rp_future_cancel(waiting));
    rp_future_unref(waiting);
    CloseHandle(pipe);
    free(r.data);
}

/* Each allocation of a server and a client in its turn. */
TEST(without_memory)
{
    const char *name = new_name();

    for (uint64_t nth = 1;; nth++) {
        rp_loop *loop = wire_loop();
        service s = {0};
        record r = {0};
        rp_server *server = NULL;
        rp_future *future = NULL;

        rp_set_exception_handler(loop, be_quiet, NULL);
        test_fail_allocation(nth);
        int rc = rp_create_pipe_server(loop, service_factory, &s, name, NULL, &server);
        if (rc == 0) {
            rc = rp_create_pipe_connection(loop, make_record, &r, name, &future);
            RUN_UNTIL(loop, !future || rp_future_done(future));
            if (rc == 0)
                rc = rp_future_result(future);
            wire_settle(loop);
        }
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        if (rc < 0)
            CHECK_INT(rc, ==, -ENOMEM);
        rp_future_unref(future);
        rp_server_free(server);
        rp_loop_free(loop);
        if (!failed)
            break;
    }
}

/* ---- streams ---- */

static int echo(rp_co *co, rp_stream *stream, void *arg)
{
    static char buffer[4096];
    ssize_t n;

    while ((n = rp_stream_read(co, stream, buffer, sizeof buffer)) > 0)
        RP_TRY(rp_stream_write(co, stream, buffer, (size_t)n));
    return (int)n;
}

/* Writes all of it, while the other task reads what comes back. */
static int write_much(rp_co *co, void *arg)
{
    char *bytes = malloc(MUCH);
    int rc;

    wire_fill(bytes, MUCH, 0);
    rc = rp_stream_write(co, arg, bytes, MUCH);
    free(bytes);
    return rc;
}

static int converse(rp_co *co, void *name)
{
    char *bytes = malloc(MUCH);
    rp_stream *stream;
    rp_task *writer;

    CHECK_INT(rp_open_pipe_connection(co, &stream, name), ==, 0);
    writer = spawn(write_much, stream);
    CHECK_INT(rp_stream_read_exactly(co, stream, bytes, MUCH), ==, MUCH);
    CHECK(wire_same(bytes, MUCH, 0));
    CHECK_INT(rp_join(co, writer), ==, 0);
    CHECK_INT(rp_stream_write_eof(stream), ==, -ENOTSUP);
    rp_stream_close(stream);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    rp_stream_free(stream);
    free(bytes);
    return 0;
}

CO_TEST(streams_of_a_named_pipe)
{
    char name[64];
    rp_task *tasks[8];
    rp_server *server;

    snprintf(name, sizeof name, "%s", new_name());
    CHECK_INT(rp_start_pipe_server(co, &server, NULL, NULL, name, NULL), ==, -EINVAL);
    CHECK_INT(rp_start_pipe_server(co, &server, echo, NULL, name, NULL), ==, 0);
    for (int i = 0; i < 8; i++)
        tasks[i] = spawn(converse, name);
    for (int i = 0; i < 8; i++)
        CHECK_INT(rp_join(co, tasks[i]), ==, 0);
    rp_server_close(server);
    CHECK_INT(rp_server_wait_closed(co, server), ==, 0);
    rp_server_free(server);
}

/* What was written is read by the peer though this end is closed at once. */
CO_TEST(what_was_written_arrives_after_a_close)
{
    char name[64], line[32];
    rp_stream *stream;
    HANDLE pipe;

    snprintf(name, sizeof name, "%s", new_name());
    pipe =
        CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE, 1, 4096, 4096, 0, NULL);
    CHECK_INT(rp_open_pipe_connection(co, &stream, name), ==, 0);
    CHECK_INT(rp_stream_write(co, stream, "last words", 10), ==, 0);
    rp_stream_close(stream);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    rp_stream_free(stream);
    CHECK_INT(rp_read(co, (rp_fd)pipe, line, sizeof line, -1), ==, 10);
    CHECK(memcmp(line, "last words", 10) == 0);
    CHECK_INT(rp_read(co, (rp_fd)pipe, line, sizeof line, -1), ==, 0);
    CHECK_INT(rp_close(co, (rp_fd)pipe), ==, 0);
}
