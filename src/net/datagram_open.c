/*
 * datagram_open.c - opening a datagram socket: resolve both ends, then try one address after the other.
 *
 * An attempt is a future. While it is pending, lookups are under way, and it holds a reference to itself. When both
 * ends are known all else is done at once: binding and connecting datagram sockets takes no time.
 */
#include "net/datagram_open.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/leave.h"
#include "base/memory.h"
#include "loop/future.h"
#include "loop/resource.h"
#include "net/bind.h"
#include "net/datagram_transport.h"
#include "net/resolve.h"

enum { LOCAL, REMOTE, ENDS };

/* One end: it is looked up, or given, or there is none. */
typedef struct end {
    rp_future *lookup;
    const struct addrinfo *list;
    struct addrinfo info;
    struct sockaddr_storage given;
} end;

typedef struct attempt {
    rp_future future;
    rp_resource resource;
    rp_datagram_protocol_factory *factory; /* NULL: the socket alone is wanted */
    void *arg;
    rp_datagram_options options; /* without what its pointers name */
    end ends[ENDS];
    rp_done_callback resolved;
    bool cancelled;
    rp_fd fd; /* -1: none, or it has been given away */
} attempt;

/* ---- the end ---- */

static void release(attempt *self)
{
    rp_resource_remove(&self->resource);
    rp_future_remove_done_callback(&self->resolved);
    rp_lookup_drop(&self->ends[LOCAL].lookup);
    rp_lookup_drop(&self->ends[REMOTE].lookup);
    rp_future_unref(&self->future);
}

static void finish(attempt *self, int result, void *value)
{
    if (result < 0 && self->cancelled)
        rp_future_finish_cancelled(&self->future);
    else
        rp_future_finish(&self->future, result, value);
    release(self);
}

static void close_socket(attempt *self)
{
    if (self->fd == -1)
        return;
    rp_loop_close_socket(self->future.loop, self->fd);
    self->fd = -1;
}

static void dispose(rp_future *future)
{
    attempt *self = rp_container_of(future, attempt, future);

    close_socket(self);
    rp_future_fini(future);
    rp_free(self);
}

static bool cancel(rp_future *future)
{
    attempt *self = rp_container_of(future, attempt, future);

    if (future->loop->closed) { /* and the lookups with it */
        rp_future_finish_cancelled(future);
        return true;
    }
    self->cancelled = true;
    for (int i = 0; i < ENDS; i++)
        if (self->ends[i].lookup)
            rp_future_cancel(self->ends[i].lookup);
    return true;
}

static const rp_future_type attempt_type = {.name = "datagram endpoint", .cancel = cancel, .dispose = dispose};

static void reap(rp_resource *resource)
{
    release(rp_container_of(resource, attempt, resource));
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

/* ---- the socket ---- */

static int set_options(const rp_kernel *kernel, rp_fd fd, int family, const rp_datagram_options *options)
{
    if (options->reuse_address)
        RP_TRY(rp_kernel_set_number(kernel, fd, SOL_SOCKET, SO_REUSEADDR, 1));
    if (options->reuse_port)
        RP_TRY(rp_kernel_reuse_port(kernel, fd));
    if (options->broadcast)
        RP_TRY(rp_kernel_set_number(kernel, fd, SOL_SOCKET, SO_BROADCAST, 1));
    if (options->ipv6_only && family == AF_INET6)
        RP_TRY(rp_kernel_set_number(kernel, fd, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    return 0;
}

/* A Unix socket's path, if that is a file's; else NULL. */
static const char *path_of(const struct addrinfo *info)
{
    const struct sockaddr_un *address = (const struct sockaddr_un *)info->ai_addr;

    if (info->ai_family != AF_UNIX || info->ai_addrlen <= offsetof(struct sockaddr_un, sun_path))
        return NULL;
    return address->sun_path[0] != '\0' ? address->sun_path : NULL;
}

static int set_up(attempt *self, const struct addrinfo *info)
{
    const rp_kernel *kernel = self->future.loop->kernel;
    const struct addrinfo *local = self->ends[LOCAL].list;

    RP_TRY(set_options(kernel, self->fd, info->ai_family, &self->options));
    if (local && path_of(local))
        RP_TRY(rp_socket_file_remove_stale(path_of(local)));
    if (local)
        RP_TRY(rp_bind_first(kernel, self->fd, info->ai_family, local));
    if (self->ends[REMOTE].list)
        RP_TRY(rp_kernel_connect(kernel, self->fd, info->ai_addr, (uint32_t)info->ai_addrlen));
    return 0;
}

/* By one address: of the peer if there is one, else of the socket itself; or by the family alone. */
static int try_address(attempt *self, const struct addrinfo *info)
{
    RP_TRY(rp_kernel_open(self->future.loop->kernel, info->ai_family, SOCK_DGRAM, info->ai_protocol, &self->fd));
    int rc = set_up(self, info);
    if (rc < 0)
        close_socket(self);
    return rc;
}

static int open_socket(attempt *self)
{
    const struct addrinfo none = {.ai_family = self->options.family, .ai_protocol = self->options.protocol};
    const struct addrinfo *info = self->ends[REMOTE].list ? self->ends[REMOTE].list : self->ends[LOCAL].list;
    int first = 0;

    for (info = info ? info : &none; info; info = info->ai_next) {
        int rc = try_address(self, info);

        if (rc == 0)
            return 0;
        if (first == 0)
            first = rc;
    }
    return first;
}

/* ---- what is made of it ---- */

/* A transport that is made; whoever awaits the attempt is to learn of it. */
typedef struct endpoint {
    attempt *self;
    rp_datagram_transport *transport;
    bool made; /* the factory has returned: if an exception passes instead, the attempt counts as cancelled */
    int rc;
} endpoint;

static void conclude(endpoint *e)
{
    attempt *self = e->self;

    if (e->rc < 0 && e->transport)
        rp_transport_discard(&e->transport->base);
    if (e->rc < 0)
        close_socket(self);
    self->cancelled |= !e->made;
    finish(self, e->rc, e->rc < 0 ? NULL : e->transport);
}

static void make_transport(attempt *self)
{
    endpoint e RP_ON_LEAVE(conclude) = {self, NULL, false, -ECANCELED};
    const rp_datagram_protocol *protocol = NULL;
    void *state = NULL;
    int rc = rp_datagram_transport_new(self->future.loop, self->fd, &self->options, &e.transport);

    if (rc < 0)
        e.transport = NULL;
    else
        rc = self->factory(self->arg, &protocol, &state);
    e.made = true;
    e.rc = rp_loop_is_forked(self->future.loop) ? RP_EFORK : rc; /* then the socket is the parent's */
    if (e.rc < 0)
        return;
    self->fd = -1;
    rp_datagram_transport_start(e.transport, protocol, state);
}

/* ---- the two ends ---- */

static void go_on(attempt *self)
{
    int rc = self->cancelled ? -ECANCELED : open_socket(self);

    if (rc < 0 || !self->factory)
        finish(self, rc, NULL);
    else
        make_transport(self);
}

static void on_resolved(rp_future *lookup, void *arg);

/* Waits for a lookup that has not been seen so far; goes on if there is none. */
static void wait_or_go_on(attempt *self)
{
    for (int i = 0; i < ENDS; i++)
        if (self->ends[i].lookup && !self->ends[i].list) {
            rp_future_add_done_callback(self->ends[i].lookup, &self->resolved, on_resolved, self);
            return;
        }
    go_on(self);
}

static void on_resolved(rp_future *lookup, void *arg)
{
    attempt *self = arg;
    int rc = rp_future_result(lookup);

    if (rc < 0) {
        finish(self, rc, NULL);
        return;
    }
    for (int i = 0; i < ENDS; i++)
        if (self->ends[i].lookup == lookup)
            self->ends[i].list = rp_future_value(lookup);
    wait_or_go_on(self);
}

static int give(end *e, const struct sockaddr *address, uint32_t length, int protocol)
{
    if (length < sizeof address->sa_family || length > sizeof e->given)
        return -EINVAL;
    memcpy(&e->given, address, length);
    e->info = (struct addrinfo){.ai_family = e->given.ss_family,
                                .ai_socktype = SOCK_DGRAM,
                                .ai_protocol = protocol,
                                .ai_addr = (struct sockaddr *)&e->given,
                                .ai_addrlen = (socklen_t)length};
    e->list = &e->info;
    return 0;
}

static int look_up(attempt *self, int which, const char *host, int port)
{
    const rp_datagram_options *options = &self->options;
    struct addrinfo hints = {.ai_family = options->family,
                             .ai_socktype = SOCK_DGRAM,
                             .ai_protocol = options->protocol,
                             .ai_flags = options->flags};
    char service[16];

    if (which == LOCAL && options->flags == 0)
        hints.ai_flags = AI_PASSIVE;
    snprintf(service, sizeof service, "%d", port);
    return rp_loop_getaddrinfo(self->future.loop, host && host[0] != '\0' ? host : NULL, service, &hints,
                               &self->ends[which].lookup);
}

static int begin(attempt *self, const rp_datagram_options *options)
{
    if (options->local_address)
        RP_TRY(give(&self->ends[LOCAL], options->local_address, options->local_length, options->protocol));
    else if (options->local_host || options->local_port)
        RP_TRY(look_up(self, LOCAL, options->local_host, options->local_port));
    if (options->remote_address)
        RP_TRY(give(&self->ends[REMOTE], options->remote_address, options->remote_length, options->protocol));
    else if (options->remote_host)
        RP_TRY(look_up(self, REMOTE, options->remote_host, options->remote_port));
    return 0;
}

static bool is_port(int port)
{
    return port >= 0 && port <= 65535;
}

/* What can be said of the options before anything is asked. */
static int check(const rp_datagram_options *options)
{
    bool has_end = options->local_address || options->local_host || options->local_port ||
                   options->remote_address || options->remote_host;

    if (!is_port(options->local_port) || !is_port(options->remote_port) ||
        options->receive_size > RP_BATCH_LARGEST)
        return -EINVAL;
    return has_end || options->family != AF_UNSPEC ? 0 : -EINVAL;
}

int rp_datagram_open(rp_loop *loop, rp_datagram_protocol_factory *factory, void *arg,
                     const rp_datagram_options *options, rp_future **future)
{
    attempt *self;
    int rc;

    RP_TRY(rp_loop_check(loop));
    RP_TRY(check(options));
    self = rp_calloc(sizeof *self);
    if (!self)
        return -ENOMEM;
    rp_future_init(&self->future, loop, &attempt_type);
    rp_resource_add(loop, &self->resource, &resource_type);
    self->factory = factory;
    self->arg = arg;
    self->options = *options;
    self->fd = -1;
    rc = begin(self, options);
    if (rc < 0) {
        release(self);
        return rc;
    }
    *future = rp_future_ref(&self->future);
    wait_or_go_on(self);
    return 0;
}

rp_fd rp_datagram_open_take(rp_future *future)
{
    attempt *self = rp_container_of(future, attempt, future);
    rp_fd fd = self->fd;

    self->fd = -1;
    return fd;
}

int rp_create_datagram_endpoint(rp_loop *loop, rp_datagram_protocol_factory *factory, void *arg,
                                const rp_datagram_options *options, rp_future **future)
{
    if (!factory || !options)
        return -EINVAL;
    return rp_datagram_open(loop, factory, arg, options, future);
}
