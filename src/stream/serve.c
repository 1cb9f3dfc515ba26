/*
 * serve.c - servers for coroutines: a stream and a task for each connection.
 *
 * The stream belongs to the task's frame (serve_connection) and is freed there, after the handler. So it ends when
 * the handler has returned and what it wrote has been sent.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/memory.h"
#include "co/await.h"
#include "connect/named_pipe.h"
#include "connect/server_open.h"
#include "loop/exception.h"
#include "net/transport.h"
#include "stream/shared_address.h"
#include "stream/stream.h"
#include "stream/stream_open.h"

/* What the connections of a server have in common; the server releases it. */
typedef struct service {
    rp_loop *loop;
    rp_client_connected *handler;
    void *arg;
    uint64_t count;
} service;

/* ---- a connection ---- */

/* What a peer does wrong in TLS is looked for in debug mode. */
static bool is_everyday(const rp_loop *loop, int error)
{
    if (rp_transport_is_tls_error(error))
        return !loop->debug;
    return error == -ECONNRESET || error == -EPIPE || error == -ECONNABORTED || error == -ECANCELED;
}

static int serve_connection(rp_co *co, void *arg)
{
    rp_stream *stream = arg;
    rp_task *task = rp_co_task(co);
    int rc = stream->handler(co, stream, stream->handler_arg);

    if (rc < 0 && !is_everyday(stream->loop, rc))
        rp_loop_report(rp_co_loop(co), &(rp_report){.where = RP_WHERE_HANDLER,
                                                    .error = rc,
                                                    .name = rp_task_get_name(task),
                                                    .future = task,
                                                    .transport = stream->transport,
                                                    .origin = task->origin});
    rp_stream_free(stream);
    return rc == -ECANCELED ? rc : 0;
}

static void connected(rp_stream *stream)
{
    char name[32];
    rp_task *task;
    int rc = rp_loop_create_task(stream->loop, &task, serve_connection, stream);

    snprintf(name, sizeof name, "client-%" PRIu64, stream->number);
    if (rc < 0) {
        rp_loop_report(stream->loop, &(rp_report){.where = RP_WHERE_HANDLER_TASK,
                                                  .error = rc,
                                                  .name = name,
                                                  .transport = stream->transport});
        rp_stream_abort(stream);
        rp_stream_free(stream);
        return;
    }
    rp_task_set_name(task, name);
    rp_task_detach(task);
}

static int make_stream(void *arg, const rp_protocol **protocol, void **self)
{
    service *all = arg;
    rp_stream *stream = rp_stream_new(all->loop);

    if (!stream)
        return -ENOMEM;
    stream->connected = connected;
    stream->handler = all->handler;
    stream->handler_arg = all->arg;
    stream->number = ++all->count;
    *protocol = &rp_stream_protocol;
    *self = stream;
    return 0;
}

/* ---- servers ---- */

static int new_service(rp_loop *loop, rp_client_connected *handler, void *arg, rp_server_protocol *protocol)
{
    service *all;

    if (!handler)
        return -EINVAL;
    all = rp_malloc(sizeof *all);
    if (!all)
        return -ENOMEM;
    *all = (service){.loop = loop, .handler = handler, .arg = arg};
    *protocol = (rp_server_protocol){.factory = make_stream, .arg = all, .release = rp_free};
    return 0;
}

/* Suspends while the server is being made. */
static int await_server(rp_co *co, rp_server **server, rp_future *request)
{
    int rc = rp_stream_await_request(co, request);

    if (rc == 0)
        *server = rp_future_value(request);
    rp_future_unref(request);
    return rc;
}

int rp_start_server(rp_co *co, rp_server **server, rp_client_connected *handler, void *arg, const char *host,
                    int port, const rp_server_options *options)
{
    rp_server_options shared = options ? *options : (rp_server_options){0};
    rp_server_protocol protocol;
    rp_future *request = NULL;
    rp_place place;
    int rc;

    RP_TRY(rp_co_check(co));
    RP_TRY(new_service(rp_co_loop(co), handler, arg, &protocol));
    rc = rp_shared_address_take(&shared, &port, &place);
    if (rc == 0)
        rc = rp_server_request(rp_co_loop(co), &protocol, &place, host, port, &shared, &request);
    if (rc < 0)
        rp_free(protocol.arg);
    else
        rc = await_server(co, server, request);
    if (rc < 0)
        rp_shared_address_give_back(&place);
    return rc;
}

int rp_start_unix_server(rp_co *co, rp_server **server, rp_client_connected *handler, void *arg, const char *path,
                         const rp_server_options *options)
{
    rp_server_protocol protocol;
    int rc;

    RP_TRY(rp_co_here(co));
    RP_TRY(new_service(rp_co_loop(co), handler, arg, &protocol));
    rc = rp_unix_server_new(rp_co_loop(co), &protocol, path, 0, options, server);
    if (rc < 0)
        rp_free(protocol.arg);
    return rc;
}

int rp_start_pipe_server(rp_co *co, rp_server **server, rp_client_connected *handler, void *arg, const char *path,
                         const rp_server_options *options)
{
    rp_server_protocol protocol;
    int rc;

    RP_TRY(rp_co_here(co));
    RP_TRY(new_service(rp_co_loop(co), handler, arg, &protocol));
    rc = rp_named_pipe_server(rp_co_loop(co), &protocol, path, options, server);
    if (rc < 0)
        rp_free(protocol.arg);
    return rc;
}

int rp_start_server_fd(rp_co *co, rp_server **server, rp_client_connected *handler, void *arg, rp_fd fd,
                       const rp_server_options *options)
{
    rp_server_protocol protocol;
    int rc;

    RP_TRY(rp_co_here(co));
    RP_TRY(new_service(rp_co_loop(co), handler, arg, &protocol));
    rc = rp_server_from_fds(rp_co_loop(co), &protocol, &fd, 1, options, server);
    if (rc < 0)
        rp_free(protocol.arg);
    return rc;
}

int rp_server_wait_closed(rp_co *co, rp_server *server)
{
    rp_future *closed;
    int rc;

    RP_TRY(rp_co_check(co));
    RP_TRY(rp_server_closed_future(server, &closed));
    rc = rp_stream_await_request(co, closed);
    rp_future_unref(closed);
    return rc;
}

int rp_server_serve_forever(rp_co *co, rp_server *server)
{
    rp_future *closed;
    int rc;

    RP_TRY(rp_co_here(co));
    RP_TRY(rp_server_start_serving(server));
    RP_TRY(rp_server_closed_future(server, &closed));
    rc = rp_await_shielded(co, closed);
    if (rc == -ECANCELED && !rp_future_done(closed)) /* else it may have been freed by now */
        rp_server_close(server);
    rp_future_unref(closed);
    return rc;
}
