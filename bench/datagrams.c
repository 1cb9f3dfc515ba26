/*
 * datagrams.c - an echo server of UDP, on a datagram transport.
 *
 * datagrams PORT (of 127.0.0.1; 0: one that is free)
 */
#include <netinet/in.h>
#include <ringport.h>

#include "bench.h"

typedef struct echo {
    rp_datagram_transport *transport;
} echo;

static void connection_made(void *self, rp_datagram_transport *transport)
{
    ((echo *)self)->transport = transport;
}

static void datagram_received(void *self, const void *data, size_t length, const struct sockaddr *address,
                              uint32_t address_length, unsigned flags)
{
    rp_datagram_sendto(((echo *)self)->transport, data, length, address, address_length);
}

static int make_protocol(void *arg, const rp_datagram_protocol **protocol, void **self)
{
    static const rp_datagram_protocol table = {.connection_made = connection_made,
                                               .datagram_received = datagram_received};

    *protocol = &table;
    *self = arg;
    return 0;
}

static void serve(rp_loop *loop, int port)
{
    const rp_datagram_options options = {.local_host = "127.0.0.1", .local_port = port};
    struct sockaddr_in address;
    uint32_t length = sizeof address;
    echo server = {NULL};
    rp_future *request;

    bench_check(rp_create_datagram_endpoint(loop, make_protocol, &server, &options, &request), "an endpoint");
    bench_check(rp_run_until_complete(loop, request), "binding");
    rp_future_unref(request);
    bench_check(rp_datagram_sockname(server.transport, (struct sockaddr *)&address, &length), "getsockname");
    printf("serving on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    bench_check(rp_run_forever(loop), "rp_run_forever");
}

int main(int argc, char **argv)
{
    rp_loop *loop;

    if (argc != 2)
        bench_die("usage: datagrams PORT");
    bench_check(rp_loop_new(NULL, &loop), "rp_loop_new");
    serve(loop, atoi(argv[1]));
    rp_loop_free(loop);
    return 0;
}
