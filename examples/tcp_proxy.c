/* tcp_proxy.c - tcp_proxy port target-host target-port: passes bytes on, each way, with half-closes; until SIGINT. */
#include <ringport.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct target {
    const char *host;
    int port;
} target;

typedef struct pipe {
    rp_stream *from;
    rp_stream *to;
} pipe;

static int pass(rp_co *co, void *arg)
{
    const pipe *p = arg;
    char buffer[16 * 1024];
    ssize_t n;

    while ((n = rp_stream_read(co, p->from, buffer, sizeof buffer)) > 0)
        RP_TRY(rp_stream_write(co, p->to, buffer, (size_t)n));
    return n < 0 ? (int)n : rp_stream_write_eof(p->to);
}

static int proxy(rp_co *co, rp_stream *client, void *arg)
{
    const target *t = arg;
    rp_stream *server;
    rp_group group;

    RP_TRY(rp_open_connection(co, &server, t->host, t->port, NULL));
    rp_group_begin(co, &group);
    int rc = rp_group_create_task_copy(&group, NULL, pass, &(pipe){client, server}, sizeof(pipe));
    if (rc == 0)
        rc = rp_group_create_task_copy(&group, NULL, pass, &(pipe){server, client}, sizeof(pipe));
    rc = rp_group_end(co, &group, rc);
    rp_stream_free(server);
    return rc;
}

static int serve(rp_co *co, void *arg)
{
    char **argv = arg;
    target t = {.host = argv[2], .port = atoi(argv[3])};
    rp_server *server;

    RP_TRY(rp_start_server(co, &server, proxy, &t, "127.0.0.1", atoi(argv[1]), NULL));
    printf("serving on 127.0.0.1:%d, for %s:%d\n", rp_server_port(server), t.host, t.port);
    fflush(stdout);
    int rc = rp_server_serve_forever(co, server);
    rp_server_free(server);
    return rc;
}

int main(int argc, char **argv)
{
    int rc = argc == 4 ? rp_run(serve, argv) : -EINVAL;

    if (rc != -EINTR)
        fprintf(stderr, "tcp_proxy: %s\n", rp_strerror(rc));
    return rc != -EINTR;
}
