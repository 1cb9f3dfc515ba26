/*
 * test_start_tls.c - TLS begins on a transport that runs: the protocol of the new one hears of bytes when its owner has
 * it, and the old one is only carried on. The engine is a toy, so that tests can be the peer by hand.
 */
#include "harness/record.h"
#include "harness/service.h"
#include "harness/toy_engine.h"

/* Waits for the future's end: its result. */
static int end(rp_loop *loop, rp_future *future)
{
    RUN_UNTIL(loop, rp_future_done(future));
    int rc = rp_future_result(future);
    rp_future_unref(future);
    return rc;
}

static void quit(rp_loop *loop)
{
    rp_loop_free(loop);
    CHECK_INT(toy_engines()->made, ==, toy_engines()->freed);
}

/* A transport that runs becomes a client of TLS; the other end is `peer`. */
static rp_future *begin_later(rp_transport *transport, record *r, const char *received)
{
    rp_tls_options options = {.server_name = "later.test"};
    rp_future *future;

    CHECK_INT(rp_transport_start_tls(transport, toy_context(), &options, received, received ? strlen(received) : 0,
                                     &record_plain, r, &future),
              ==, 0);
    return future;
}

TEST(a_transport_that_runs_begins_tls_with_a_new_protocol)
{
    rp_loop *loop = wire_loop();
    record before = {0};
    record after = {.made = 1}; /* which is not called again */
    int peer = record_start(loop, &record_plain, &before);
    rp_future *future;
    char bytes[100], plain[] = "plain";

    CHECK_INT(rp_transport_write(before.transport, plain, 5), ==, 0);
    future = begin_later(before.transport, &after, NULL);
    while (toy_engines()->made == 0)
        wire_settle(loop);
    CHECK_INT(wire_await(loop, peer, bytes, 5), ==, 5);
    CHECK(memcmp(bytes, plain, 5) == 0);
    CHECK_INT(wire_await(loop, peer, bytes, sizeof bytes), >, 0);
    CHECK_INT(bytes[0], ==, TOY_HELLO);
    CHECK_STR(toy_engines()->client_name, "later.test");
    toy_send(peer, TOY_HELLO, "hello");
    toy_send(peer, TOY_DATA, "hello");
    RUN_UNTIL(loop, rp_future_done(future));
    after.transport = rp_future_value(future);
    CHECK_INT(end(loop, future), ==, 0);
    RUN_UNTIL(loop, after.length == 5);
    CHECK(memcmp(after.data, "hello", 5) == 0);
    CHECK_INT(after.made, ==, 1);
    rp_transport_abort(after.transport);
    RUN_UNTIL(loop, after.lost);
    CHECK_INT(before.lost + before.length, ==, 0);
    close(peer);
    free(before.data);
    free(after.data);
    quit(loop);
}

/* A protocol that answers needs its transport, which the future tells. */
typedef struct answerer {
    rp_transport *transport;
    rp_done_callback told;
    void (*end)(rp_transport *transport); /* called when it is told; NULL: nothing is */
    int answers, early, lost;
} answerer;

static void answer(void *self, const void *data, size_t length)
{
    answerer *a = self;

    if (!a->transport)
        a->early++;
    else
        a->answers += rp_transport_write(a->transport, data, length) == 0;
}

static void note_end(void *self, int error)
{
    ((answerer *)self)->lost++;
}

static void take_transport(rp_future *future, void *arg)
{
    answerer *a = arg;

    a->transport = rp_future_value(future);
    if (a->end)
        a->end(a->transport);
}

static void begin_answering(rp_transport *below, answerer *a, int peer, rp_future **future)
{
    static const rp_protocol answers = {.data_received = answer, .connection_lost = note_end};
    rp_tls_options options = {.server_name = "later.test"};

    CHECK_INT(rp_transport_start_tls(below, toy_context(), &options, NULL, 0, &answers, a, future), ==, 0);
    rp_future_add_done_callback(*future, &a->told, take_transport, a);
    toy_send(peer, TOY_HELLO, "hello");
    toy_send(peer, TOY_DATA, "hello");
}

TEST(a_protocol_gets_no_bytes_before_the_future_has_told_of_its_transport)
{
    rp_loop *loop = wire_loop();
    record before = {0};
    answerer a = {0};
    int peer = record_start(loop, &record_plain, &before);
    rp_future *future;

    begin_answering(before.transport, &a, peer, &future);
    CHECK_INT(end(loop, future), ==, 0);
    RUN_UNTIL(loop, a.answers + a.early > 0);
    CHECK_INT(a.early, ==, 0);
    rp_transport_abort(a.transport);
    RUN_UNTIL(loop, a.lost);
    close(peer);
    free(before.data);
    quit(loop);
}

TEST(whoever_is_told_of_the_transport_may_end_it)
{
    void (*const ends[])(rp_transport *) = {rp_transport_close, rp_transport_abort};
    rp_loop *loop = wire_loop();

    for (int i = 0; i < 2; i++) {
        record before = {0};
        answerer a = {.end = ends[i]};
        int peer = record_start(loop, &record_plain, &before);
        rp_future *future;

        begin_answering(before.transport, &a, peer, &future);
        CHECK_INT(end(loop, future), ==, 0);
        if (!a.lost)
            toy_send(peer, TOY_CLOSE, "hello");
        RUN_UNTIL(loop, a.lost);
        CHECK_INT(a.answers + a.early, ==, 0);
        close(peer);
        free(before.data);
    }
    quit(loop);
}

TEST(it_can_be_cancelled_and_refused)
{
    rp_loop *loop = wire_loop();
    record before = {0};
    record after = {0};
    int peer = record_start(loop, &record_plain, &before);
    rp_tls_options options = {.server_name = "x", .server_side = true};
    rp_future *future;
    char byte;

    CHECK_INT(rp_transport_start_tls(before.transport, NULL, NULL, NULL, 0, &record_plain, &after, &future), ==,
              -EINVAL);
    CHECK_INT(
        rp_transport_start_tls(before.transport, toy_context(), NULL, NULL, 0, &record_plain, &after, &future), ==,
        -EINVAL);
    CHECK_INT(
        rp_transport_start_tls(before.transport, toy_context(), &options, NULL, 0, &record_plain, &after, &future),
        ==, -EINVAL);
    CHECK_INT(send(peer, "still", 5, 0), ==, 5);
    RUN_UNTIL(loop, before.length == 5);
    future = begin_later(before.transport, &after, NULL);
    options.server_side = false;
    CHECK_INT(
        rp_transport_start_tls(before.transport, toy_context(), &options, NULL, 0, &record_plain, &after, &future),
        ==, -EBUSY);
    wire_settle(loop);
    CHECK(rp_future_cancel(future));
    RUN_UNTIL(loop, rp_future_done(future));
    CHECK(rp_future_cancelled(future));
    rp_future_unref(future);
    while (wire_await(loop, peer, &byte, 1) > 0)
        ;
    CHECK_INT(before.lost + after.lost + after.made, ==, 0);
    close(peer);
    free(before.data);
    free(after.data);
    quit(loop);
}

/* What a server's connection stands on is not what closing its clients is to close. */
static rp_transport *accepted;

static void keep_accepted(void *self, rp_transport *transport)
{
    accepted = transport;
    service_made(self, transport);
}

static int make_kept(void *arg, const rp_protocol **protocol, void **self)
{
    static rp_protocol kept;
    const rp_protocol *made;
    int rc = service_factory(arg, &made, self);

    kept = *made;
    kept.connection_made = keep_accepted;
    *protocol = &kept;
    return rc;
}

TEST(a_servers_connection_stays_its_own_when_it_begins_tls)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    record r = {0};
    rp_tls_options options = {.server_side = true};
    rp_future *made, *future;
    rp_server *server;

    CHECK_INT(rp_create_server(loop, make_kept, &s, "127.0.0.1", 0, NULL, &made), ==, 0);
    RUN_UNTIL(loop, rp_future_done(made));
    server = rp_future_value(made);
    rp_future_unref(made);
    int peer = wire_connect(rp_server_port(server));
    char bytes[4096];
    void *before;
    RUN_UNTIL(loop, s.made);
    rp_transport_get_protocol(accepted, &before);
    CHECK_INT(rp_transport_start_tls(accepted, toy_context(), &options, NULL, 0, &record_plain, &r, &future), ==,
              0);
    toy_send(peer, TOY_HELLO, "hello");
    service_lost(before, 0); /* as the protocol's owner: it is told nothing any more */
    toy_send(peer, TOY_FINISHED, "hello");
    CHECK_INT(end(loop, future), ==, 0);
    CHECK_INT(rp_server_connections(server), ==, 1);
    rp_server_close_clients(server);
    toy_send(peer, TOY_CLOSE, "hello");
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.error, ==, 0);
    RUN_UNTIL(loop, rp_server_connections(server) == 0);
    ssize_t n, last = 0;
    while ((n = wire_await(loop, peer, bytes, sizeof bytes)) > 0)
        last = bytes[n - TOY_HEADER];
    CHECK_INT(last, ==, TOY_CLOSE);
    rp_server_free(server);
    close(peer);
    rp_loop_free(loop);
    free(r.data);
}
