/*
 * resp_server.c - resp_server port [unix-path [tls-port certificate key]]: a small server of Redis' protocol, by
 * TCP, by a Unix socket and by TLS at once, until SIGINT. Port 0: one that is free. What is stored is gone with the
 * program.
 */
#include <ringport.h>
#include <ringport/tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "resp_commands.h"

enum {
    PIECE = 64 * 1024,
    BACKLOG = 511,
    CLIENTS_LIMIT = 256 * 1024 * 1024, /* bytes that are held for all clients */
    CLIENTS_SHARE = 16 * 1024,         /* and for each, however many others have */
};

/* The bytes of a request that has begun, and not ended yet. */
typedef struct partial {
    char *bytes;
    size_t length;
    size_t room;
} partial;

typedef struct client {
    rp_stream *stream;
    resp_session session;
    resp_request request;
    partial begun;
    size_t held; /* of service.held */
} client;

static resp_service service;

/*
 * Tasks of one loop share these two: what is read is done, or kept, before the task suspends again, and a write that
 * suspends has copied what it was given. So a connection that is idle has little memory but its stream's and its stack.
 */
static char piece[PIECE];
static resp_reply reply;

/*
 * Counts what is held for a client: its request that has begun, and a reply that it has not read. Whoever goes beyond
 * the limit of all is disconnected; Redis has maxmemory-clients, and disconnects those that have most.
 */
static int hold(client *c, size_t unread)
{
    size_t held = c->begun.room + c->request.room * sizeof *c->request.arguments + unread;

    service.held += held - c->held;
    c->held = held;
    return held > CLIENTS_SHARE && service.held > CLIENTS_LIMIT ? -ENOBUFS : 0;
}

/* What one client was to get must not stay where another one's replies are written. */
static int flush(rp_co *co, client *c)
{
    size_t length = reply.length;
    int rc = hold(c, length);

    if (rc < 0 || length == 0) {
        resp_reply_clear(&reply);
        return rc;
    }
    reply.length = 0;
    rc = rp_stream_write(co, c->stream, reply.bytes, length);
    hold(c, 0);
    if (reply.length == 0)
        resp_reply_clear(&reply);
    return rc;
}

/* Makes room for what comes next of a request that has begun. */
static int make_room(partial *begun)
{
    size_t room = 2 * begun->room;

    if (begun->room - begun->length >= PIECE)
        return 0;

    char *bytes = realloc(begun->bytes, room);
    if (!bytes)
        return -ENOMEM;
    begun->bytes = bytes;
    begun->room = room;
    return 0;
}

/* Keeps what has not been dealt with: `length` bytes, which may be the end of what is kept already. */
static int keep(client *c, const char *bytes, size_t length)
{
    if (length == 0) {
        free(c->begun.bytes);
        c->begun = (partial){0};
        return 0;
    }
    if (!c->begun.bytes) {
        c->begun.bytes = malloc(length);
        if (!c->begun.bytes)
            return -ENOMEM;
        c->begun.room = length;
    }
    memmove(c->begun.bytes, bytes, length);
    c->begun.length = length;
    return 0;
}

static int keep_and_flush(rp_co *co, client *c, const char *bytes, size_t length)
{
    int rc = keep(c, bytes, length);

    if (rc < 0) {
        resp_reply_clear(&reply);
        return rc;
    }
    return flush(co, c);
}

/* Answers all requests that are complete in these bytes, and keeps the rest. */
static int answer(rp_co *co, client *c, char *bytes, size_t length)
{
    resp_result result;

    while ((result = resp_request_parse(&c->request, bytes, length)) == RESP_COMPLETE) {
        resp_execute(&service, &c->session, &c->request, bytes, &reply);
        bytes += c->request.at;
        length -= c->request.at;
        resp_request_reset(&c->request);
        if (reply.failed)
            c->session.ended = true;
        if (c->session.ended)
            break;
        if (reply.length >= PIECE) { /* the client is to read, before more is done for it */
            RP_TRY(keep_and_flush(co, c, bytes, length));
            bytes = c->begun.bytes;
        }
    }
    if (result == RESP_ERROR) {
        char text[128];

        snprintf(text, sizeof text, "ERR %s", c->request.error);
        resp_reply_begin(&reply);
        resp_reply_error(&reply, text);
        resp_reply_end(&reply);
        c->session.ended = true;
    }
    return keep_and_flush(co, c, bytes, length);
}

static int converse(rp_co *co, client *c)
{
    ssize_t n;

    while (!c->session.ended) {
        if (c->begun.length == 0) {
            n = rp_stream_read(co, c->stream, piece, PIECE);
            if (n <= 0)
                return (int)n;
            RP_TRY(answer(co, c, piece, (size_t)n));
        } else {
            RP_TRY(make_room(&c->begun));
            RP_TRY(hold(c, 0));
            n = rp_stream_read(co, c->stream, c->begun.bytes + c->begun.length, c->begun.room - c->begun.length);
            if (n <= 0)
                return (int)n;
            RP_TRY(answer(co, c, c->begun.bytes, c->begun.length += (size_t)n));
        }
    }
    return 0;
}

/* What the client still sends is read and dropped: a reset for unread bytes might cost it the last reply. */
static int part(rp_co *co, rp_stream *stream)
{
    rp_timeout timeout;
    ssize_t n = rp_stream_write_eof(stream);

    if (n < 0)
        return (int)n;
    rp_timeout_begin(co, &timeout, RP_SEC(10));
    while ((n = rp_stream_read(co, stream, piece, PIECE)) > 0)
        ;
    n = rp_timeout_end(co, &timeout, (int)n);
    return n == -ETIMEDOUT ? 0 : (int)n;
}

static int serve_client(rp_co *co, rp_stream *stream, void *arg)
{
    client c = {.stream = stream};
    int rc;

    (void)arg;
    service.clients++;
    rc = converse(co, &c);
    service.clients--;
    service.held -= c.held;
    resp_request_free(&c.request);
    free(c.begun.bytes);
    return rc == 0 && c.session.ended ? part(co, stream) : rc;
}

static int start_tls(rp_co *co, rp_server **server, char **argv)
{
    rp_server_options options = {.backlog = BACKLOG};
    int rc;

    RP_TRY(rp_tls_context_new(RP_TLS_SERVER, &options.tls));
    rc = rp_tls_context_load_cert_chain(options.tls, argv[1], argv[2], NULL, NULL);
    if (rc < 0)
        fprintf(stderr, "%s\n", rp_tls_context_error_text(options.tls));
    else
        rc = rp_start_server(co, server, serve_client, NULL, "127.0.0.1", atoi(argv[0]), &options);
    rp_tls_context_unref(options.tls);
    return rc;
}

static int serve(rp_co *co, void *arg)
{
    char **argv = arg;
    rp_server_options options = {.backlog = BACKLOG};
    rp_server *tcp = NULL, *local = NULL, *tls = NULL;
    int rc = rp_start_server(co, &tcp, serve_client, NULL, "127.0.0.1", atoi(argv[1]), &options);

    if (rc == 0 && argv[2])
        rc = rp_start_unix_server(co, &local, serve_client, NULL, argv[2], &options);
    if (rc == 0 && local && argv[3])
        rc = start_tls(co, &tls, argv + 3);
    if (rc == 0) {
        service.backend = rp_loop_backend_name(rp_co_loop(co));
        printf("serving on 127.0.0.1:%d", rp_server_port(tcp));
        if (local)
            printf(" and %s", argv[2]);
        if (tls)
            printf(" and by TLS on 127.0.0.1:%d", rp_server_port(tls));
        putchar('\n');
        fflush(stdout);
        rc = rp_server_serve_forever(co, tcp);
    }
    rp_server_free(tls);
    rp_server_free(local);
    rp_server_free(tcp);
    return rc;
}

int main(int argc, char **argv)
{
    int rc = argc < 2 || argc == 4 || argc == 5 ? -EINVAL : 0;

    if (rc == 0 && getentropy(service.store.secret, sizeof service.store.secret) < 0)
        rc = -errno;
    if (rc == 0)
        rc = rp_run(serve, argv);
    for (size_t i = 0; i < RESP_DATABASES; i++)
        resp_store_flush(&service.store, &service.store.databases[i]);
    free(reply.bytes);
    if (rc < 0 && rc != -EINTR)
        fprintf(stderr, "resp_server: %s\n", rp_strerror(rc));
    return rc < 0 && rc != -EINTR;
}
