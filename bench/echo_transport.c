/*
 * echo_transport.c - the echo server on transports alone: a protocol's callbacks, no coroutine for a connection.
 *
 * echo_transport PORT (of 127.0.0.1; 0: one that is free). Compiled with BENCH_TLS: echo_transport_tls PORT CERTIFICATE
 */
#include <ringport.h>

#include "bench.h"
#include "tls_ours.h"

static void connection_made(void *self, rp_transport *transport)
{
    rp_transport **place = self;

    *place = transport;
}

static void data_received(void *self, const void *data, size_t length)
{
    rp_transport **place = self;

    rp_transport_write(*place, data, length);
}

static void connection_lost(void *self, int error)
{
    free(self);
}

static int make_protocol(void *arg, const rp_protocol **protocol, void **self)
{
    static const rp_protocol echo = {
        .connection_made = connection_made, .data_received = data_received, .connection_lost = connection_lost};

    *protocol = &echo;
    *self = bench_alloc(sizeof(rp_transport *));
    return 0;
}

static void serve(rp_loop *loop, int port, const char *certificate)
{
    const rp_server_options options = {.backlog = 1024, .tls = bench_tls_ours(certificate)};
    rp_future *request;
    rp_server *server;

    bench_check(rp_create_server(loop, make_protocol, NULL, "127.0.0.1", port, &options, &request),
                "rp_create_server");
    bench_check(rp_run_until_complete(loop, request), "listening");
    server = rp_future_value(request);
    rp_future_unref(request);
    printf("serving on 127.0.0.1:%d\n", rp_server_port(server));
    fflush(stdout);
    bench_check(rp_run_forever(loop), "rp_run_forever");
    rp_server_free(server);
}

int main(int argc, char **argv)
{
    rp_loop *loop;

    if (argc != BENCH_ARGUMENTS)
        bench_die("usage: echo_transport PORT, or echo_transport_tls PORT CERTIFICATE");
    bench_check(rp_loop_new(NULL, &loop), "rp_loop_new");
    serve(loop, atoi(argv[1]), argv[2]);
    rp_loop_free(loop);
    return 0;
}
