/*
 * transport.c - a connection's life: see transport.h. The reading side is in transport_read.c, the writing side in
 * transport_write.c.
 */
#include "base/leave.h"
#include "base/memory.h"
#include "base/origin.h"
#include "base/socket.h"
#include "loop/exception.h"
#include "net/transport.h"

/* ---- the end ---- */

static void free_transport(rp_transport *transport)
{
    rp_buffer_fini(&transport->buffer);
    rp_free(transport->origin);
    rp_free(transport);
}

static void detach_and_free(rp_transport **ended)
{
    rp_transport *transport = *ended;

    if (transport->detached)
        transport->detached(transport);
    free_transport(transport);
}

static void end(void *arg)
{
    rp_transport *transport RP_ON_LEAVE(detach_and_free) = arg;

    rp_resource_remove(&transport->resource);
    if (rp_handle_scheduled(&transport->pull))
        rp_handle_cancel(&transport->pull);
    rp_loop_close_socket(transport->loop, transport->fd);
    transport->fd = -1;
    if (transport->protocol->connection_lost)
        transport->protocol->connection_lost(transport->self, transport->error);
}

static void report(rp_resource *resource)
{
    rp_transport *transport = rp_container_of(resource, rp_transport, resource);

    if (transport->loop->debug && !transport->closing)
        rp_loop_report(transport->loop, "transport never closed", 0, NULL, NULL, transport, transport->origin);
}

/* The loop is closed: its operations have ended, and no callback may run any more. */
static void reap(rp_resource *resource)
{
    rp_transport *transport = rp_container_of(resource, rp_transport, resource);

    rp_resource_remove(resource);
    if (rp_node_linked(&transport->maker_link))
        rp_list_remove(&transport->maker_link);
    rp_socket_close(transport->fd);
    free_transport(transport);
}

static const rp_resource_type resource_type = {.at = {[RP_REPORT] = report, [RP_REAP] = reap}};

void rp_transport_settle(rp_transport *transport)
{
    if (!transport->lost || transport->receiving || transport->sending || rp_handle_scheduled(&transport->end))
        return;
    rp_loop_ready(transport->loop, &transport->end);
}

void rp_transport_lose(rp_transport *transport, int error)
{
    if (transport->lost)
        return;
    transport->lost = transport->closing = true;
    if (transport->error == 0)
        transport->error = error;
    if (transport->receiving)
        rp_cancel(transport->loop, &transport->receive);
    if (transport->sending)
        rp_cancel(transport->loop, &transport->send);
    else
        rp_buffer_fini(&transport->buffer);
    rp_transport_settle(transport);
}

/* What a peer or the network does to connections every day is for the protocol to know, not for the log. */
static bool is_everyday(int error)
{
    switch (error) {
    case -ECONNRESET:
    case -EPIPE:
    case -ECONNABORTED:
    case -ECONNREFUSED:
    case -ETIMEDOUT:
    case -EHOSTUNREACH:
#ifdef EHOSTDOWN /* on Windows EHOSTUNREACH says it */
    case -EHOSTDOWN:
#endif
    case -ENETUNREACH:
    case -ENETDOWN:
    case -ENETRESET:
    case -ENOTCONN:
        return true;
    default:
        return false;
    }
}

void rp_transport_fail(rp_transport *transport, int error, const char *message)
{
    if (!transport->lost && !is_everyday(error))
        rp_loop_report(transport->loop, message, error, NULL, NULL, transport, transport->origin);
    rp_transport_lose(transport, error);
}

/* -EPIPE comes after the peer's end of the stream was seen: that is a true one. */
void rp_transport_fail_writing(rp_transport *transport, int error, bool told, const char *message)
{
    const rp_protocol *protocol = transport->protocol;

    if (!protocol->write_failed || !is_everyday(error) || transport->closing || transport->eof_received ||
        !transport->receiving) {
        rp_transport_fail(transport, error, message);
        return;
    }
    transport->error = error;
    transport->eof_wanted = true;
    transport->end_hidden = told && error != -EPIPE;
    rp_buffer_fini(&transport->buffer);
    protocol->write_failed(transport->self, error);
}

void rp_transport_close(rp_transport *transport)
{
    if (transport->corked)
        rp_transport_uncork(transport); /* which may fail, and so end it */
    if (transport->closing)
        return;
    transport->closing = true;
    if (rp_buffer_size(&transport->buffer) == 0)
        rp_transport_lose(transport, 0);
    else if (transport->receiving)
        rp_cancel(transport->loop, &transport->receive);
}

void rp_transport_abort(rp_transport *transport)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};

    if (rp_loop_check(transport->loop) == 0)
        setsockopt(transport->fd, SOL_SOCKET, SO_LINGER, (const void *)&reset, sizeof reset);
    rp_transport_lose(transport, 0);
}

bool rp_transport_is_closing(const rp_transport *transport)
{
    return transport->closing;
}

/* ---- the beginning ---- */

rp_transport *rp_transport_new(rp_loop *loop, rp_fd fd)
{
    rp_transport *transport = rp_calloc(sizeof *transport);

    if (!transport)
        return NULL;
    transport->loop = loop;
    transport->fd = fd;
    rp_handle_prepare(&transport->pull, loop, rp_transport_pull, transport);
    rp_handle_prepare(&transport->end, loop, end, transport);
    rp_transport_set_write_buffer_limits(transport, SIZE_MAX, SIZE_MAX);
    if (loop->debug)
        transport->origin = rp_origin_capture();
    return transport;
}

void rp_transport_discard(rp_transport *transport)
{
    free_transport(transport);
}

void rp_transport_start(rp_transport *transport, const rp_protocol *protocol, void *self)
{
    transport->protocol = protocol;
    transport->self = self;
    rp_resource_add(transport->loop, &transport->resource, &resource_type);
    rp_transport_start_receiving(transport);
    if (protocol->connection_made)
        protocol->connection_made(self, transport);
}

int rp_connect_accepted_socket(rp_loop *loop, rp_fd fd, const rp_protocol *protocol, void *self,
                               rp_transport **transport)
{
    int type = rp_socket_type(fd);

    RP_TRY(rp_loop_check(loop));
    RP_TRY(type);
    if (type != SOCK_STREAM || rp_socket_listens(fd) != 0)
        return -EINVAL;
    *transport = rp_transport_new(loop, fd);
    if (!*transport)
        return -ENOMEM;
    rp_socket_set_nonblocking(fd);
    rp_socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* a Unix socket refuses, and needs none */
    rp_transport_start(*transport, protocol, self);
    return 0;
}

/* ---- what it stands on ---- */

rp_fd rp_transport_fd(const rp_transport *transport)
{
    return transport->fd;
}

rp_loop *rp_transport_get_loop(const rp_transport *transport)
{
    return transport->loop;
}

int rp_transport_peername(const rp_transport *transport, struct sockaddr *address, uint32_t *length)
{
    return rp_socket_peer(transport->fd, address, length);
}

int rp_transport_sockname(const rp_transport *transport, struct sockaddr *address, uint32_t *length)
{
    return rp_socket_name(transport->fd, address, length);
}

int rp_transport_setsockopt(rp_transport *transport, int level, int option, const void *value, uint32_t length)
{
    return setsockopt(transport->fd, level, option, value, (socklen_t)length) < 0 ? rp_socket_error() : 0;
}

int rp_transport_getsockopt(const rp_transport *transport, int level, int option, void *value, uint32_t *length)
{
    return getsockopt(transport->fd, level, option, value, (socklen_t *)length) < 0 ? rp_socket_error() : 0;
}

const rp_protocol *rp_transport_get_protocol(const rp_transport *transport, void **self)
{
    if (self)
        *self = transport->self;
    return transport->protocol;
}
