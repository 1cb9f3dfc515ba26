/*
 * server.c - a server: from an accepted socket to a transport and its protocol, and the server's end.
 *
 * While it serves, its listeners accept, or somebody else does, from whom it takes connections (its intake). What
 * becomes of a connection is the same. It is the server's before it has a protocol: with TLS a handshake comes first.
 * Whatever takes away something that a server waits for at its end calls settle(). Servers are made in server_open.c.
 */
#include "connect/server.h"

#include <assert.h>

#include "base/leave.h"
#include "base/memory.h"
#include "loop/exception.h"
#include "loop/future.h"
#include "net/bind.h"
#include "net/socket_transport.h"

/* ---- who refers to it ---- */

rp_server *rp_server_ref(rp_server *server)
{
    server->refs++;
    return server;
}

void rp_server_unref(rp_server *server)
{
    if (!server)
        return;
    assert(server->refs > 0);
    if (--server->refs > 0)
        return;
    assert(server->closed && server->connection_count == 0 && rp_list_empty(&server->waiters));
    rp_free(server->intake);
    rp_loop_unref(server->loop);
    rp_free(server);
}

/* ---- waiting for the end ---- */

typedef struct waiter {
    rp_future future;
    rp_node link; /* in the server's list, which holds a reference */
} waiter;

static void dispose_waiter(rp_future *future)
{
    rp_future_fini(future);
    rp_free(rp_container_of(future, waiter, future));
}

static bool cancel_waiter(rp_future *future)
{
    waiter *entry = rp_container_of(future, waiter, future);

    if (rp_node_linked(&entry->link))
        rp_list_remove(&entry->link);
    else
        rp_future_ref(future); /* the server is gone, and the list's reference with it */
    rp_future_finish_cancelled(future);
    rp_future_unref(future);
    return true;
}

static const rp_future_type waiter_type = {
    .name = "server's end", .cancel = cancel_waiter, .dispose = dispose_waiter};

static void tell_waiters(rp_server *server)
{
    rp_node *node;

    while ((node = rp_list_pop(&server->waiters))) {
        waiter *entry = rp_container_of(node, waiter, link);

        rp_future_finish(&entry->future, 0, NULL);
        rp_future_unref(&entry->future);
    }
}

/* They stay pending for whoever holds them. */
static void drop_waiters(rp_server *server)
{
    rp_node *node;

    while ((node = rp_list_pop(&server->waiters)))
        rp_future_unref(&rp_container_of(node, waiter, link)->future);
}

/* ---- the end ---- */

/* Nothing of it is left but its memory, as long as somebody refers to it. */
static void end(rp_server *server)
{
    assert(server->closed && !server->owned && server->open_listeners == 0 && server->connection_count == 0);
    rp_resource_remove(&server->resource);
    if (server->protocol.release)
        server->protocol.release(server->protocol.arg);
    rp_secure_drop(&server->secure);
    rp_server_unref(server);
}

static void settle(rp_server *server)
{
    if (!server->closed || server->open_listeners > 0 || server->connection_count > 0)
        return;
    tell_waiters(server);
    if (!server->owned && rp_node_linked(&server->resource.link))
        end(server);
}

int rp_server_closed_future(rp_server *server, rp_future **future)
{
    waiter *entry;

    RP_TRY(rp_loop_check(server->loop));
    entry = rp_calloc(sizeof *entry);
    if (!entry)
        return -ENOMEM;
    rp_future_init(&entry->future, server->loop, &waiter_type);
    *future = rp_future_ref(&entry->future);
    rp_list_push(&server->waiters, &entry->link);
    settle(server);
    return 0;
}

/* The path goes with the server, unless this is a forked child. */
static void unlink_path(const rp_server *server)
{
    if (!rp_loop_is_forked(server->loop))
        rp_socket_file_remove(server->unix_address.sun_path, &server->socket_file);
}

static void on_closed(rp_listener *listener)
{
    rp_server *server = listener->owner;

    assert(server->closed && server->open_listeners > 0);
    server->open_listeners--;
    settle(server);
}

/* Its sockets go back to those who have lent them; a child of fork() has copies of its own, and closes these. */
static void leave_intake(rp_server *server)
{
    server->intake->type->leave(server->intake);
    if (rp_loop_is_forked(server->loop))
        return;
    for (size_t i = 0; i < server->listener_count; i++)
        server->listeners[i].fd = -1;
    server->open_listeners -= server->listener_count;
}

void rp_server_close(rp_server *server)
{
    if (server->closed)
        return;
    server->closed = true;
    server->serving = false;
    rp_server_ref(server);
    unlink_path(server);
    if (server->intake)
        leave_intake(server);
    for (size_t i = 0; i < server->listener_count; i++)
        if (server->listeners[i].fd >= 0)
            rp_listener_close(&server->listeners[i]);
    settle(server);
    rp_server_unref(server);
}

void rp_server_free(rp_server *server)
{
    if (!server)
        return;
    server->owned = false;
    if (server->closed)
        settle(server);
    else
        rp_server_close(server);
}

void rp_server_discard(rp_server *server)
{
    server->protocol.release = NULL;
    rp_server_free(server);
}

static void quiesce(rp_resource *resource)
{
    rp_server_close(rp_container_of(resource, rp_server, resource));
}

/* The loop is closed. Transports are reaped by themselves. */
static void reap(rp_resource *resource)
{
    rp_server *server = rp_container_of(resource, rp_server, resource);

    if (!server->closed)
        unlink_path(server);
    if (!server->closed && server->intake)
        leave_intake(server);
    server->closed = true;
    server->serving = server->owned = false;
    for (size_t i = 0; i < server->listener_count; i++)
        rp_listener_reap(&server->listeners[i]);
    server->open_listeners = server->connection_count = 0;
    while (!rp_list_empty(&server->connections))
        rp_list_pop(&server->connections);
    drop_waiters(server);
    end(server);
}

static const rp_resource_type resource_type = {.at = {[RP_QUIESCE] = quiesce, [RP_REAP] = reap}};

/* A connection is no longer the server's: whoever hands them out counts them too. */
static void lighten(rp_server *server)
{
    if (!server->intake)
        return;
    size_t load = atomic_fetch_sub_explicit(&server->intake->load, 1, memory_order_relaxed);
    assert(load > 0);
    (void)load;
}

static void detach(rp_transport *transport)
{
    rp_server *server = transport->maker;

    assert(rp_node_linked(&transport->maker_link) && server->connection_count > 0);
    rp_list_remove(&transport->maker_link);
    server->connection_count--;
    lighten(server);
    settle(server);
}

/* ---- accepting ---- */

/* Whether its connections are no sockets. */
static bool is_strange(const rp_server *server)
{
    return server->intake && server->intake->type->make;
}

static void close_incoming(const rp_server *server, rp_fd fd)
{
    (is_strange(server) ? server->intake->type->close : rp_loop_close_socket)(server->loop, fd);
}

/* A socket that has no transport, or one that has no protocol yet. */
typedef struct incoming {
    rp_server *server; /* NULL: it has */
    rp_transport *transport;
    rp_fd fd;
} incoming;

static void turn_away(incoming *in)
{
    if (!in->server)
        return;
    if (in->transport)
        rp_transport_discard(in->transport);
    close_incoming(in->server, in->fd);
    lighten(in->server);
}

static void take_in(rp_server *server, rp_transport *transport)
{
    assert(rp_node_linked(&server->resource.link)); /* it cannot end before its connections */
    transport->maker = server;
    transport->detached = detach;
    rp_list_push(&server->connections, &transport->maker_link);
    server->connection_count++;
}

static void set_options(const rp_server *server, rp_fd fd)
{
    if (!server->inherited && !server->nagle && !is_strange(server))
        rp_kernel_set_number(server->loop->kernel, fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

/* Whether there is a protocol for it now. If not, that was reported. */
static bool make_protocol(rp_server *server, const rp_protocol **protocol, void **self)
{
    int rc = server->protocol.factory(server->protocol.arg, protocol, self);

    if (rp_loop_is_forked(server->loop)) /* the factory has forked: the connection is the parent's */
        return false;
    if (rc < 0)
        rp_loop_report(server->loop, &(rp_report){.where = RP_WHERE_PROTOCOL_FACTORY, .error = rc});
    return rc >= 0;
}

/* ---- TLS ---- */

/* Whether a peer or the network may cause it. */
static bool is_everyday(int error)
{
    return rp_transport_is_tls_error(error) || error == -ETIMEDOUT || error == -ECONNRESET ||
           error == -ECONNABORTED || error == -EPIPE;
}

/* What a peer may cause is looked for in debug mode; what we have aborted ourselves is no failure. */
static void report_handshake(const rp_server *server, rp_transport *transport, int error)
{
    if (error != -ECANCELED && (server->loop->debug || !is_everyday(error)))
        rp_loop_report(server->loop,
                       &(rp_report){.where = RP_WHERE_HANDSHAKE, .error = error, .transport = transport});
}

/* If it gets no protocol, it is aborted after this. */
static void on_secured(void *arg, rp_transport *transport, int error)
{
    rp_server *server = arg;
    const rp_protocol *protocol = NULL;
    void *self = NULL;

    if (error < 0)
        report_handshake(server, transport, error);
    else if (make_protocol(server, &protocol, &self))
        rp_transport_start(transport, protocol, self);
}

static void secure(incoming *in)
{
    rp_server *server = in->server;
    rp_transport *filter;
    int rc;

    set_options(server, in->fd);
    rc = rp_secure_begin(&server->secure, in->transport, NULL, 0, on_secured, server, &filter);
    if (rc < 0) {
        report_handshake(server, NULL, rc);
        return;
    }
    in->server = NULL;
    take_in(server, filter);
}

/* ---- serving ---- */

static void serve(rp_server *server, rp_fd fd)
{
    rp_transport *transport =
        (is_strange(server) ? server->intake->type->make : rp_socket_transport_new)(server->loop, fd);
    incoming in RP_ON_LEAVE(turn_away) = {server, transport, fd};
    const rp_protocol *protocol = NULL;
    void *self = NULL;

    if (!transport) {
        rp_loop_report(server->loop, &(rp_report){.where = RP_WHERE_PROTOCOL_FACTORY, .error = -ENOMEM});
    } else if (server->secure.context) {
        secure(&in);
    } else if (make_protocol(server, &protocol, &self)) {
        in.server = NULL;
        set_options(server, fd);
        take_in(server, transport);
        rp_transport_start(transport, protocol, self);
    }
}

static void on_accepted(rp_listener *listener, rp_fd fd)
{
    serve(listener->owner, fd);
}

static const rp_listener_type listener_type = {.accepted = on_accepted, .closed = on_closed};

/* The taking of arrivals. What is left of them when an exception passes is taken in the next turn. */
typedef struct taking {
    rp_server *server;
    bool done;
} taking;

static void end_taking(taking *t)
{
    rp_server *server = t->server;

    if (!t->done && !server->closed)
        rp_call_soon_threadsafe(server->loop, &server->intake->wake, server->intake->woken, server);
    server->open_listeners--;
    settle(server);
}

/* There is something to take. A protocol may close the server, and fork. */
static void take_arrivals(void *arg)
{
    rp_server *server = arg;
    rp_fd fd;

    server->open_listeners++; /* it is not at its end before, even if a factory frees it */
    taking t RP_ON_LEAVE(end_taking) = {server, false};
    while (!server->closed && !rp_loop_is_forked(server->loop) && server->intake->type->take(server->intake, &fd))
        serve(server, fd);
    t.done = true;
}

static int accept_itself(rp_server *server)
{
    for (size_t i = 0; i < server->listener_count && server->backlog > 0; i++)
        RP_TRY(rp_kernel_listen(server->loop->kernel, server->listeners[i].fd, server->backlog));
    for (size_t i = 0; i < server->listener_count; i++)
        rp_listener_start(&server->listeners[i]);
    return 0;
}

int rp_server_start_serving(rp_server *server)
{
    RP_TRY(rp_loop_check(server->loop));
    if (server->closed)
        return -EINVAL;
    if (server->serving)
        return 0;
    assert(server->open_listeners == server->listener_count);
    RP_TRY(server->intake ? server->intake->type->serve(server->intake) : accept_itself(server));
    server->serving = true;
    return 0;
}

/* ---- the beginning ---- */

rp_server *rp_server_new(rp_loop *loop, const rp_server_protocol *protocol, size_t sockets)
{
    rp_server *server = rp_calloc(sizeof *server + sockets * sizeof server->listeners[0]);

    if (!server)
        return NULL;
    server->loop = rp_loop_ref(loop);
    server->refs = 1;
    server->protocol = *protocol;
    server->owned = true;
    server->backlog = 100;
    server->inherited = loop->kernel->inherits;
    rp_list_init(&server->connections);
    rp_list_init(&server->waiters);
    rp_resource_add(loop, &server->resource, &resource_type);
    return server;
}

void rp_server_set_intake(rp_server *server, rp_intake *intake)
{
    assert(!server->intake && server->listener_count == 0);
    server->intake = intake;
    intake->loop = server->loop;
    intake->woken = take_arrivals;
    intake->server = server;
}

void rp_server_add_socket(rp_server *server, rp_fd fd)
{
    assert(!server->closed && !server->serving);
    rp_listener_init(&server->listeners[server->listener_count++], server->loop, fd, &listener_type, server);
    server->open_listeners++;
}

/* ---- clients and sockets ---- */

void rp_server_close_clients(rp_server *server)
{
    for (rp_node *node = server->connections.next; node != &server->connections; node = node->next)
        rp_transport_close(rp_container_of(node, rp_transport, maker_link));
}

void rp_server_abort_clients(rp_server *server)
{
    for (rp_node *node = server->connections.next; node != &server->connections; node = node->next)
        rp_transport_abort(rp_container_of(node, rp_transport, maker_link));
}

bool rp_server_is_serving(const rp_server *server)
{
    return server->serving;
}

rp_loop *rp_server_get_loop(const rp_server *server)
{
    return server->loop;
}

size_t rp_server_connections(const rp_server *server)
{
    return server->connection_count;
}

size_t rp_server_sockets(const rp_server *server)
{
    return server->closed ? 0 : server->listener_count;
}

rp_fd rp_server_fd(const rp_server *server, size_t index)
{
    return index < rp_server_sockets(server) ? server->listeners[index].fd : -1;
}

int rp_server_sockname(const rp_server *server, size_t index, struct sockaddr *address, uint32_t *length)
{
    return rp_kernel_name(server->loop->kernel, rp_server_fd(server, index), address, length);
}

int rp_server_port(const rp_server *server)
{
    for (size_t i = 0; i < rp_server_sockets(server); i++) {
        int port = rp_bind_port(server->loop->kernel, server->listeners[i].fd);

        if (port > 0)
            return port;
    }
    return 0;
}
