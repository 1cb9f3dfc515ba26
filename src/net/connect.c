/*
 * connect.c - connecting: resolve the name, race for its addresses, make transport and protocol of the first one.
 *
 * An attempt is a future. While it is pending one thing is under way, a lookup or the race for the addresses (race.h),
 * and its end moves the attempt on. Cancelling cancels that thing, and the attempt ends when it has. The attempt holds
 * a reference to itself meanwhile.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/leave.h"
#include "base/memory.h"
#include "loop/future.h"
#include "loop/resource.h"
#include "net/address.h"
#include "net/race.h"
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

/* One that is made; whoever awaits the attempt is to learn of it. */
typedef struct connection {
    attempt *self;
    rp_fd fd; /* -1: it is the transport's */
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
    rp_loop_close_socket(self->future.loop, c->fd);
    self->cancelled |= !c->made;
    finish(self, c->rc, NULL);
}

static void use(attempt *self, rp_fd fd, int family)
{
    rp_loop *loop = self->future.loop;
    connection c RP_ON_LEAVE(conclude) = {self, fd, rp_socket_transport_new(loop, fd), false, -ECANCELED};
    const rp_protocol *protocol = NULL;
    void *state = NULL;

    c.rc = c.transport ? self->factory(self->arg, &protocol, &state) : -ENOMEM;
    c.made = true;
    if (c.transport)
        rp_socket_transport_set_family(c.transport, family);
    if (rp_loop_is_forked(loop)) /* the factory has forked: the connection is the parent's */
        c.rc = RP_EFORK;
    if (c.rc < 0)
        return;
    if (!self->nagle)
        rp_kernel_set_number(loop->kernel, fd, IPPROTO_TCP, TCP_NODELAY, 1);
    c.fd = -1;
    rp_transport_start(c.transport, protocol, state);
}

static void release_attempt(attempt **self)
{
    release(*self);
}

static void on_over(rp_race *race)
{
    attempt *self RP_ON_LEAVE(release_attempt) = rp_container_of(race, attempt, race);

    self->racing = false;
    if (race->winner < 0)
        finish(self, race->error, NULL);
    else
        use(self, race->winner, race->winner_address->ai_family);
}

static void begin_race(attempt *self)
{
    self->racing = true;
    rp_race_start(&self->race);
}

/* ---- the name ---- */

static void end_early(attempt *self, int error)
{
    finish(self, error, NULL);
    release(self);
}

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

int rp_create_connection(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *host, int port,
                         const rp_connect_options *options, rp_future **future)
{
    rp_future *lookup, *local_lookup = NULL;
    attempt *self = NULL;
    int rc;

    RP_TRY(rp_loop_check(loop));
    if (options && (options->happy_eyeballs_delay < 0 || options->interleave < -1))
        return -EINVAL;
    RP_TRY(look_up(loop, host, port, options, &lookup));
    rc = 0;
    if (options && options->local_host)
        rc = look_up(loop, options->local_host, options->local_port, options, &local_lookup);
    if (rc == 0) {
        self = new_attempt(loop, factory, arg);
        rc = self ? 0 : -ENOMEM;
    }
    if (rc < 0) {
        rp_lookup_drop(&lookup);
        rp_lookup_drop(&local_lookup);
        return rc;
    }
    if (options)
        take_options(self, options);
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
    rp_race_take_address(&self->race, &self->given_info, fd);
    self->nagle = nagle;
    *future = rp_future_ref(&self->future);
    begin_race(self);
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
