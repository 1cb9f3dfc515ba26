/*
 * pipe_intake_windows.c - our ends of a named pipe's connections: instances of it, each for one client.
 *
 * A few instances wait for clients at a time, and one more is made for each that gets one: a client that finds none
 * fails, and tries again. If none can be made it is tried again in a second, and reported.
 *
 * The instances stand in a source, which outlives the server, for the operations that are in flight. What must stay
 * true: the source is there as long as its intake is, or an operation of an instance is in flight, and no
 * longer; with the loop it ends in any case.
 */
#include "connect/pipe_intake_windows.h"

#include "base/memory.h"
#include "base/wide_windows.h"
#include "loop/exception.h"
#include "loop/handle.h"
#include "loop/loop.h"
#include "loop/resource.h"
#include "net/pipe_transport.h"
#include "proactor/pipe_handle_windows.h"
#include "ringport/error.h"

enum {
    INSTANCES = 4, /* that wait for clients at a time, as libuv has it */
    RETRY_DELAY = 1,
};

typedef struct source source;

/* One instance. It waits for a client, or has one that the server has not taken; or it does not yet, or is none. */
typedef struct instance {
    source *source;
    rp_fd fd; /* -1: there is none */
    bool waiting;
    bool connected;
    rp_op connect;
} instance;

typedef struct pipe_intake {
    rp_intake intake;
    source *source; /* NULL: gone with its loop, or left */
} pipe_intake;

struct source {
    rp_loop *loop;
    pipe_intake *intake; /* NULL: nobody is served any more */
    wchar_t *path;
    rp_timer retry;
    rp_resource resource;
    instance instances[INSTANCES];
};

/* ---- instances ---- */

static void close_instance(instance *one)
{
    rp_loop_close_file(one->source->loop, one->fd);
    one->fd = -1;
}

/* ---- the source's life ---- */

static void free_source(source *s)
{
    rp_resource_remove(&s->resource);
    rp_timer_cancel(&s->retry);
    rp_free(s->path);
    rp_free(s);
}

/* Nobody is served any more: frees it when no operation is in flight. */
static void settle(source *s)
{
    for (int i = 0; i < INSTANCES; i++)
        if (s->instances[i].waiting)
            return;
    free_source(s);
}

static void reap(rp_resource *resource)
{
    source *s = rp_container_of(resource, source, resource);

    for (int i = 0; i < INSTANCES; i++)
        if (s->instances[i].fd != -1)
            close_instance(&s->instances[i]);
    if (s->intake)
        s->intake->source = NULL;
    free_source(s);
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

/* ---- waiting for clients ---- */

static void fill(void *arg);

/* The report comes last: whoever is told may close the server. */
static void fill_later(source *s, int error)
{
    rp_call_later(s->loop, &s->retry, RP_SEC(RETRY_DELAY), fill, s);
    rp_loop_report(s->loop, &(rp_report){.where = RP_WHERE_ACCEPT, .error = error});
}

static void on_connected(rp_op *op)
{
    instance *one = rp_container_of(op, instance, connect);
    source *s = one->source;

    one->waiting = false;
    if (!s->intake) {
        settle(s);
        return;
    }
    if (op->result < 0) {
        close_instance(one);
        fill_later(s, (int)op->result);
        return;
    }
    one->connected = true;
    rp_intake *intake = &s->intake->intake;
    atomic_fetch_add_explicit(&intake->load, 1, memory_order_relaxed);
    rp_call_soon_threadsafe(s->loop, &intake->wake, intake->woken,
                            intake->server); /* unless it is to run already */
}

static int wait_for_client(instance *one)
{
    int rc;

    rp_op_connect(&one->connect, one->fd, NULL, 0, on_connected, NULL);
    rc = rp_submit(one->source->loop, &one->connect);
    one->waiting = rc == 0;
    return rc;
}

static int fill_one(instance *one)
{
    int rc = one->fd == -1 ? rp_pipe_handle_make(one->source->path, false, &one->fd) : 0;

    if (rc == 0 && !one->waiting && !one->connected)
        rc = wait_for_client(one);
    return rc;
}

static void fill(void *arg)
{
    source *s = arg;
    int rc = 0;

    for (int i = 0; rc == 0 && i < INSTANCES; i++)
        rc = fill_one(&s->instances[i]);
    if (rc < 0 && !rp_timer_scheduled(&s->retry))
        fill_later(s, rc);
}

/* ---- the intake ---- */

static int serve(rp_intake *intake)
{
    source *s = rp_container_of(intake, pipe_intake, intake)->source;
    int rc = wait_for_client(&s->instances[0]);

    if (rc == 0)
        fill(s);
    return rc;
}

/* The place of what is taken gets another instance at once: the name is not to be free in between. */
static bool take(rp_intake *intake, rp_fd *fd)
{
    source *s = rp_container_of(intake, pipe_intake, intake)->source;

    for (int i = 0; i < INSTANCES; i++) {
        instance *one = &s->instances[i];

        if (!one->connected)
            continue;
        *fd = one->fd;
        one->fd = -1;
        one->connected = false;
        fill(s);
        return true;
    }
    return false;
}

/*
 * Whoever has connected and was not taken is turned away. The name is free when this returns: what waits for clients is
 * cancelled, and its handle is closed though the packet is still to come, which finds the operation in its place.
 */
static void leave(rp_intake *intake)
{
    pipe_intake *self = rp_container_of(intake, pipe_intake, intake);
    source *s = self->source;

    rp_handle_cancel(&intake->wake);
    if (!s)
        return;
    self->source = NULL;
    s->intake = NULL;
    rp_timer_cancel(&s->retry);
    if (rp_loop_is_closed(s->loop)) /* which reaps it */
        return;
    for (int i = 0; i < INSTANCES; i++) {
        if (s->instances[i].waiting)
            rp_cancel(s->loop, &s->instances[i].connect);
        if (s->instances[i].fd != -1)
            close_instance(&s->instances[i]);
    }
    settle(s);
}

static const rp_intake_type type = {.make = rp_pipe_transport_new_duplex,
                                    .close = rp_loop_close_file,
                                    .serve = serve,
                                    .take = take,
                                    .leave = leave};

/* ---- the beginning ---- */

static int new_source(rp_loop *loop, const char *path, source **made)
{
    source *s = rp_calloc(sizeof *s);
    int rc = s ? rp_widen(path, &s->path) : -ENOMEM;

    for (int i = 0; s && i < INSTANCES; i++)
        s->instances[i] = (instance){.source = s, .fd = -1};
    if (rc == 0)
        rc = rp_pipe_handle_make(s->path, true, &s->instances[0].fd);
    if (rc < 0) {
        if (s)
            rp_free(s->path);
        rp_free(s);
        return rc == -EACCES || rc == -EBUSY ? -EADDRINUSE : rc == -ENOENT ? -EINVAL : rc;
    }
    s->loop = loop;
    rp_resource_add(loop, &s->resource, &resource_type);
    *made = s;
    return 0;
}

int rp_pipe_intake_new(rp_loop *loop, const char *path, rp_intake **intake)
{
    pipe_intake *self = rp_calloc(sizeof *self);
    int rc = self ? new_source(loop, path, &self->source) : -ENOMEM;

    *intake = NULL;
    if (rc < 0) {
        rp_free(self);
        return rc;
    }
    self->source->intake = self;
    self->intake.type = &type;
    *intake = &self->intake;
    return 0;
}
