/*
 * echo_ringport.c - the echo server that is measured: a coroutine for each connection, on the public streams alone.
 *
 * echo_ringport PORT (of 127.0.0.1; 0: one that is free) or echo_ringport PATH (of a Unix socket)
 */
#include <ringport.h>

#include "bench.h"

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
    const rp_server_options options = {.backlog = 1024};
    const char *where = arg;
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
    if (argc != 2)
        bench_die("usage: echo_ringport PORT|PATH");
    bench_check(rp_run(serve, argv[1]), "rp_run");
    return 0;
}
