/*
 * stream_open.c - streams of new connections, and names, for coroutines: the requests of src/connect, awaited.
 */
#include "stream/stream_open.h"

#include <string.h>

#include "co/await.h"
#include "net/resolve.h"
#include "net/transport.h"
#include "stream/stream.h"

/* ---- awaiting a request ---- */

static void interrupt(rp_co *co, void *arg)
{
    (void)co;
    rp_future_cancel(arg);
}

/* rp_await()'s future belongs to somebody else. This request was made by the very call that will never return. */
static void abandon(rp_co *co, void *arg)
{
    rp_future_remove_done_callback(&co->wake.done);
    rp_future_unref(arg);
}

int rp_stream_await_request(rp_co *co, rp_future *request)
{
    static const rp_waiting waiting = {interrupt, abandon, "a connection"};

    return rp_await_as(co, request, &waiting, request);
}

int rp_getaddrinfo(rp_co *co, struct addrinfo **result, const char *host, const char *service,
                   const struct addrinfo *hints)
{
    rp_future *lookup;
    int rc;

    RP_TRY(rp_co_check(co));
    RP_TRY(rp_lookup_new(rp_co_loop(co), host, service, hints, &lookup));
    rc = rp_stream_await_request(co, lookup);
    if (rc == 0)
        rc = rp_lookup_take(lookup, result);
    rp_future_unref(lookup);
    return rc;
}

static int take_name(const char *name, char *room, size_t size)
{
    size_t length = strlen(name) + 1;

    if (!room)
        return 0;
    if (length > size)
        return RP_EAI_OVERFLOW;
    memcpy(room, name, length);
    return 0;
}

int rp_getnameinfo(rp_co *co, const struct sockaddr *address, uint32_t length, char *host, size_t host_size,
                   char *service, size_t service_size, int flags)
{
    const rp_nameinfo *names;
    rp_future *lookup;
    int rc;

    RP_TRY(rp_co_check(co));
    if (!host && !service)
        return RP_EAI_NONAME;
    RP_TRY(rp_loop_getnameinfo(rp_co_loop(co), address, length, flags, &lookup));
    rc = rp_stream_await_request(co, lookup);
    if (rc == 0) {
        names = rp_future_value(lookup);
        rc = take_name(names->host, host, host_size);
        if (rc == 0)
            rc = take_name(names->service, service, service_size);
    }
    rp_future_unref(lookup);
    return rc;
}

/* ---- connecting ---- */

static int use_stream(void *arg, const rp_protocol **protocol, void **self)
{
    *protocol = &rp_stream_protocol;
    *self = arg;
    return 0;
}

/* The end of an attempt to connect: the stream has a connection then, or is given up. */
static int finish(rp_co *co, rp_stream **stream, rp_stream *opened, rp_future *attempt, int rc)
{
    if (rc == 0) {
        rc = rp_stream_await_request(co, attempt);
        rp_future_unref(attempt);
    }
    if (rc < 0)
        rp_stream_discard(opened);
    else
        *stream = opened;
    return rc;
}

int rp_open_connection(rp_co *co, rp_stream **stream, const char *host, int port,
                       const rp_connect_options *options)
{
    rp_future *attempt = NULL;
    rp_stream *opened;
    int rc;

    RP_TRY(rp_co_check(co));
    opened = rp_stream_new(rp_co_loop(co));
    if (!opened)
        return -ENOMEM;
    rc = rp_create_connection(rp_co_loop(co), use_stream, opened, host, port, options, &attempt);
    return finish(co, stream, opened, attempt, rc);
}

int rp_open_unix_connection_with(rp_co *co, rp_stream **stream, const char *path,
                                 const rp_connect_options *options)
{
    rp_future *attempt = NULL;
    rp_stream *opened;
    int rc;

    RP_TRY(rp_co_check(co));
    opened = rp_stream_new(rp_co_loop(co));
    if (!opened)
        return -ENOMEM;
    rc = rp_create_unix_connection_with(rp_co_loop(co), use_stream, opened, path, 0, options, &attempt);
    return finish(co, stream, opened, attempt, rc);
}

int rp_open_unix_connection(rp_co *co, rp_stream **stream, const char *path)
{
    return rp_open_unix_connection_with(co, stream, path, NULL);
}

int rp_open_pipe_connection(rp_co *co, rp_stream **stream, const char *path)
{
    rp_future *attempt = NULL;
    rp_stream *opened;
    int rc;

    RP_TRY(rp_co_check(co));
    opened = rp_stream_new(rp_co_loop(co));
    if (!opened)
        return -ENOMEM;
    rc = rp_create_pipe_connection(rp_co_loop(co), use_stream, opened, path, &attempt);
    return finish(co, stream, opened, attempt, rc);
}

/* ---- descriptors that are given ---- */

/* What src/connect makes a transport by. */
typedef int make_transport(rp_loop *loop, rp_fd fd, const rp_protocol *protocol, void *self,
                           rp_transport **transport);

static int open_given(rp_co *co, rp_stream **stream, rp_fd fd, make_transport *make)
{
    rp_transport *transport;
    rp_stream *opened;
    int rc;

    RP_TRY(rp_co_here(co));
    opened = rp_stream_new(rp_co_loop(co));
    if (!opened)
        return -ENOMEM;
    rc = make(rp_co_loop(co), fd, &rp_stream_protocol, opened, &transport);
    if (rc < 0)
        rp_stream_discard(opened);
    else
        *stream = opened;
    return rc;
}

int rp_stream_from_fd(rp_co *co, rp_stream **stream, rp_fd fd)
{
    return open_given(co, stream, fd, rp_connect_accepted_socket);
}

int rp_stream_from_read_pipe(rp_co *co, rp_stream **stream, rp_fd fd)
{
    return open_given(co, stream, fd, rp_connect_read_pipe);
}

int rp_stream_from_write_pipe(rp_co *co, rp_stream **stream, rp_fd fd)
{
    RP_TRY(open_given(co, stream, fd, rp_connect_write_pipe));
    (*stream)->transport->eof_received =
        true; /* nothing will ever come: what reads does not wait, but is refused */
    return 0;
}
