/*
 * server_open.c - making servers: resolve the name, bind a socket to each of its addresses, begin to serve.
 *
 * All of it but the lookup happens in one go, so a server is either made whole or not at all. A request is a future; it
 * holds a reference to itself while the lookup is under way.
 */
#include "connect/server_open.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "connect/address.h"
#include "loop/future.h"
#include "loop/resource.h"
#include "net/bind.h"

enum { PORT_TRIES = 16 }; /* how many free ports are tried until one is free for all addresses */

/* What a TCP server is to be, until it is. */
typedef struct request {
    rp_future future;
    rp_resource resource;
    rp_server_protocol protocol;
    rp_server_options options;
    rp_secure secure; /* refers to the context until the server does */
    rp_place place;
    bool choose_port;
    rp_future *lookup;
    rp_done_callback resolved;
} request;

/* ---- TCP sockets ---- */

static int add_socket(rp_server *server, const struct addrinfo *info, int port, const rp_server_options *options)
{
    rp_fd fd;

    if (server->intake)
        RP_TRY(rp_balancer_join(server->intake, info, port, options, &fd));
    else
        RP_TRY(rp_bind_tcp(server->loop->kernel, info, port, options, &fd));
    rp_server_add_socket(server, fd);
    return 0;
}

/* A resolver may name an address twice. */
static bool seen_before(const struct addrinfo *list, const struct addrinfo *info)
{
    for (; list != info; list = list->ai_next)
        if (list->ai_addrlen == info->ai_addrlen && memcmp(list->ai_addr, info->ai_addr, info->ai_addrlen) == 0)
            return true;
    return false;
}

/*
 * Binds to every address; families and addresses that this machine does not have are passed over, as asyncio does,
 * unless none is left. Where the address is on port 0, *port is the one to take; if that is 0 too, it becomes the first
 * socket's, and that of all.
 */
static int bind_all(rp_server *server, const struct addrinfo *list, int *port, const rp_server_options *options)
{
    int passed_over = -EADDRNOTAVAIL;

    for (const struct addrinfo *info = list; info; info = info->ai_next) {
        int rc = seen_before(list, info) ? -EADDRNOTAVAIL : add_socket(server, info, *port, options);

        if (rc == 0) {
            *port = rp_bind_port(server->loop->kernel, server->listeners[0].fd);
        } else if (rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL || rc == -EPROTONOSUPPORT) {
            passed_over = rc;
        } else {
            return rc;
        }
    }
    return server->listener_count > 0 ? 0 : passed_over;
}

static int start(rp_server *server, const rp_server_options *options)
{
    RP_TRY(rp_secure_take_server(&server->secure, options));
    if (options->backlog > 0)
        server->backlog = options->backlog;
    server->nagle = options->nagle;
    return options->delay_start ? 0 : rp_server_start_serving(server);
}

/* One without sockets yet, and with room for one to each address. NULL: no memory. */
static rp_server *new_server(const request *self, const struct addrinfo *list)
{
    rp_balancer *balancer = self->place.balancer;
    rp_intake *intake;
    rp_server *server;
    size_t count = 0;

    for (const struct addrinfo *info = list; info; info = info->ai_next)
        count++;
    server = rp_server_new(self->future.loop, &self->protocol, count);
    if (!server || !balancer)
        return server;
    intake = rp_balancer_intake_new(balancer, count);
    if (!intake) {
        rp_server_discard(server);
        return NULL;
    }
    rp_server_set_intake(server, intake);
    return server;
}

static int make_server(const request *self, const struct addrinfo *list, int *port, rp_server **server)
{
    bool choose = self->choose_port && *port == 0;
    int rc = 0;

    for (int i = 0; i < PORT_TRIES; i++) {
        int bound = *port;

        *server = new_server(self, list);
        if (!*server)
            return -ENOMEM;
        rc = bind_all(*server, list, &bound, &self->options);
        if (rc == 0)
            rc = start(*server, &self->options);
        if (rc == 0) {
            *port = bound;
            return 0;
        }
        rp_server_discard(*server);
        if (!choose || (rc != -EADDRINUSE && rc != -EACCES)) /* Windows says the latter of reserved ports */
            break;
    }
    return rc;
}

/* The same; if a balancer accepts for it, on the port of its slot. */
static int make_server_in_place(const request *self, const struct addrinfo *list, rp_server **server)
{
    int port = 0;

    if (!self->place.balancer)
        return make_server(self, list, &port, server);
    int *ports = rp_balancer_lock_ports(self->place.balancer);
    int rc = make_server(self, list, self->choose_port ? &ports[self->place.slot] : &port, server);
    rp_balancer_unlock_ports(self->place.balancer);
    return rc;
}

/* ---- the request ---- */

static void drop_protocol(const rp_server_protocol *protocol)
{
    if (protocol->release)
        protocol->release(protocol->arg);
}

static void release(request *self)
{
    rp_resource_remove(&self->resource);
    rp_future_remove_done_callback(&self->resolved);
    rp_future_unref(self->lookup);
    self->lookup = NULL;
    rp_secure_drop(&self->secure);
    rp_future_unref(&self->future);
}

static void on_resolved(rp_future *lookup, void *arg)
{
    request *self = arg;
    rp_server *server = NULL;
    int rc = rp_future_result(lookup);

    if (rc == 0)
        rc = make_server_in_place(self, rp_future_value(lookup), &server);
    if (rc < 0)
        drop_protocol(&self->protocol);
    if (rp_future_cancelled(lookup))
        rp_future_finish_cancelled(&self->future);
    else
        rp_future_finish(&self->future, rc, rc < 0 ? NULL : server);
    release(self);
}

/* If the lookup is done already, it is too late: the request goes on. */
static bool cancel(rp_future *future)
{
    request *self = rp_container_of(future, request, future);

    if (future->loop->closed) { /* and the lookup with it */
        rp_future_finish_cancelled(future);
        return true;
    }
    return self->lookup && rp_future_cancel(self->lookup);
}

static void dispose(rp_future *future)
{
    rp_future_fini(future);
    rp_free(rp_container_of(future, request, future));
}

static const rp_future_type request_type = {.name = "server request", .cancel = cancel, .dispose = dispose};

static void reap(rp_resource *resource)
{
    request *self = rp_container_of(resource, request, resource);

    drop_protocol(&self->protocol);
    release(self);
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

int rp_server_request(rp_loop *loop, const rp_server_protocol *protocol, const rp_place *place, const char *host,
                      int port, const rp_server_options *options, rp_future **future)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP, .ai_flags = AI_PASSIVE};
    char service[16];
    request *self;
    int rc;

    RP_TRY(rp_loop_check(loop));
    if (port < 0 || port > 65535)
        return -EINVAL;
    snprintf(service, sizeof service, "%d", port);
    self = rp_calloc(sizeof *self);
    if (!self)
        return -ENOMEM;
    if (options)
        self->options = *options;
    hints.ai_family = self->options.family;
    if (self->options.flags)
        hints.ai_flags = self->options.flags;
    rc = rp_secure_take_server(&self->secure, &self->options);
    if (rc == 0)
        rc = rp_loop_getaddrinfo(loop, host && host[0] ? host : NULL, service, &hints, &self->lookup);
    if (rc < 0) {
        rp_secure_drop(&self->secure);
        rp_free(self);
        return rc;
    }
    rp_future_init(&self->future, loop, &request_type);
    self->protocol = *protocol;
    self->place = *place;
    self->choose_port = port == 0;
    rp_resource_add(loop, &self->resource, &resource_type);
    *future = rp_future_ref(&self->future);
    rp_future_add_done_callback(self->lookup, &self->resolved, on_resolved, self);
    return 0;
}

int rp_create_server(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *host, int port,
                     const rp_server_options *options, rp_future **future)
{
    return rp_server_request(loop, &(rp_server_protocol){.factory = factory, .arg = arg},
                             &(rp_place){.balancer = NULL}, host, port, options, future);
}

/* ---- Unix sockets ---- */

int rp_unix_server_new(rp_loop *loop, const rp_server_protocol *protocol, const char *path, size_t length,
                       const rp_server_options *options, rp_server **server)
{
    struct sockaddr_un address;
    rp_server_options used = options ? *options : (rp_server_options){0};
    rp_server *made;
    rp_fd fd;
    int rc, address_length = rp_unix_address(&address, path, length);

    if (address_length < 0)
        return address_length;
    RP_TRY(rp_loop_check(loop));
    used.nagle = true; /* there is nothing of the kind to turn off */
    made = rp_server_new(loop, protocol, 1);
    if (!made)
        return -ENOMEM;
    rc = rp_bind_unix(loop->kernel, &address, address_length, &fd, &made->socket_file);
    if (rc == 0) {
        made->unix_address = address;
        rp_server_add_socket(made, fd);
        rc = start(made, &used);
    }
    if (rc < 0)
        rp_server_discard(made);
    else
        *server = made;
    return rc;
}

int rp_create_unix_server(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *path, size_t length,
                          const rp_server_options *options, rp_server **server)
{
    return rp_unix_server_new(loop, &(rp_server_protocol){.factory = factory, .arg = arg}, path, length, options,
                              server);
}

/* ---- given sockets ---- */

static bool is_connected(const rp_kernel *kernel, rp_fd fd)
{
    struct sockaddr_storage peer;
    uint32_t length = sizeof peer;

    return rp_kernel_peer(kernel, fd, (struct sockaddr *)&peer, &length) == 0;
}

/* Whether it listens, or can be made to because the options have a backlog: 0 or an error. */
static int check_socket(const rp_kernel *kernel, rp_fd fd, const rp_server_options *options)
{
    int type = rp_kernel_type(kernel, fd);

    RP_TRY(type);
    if (type != SOCK_STREAM)
        return -EINVAL;
    if (rp_kernel_listens(kernel, fd) > 0)
        return 0;
    return options->backlog > 0 && !is_connected(kernel, fd) ? 0 : -EINVAL;
}

static int check_sockets(const rp_kernel *kernel, const rp_fd *fds, size_t count, const rp_server_options *options)
{
    for (size_t i = 0; i < count; i++) {
        RP_TRY(check_socket(kernel, fds[i], options));
        for (size_t other = 0; other < i; other++)
            if (fds[other] == fds[i])
                return -EINVAL;
    }
    for (size_t i = 0; i < count; i++)
        RP_TRY(rp_kernel_set_nonblocking(kernel, fds[i]));
    return count > 0 ? 0 : -EINVAL;
}

/* Connections may have come before, and so have the options that the sockets had then. */
int rp_server_from_fds(rp_loop *loop, const rp_server_protocol *protocol, const rp_fd *fds, size_t count,
                       const rp_server_options *options, rp_server **server)
{
    rp_server_options used = options ? *options : (rp_server_options){0};
    rp_server *made;

    RP_TRY(rp_loop_check(loop));
    RP_TRY(check_sockets(loop->kernel, fds, count, &used));
    made = rp_server_new(loop, protocol, count);
    if (!made)
        return -ENOMEM;
    made->backlog = 0;
    made->inherited = false;
    for (size_t i = 0; i < count; i++) {
        rp_server_add_socket(made, fds[i]);
        made->listeners[i].shared = true; /* as that of a server which has forked its workers */
    }
    int rc = start(made, &used);
    if (rc < 0) {
        made->listener_count = made->open_listeners = 0; /* they stay the caller's */
        rp_server_discard(made);
    } else {
        *server = made;
    }
    return rc;
}

int rp_create_server_fds(rp_loop *loop, rp_protocol_factory *factory, void *arg, const rp_fd *fds, size_t count,
                         const rp_server_options *options, rp_server **server)
{
    return rp_server_from_fds(loop, &(rp_server_protocol){.factory = factory, .arg = arg}, fds, count, options,
                              server);
}

int rp_create_server_fd(rp_loop *loop, rp_protocol_factory *factory, void *arg, rp_fd fd,
                        const rp_server_options *options, rp_server **server)
{
    return rp_create_server_fds(loop, factory, arg, &fd, 1, options, server);
}
