/*
 * named_pipe_windows.c - named pipes: connecting to one, and serving one.
 *
 * A client that finds no instance free tries again, after 1 ms at first, and then after twice as long each time, up to
 * 100 ms. An attempt is a future; it holds a reference to itself until it has finished.
 */
#include "connect/named_pipe.h"

#include "base/leave.h"
#include "base/memory.h"
#include "base/wide_windows.h"
#include "connect/pipe_intake_windows.h"
#include "loop/future.h"
#include "loop/resource.h"
#include "net/pipe_transport.h"
#include "proactor/pipe_handle_windows.h"

enum { FIRST_DELAY = 1, LONGEST_DELAY = 100 }; /* milliseconds, as asyncio has them */

/* ---- connecting ---- */

typedef struct attempt {
    rp_future future;
    rp_resource resource;
    rp_protocol_factory *factory;
    void *arg;
    wchar_t *path;
    rp_timer retry;
    int delay;   /* until the next attempt */
    bool opened; /* all else is done at once */
} attempt;

static void release(attempt *self)
{
    rp_resource_remove(&self->resource);
    rp_timer_cancel(&self->retry);
    rp_future_unref(&self->future);
}

static bool cancel(rp_future *future)
{
    attempt *self = rp_container_of(future, attempt, future);
    bool closed = future->loop->closed; /* and the attempt has ended with it */

    if (self->opened) /* the factory asks */
        return false;
    rp_future_finish_cancelled(future);
    if (!closed)
        release(self);
    return true;
}

static void dispose(rp_future *future)
{
    attempt *self = rp_container_of(future, attempt, future);

    rp_future_fini(future);
    rp_free(self->path);
    rp_free(self);
}

static const rp_future_type attempt_type = {.name = "connection attempt", .cancel = cancel, .dispose = dispose};

static void reap(rp_resource *resource)
{
    release(rp_container_of(resource, attempt, resource));
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

/* A pipe that is open; whoever awaits the attempt is to learn of it. */
typedef struct connection {
    attempt *self;
    rp_fd fd; /* -1: a transport has it */
    rp_transport *transport;
    int rc; /* -ECANCELED until the factory has returned: an exception may pass instead */
} connection;

static void conclude(connection *c)
{
    rp_loop *loop = c->self->future.loop;

    if (c->rc < 0) {
        if (c->transport)
            rp_transport_discard(c->transport);
        rp_loop_close_file(loop, c->fd);
    }
    if (c->rc == -ECANCELED)
        rp_future_finish_cancelled(&c->self->future);
    else
        rp_future_finish(&c->self->future, c->rc, c->rc < 0 ? NULL : c->transport);
    release(c->self);
}

static void connected(attempt *self, rp_fd fd)
{
    connection c RP_ON_LEAVE(conclude) = {self, fd, rp_pipe_transport_new_duplex(self->future.loop, fd),
                                          -ECANCELED};
    const rp_protocol *protocol = NULL;
    void *state = NULL;

    self->opened = true;
    c.rc = c.transport ? self->factory(self->arg, &protocol, &state) : -ENOMEM;
    if (c.rc == 0)
        rp_transport_start(c.transport, protocol, state);
}

static void try_to_open(void *arg)
{
    attempt *self = arg;
    rp_fd fd = -1;
    int rc = rp_pipe_handle_connect(self->path, &fd);

    if (rc == 0) {
        connected(self, fd);
        return;
    }
    if (rc == -EAGAIN) {
        rc = rp_call_later(self->future.loop, &self->retry, RP_MSEC(self->delay), try_to_open, self);
        self->delay = 2 * self->delay < LONGEST_DELAY ? 2 * self->delay : LONGEST_DELAY;
    }
    if (rc < 0) {
        rp_future_finish(&self->future, rc, NULL);
        release(self);
    }
}

int rp_create_pipe_connection(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *path,
                              rp_future **future)
{
    attempt *self;
    int rc;

    RP_TRY(rp_loop_check(loop));
    self = rp_calloc(sizeof *self);
    if (!self)
        return -ENOMEM;
    rc = rp_widen(path, &self->path);
    if (rc < 0) {
        rp_free(self);
        return rc;
    }
    rp_future_init(&self->future, loop, &attempt_type);
    rp_resource_add(loop, &self->resource, &resource_type);
    self->factory = factory;
    self->arg = arg;
    self->delay = FIRST_DELAY;
    *future = rp_future_ref(&self->future);
    try_to_open(self);
    return 0;
}

/* ---- serving ---- */

int rp_named_pipe_server(rp_loop *loop, const rp_server_protocol *protocol, const char *path,
                         const rp_server_options *options, rp_server **server)
{
    rp_intake *intake;
    rp_server *made;
    int rc = 0;

    RP_TRY(rp_loop_check(loop));
    made = rp_server_new(loop, protocol, 0);
    if (!made)
        return -ENOMEM;
    rc = rp_pipe_intake_new(loop, path, &intake);
    if (rc == 0) {
        rp_server_set_intake(made, intake);
        if (options)
            rc = rp_secure_take_server(&made->secure, options);
        if (rc == 0 && (!options || !options->delay_start))
            rc = rp_server_start_serving(made);
    }
    if (rc < 0)
        rp_server_discard(made);
    else
        *server = made;
    return rc;
}

int rp_create_pipe_server(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *path,
                          const rp_server_options *options, rp_server **server)
{
    return rp_named_pipe_server(loop, &(rp_server_protocol){.factory = factory, .arg = arg}, path, options,
                                server);
}
