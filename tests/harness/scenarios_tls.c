/*
 * scenarios_tls.c - faults strike connections over TLS: one that begins with it, and one where it comes later. The
 * engine is a toy.
 */
#include <string.h>

#include "harness/scenarios.h"
#include "harness/toy_engine.h"
#include "harness/wire.h"
#include "ringport.h"

enum { LARGE = 100000 };

/* ---- the server ---- */

static int echo(rp_co *co, rp_stream *stream)
{
    char buffer[4096];
    ssize_t n;

    while ((n = rp_stream_read(co, stream, buffer, sizeof buffer)) > 0)
        RP_TRY(scenario_note(rp_stream_write(co, stream, buffer, (size_t)n)));
    return scenario_note((int)n);
}

static int serve_at_once(rp_co *co, rp_stream *stream, void *arg)
{
    (void)arg;
    return echo(co, stream);
}

static int serve_later(rp_co *co, rp_stream *stream, void *arg)
{
    char line[16];
    ssize_t n = scenario_note((int)rp_stream_read_line(co, stream, line, sizeof line));

    (void)arg;
    if (n <= 0)
        return (int)n;
    RP_TRY(scenario_note(rp_stream_write(co, stream, "yes\n", 4)));
    RP_TRY(scenario_note(rp_start_tls(co, stream, toy_context(), NULL)));
    return echo(co, stream);
}

/* ---- the client ---- */

/* If it cannot go on, nobody is to wait for the answer. */
static int send_all(rp_co *co, void *arg)
{
    static char bytes[LARGE];
    int rc;

    wire_fill(bytes, sizeof bytes, 0);
    rc = scenario_note(rp_stream_write(co, arg, bytes, sizeof bytes));
    if (rc == 0)
        rc = scenario_note(rp_stream_write_eof(arg));
    if (rc < 0)
        rp_stream_abort(arg);
    return rc;
}

static int receive_all(rp_co *co, rp_stream *stream)
{
    static char bytes[LARGE];
    char byte;

    RP_TRY(scenario_note((int)rp_stream_read_exactly(co, stream, bytes, sizeof bytes)));
    CHECK(wire_same(bytes, sizeof bytes, 0));
    RP_TRY(scenario_note((int)rp_stream_read(co, stream, &byte, 1)));
    return 0;
}

static int converse(rp_co *co, rp_stream *stream)
{
    rp_task *sender;
    int rc, sent;

    RP_TRY(scenario_note(rp_create_task(&sender, send_all, stream)));
    rc = receive_all(co, stream);
    if (rc < 0)
        rp_stream_abort(stream);
    sent = rp_join(co, sender);
    if (rc == 0)
        rc = sent;
    rp_stream_close(stream);
    return rc < 0 ? rc : scenario_note(rp_stream_wait_closed(co, stream));
}

static int ask_for_tls(rp_co *co, rp_stream *stream)
{
    rp_tls_options options = {.server_name = "localhost"};
    char line[16];

    RP_TRY(scenario_note(rp_stream_write(co, stream, "tls?\n", 5)));
    RP_TRY(scenario_note((int)rp_stream_read_exactly(co, stream, line, 4)));
    return scenario_note(rp_start_tls(co, stream, toy_context(), &options));
}

/* A connection's whole life. */
static int connect_to(rp_co *co, int port, bool later)
{
    rp_connect_options options = {.tls = toy_context()};
    rp_stream *stream;
    int rc;

    RP_TRY(scenario_note(rp_open_connection(co, &stream, "127.0.0.1", port, later ? NULL : &options)));
    rc = later ? ask_for_tls(co, stream) : 0;
    if (rc == 0)
        rc = converse(co, stream);
    rp_stream_free(stream);
    return rc;
}

static int serve_and_connect(rp_co *co, bool later)
{
    rp_server_options options = {.tls = toy_context()};
    rp_server *server;
    int rc;

    RP_TRY(scenario_note(rp_start_server(co, &server, later ? serve_later : serve_at_once, NULL, "127.0.0.1", 0,
                                         later ? NULL : &options)));
    rc = connect_to(co, rp_server_port(server), later);
    rp_server_close(server);
    if (rc == 0)
        rc = scenario_note(rp_server_wait_closed(co, server));
    rp_server_free(server);
    return rc;
}

static int at_once_and_later(rp_co *co, void *arg)
{
    (void)arg;
    RP_TRY(serve_and_connect(co, false));
    return serve_and_connect(co, true);
}

int scenario_tls(void)
{
    return scenario_run(at_once_and_later);
}
