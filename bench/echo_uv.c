/*
 * echo_uv.c - the echo server on libuv, as one writes it who cares for speed: one buffer for all connections; an echo
 * is tried at once (uv_try_write), and only what the kernel did not take is copied and queued.
 *
 * echo_uv PORT (of 127.0.0.1; 0: one that is free) or echo_uv PATH (of a Unix socket); then, if wanted, the size of the
 * buffer in KiB: 64, which libuv suggests, or at most 128
 */
#include <arpa/inet.h>
#include <uv.h>

#include "bench.h"

typedef union connection {
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
} connection;

typedef struct rest {
    uv_write_t request;
    char data[];
} rest;

static char buffer[128 * 1024];
static unsigned size = 64 * 1024; /* that is used of it */

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_written(uv_write_t *request, int status)
{
    if (status < 0 && !uv_is_closing((uv_handle_t *)request->handle))
        uv_close((uv_handle_t *)request->handle, on_closed);
    free(request);
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *lent)
{
    (void)handle, (void)suggested;
    *lent = uv_buf_init(buffer, size);
}

static void queue_rest(uv_stream_t *stream, const char *data, size_t length)
{
    rest *r = bench_alloc(sizeof *r + length);
    uv_buf_t piece = uv_buf_init(r->data, (unsigned)length);

    memcpy(r->data, data, length);
    bench_check(uv_write(&r->request, stream, &piece, 1, on_written), "uv_write");
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *read)
{
    uv_buf_t piece;
    int sent;

    if (length == 0)
        return;
    if (length < 0) {
        uv_close((uv_handle_t *)stream, on_closed);
        return;
    }
    piece = uv_buf_init(read->base, (unsigned)length);
    sent = uv_try_write(stream, &piece, 1);
    if (sent < 0 && sent != UV_EAGAIN)
        uv_close((uv_handle_t *)stream, on_closed);
    else if (sent < length)
        queue_rest(stream, read->base + (sent > 0 ? sent : 0), (size_t)(length - (sent > 0 ? sent : 0)));
}

static void on_connection(uv_stream_t *listener, int status)
{
    connection *c = bench_alloc(sizeof *c);

    bench_check(status, "accepting");
    if (listener->type == UV_TCP)
        uv_tcp_init(listener->loop, &c->tcp);
    else
        uv_pipe_init(listener->loop, &c->pipe, 0);
    bench_check(uv_accept(listener, &c->stream), "uv_accept");
    if (listener->type == UV_TCP)
        uv_tcp_nodelay(&c->tcp, 1);
    uv_read_start(&c->stream, lend_buffer, on_read);
}

static void bind_tcp(uv_tcp_t *listener, int port)
{
    struct sockaddr_in address;
    int length = sizeof address;

    uv_ip4_addr("127.0.0.1", port, &address);
    uv_tcp_init(uv_default_loop(), listener);
    bench_check(uv_tcp_bind(listener, (struct sockaddr *)&address, 0), "uv_tcp_bind");
    uv_tcp_getsockname(listener, (struct sockaddr *)&address, &length);
    printf("serving on 127.0.0.1:%d\n", ntohs(address.sin_port));
}

static void bind_unix(uv_pipe_t *listener, const char *path)
{
    uv_pipe_init(uv_default_loop(), listener, 0);
    bench_check(uv_pipe_bind(listener, path), "uv_pipe_bind");
    printf("serving on %s:0\n", path);
}

int main(int argc, char **argv)
{
    connection listener;

    if (argc == 3)
        size = (unsigned)atoi(argv[2]) * 1024;
    if (argc < 2 || argc > 3 || size == 0 || size > sizeof buffer)
        bench_die("usage: echo_uv PORT|PATH [KIB]");
    if (argv[1][0] == '/')
        bind_unix(&listener.pipe, argv[1]);
    else
        bind_tcp(&listener.tcp, atoi(argv[1]));
    bench_check(uv_listen(&listener.stream, 1024, on_connection), "uv_listen");
    fflush(stdout);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
