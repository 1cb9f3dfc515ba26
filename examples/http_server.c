/*
 * http_server.c - http_server [port]: HTTP/1.1 with keep-alive; answers every GET with its path, until SIGINT. It reads
 * no bodies: where one may follow, the connection ends with the answer.
 */
#include <ringport.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_request.h"

enum { HEAD_SIZE = 8192 };

/* All tasks share the buffer, so that no idle connection keeps one: what is written is sent or copied at once. */
static int respond(rp_co *co, rp_stream *stream, const char *status, const char *body, bool keep)
{
    static char response[HEAD_SIZE + 256];
    int n = snprintf(response, sizeof response,
                     "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: %s\r\n\r\n%s",
                     status, strlen(body), keep ? "keep-alive" : "close", body);

    return rp_stream_write(co, stream, response, (size_t)n);
}

/*
 * The last answer: what the client still sends is read and dropped. Closed with bytes unread, the connection would be
 * reset, and the answer could be lost with it.
 */
static int respond_last(rp_co *co, rp_stream *stream, const char *status, const char *body)
{
    char dropped[4096];
    rp_timeout timeout;
    ssize_t n = respond(co, stream, status, body, false);

    if (n < 0 || (n = rp_stream_write_eof(stream)) < 0)
        return (int)n;
    rp_timeout_begin(co, &timeout, RP_SEC(10));
    while ((n = rp_stream_read(co, stream, dropped, sizeof dropped)) > 0)
        ;
    n = rp_timeout_end(co, &timeout, (int)n);
    return n == -ETIMEDOUT ? 0 : (int)n;
}

static int serve_client(rp_co *co, rp_stream *stream, void *arg)
{
    char head[HEAD_SIZE];
    http_request request;
    ssize_t n;

    (void)arg;
    while ((n = rp_stream_read_until(co, stream, head, sizeof head, "\r\n\r\n", 4)) > 0) {
        if (!http_request_parse(&request, head, (size_t)n))
            return respond_last(co, stream, "400 Bad Request", "bad request\n");
        if (strcmp(request.method, "GET") != 0)
            return respond_last(co, stream, "405 Method Not Allowed\r\nAllow: GET", "");
        if (!request.keep_alive || request.has_body)
            return respond_last(co, stream, "200 OK", request.path);
        RP_TRY(respond(co, stream, "200 OK", request.path, true));
    }
    if (n == RP_ELIMIT)
        return respond_last(co, stream, "431 Request Header Fields Too Large", "");
    return n == RP_EOF ? 0 : (int)n;
}

static int serve(rp_co *co, void *arg)
{
    rp_server *server;

    RP_TRY(rp_start_server(co, &server, serve_client, NULL, "127.0.0.1", atoi(arg), NULL));
    printf("serving on http://127.0.0.1:%d/\n", rp_server_port(server));
    fflush(stdout);
    int rc = rp_server_serve_forever(co, server);
    rp_server_free(server);
    return rc;
}

int main(int argc, char **argv)
{
    return rp_run(serve, argc > 1 ? argv[1] : "8080") != -EINTR;
}
