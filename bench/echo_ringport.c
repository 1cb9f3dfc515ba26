/*
 * echo_ringport.c - the echo server that is measured: a coroutine for each connection, on the public streams alone.
 *
 * echo_ringport PORT (of 127.0.0.1; 0: one that is free) or echo_ringport PATH (of a Unix socket). Compiled with
 * BENCH_TLS: echo_ringport_tls PORT|PATH CERTIFICATE
 */
#include <ringport.h>

#include "bench.h"
#include "tls_ours.h"

/* One for all connections: what is read is written, or copied, before another can read. */
static char buffer[128 * 1024];

static int echo(rp_co *co, rp_stream *stream, void *arg)
{
    ssize_t n;

    (void)arg;
    while ((n = rp_stream_read(co, stream, buffer, sizeof buffer)) > 0)
        RP_TRY(rp_stream_write(co, stream, buffer, (size_t)n));
    return (int)n;
}

static int serve(rp_co *co, void *arg)
{
    char **arguments = arg;
    const char *where = arguments[1];
    const rp_server_options options = {.backlog = 1024, .tls = bench_tls_ours(arguments[2])};
    rp_server *server;

    if (where[0] == '/') {
        RP_TRY(rp_start_unix_server(co, &server, echo, NULL, where, &options));
        printf("serving on %s:0\n", where);
    } else {
        RP_TRY(rp_start_server(co, &server, echo, NULL, "127.0.0.1", atoi(where), &options));
        printf("serving on 127.0.0.1:%d\n", rp_server_port(server));
    }
    fflush(stdout);
    return rp_server_serve_forever(co, server);
}

int main(int argc, char **argv)
{
    if (argc != BENCH_ARGUMENTS)
        bench_die("usage: echo_ringport PORT|PATH, or echo_ringport_tls PORT|PATH CERTIFICATE");
    bench_check(rp_run(serve, argv), "rp_run");
    return 0;
}
