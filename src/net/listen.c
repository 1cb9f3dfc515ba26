/*
 * listen.c - making servers: resolve the name, bind a socket to each of its addresses, begin to serve.
 *
 * All of it but the lookup happens in one go, so a server is either made whole or not at all. A request is a future; it
 * holds a reference to itself while the lookup is under way.
 */
#include "net/listen.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

enum { PORT_TRIES = 16 }; /* how many free ports are tried until one is free for all addresses */

int rp_socket_port(rp_fd fd)
{
    struct sockaddr_storage address = {0};
    uint32_t length = sizeof address;

    if (rp_socket_name(fd, (struct sockaddr *)&address, &length) < 0)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&address)->sin_port);
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return 0;
}

/* What a TCP server is to be, until it is. */
typedef struct request {
    rp_future future;
    rp_resource resource;
    rp_server_protocol protocol;
    rp_server_options options;
    rp_place place;
    bool choose_port;
    rp_future *lookup;
    rp_done_callback resolved;
} request;

/* ---- TCP sockets ---- */

static int set_options(rp_fd fd, int family, const rp_server_options *options)
{
    if (!options->no_reuse_address)
        RP_TRY(rp_socket_reuse_address(fd));
    if (options->reuse_port)
        RP_TRY(rp_socket_reuse_port(fd));
    /* Else [::]:port would take the port of 0.0.0.0 too. */
    if (family == AF_INET6)
        RP_TRY(rp_socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    /* Accepted sockets inherit it, where they do so at all. */
    if (!options->nagle)
        RP_TRY(rp_socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 1));
    return 0;
}

void rp_socket_address(const struct addrinfo *info, int port, struct sockaddr_storage *address)
{
    memcpy(address, info->ai_addr, info->ai_addrlen);
    if (port && info->ai_family == AF_INET)
        ((struct sockaddr_in *)address)->sin_port = htons((uint16_t)port);
    if (port && info->ai_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons((uint16_t)port);
}

int rp_socket_bind(const struct addrinfo *info, int port, const rp_server_options *options, rp_fd *fd)
{
    struct sockaddr_storage address;
    int rc = rp_socket_open(info->ai_family, info->ai_socktype, info->ai_protocol, fd);

    if (rc < 0)
        return rc;
    rp_socket_address(info, port, &address);
    rc = set_options(*fd, info->ai_family, options);
    if (rc == 0 && bind(*fd, (struct sockaddr *)&address, (socklen_t)info->ai_addrlen) < 0)
        rc = rp_socket_error();
    if (rc < 0)
        rp_socket_close(*fd);
    return rc;
}

static int add_listener(rp_server *server, const struct addrinfo *info, int port, const rp_server_options *options)
{
    rp_fd fd;

    if (server->intake.hub != NULL)
        return rp_hub_join(server, info, port, options);
    RP_TRY(rp_socket_bind(info, port, options, &fd));
    rp_server_add_listener(server, fd);
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
        int rc = seen_before(list, info) ? -EADDRNOTAVAIL : add_listener(server, info, *port, options);

        if (rc == 0) {
            *port = rp_socket_port(server->listeners[0].fd);
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
    if (options->backlog > 0)
        server->backlog = options->backlog;
    server->nagle = options->nagle;
    return options->delay_start ? 0 : rp_server_start_serving(server);
}

/* Closes and frees a server that was never handed out; what its protocol needs stays the caller's. */
static void undo(rp_server *server)
{
    server->protocol.release = NULL;
    rp_server_free(server);
}

static int make_server(const request *self, const struct addrinfo *list, int *port, rp_server **server)
{
    bool choose = self->choose_port && *port == 0;
    size_t count = 0;
    int rc = 0;

    for (const struct addrinfo *info = list; info; info = info->ai_next)
        count++;
    for (int i = 0; i < PORT_TRIES; i++) {
        int bound = *port;

        *server = rp_server_new(self->future.loop, &self->protocol, count);
        if (!*server)
            return -ENOMEM;
        (*server)->intake.hub = self->place.hub;
        rc = bind_all(*server, list, &bound, &self->options);
        if (rc == 0)
            rc = start(*server, &self->options);
        if (rc == 0) {
            *port = bound;
            return 0;
        }
        undo(*server);
        if (!choose || (rc != -EADDRINUSE && rc != -EACCES)) /* Windows says the latter of reserved ports */
            break;
    }
    return rc;
}

/* The same; if a hub accepts for it, on the port of its slot. */
static int make_server_in_place(const request *self, const struct addrinfo *list, rp_server **server)
{
    int port = 0;

    if (self->place.hub == NULL)
        return make_server(self, list, &port, server);
    int *ports = rp_hub_lock_ports(self->place.hub);
    int rc = make_server(self, list, self->choose_port ? &ports[self->place.slot] : &port, server);
    rp_hub_unlock_ports(self->place.hub);
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
    rp_list_remove(&self->resource.link);
    rp_future_remove_done_callback(&self->resolved);
    rp_future_unref(self->lookup);
    self->lookup = NULL;
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

/* If the lookup is done already, the request is as good as granted. */
static bool cancel(rp_future *future)
{
    request *self = rp_container_of(future, request, future);

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
    rc = rp_loop_getaddrinfo(loop, host && host[0] ? host : NULL, service, &hints, &self->lookup);
    if (rc < 0) {
        rp_free(self);
        return rc;
    }
    rp_future_init(&self->future, loop, &request_type);
    self->protocol = *protocol;
    self->place = *place;
    self->choose_port = port == 0;
    self->resource.reap = reap;
    rp_list_push(&loop->resources, &self->resource.link);
    *future = rp_future_ref(&self->future);
    rp_future_add_done_callback(self->lookup, &self->resolved, on_resolved, self);
    return 0;
}

int rp_create_server(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *host, int port,
                     const rp_server_options *options, rp_future **future)
{
    return rp_server_request(loop, &(rp_server_protocol){.factory = factory, .arg = arg}, &(rp_place){.hub = NULL},
                             host, port, options, future);
}

/* ---- Unix sockets ---- */

static int bind_unix(rp_server *server, const struct sockaddr_un *address, int length)
{
    bool is_file = address->sun_path[0] != '\0';
    rp_fd fd;

    RP_TRY(rp_socket_open(AF_UNIX, SOCK_STREAM, 0, &fd));
    rp_server_add_listener(server, fd);
    if (is_file)
        RP_TRY(rp_socket_file_remove_stale(address->sun_path));
    if (bind(fd, (const struct sockaddr *)address, (socklen_t)length) < 0)
        return rp_socket_error();
    if (is_file && rp_socket_file_identify(address->sun_path, &server->socket_file) == 0)
        server->unix_address = *address;
    return 0;
}

int rp_unix_server_new(rp_loop *loop, const rp_server_protocol *protocol, const char *path, size_t length,
                       const rp_server_options *options, rp_server **server)
{
    struct sockaddr_un address;
    rp_server_options used = options ? *options : (rp_server_options){0};
    rp_server *made;
    int rc, address_length = rp_unix_address(&address, path, length);

    if (address_length < 0)
        return address_length;
    RP_TRY(rp_loop_check(loop));
    used.nagle = true; /* there is nothing of the kind to turn off */
    made = rp_server_new(loop, protocol, 1);
    if (!made)
        return -ENOMEM;
    rc = bind_unix(made, &address, address_length);
    if (rc == 0)
        rc = start(made, &used);
    if (rc < 0)
        undo(made);
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

/* ---- sockets that listen already ---- */

/* Connections may have come before, and so have the options that it had then. */
int rp_server_from_fd(rp_loop *loop, const rp_server_protocol *protocol, rp_fd fd,
                      const rp_server_options *options, rp_server **server)
{
    rp_server_options used = options ? *options : (rp_server_options){0};
    int type = rp_socket_type(fd), listens = rp_socket_listens(fd);
    rp_server *made;

    RP_TRY(rp_loop_check(loop));
    RP_TRY(type);
    if (type != SOCK_STREAM || listens != 1)
        return -EINVAL;
    RP_TRY(rp_socket_set_nonblocking(fd));
    made = rp_server_new(loop, protocol, 1);
    if (!made)
        return -ENOMEM;
    made->backlog = 0;
    made->inherited = false;
    rp_server_add_listener(made, fd);
    int rc = start(made, &used);
    if (rc < 0) {
        made->listeners[0].fd = -1; /* it stays the caller's */
        undo(made);
    } else {
        *server = made;
    }
    return rc;
}

int rp_create_server_fd(rp_loop *loop, rp_protocol_factory *factory, void *arg, rp_fd fd,
                        const rp_server_options *options, rp_server **server)
{
    return rp_server_from_fd(loop, &(rp_server_protocol){.factory = factory, .arg = arg}, fd, options, server);
}
