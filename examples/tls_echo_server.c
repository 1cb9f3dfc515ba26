/*
 * tls_echo_server.c - tls_echo_server port certificate key: an echo server that speaks TLS, until SIGINT. Port 0: one
 * that is free.
 */
#include <ringport.h>
#include <ringport/tls.h>
#include <stdio.h>
#include <stdlib.h>

static int echo(rp_co *co, rp_stream *stream, void *arg)
{
    char buffer[16 * 1024];
    ssize_t n;

    (void)arg;
    while ((n = rp_stream_read(co, stream, buffer, sizeof buffer)) > 0)
        RP_TRY(rp_stream_write(co, stream, buffer, (size_t)n));
    return (int)n;
}

static int serve(rp_co *co, void *arg)
{
    char **argv = arg;
    rp_server_options options = {0};
    rp_server *server;

    RP_TRY(rp_tls_context_new(RP_TLS_SERVER, &options.tls));
    int rc = rp_tls_context_load_cert_chain(options.tls, argv[2], argv[3], NULL, NULL);
    if (rc < 0)
        fprintf(stderr, "%s\n", rp_tls_context_error_text(options.tls));
    else
        rc = rp_start_server(co, &server, echo, NULL, "127.0.0.1", atoi(argv[1]), &options);
    rp_tls_context_unref(options.tls); /* the server has a reference of its own */
    RP_TRY(rc);
    printf("serving on 127.0.0.1:%d\n", rp_server_port(server));
    fflush(stdout);
    rc = rp_server_serve_forever(co, server);
    rp_server_free(server);
    return rc;
}

int main(int argc, char **argv)
{
    int rc = argc < 4 ? -EINVAL : rp_run(serve, argv);

    if (rc < 0 && rc != -EINTR)
        fprintf(stderr, "tls_echo_server: %s\n", rp_strerror(rc));
    return rc < 0 && rc != -EINTR;
}
