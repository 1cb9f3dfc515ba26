/*
 * broadcast_coroutines.c - broadcast_coroutines [port [ms]]: what a client sends goes to all clients, and every `ms`
 * how many there are; until SIGINT. It is broadcast_uv.c on ringport's coroutines.
 */
#include <ringport.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct client {
    rp_stream *stream;
    struct client *next;
} client;

static client *clients;

static void send_to_all(const void *bytes, size_t length)
{
    for (client *c = clients; c; c = c->next) {
        rp_transport *transport = rp_stream_transport(c->stream);

        if (transport) /* else the connection is gone, and its task yet to see it */
            rp_transport_write(transport, bytes, length); /* unlike rp_stream_write(), waits for nobody */
    }
}

static int serve_client(rp_co *co, rp_stream *stream, void *arg)
{
    client me = {.stream = stream, .next = clients}, **link = &clients;
    char buffer[16 * 1024];
    ssize_t n;

    (void)arg;
    clients = &me;
    while ((n = rp_stream_read(co, stream, buffer, sizeof buffer)) > 0)
        send_to_all(buffer, (size_t)n);
    while (*link != &me)
        link = &(*link)->next;
    *link = me.next;
    return (int)n;
}

static int tick(rp_co *co, void *arg)
{
    int64_t interval = *(int64_t *)arg, when = rp_loop_time(rp_co_loop(co));
    char text[32];

    for (;;) {
        int count = 0;
        RP_TRY(rp_sleep_until(co, when += interval));
        for (client *c = clients; c; c = c->next)
            count++;
        send_to_all(text, (size_t)snprintf(text, sizeof text, "%d here\n", count));
    }
}

static int serve(rp_co *co, void *arg)
{
    char **argv = arg;
    int64_t interval = RP_MSEC(argv[1] && argv[2] ? atoi(argv[2]) : 1000);
    rp_server *server;

    RP_TRY(rp_start_server(co, &server, serve_client, NULL, "127.0.0.1", argv[1] ? atoi(argv[1]) : 8888, NULL));
    printf("serving on 127.0.0.1:%d\n", rp_server_port(server));
    fflush(stdout);
    RP_TRY(rp_create_task_copy(NULL, tick, &interval, sizeof interval));
    return rp_server_serve_forever(co, server); /* until SIGINT, which ends all tasks */
}

int main(int argc, char **argv)
{
    int rc = rp_run(serve, argv);

    (void)argc;
    if (rc < 0 && rc != -EINTR)
        fprintf(stderr, "broadcast_coroutines: %s\n", rp_strerror(rc));
    return rc < 0 && rc != -EINTR;
}
