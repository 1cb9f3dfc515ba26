/*
 * server.c - a server: listening sockets, and the connections that were accepted on them.
 *
 * Each listener has one multishot accept in flight while the server serves; or else a hub accepts for it, and only
 * what becomes of the sockets is done here. A server exists until its owner has freed it, and it is closed, and its
 * listeners are, and its last connection has ended: whatever takes one of these away calls settle(). Making one is the
 * business of listen.c.
 */
#include "base/leave.h"
#include "base/memory.h"
#include "net/listen.h"
#include "net/transport.h"

enum { RETRY_DELAY = 1 }; /* seconds until accepting is tried again: asyncio's ACCEPT_RETRY_DELAY */

/* ---- the end ---- */

typedef struct waiter {
    rp_future future;
    rp_node link; /* in the server's list, which holds a reference */
} waiter;

static void free_server(rp_server *server)
{
    rp_list_remove(&server->resource.link);
    if (server->protocol.release)
        server->protocol.release(server->protocol.arg);
    rp_free(server);
}

static void settle(rp_server *server)
{
    rp_node *node;

    if (!server->closed || server->open_listeners > 0 || server->connection_count > 0)
        return;
    while ((node = rp_list_pop(&server->waiters)) != NULL) {
        waiter *entry = rp_container_of(node, waiter, link);

        rp_future_finish(&entry->future, 0, NULL);
        rp_future_unref(&entry->future);
    }
    if (!server->owned)
        free_server(server);
}

static void close_listener(rp_listener *listener)
{
    rp_loop_close_socket(listener->server->loop, listener->fd);
    listener->fd = -1;
    listener->server->open_listeners--;
}

/* The path goes with the server, unless this is a forked child. */
static void unlink_path(const rp_server *server)
{
    if (!rp_loop_is_forked(server->loop))
        rp_socket_file_remove(server->unix_address.sun_path, &server->socket_file);
}

void rp_server_close(rp_server *server)
{
    if (server->closed)
        return;
    server->closed = true;
    server->serving = false;
    unlink_path(server);
    if (server->intake.hub != NULL)
        rp_hub_leave(server);
    for (size_t i = 0; i < server->listener_count; i++) {
        rp_listener *listener = &server->listeners[i];

        rp_timer_cancel(&listener->retry);
        if (listener->accepting)
            rp_cancel(server->loop, &listener->accept);
        else
            close_listener(listener);
    }
    settle(server);
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

static void quiesce(rp_resource *resource)
{
    rp_server_close(rp_container_of(resource, rp_server, resource));
}

/* The loop is closed. Transports are reaped by themselves, and waiters stay pending for whoever holds them. */
static void reap(rp_resource *resource)
{
    rp_server *server = rp_container_of(resource, rp_server, resource);
    rp_node *node;

    if (!server->closed)
        unlink_path(server);
    if (!server->closed && server->intake.hub != NULL)
        rp_hub_leave(server);
    for (size_t i = 0; i < server->listener_count; i++)
        rp_socket_close(server->listeners[i].fd);
    while ((node = rp_list_pop(&server->waiters)) != NULL)
        rp_future_unref(&rp_container_of(node, waiter, link)->future);
    free_server(server);
}

/* A connection is not its any more: the hub counts them too. */
static void lighten(rp_server *server)
{
    if (server->intake.hub != NULL)
        atomic_fetch_sub_explicit(&server->intake.load, 1, memory_order_relaxed);
}

void rp_server_detach(rp_server *server, rp_transport *transport)
{
    rp_list_remove(&transport->server_link);
    server->connection_count--;
    lighten(server);
    settle(server);
}

/* ---- accepting ---- */

/* A connection that has no protocol yet. */
typedef struct incoming {
    rp_server *server; /* NULL: it has */
    rp_transport *transport;
    rp_fd fd;
} incoming;

static void turn_away(incoming *in)
{
    if (in->server == NULL)
        return;
    if (in->transport)
        rp_transport_discard(in->transport);
    rp_socket_close(in->fd);
    lighten(in->server);
}

static void serve(rp_server *server, rp_fd fd)
{
    if (server->protocol.accepted != NULL) {
        server->protocol.accepted(server->protocol.arg, fd);
        return;
    }
    rp_transport *transport = rp_transport_new(server->loop, fd);
    incoming in RP_ON_LEAVE(turn_away) = {server, transport, fd};
    const rp_protocol *protocol = NULL;
    void *self = NULL;
    int rc = transport ? server->protocol.factory(server->protocol.arg, &protocol, &self) : -ENOMEM;

    if (rp_loop_is_forked(server->loop)) /* the factory has forked: the connection is the parent's */
        return;
    if (rc < 0) {
        rp_loop_report(server->loop, "error on making the protocol of an incoming connection", rc, NULL, NULL,
                       NULL, NULL);
        return;
    }
    in.server = NULL;
    if (!server->inherited && !server->nagle)
        rp_socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    transport->server = server;
    rp_list_push(&server->connections, &transport->server_link);
    server->connection_count++;
    rp_transport_start(transport, protocol, self);
}

/* The taking of arrivals. What is left of them when an exception passes is taken in the next turn. */
typedef struct taking {
    rp_server *server;
    bool done;
} taking;

static void end_taking(taking *t)
{
    rp_server *server = t->server;

    if (!t->done && !server->closed)
        rp_call_soon_threadsafe(server->loop, &server->intake.wake, rp_server_take_arrivals, server);
    server->open_listeners--;
    settle(server);
}

void rp_server_take_arrivals(void *arg)
{
    rp_server *server = arg;
    rp_fd fd;

    server->open_listeners++; /* it stays, even if a protocol frees it */
    taking t RP_ON_LEAVE(end_taking) = {server, false};
    while (!rp_loop_is_forked(server->loop) && rp_hub_take(server, &fd)) /* a protocol may have forked */
        serve(server, fd);
    t.done = true;
}

/* What accept() fails with although the listening socket is in order: accept(2) says to go on. */
static bool is_transient(int error)
{
    switch (error) {
    case -ECONNABORTED:
    case -ECONNRESET: /* Windows, or Wine, when the peer was gone before */
    case -ENOTCONN:
    case -EINTR:
    case -EAGAIN:
    case -EPROTO:
    case -ENETDOWN:
    case -ENOPROTOOPT:
#ifdef EHOSTDOWN /* on Windows EHOSTUNREACH says it */
    case -EHOSTDOWN:
#endif
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -ECANCELED:
        return true;
    default:
        return false;
    }
}

static void accept_on(void *arg);

/* The report comes last: who is told may free the server. */
static void accept_later(rp_listener *listener, int error)
{
    rp_loop *loop = listener->server->loop;
    bool exhausted = error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;

    rp_call_later(loop, &listener->retry, RP_SEC(RETRY_DELAY), accept_on, listener);
    rp_loop_report(loop, exhausted ? "socket.accept() out of system resource" : "accept failed on a socket", error,
                   NULL, NULL, NULL, NULL);
}

typedef struct acceptance {
    rp_listener *listener;
    bool more;
    int64_t result;
} acceptance;

static void go_on_accepting(acceptance *a)
{
    rp_listener *listener = a->listener;
    rp_server *server = listener->server;

    listener->accepting = a->more;
    if (a->more)
        return;
    if (server->closed) {
        close_listener(listener);
        settle(server);
    } else if (a->result >= 0 || is_transient((int)a->result)) {
        accept_on(listener);
    } else {
        accept_later(listener, (int)a->result);
    }
}

static void on_accepted(rp_op *op)
{
    acceptance a RP_ON_LEAVE(go_on_accepting) = {op->data, op->flags & RP_OP_MORE, op->result};

    if (a.result >= 0) /* even if it was closed meanwhile: no connection that was accepted is lost */
        serve(a.listener->server, (rp_fd)a.result);
}

static void accept_on(void *arg)
{
    rp_listener *listener = arg;
    int rc;

    rp_op_accept_multi(&listener->accept, listener->fd, on_accepted, listener);
    rc = rp_submit(listener->server->loop, &listener->accept);
    listener->accepting = rc == 0;
    if (rc < 0)
        accept_later(listener, rc);
}

static int accept_itself(rp_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++)
        if (server->backlog > 0 && listen(server->listeners[i].fd, server->backlog) < 0)
            return rp_socket_error();
    for (size_t i = 0; i < server->listener_count; i++)
        accept_on(&server->listeners[i]);
    return 0;
}

int rp_server_start_serving(rp_server *server)
{
    RP_TRY(rp_loop_check(server->loop));
    if (server->closed)
        return -EINVAL;
    if (server->serving)
        return 0;
    RP_TRY(server->intake.hub != NULL ? rp_hub_serve(server) : accept_itself(server));
    server->serving = true;
    return 0;
}

/* ---- the beginning ---- */

rp_server *rp_server_new(rp_loop *loop, const rp_server_protocol *protocol, size_t listeners)
{
    rp_server *server = rp_calloc(sizeof *server + listeners * sizeof server->listeners[0]);

    if (!server)
        return NULL;
    server->loop = loop;
    server->protocol = *protocol;
    server->owned = true;
    server->backlog = 100;
    server->inherited = RP_SOCKET_INHERITS;
    rp_list_init(&server->connections);
    rp_list_init(&server->waiters);
    rp_list_init(&server->intake.arrivals);
    server->resource.reap = reap;
    server->resource.quiesce = quiesce;
    rp_list_push(&loop->resources, &server->resource.link);
    return server;
}

void rp_server_add_listener(rp_server *server, rp_fd fd)
{
    rp_listener *listener = &server->listeners[server->listener_count++];

    listener->server = server;
    listener->fd = fd;
    server->open_listeners++;
}

/* ---- clients, sockets, waiting ---- */

void rp_server_close_clients(rp_server *server)
{
    for (rp_node *node = server->connections.next; node != &server->connections; node = node->next)
        rp_transport_close(rp_container_of(node, rp_transport, server_link));
}

void rp_server_abort_clients(rp_server *server)
{
    for (rp_node *node = server->connections.next; node != &server->connections; node = node->next)
        rp_transport_abort(rp_container_of(node, rp_transport, server_link));
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
    return rp_socket_name(rp_server_fd(server, index), address, length);
}

int rp_server_port(const rp_server *server)
{
    for (size_t i = 0; i < rp_server_sockets(server); i++) {
        int port = rp_socket_port(server->listeners[i].fd);

        if (port > 0)
            return port;
    }
    return 0;
}

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
