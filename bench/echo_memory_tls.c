/*
 * echo_memory_tls.c - the echo server of echo_transport.c under TLS by memory BIOs: what ringport's own TLS is to be
 * faster than, on the same transports.
 *
 * echo_memory_tls PORT CERTIFICATE (of 127.0.0.1; 0: one that is free)
 */
#include <ringport.h>

#include "tls_memory.h"

typedef struct connection {
    rp_transport *transport;
    bench_tls tls;
} connection;

static SSL_CTX *context;

static void connection_made(void *self, rp_transport *transport)
{
    connection *c = self;

    c->transport = transport;
    bench_tls_begin(&c->tls, context);
}

static void data_received(void *self, const void *data, size_t length)
{
    static char records[BENCH_TLS_ROOM];
    connection *c = self;
    int goes_on = bench_tls_echo(&c->tls, data, length);
    size_t leaving = bench_tls_leaving(&c->tls, records);

    if (leaving > 0)
        rp_transport_write(c->transport, records, leaving);
    if (!goes_on)
        rp_transport_close(c->transport);
}

static void connection_lost(void *self, int error)
{
    connection *c = self;

    (void)error;
    bench_tls_end(&c->tls);
    free(c);
}

static int make_protocol(void *arg, const rp_protocol **protocol, void **self)
{
    static const rp_protocol echo = {
        .connection_made = connection_made, .data_received = data_received, .connection_lost = connection_lost};

    (void)arg;
    *protocol = &echo;
    *self = bench_alloc(sizeof(connection));
    return 0;
}

static void serve(rp_loop *loop, int port)
{
    const rp_server_options options = {.backlog = 1024};
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

    if (argc != 3)
        bench_die("usage: echo_memory_tls PORT CERTIFICATE");
    context = bench_tls_context(argv[2]);
    bench_check(rp_loop_new(NULL, &loop), "rp_loop_new");
    serve(loop, atoi(argv[1]));
    rp_loop_free(loop);
    return 0;
}
