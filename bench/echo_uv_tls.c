/*
 * echo_uv_tls.c - the echo server on libuv under TLS, as programs on libuv have it: memory BIOs, one buffer for all
 * connections, and a send that is tried at once.
 *
 * echo_uv_tls PORT CERTIFICATE (of 127.0.0.1; 0: one that is free)
 */
#include <arpa/inet.h>
#include <uv.h>

#include "tls_memory.h"

typedef struct connection {
    uv_tcp_t tcp;
    bench_tls tls;
} connection;

typedef struct rest {
    uv_write_t request;
    char data[];
} rest;

static char buffer[128 * 1024], records[BENCH_TLS_ROOM];
static SSL_CTX *context;

static void on_closed(uv_handle_t *handle)
{
    bench_tls_end(&((connection *)handle)->tls);
    free(handle);
}

static void end(connection *c)
{
    if (!uv_is_closing((uv_handle_t *)&c->tcp))
        uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void on_written(uv_write_t *request, int status)
{
    if (status < 0)
        end((connection *)request->handle);
    free(request);
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *lent)
{
    (void)handle, (void)suggested;
    *lent = uv_buf_init(buffer, sizeof buffer);
}

static void queue_rest(connection *c, const char *data, size_t length)
{
    rest *r = bench_alloc(sizeof *r + length);
    uv_buf_t piece = uv_buf_init(r->data, (unsigned)length);

    memcpy(r->data, data, length);
    bench_check(uv_write(&r->request, (uv_stream_t *)&c->tcp, &piece, 1, on_written), "uv_write");
}

static void send_records(connection *c)
{
    size_t length = bench_tls_leaving(&c->tls, records);
    uv_buf_t piece = uv_buf_init(records, (unsigned)length);
    int sent;

    if (length == 0)
        return;
    sent = uv_try_write((uv_stream_t *)&c->tcp, &piece, 1);
    if (sent < 0 && sent != UV_EAGAIN)
        end(c);
    else if (sent < (int)length)
        queue_rest(c, records + (sent > 0 ? sent : 0), length - (size_t)(sent > 0 ? sent : 0));
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *read)
{
    connection *c = (connection *)stream;
    int goes_on;

    if (length == 0)
        return;
    if (length < 0) {
        end(c);
        return;
    }
    goes_on = bench_tls_echo(&c->tls, read->base, (size_t)length);
    send_records(c);
    if (!goes_on)
        end(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
    connection *c = bench_alloc(sizeof *c);

    bench_check(status, "accepting");
    uv_tcp_init(listener->loop, &c->tcp);
    bench_check(uv_accept(listener, (uv_stream_t *)&c->tcp), "uv_accept");
    uv_tcp_nodelay(&c->tcp, 1);
    bench_tls_begin(&c->tls, context);
    uv_read_start((uv_stream_t *)&c->tcp, lend_buffer, on_read);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    int length = sizeof address;
    uv_tcp_t listener;

    if (argc != 3)
        bench_die("usage: echo_uv_tls PORT CERTIFICATE");
    context = bench_tls_context(argv[2]);
    uv_ip4_addr("127.0.0.1", atoi(argv[1]), &address);
    uv_tcp_init(uv_default_loop(), &listener);
    bench_check(uv_tcp_bind(&listener, (struct sockaddr *)&address, 0), "uv_tcp_bind");
    bench_check(uv_listen((uv_stream_t *)&listener, 1024, on_connection), "uv_listen");
    uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &length);
    printf("serving on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
