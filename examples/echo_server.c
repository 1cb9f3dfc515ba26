/*
 * echo_server.c - echo_server [port [host]]: sends back what it gets, until SIGINT or SIGTERM. Port 0: one that is
 * free.
 */
#include <ringport.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct options {
    const char *host;
    int port;
} options;

static int echo(rp_co *co, rp_stream *stream, void *arg)
{
    char buffer[16 * 1024];
    ssize_t n;

    (void)arg;
    while ((n = rp_stream_read(co, stream, buffer, sizeof buffer)) > 0)
        RP_TRY(rp_stream_write(co, stream, buffer, (size_t)n));
    return (int)n;
}

static void stop(void *server)
{
    rp_server_close(server);
    rp_server_close_clients(server);
}

static int serve(rp_co *co, void *arg)
{
    const options *o = arg;
    rp_server *server;

    RP_TRY(rp_start_server(co, &server, echo, NULL, o->host, o->port, NULL));
    printf("serving on %s:%d (%s)\n", o->host, rp_server_port(server), rp_loop_backend_name(rp_co_loop(co)));
    fflush(stdout);
    rp_add_signal_handler(rp_co_loop(co), SIGTERM, stop, server);
    int rc = rp_server_serve_forever(co, server);
    rp_remove_signal_handler(rp_co_loop(co), SIGTERM);
    rp_server_free(server);
    return rc;
}

int main(int argc, char **argv)
{
    options o = {.host = argc > 2 ? argv[2] : "127.0.0.1", .port = argc > 1 ? atoi(argv[1]) : 8888};
    int rc = rp_run(serve, &o);

    if (rc < 0 && rc != -EINTR)
        fprintf(stderr, "echo_server: %s\n", rp_strerror(rc));
    return rc < 0 && rc != -EINTR;
}
