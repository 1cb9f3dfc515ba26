/*
 * connect.c - connecting: resolve the name, race for its addresses, make transport and protocol of the first one.
 *
 * An attempt is a future. While it is pending one thing is under way, a lookup, the race for the addresses (race.h), or
 * the handshake of TLS with the one that has won, and its end moves the attempt on. Cancelling cancels that thing, and
 * the attempt ends when it has. The attempt holds a reference to itself meanwhile.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/leave.h"
#include "base/memory.h"
#include "connect/address.h"
#include "connect/race.h"
#include "connect/secure.h"
#include "loop/future.h"
#include "loop/resource.h"
#include "net/resolve.h"
#include "net/socket_transport.h"

typedef struct attempt {
    rp_future future;
    rp_resource resource;
    rp_protocol_factory *factory;
    void *arg;
    bool nagle;
    bool cancelled;
    bool racing;
    int interleave;
    rp_future *lookup;
    rp_future *local_lookup; /* of the address to bind to, or NULL */
    rp_done_callback resolved;
    rp_race race;
    rp_secure secure;
    rp_transport *filter;                  /* in its handshake; NULL: none is */
    struct sockaddr_storage given_address; /* if no name had to be resolved */
    struct addrinfo given_info;
} attempt;

/* ---- the end ---- */

static void release(attempt *self)
{
    rp_resource_remove(&self->resource);
    rp_future_remove_done_callback(&self->resolved);
    rp_lookup_drop(&self->lookup);
    rp_lookup_drop(&self->local_lookup);
    rp_secure_drop(&self->secure);
    rp_future_unref(&self->future);
}

static void finish(attempt *self, int result, rp_transport *transport)
{
    if (result < 0 && self->cancelled)
        rp_future_finish_cancelled(&self->future);
    else
        rp_future_finish(&self->future, result, transport);
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
    if (self->racing)
        rp_race_stop(&self->race);
    if (self->filter)
        rp_transport_abort(self->filter);
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

    if (self->racing)
        rp_race_abandon(&self->race);
    release(self);
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

/* ---- a connection ---- */

/* One that is to have its protocol; whoever awaits the attempt is to learn of it. */
typedef struct connection {
    attempt *self;
    rp_transport *transport;
    rp_fd fd;  /* -1: it is the transport's */
    bool made; /* the factory has returned: if an exception passes instead, the attempt counts as cancelled */
    int rc;
} connection;

static void drop(rp_loop *loop, rp_transport *transport, rp_fd fd)
{
    if (transport)
        rp_transport_discard(transport);
    rp_loop_close_socket(loop, fd);
}

static void conclude(connection *c)
{
    attempt *self = c->self;

    if (c->rc >= 0) {
        finish(self, 0, c->transport);
        return;
    }
    if (c->transport && self->secure.context)
        rp_transport_abort(c->transport);
    else
        drop(self->future.loop, c->transport, c->fd);
    self->cancelled |= !c->made;
    finish(self, c->rc, NULL);
}

/* Of a socket, which stays the caller's until the transport is started. NULL: no memory. */
static rp_transport *socket_transport(const attempt *self, rp_fd fd)
{
    rp_loop *loop = self->future.loop;
    rp_transport *transport = rp_socket_transport_new(loop, fd);

    if (!transport)
        return NULL;
    rp_socket_transport_set_family(transport, self->race.winner_address->ai_family);
    if (!self->nagle)
        rp_kernel_set_number(loop->kernel, fd, IPPROTO_TCP, TCP_NODELAY, 1);
    return transport;
}

/* The transport is the protocol's; `fd`: its socket, or -1 if it owns that already. */
static void use(attempt *self, rp_transport *transport, rp_fd fd)
{
    connection c RP_ON_LEAVE(conclude) = {self, transport, fd, false, -ECANCELED};
    const rp_protocol *protocol = NULL;
    void *state = NULL;

    c.rc = c.transport ? self->factory(self->arg, &protocol, &state) : -ENOMEM;
    c.made = true;
    if (rp_loop_is_forked(self->future.loop)) /* the factory has forked: the connection is the parent's */
        c.rc = RP_EFORK;
    if (c.rc >= 0)
        rp_transport_start(c.transport, protocol, state);
}

static void release_attempt(attempt **self)
{
    release(*self);
}

static void end_early(attempt *self, int error)
{
    finish(self, error, NULL);
    release(self);
}

static void on_secured(void *arg, rp_transport *filter, int error)
{
    attempt *self RP_ON_LEAVE(release_attempt) = arg;

    self->filter = NULL;
    if (error == 0) {
        use(self, filter, -1);
        return;
    }
    rp_secure_explain(&self->secure, filter);
    rp_race_keep_error(&self->race, error);
    finish(self, error, NULL);
}

static void begin_handshake(attempt *self, rp_fd fd)
{
    rp_transport *transport = socket_transport(self, fd);
    int rc = self->cancelled ? -ECANCELED : -ENOMEM;

    if (transport && !self->cancelled)
        rc = rp_secure_begin(&self->secure, transport, NULL, 0, on_secured, self, &self->filter);
    if (rc == 0)
        return;
    drop(self->future.loop, transport, fd);
    end_early(self, rc);
}

static void use_at_once(attempt *self, rp_fd fd)
{
    attempt *used RP_ON_LEAVE(release_attempt) = self;

    use(used, socket_transport(used, fd), fd);
}

static void on_over(rp_race *race)
{
    attempt *self = rp_container_of(race, attempt, race);

    self->racing = false;
    if (race->winner < 0)
        end_early(self, race->error);
    else if (self->secure.context)
        begin_handshake(self, race->winner);
    else
        use_at_once(self, race->winner);
}

static void begin_race(attempt *self)
{
    self->racing = true;
    rp_race_start(&self->race);
}

/* ---- the name ---- */

static void on_resolved(rp_future *lookup, void *arg)
{
    attempt *self = arg;
    int rc = rp_future_result(lookup);

    if (rc < 0) {
        end_early(self, rc);
        return;
    }
    if (lookup == self->lookup && self->local_lookup) {
        rp_future_add_done_callback(self->local_lookup, &self->resolved, on_resolved, self);
        return;
    }
    if (self->local_lookup)
        self->race.local = rp_future_value(self->local_lookup);
    rc = self->cancelled ? -ECANCELED
                         : rp_race_take_list(&self->race, rp_future_value(self->lookup), self->interleave);
    if (rc < 0)
        end_early(self, rc);
    else
        begin_race(self);
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
    self->race.over = on_over;
    self->race.loop = loop;
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

static void take_options(attempt *self, const rp_connect_options *options)
{
    self->nagle = options->nagle;
    self->interleave = options->interleave;
    if (options->interleave == 0)
        self->interleave = options->happy_eyeballs_delay > 0;
    self->race.delay = options->happy_eyeballs_delay;
    self->race.errors = options->errors;
    if (options->errors)
        options->errors->count = 0;
}

/* Both lookups are under way, or none. */
static int look_both_up(rp_loop *loop, const char *host, int port, const rp_connect_options *options,
                        rp_future **lookup, rp_future **local_lookup)
{
    int rc = 0;

    RP_TRY(look_up(loop, host, port, options, lookup));
    if (options && options->local_host)
        rc = look_up(loop, options->local_host, options->local_port, options, local_lookup);
    if (rc < 0)
        rp_lookup_drop(lookup);
    return rc;
}

int rp_create_connection(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *host, int port,
                         const rp_connect_options *options, rp_future **future)
{
    rp_future *lookup, *local_lookup = NULL;
    rp_secure secure;
    attempt *self;
    int rc;

    RP_TRY(rp_loop_check(loop));
    if (options && (options->happy_eyeballs_delay < 0 || options->interleave < -1))
        return -EINVAL;
    RP_TRY(rp_secure_take_client(&secure, options, host));
    rc = look_both_up(loop, host, port, options, &lookup, &local_lookup);
    self = rc == 0 ? new_attempt(loop, factory, arg) : NULL;
    if (!self) {
        rp_secure_drop(&secure);
        if (rc < 0)
            return rc;
        rp_lookup_drop(&lookup);
        rp_lookup_drop(&local_lookup);
        return -ENOMEM;
    }
    if (options)
        take_options(self, options);
    self->secure = secure;
    self->lookup = lookup;
    self->local_lookup = local_lookup;
    rp_future_add_done_callback(lookup, &self->resolved, on_resolved, self);
    *future = rp_future_ref(&self->future);
    return 0;
}

/* What is to be connected to, where no name has to be resolved. */
typedef struct target {
    rp_fd fd; /* that is given; -1: a new one */
    const void *address;
    size_t length;
    bool nagle;
} target;

/* An attempt at one address that is known. */
static int connect_to(rp_loop *loop, rp_protocol_factory *factory, void *arg, const target *to,
                      const rp_connect_options *options, rp_future **future)
{
    rp_secure secure;
    attempt *self;

    RP_TRY(rp_secure_take_client(&secure, options, NULL));
    self = new_attempt(loop, factory, arg);
    if (!self) {
        rp_secure_drop(&secure);
        return -ENOMEM;
    }
    memcpy(&self->given_address, to->address, to->length);
    self->given_info = (struct addrinfo){
        .ai_family = self->given_address.ss_family,
        .ai_socktype = SOCK_STREAM,
        .ai_addr = (struct sockaddr *)&self->given_address,
        .ai_addrlen = (socklen_t)to->length,
    };
    rp_race_take_address(&self->race, &self->given_info, to->fd);
    self->secure = secure;
    self->nagle = to->nagle;
    *future = rp_future_ref(&self->future);
    begin_race(self);
    return 0;
}

int rp_create_unix_connection_with(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *path,
                                   size_t length, const rp_connect_options *options, rp_future **future)
{
    struct sockaddr_un address;
    int address_length = rp_unix_address(&address, path, length);

    if (address_length < 0)
        return address_length;
    RP_TRY(rp_loop_check(loop));
    if (address.sun_path[0] == '\0' && !loop->kernel->abstract)
        return -ENOTSUP;
    /* A Unix socket has no Nagle's algorithm to turn off. */
    return connect_to(loop, factory, arg, &(target){-1, &address, (size_t)address_length, true}, options, future);
}

int rp_create_unix_connection(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *path,
                              size_t length, rp_future **future)
{
    return rp_create_unix_connection_with(loop, factory, arg, path, length, NULL, future);
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
    return connect_to(loop, factory, arg, &(target){fd, address, length, options && options->nagle}, options,
                      future);
}
