/*
 * broadcast_callbacks.c - broadcast_callbacks [port [ms]]: what a client sends goes to all clients, and every `ms` how
 * many there are; until SIGINT. It is broadcast_uv.c, function by function, on ringport's callbacks.
 */
#include <ringport.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct client {
    rp_transport *transport;
    struct client *next;
} client;

static client *clients;
static int64_t interval;

static void send_to_all(const void *bytes, size_t length)
{
    for (client *c = clients; c; c = c->next)
        rp_transport_write(c->transport, bytes, length); /* what the socket does not take at once is copied */
}

static void connection_made(void *self, rp_transport *transport)
{
    client *c = self;

    c->transport = transport;
    c->next = clients;
    clients = c;
}

static void data_received(void *self, const void *bytes, size_t length)
{
    (void)self;
    send_to_all(bytes, length);
}

static void connection_lost(void *self, int error)
{
    client **link = &clients;

    (void)error;
    while (*link != self)
        link = &(*link)->next;
    *link = (*link)->next;
    free(self); /* the transport frees itself */
}

static int new_client(void *arg, const rp_protocol **protocol, void **self)
{
    static const rp_protocol callbacks = {
        .connection_made = connection_made,
        .data_received = data_received,
        .connection_lost = connection_lost,
    };

    (void)arg;
    *protocol = &callbacks;
    *self = calloc(1, sizeof(client));
    return *self ? 0 : -ENOMEM;
}

static void tick(void *arg)
{
    rp_timer *timer = arg;
    char text[32];
    int count = 0;

    for (client *c = clients; c; c = c->next)
        count++;
    send_to_all(text, (size_t)snprintf(text, sizeof text, "%d here\n", count));
    rp_call_at(rp_get_running_loop(), timer, rp_timer_when(timer) + interval, tick, timer);
}

static void interrupted(void *server)
{
    rp_server_close(server);
    rp_server_close_clients(server);
}

static int serve(rp_loop *loop, int port)
{
    rp_timer timer = {0};
    rp_server *server;
    rp_future *future;
    int rc;

    RP_TRY(rp_create_server(loop, new_client, NULL, "127.0.0.1", port, NULL, &future));
    rc = rp_run_until_complete(loop, future);
    server = rc < 0 ? NULL : rp_future_value(future);
    rp_future_unref(future);
    if (!server)
        return rc;
    printf("serving on 127.0.0.1:%d\n", rp_server_port(server));
    fflush(stdout);
    if ((rc = rp_add_signal_handler(loop, SIGINT, interrupted, server)) == 0 &&
        (rc = rp_call_later(loop, &timer, interval, tick, &timer)) == 0 &&
        (rc = rp_server_closed_future(server, &future)) == 0) {
        rc = rp_run_until_complete(loop, future);
        rp_future_unref(future);
    }
    rp_timer_cancel(&timer);
    rp_server_free(server);
    return rc;
}

int main(int argc, char **argv)
{
    rp_loop *loop = NULL;
    int rc;

    interval = RP_MSEC(argc > 2 ? atoi(argv[2]) : 1000);
    if ((rc = rp_loop_new(NULL, &loop)) < 0 || (rc = serve(loop, argc > 1 ? atoi(argv[1]) : 8888)) < 0)
        fprintf(stderr, "broadcast_callbacks: %s\n", rp_strerror(rc));
    rp_loop_free(loop);
    return rc < 0;
}
