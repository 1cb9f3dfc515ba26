/*
 * connect.c - connecting: resolve the name, try its addresses in turn, make transport and protocol of the first one.
 *
 * An attempt is a future. While it is pending exactly one thing is under way, a lookup or a connect operation, and its
 * end moves the attempt on; the attempt holds a reference to itself until it has finished. Cancelling cancels that
 * thing, and the attempt ends when it has.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/leave.h"
#include "base/memory.h"
#include "loop/future.h"
#include "loop/resource.h"
#include "net/address.h"
#include "net/bind.h"
#include "net/socket_transport.h"

typedef struct attempt {
    rp_future future;
    rp_resource resource;
    rp_protocol_factory *factory;
    void *arg;
    bool nagle;
    bool cancelled;
    rp_future *lookup;
    rp_future *local_lookup; /* of the address to bind to, or NULL */
    rp_done_callback resolved;
    const struct addrinfo *address; /* that is tried now, and those after it */
    rp_op connect;
    bool connecting;
    rp_fd fd;                              /* -1: none; before the first address is tried, one that was given */
    int error;                             /* of the last address tried */
    struct sockaddr_storage given_address; /* if no name had to be resolved */
    struct addrinfo given_info;
} attempt;

/* ---- the end ---- */

static void drop_lookup(rp_future **lookup)
{
    if (*lookup && rp_future_done(*lookup))
        rp_future_result(*lookup); /* its error counts as read */
    rp_future_unref(*lookup);
    *lookup = NULL;
}

static void release(attempt *self)
{
    assert(!self->connecting);
    rp_resource_remove(&self->resource);
    rp_future_remove_done_callback(&self->resolved);
    drop_lookup(&self->lookup);
    drop_lookup(&self->local_lookup);
    rp_future_unref(&self->future);
}

static void finish(attempt *self, int result, rp_transport *transport)
{
    assert(!self->connecting && (transport || self->fd < 0));
    if (result < 0 && self->cancelled)
        rp_future_finish_cancelled(&self->future);
    else
        rp_future_finish(&self->future, result, transport);
    release(self);
}

static void dispose(rp_future *future)
{
    rp_future_fini(future);
    rp_free(rp_container_of(future, attempt, future));
}

static bool cancel(rp_future *future)
{
    attempt *self = rp_container_of(future, attempt, future);

    if (future->loop->closed) { /* and all that was under way with it */
        rp_future_finish_cancelled(future);
        return true;
    }
    self->cancelled = true;
    if (self->connecting)
        rp_cancel(future->loop, &self->connect);
    if (self->lookup)
        rp_future_cancel(self->lookup);
    if (self->local_lookup)
        rp_future_cancel(self->local_lookup);
    return true;
}

static const rp_future_type attempt_type = {.name = "connection attempt", .cancel = cancel, .dispose = dispose};

static void reap(rp_resource *resource)
{
    attempt *self = rp_container_of(resource, attempt, resource);

    rp_kernel_close(self->future.loop->kernel, self->fd);
    self->connecting = false;
    release(self);
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

/* ---- one address after the other ---- */

/* A connection that is made; whoever awaits the attempt is to learn of it. */
typedef struct connection {
    attempt *self;
    rp_transport *transport;
    bool made; /* the factory has returned: if an exception passes instead, the attempt counts as cancelled */
    int rc;
} connection;

static void conclude(connection *c)
{
    attempt *self = c->self;

    if (c->rc >= 0) {
        finish(self, 0, c->transport);
        return;
    }
    if (c->transport)
        rp_transport_discard(c->transport);
    rp_loop_close_socket(self->future.loop, self->fd);
    self->fd = -1;
    self->cancelled |= !c->made;
    finish(self, c->rc, NULL);
}

static void connected(attempt *self)
{
    connection c RP_ON_LEAVE(conclude) = {self, rp_socket_transport_new(self->future.loop, self->fd), false,
                                          -ECANCELED};
    const rp_protocol *protocol = NULL;
    void *state = NULL;

    c.rc = c.transport ? self->factory(self->arg, &protocol, &state) : -ENOMEM;
    c.made = true;
    if (c.transport)
        rp_socket_transport_set_family(c.transport, self->address->ai_family);
    if (rp_loop_is_forked(self->future.loop)) /* the factory has forked: the connection is the parent's */
        c.rc = RP_EFORK;
    if (c.rc < 0)
        return;
    if (!self->nagle)
        rp_kernel_set_number(self->future.loop->kernel, self->fd, IPPROTO_TCP, TCP_NODELAY, 1);
    self->fd = -1;
    rp_transport_start(c.transport, protocol, state);
}

/* Makes a socket, bound to a local address if one is asked for. */
static int open_socket(attempt *self, const struct addrinfo *address)
{
    RP_TRY(rp_kernel_open(self->future.loop->kernel, address->ai_family, address->ai_socktype,
                          address->ai_protocol, &self->fd));
    if (!self->local_lookup)
        return 0;
    return rp_bind_first(self->future.loop->kernel, self->fd, address->ai_family,
                         rp_future_value(self->local_lookup));
}

static void on_connected(rp_op *op);

static int start_connecting(attempt *self, const struct addrinfo *address)
{
    int rc = self->fd < 0 ? open_socket(self, address) : 0;

    assert(!self->connecting);
    if (rc == 0) {
        rp_op_connect(&self->connect, self->fd, address->ai_addr, (uint32_t)address->ai_addrlen, on_connected,
                      self);
        rc = rp_submit(self->future.loop, &self->connect);
    }
    self->connecting = rc == 0;
    if (rc < 0) {
        rp_loop_close_socket(self->future.loop, self->fd);
        self->fd = -1;
    }
    return rc;
}

static void try_addresses(attempt *self)
{
    for (; self->address && !self->cancelled; self->address = self->address->ai_next) {
        self->error = start_connecting(self, self->address);
        if (self->error == 0)
            return;
    }
    finish(self, self->error, NULL);
}

static void on_connected(rp_op *op)
{
    attempt *self = op->data;

    assert(self->connecting);
    self->connecting = false;
    if (op->result >= 0) {
        connected(self);
        return;
    }
    rp_loop_close_socket(self->future.loop, self->fd);
    self->fd = -1;
    self->error = (int)op->result;
    self->address = self->address->ai_next;
    try_addresses(self);
}

static void on_resolved(rp_future *lookup, void *arg)
{
    attempt *self = arg;
    int rc = rp_future_result(lookup);

    if (rc < 0) {
        finish(self, rc, NULL);
        return;
    }
    if (lookup == self->lookup && self->local_lookup) {
        rp_future_add_done_callback(self->local_lookup, &self->resolved, on_resolved, self);
        return;
    }
    self->address = rp_future_value(self->lookup);
    try_addresses(self);
}

/* ---- the beginning ---- */

static attempt *new_attempt(rp_loop *loop, rp_protocol_factory *factory, void *arg)
{
    attempt *self = rp_calloc(sizeof *self);

    if (!self)
        return NULL;
    rp_future_init(&self->future, loop, &attempt_type);
    rp_resource_add(loop, &self->resource, &resource_type);
    self->factory = factory;
    self->arg = arg;
    self->fd = -1;
    self->error = -ECANCELED; /* it is cancelled before an address was tried */
    return self;
}

static int look_up(rp_loop *loop, const char *host, int port, const rp_connect_options *options,
                   rp_future **lookup)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    char service[16];

    if (port < 0 || port > 65535)
        return -EINVAL;
    snprintf(service, sizeof service, "%d", port);
    if (options) {
        hints.ai_family = options->family;
        hints.ai_flags = options->flags;
    }
    return rp_loop_getaddrinfo(loop, host, service, &hints, lookup);
}

int rp_create_connection(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *host, int port,
                         const rp_connect_options *options, rp_future **future)
{
    rp_future *lookup, *local_lookup = NULL;
    attempt *self = NULL;
    int rc;

    RP_TRY(rp_loop_check(loop));
    RP_TRY(look_up(loop, host, port, options, &lookup));
    rc = 0;
    if (options && options->local_host)
        rc = look_up(loop, options->local_host, options->local_port, options, &local_lookup);
    if (rc == 0) {
        self = new_attempt(loop, factory, arg);
        rc = self ? 0 : -ENOMEM;
    }
    if (rc < 0) {
        rp_future_cancel(lookup);
        drop_lookup(&lookup);
        drop_lookup(&local_lookup);
        return rc;
    }
    self->nagle = options && options->nagle;
    self->lookup = lookup;
    self->local_lookup = local_lookup;
    rp_future_add_done_callback(lookup, &self->resolved, on_resolved, self);
    *future = rp_future_ref(&self->future);
    return 0;
}

/* An attempt at one address that is known: by a socket of its own, or by the one that is given. */
static int connect_to(rp_loop *loop, rp_protocol_factory *factory, void *arg, rp_fd fd, const void *address,
                      size_t length, bool nagle, rp_future **future)
{
    attempt *self = new_attempt(loop, factory, arg);

    if (!self)
        return -ENOMEM;
    memcpy(&self->given_address, address, length);
    self->given_info = (struct addrinfo){
        .ai_family = self->given_address.ss_family,
        .ai_socktype = SOCK_STREAM,
        .ai_addr = (struct sockaddr *)&self->given_address,
        .ai_addrlen = (socklen_t)length,
    };
    self->address = &self->given_info;
    self->fd = fd;
    self->nagle = nagle;
    *future = rp_future_ref(&self->future);
    try_addresses(self);
    return 0;
}

int rp_create_unix_connection(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *path,
                              size_t length, rp_future **future)
{
    struct sockaddr_un address;
    int address_length = rp_unix_address(&address, path, length);

    if (address_length < 0)
        return address_length;
    RP_TRY(rp_loop_check(loop));
    if (address.sun_path[0] == '\0' && !loop->kernel->abstract)
        return -ENOTSUP;
    /* A Unix socket has no Nagle's algorithm to turn off. */
    return connect_to(loop, factory, arg, -1, &address, (size_t)address_length, true, future);
}

int rp_create_connection_fd(rp_loop *loop, rp_protocol_factory *factory, void *arg, rp_fd fd,
                            const struct sockaddr *address, uint32_t length, const rp_connect_options *options,
                            rp_future **future)
{
    int type = rp_kernel_type(loop->kernel, fd);

    RP_TRY(rp_loop_check(loop));
    RP_TRY(type);
    if (type != SOCK_STREAM || rp_kernel_listens(loop->kernel, fd) != 0)
        return -EINVAL;
    if (length < sizeof address->sa_family || length > sizeof(struct sockaddr_storage))
        return -EINVAL;
    RP_TRY(rp_kernel_set_nonblocking(loop->kernel, fd));
    return connect_to(loop, factory, arg, fd, address, length, options && options->nagle, future);
}
