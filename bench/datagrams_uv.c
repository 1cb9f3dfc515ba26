/*
 * datagrams_uv.c - the echo server of UDP on libuv, with UV_UDP_RECVMMSG: many are received by one call, and each is
 * answered at once (uv_udp_try_send), or queued if the kernel has no room.
 *
 * datagrams_uv PORT (of 127.0.0.1; 0: one that is free)
 */
#include <arpa/inet.h>
#include <uv.h>

#include "bench.h"

typedef struct rest {
    uv_udp_send_t request;
    char data[];
} rest;

static char buffer[20 * 64 * 1024]; /* libuv takes no more than 20 at a time */

static void on_sent(uv_udp_send_t *request, int status)
{
    (void)status;
    free(request);
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *lent)
{
    (void)handle, (void)suggested;
    *lent = uv_buf_init(buffer, sizeof buffer);
}

static void on_received(uv_udp_t *udp, ssize_t length, const uv_buf_t *received, const struct sockaddr *address,
                        unsigned flags)
{
    uv_buf_t piece = uv_buf_init(received->base, (unsigned)length);

    (void)flags;
    if (length < 0 || !address)
        return;
    if (uv_udp_try_send(udp, &piece, 1, address) != UV_EAGAIN)
        return;
    rest *r = bench_alloc(sizeof *r + (size_t)length);
    memcpy(r->data, received->base, (size_t)length);
    piece.base = r->data;
    bench_check(uv_udp_send(&r->request, udp, &piece, 1, address, on_sent), "uv_udp_send");
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    int length = sizeof address;
    uv_loop_t *loop = uv_default_loop();
    uv_udp_t udp;

    if (argc != 2)
        bench_die("usage: datagrams_uv PORT");
    bench_check(uv_ip4_addr("127.0.0.1", atoi(argv[1]), &address), "uv_ip4_addr");
    bench_check(uv_udp_init_ex(loop, &udp, AF_INET | UV_UDP_RECVMMSG), "uv_udp_init_ex");
    bench_check(uv_udp_bind(&udp, (struct sockaddr *)&address, 0), "uv_udp_bind");
    bench_check(uv_udp_getsockname(&udp, (struct sockaddr *)&address, &length), "uv_udp_getsockname");
    bench_check(uv_udp_recv_start(&udp, lend_buffer, on_received), "uv_udp_recv_start");
    printf("serving on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
