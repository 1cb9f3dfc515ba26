/*
 * broadcast_uv.c - broadcast_uv [port [ms]]: what a client sends goes to all clients, and every `ms` how many there
 * are; until SIGINT. On libuv: broadcast_callbacks.c and broadcast_coroutines.c are the same on ringport.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

typedef struct client {
    uv_tcp_t tcp; /* the first member: a stream is its client */
    struct client *next;
} client;

typedef struct message {
    uv_write_t request; /* the first member, too */
    char bytes[];
} message;

static client *clients;
static uv_tcp_t listener;
static uv_timer_t timer;
static uv_signal_t interrupt;

static void sent(uv_write_t *request, int status)
{
    (void)status;
    free(request);
}

static void send_to_all(const char *bytes, size_t length)
{
    for (client *c = clients; c; c = c->next) {
        message *m = malloc(sizeof *m + length);
        if (!m)
            continue;
        memcpy(m->bytes, bytes, length);
        uv_buf_t buffer = uv_buf_init(m->bytes, (unsigned)length);
        if (uv_write(&m->request, (uv_stream_t *)&c->tcp, &buffer, 1, sent) < 0)
            free(m);
    }
}

static void closed(uv_handle_t *handle)
{
    free(handle);
}

static void drop(client *c)
{
    client **link = &clients;

    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
    uv_close((uv_handle_t *)&c->tcp, closed);
}

static void allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    static char room[64 * 1024];

    (void)handle, (void)suggested;
    *buffer = uv_buf_init(room, sizeof room);
}

static void received(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    if (n > 0)
        send_to_all(buffer->base, (size_t)n);
    else if (n < 0)
        drop((client *)stream);
}

static void connected(uv_stream_t *server, int status)
{
    client *c = status < 0 ? NULL : calloc(1, sizeof *c);

    if (!c)
        return;
    uv_tcp_init(server->loop, &c->tcp);
    c->next = clients;
    clients = c;
    if (uv_accept(server, (uv_stream_t *)&c->tcp) < 0 || uv_tcp_nodelay(&c->tcp, 1) < 0 ||
        uv_read_start((uv_stream_t *)&c->tcp, allocate, received) < 0)
        drop(c);
}

static void tick(uv_timer_t *handle)
{
    char text[32];
    int count = 0;

    (void)handle;
    for (client *c = clients; c; c = c->next)
        count++;
    send_to_all(text, (size_t)snprintf(text, sizeof text, "%d here\n", count));
}

static void interrupted(uv_signal_t *handle, int number)
{
    (void)handle, (void)number;
    while (clients)
        drop(clients);
    uv_close((uv_handle_t *)&listener, NULL);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_close((uv_handle_t *)&interrupt, NULL);
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    uint64_t interval = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000;
    struct sockaddr_in address;
    int length = sizeof address, rc;

    signal(SIGPIPE, SIG_IGN); /* libuv does not: a client that is gone would end the server */
    uv_tcp_init(loop, &listener);
    uv_timer_init(loop, &timer);
    uv_signal_init(loop, &interrupt);
    uv_ip4_addr("127.0.0.1", argc > 1 ? atoi(argv[1]) : 8888, &address);
    if ((rc = uv_tcp_bind(&listener, (struct sockaddr *)&address, 0)) < 0 ||
        (rc = uv_listen((uv_stream_t *)&listener, 100, connected)) < 0 ||
        (rc = uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &length)) < 0 ||
        (rc = uv_timer_start(&timer, tick, interval, interval)) < 0 ||
        (rc = uv_signal_start(&interrupt, interrupted, SIGINT)) < 0) {
        fprintf(stderr, "broadcast_uv: %s\n", uv_strerror(rc));
        return 1;
    }
    printf("serving on 127.0.0.1:%d\n", address.sin_port >> 8 | (address.sin_port & 255) << 8);
    fflush(stdout);
    uv_run(loop, UV_RUN_DEFAULT);
    return uv_loop_close(loop) < 0;
}
