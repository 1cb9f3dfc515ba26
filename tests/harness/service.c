/*
 * service.c - that server's connections. Each holds its peer back while it cannot write, so that nothing piles up.
 */
#include "harness/service.h"

#include <stdlib.h>

typedef struct connection {
    service *service;
    rp_transport *transport;
} connection;

void service_made(void *self, rp_transport *transport)
{
    connection *c = self;

    c->transport = transport;
    c->service->fd = (int)rp_transport_fd(transport);
    c->service->made++;
}

static void echo(void *self, const void *data, size_t length)
{
    connection *c = self;
    int rc = rp_transport_write(c->transport, data, length);

    CHECK(rc == 0 || rc == -ECONNRESET || rc == -EPIPE);
}

void service_lost(void *self, int error)
{
    connection *c = self;

    (void)error;
    c->service->lost++;
    free(c);
}

static void hold_back(void *self)
{
    connection *c = self;

    rp_transport_pause_reading(c->transport);
}

static void go_on(void *self)
{
    connection *c = self;

    rp_transport_resume_reading(c->transport);
}

static const rp_protocol echoing = {.connection_made = service_made,
                                    .data_received = echo,
                                    .connection_lost = service_lost,
                                    .pause_writing = hold_back,
                                    .resume_writing = go_on};

int service_factory(void *arg, const rp_protocol **protocol, void **self)
{
    service *s = arg;
    connection *c;

    if (s->close)
        rp_server_close(s->close);
    if (s->refuse < 0) {
        s->refused++;
        return s->refuse;
    }
    c = calloc(1, sizeof *c);
    c->service = s;
    *protocol = &echoing;
    *self = c;
    return 0;
}

int service_try(rp_loop *loop, service *s, const char *host, int port, const rp_server_options *options,
                rp_server **server)
{
    rp_future *future;
    int rc = rp_create_server(loop, service_factory, s, host, port, options, &future);

    if (rc < 0)
        return rc;
    rc = rp_run_until_complete(loop, future);
    *server = rp_future_value(future);
    rp_future_unref(future);
    return rc;
}

rp_server *service_start(rp_loop *loop, service *s, const char *host, int port, const rp_server_options *options)
{
    rp_server *server;

    CHECK_INT(service_try(loop, s, host, port, options, &server), ==, 0);
    return server;
}
