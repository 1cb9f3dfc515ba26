/*
 * start_tls.c - TLS begins on a transport that runs: a new one takes its place, when the handshake is done.
 *
 * It is a future. While it is pending the handshake is under way. Cancelling aborts that, and the future ends when it
 * has. It holds a reference to itself meanwhile.
 */
#include "base/memory.h"
#include "connect/secure.h"
#include "loop/future.h"
#include "loop/resource.h"
#include "net/transport.h"

typedef struct beginning {
    rp_future future;
    rp_resource resource;
    rp_secure secure;
    rp_transport *filter;
    const rp_protocol *protocol;
    void *self;
    bool cancelled;
} beginning;

static void release(beginning *self)
{
    rp_resource_remove(&self->resource);
    rp_secure_drop(&self->secure);
    rp_future_unref(&self->future);
}

static void dispose(rp_future *future)
{
    rp_future_fini(future);
    rp_free(rp_container_of(future, beginning, future));
}

static bool cancel(rp_future *future)
{
    beginning *self = rp_container_of(future, beginning, future);

    if (future->loop->closed) { /* and the filter with it */
        rp_future_finish_cancelled(future);
        return true;
    }
    self->cancelled = true;
    rp_transport_abort(self->filter);
    return true;
}

static const rp_future_type type = {.name = "handshake of TLS", .cancel = cancel, .dispose = dispose};

static void reap(rp_resource *resource)
{
    release(rp_container_of(resource, beginning, resource));
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

static void fail(beginning *self, int error)
{
    rp_secure_explain(&self->secure, self->filter);
    if (self->cancelled)
        rp_future_finish_cancelled(&self->future);
    else /* somebody else has aborted it, such as its server */
        rp_future_finish(&self->future, error == -ECANCELED ? -ECONNABORTED : error, NULL);
}

/* connection_made is not called: it is the future that tells of the transport, before the protocol hears of bytes. */
static void on_secured(void *arg, rp_transport *filter, int error)
{
    beginning *self = arg;

    if (error < 0) {
        fail(self, error);
    } else {
        rp_future_finish(&self->future, 0, filter);
        rp_transport_go_on(filter, self->protocol, self->self);
    }
    release(self);
}

/* Whoever made the transport, such as a server, has the new one in its place. */
static void hand_on(rp_transport *from, rp_transport *to)
{
    to->maker = from->maker;
    to->detached = from->detached;
    from->detached = NULL;
    if (!rp_node_linked(&from->maker_link))
        return;
    rp_list_insert(&from->maker_link, &to->maker_link);
    rp_list_remove(&from->maker_link);
}

int rp_transport_start_tls(rp_transport *transport, rp_tls_context *context, const rp_tls_options *options,
                           const void *received, size_t length, const rp_protocol *protocol, void *self,
                           rp_future **future)
{
    rp_tls_options used = options ? *options : (rp_tls_options){0};
    beginning *made;
    int rc;

    RP_TRY(rp_loop_check(transport->loop));
    if (!context)
        return -EINVAL;
    made = rp_calloc(sizeof *made);
    if (!made)
        return -ENOMEM;
    made->protocol = protocol;
    made->self = self;
    rc = rp_secure_take(&made->secure, context, &used);
    if (rc == 0)
        rc = rp_secure_begin(&made->secure, transport, received, length, on_secured, made, &made->filter);
    if (rc < 0) {
        rp_secure_drop(&made->secure);
        rp_free(made);
        return rc;
    }
    hand_on(transport, made->filter);
    rp_future_init(&made->future, transport->loop, &type);
    rp_resource_add(transport->loop, &made->resource, &resource_type);
    *future = rp_future_ref(&made->future);
    return 0;
}
