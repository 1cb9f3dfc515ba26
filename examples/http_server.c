/* http_server.c - http_server [port]: HTTP/1.1 with keep-alive; answers every GET with its path, until SIGINT. */
#include <ringport.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEAD_SIZE = 8192 };

static int respond(rp_co *co, rp_stream *stream, const char *status, const char *body, bool keep)
{
    char response[HEAD_SIZE + 256];
    int n = snprintf(response, sizeof response,
                     "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: %s\r\n\r\n%s",
                     status, strlen(body), keep ? "keep-alive" : "close", body);

    return rp_stream_write(co, stream, response, (size_t)n);
}

static bool wants_close(const char *head)
{
    while ((head = strstr(head, "\r\n")) != NULL)
        if (strncasecmp(head += 2, "Connection: close", 17) == 0)
            return true;
    return false;
}

static int serve_client(rp_co *co, rp_stream *stream, void *arg)
{
    char head[HEAD_SIZE + 1], method[16], path[HEAD_SIZE], version[16];
    ssize_t n;
    bool keep = true;

    (void)arg;
    while (keep && (n = rp_stream_read_until(co, stream, head, HEAD_SIZE, "\r\n\r\n", 4)) != RP_EOF) {
        if (n < 0)
            return n == RP_ELIMIT ? respond(co, stream, "431 Request Header Fields Too Large", "", false) : (int)n;
        head[n] = '\0';
        if (memchr(head, '\0', (size_t)n) != NULL ||
            sscanf(head, "%15s %8191s %15s", method, path, version) != 3 || strncmp(version, "HTTP/1.", 7) != 0)
            return respond(co, stream, "400 Bad Request", "bad request\n", false);
        bool get = strcmp(method, "GET") == 0; /* anything else may have a body, which this server does not read */
        keep = get && strcmp(version, "HTTP/1.1") == 0 && !wants_close(head);
        RP_TRY(respond(co, stream, get ? "200 OK" : "405 Method Not Allowed", get ? path : "", keep));
    }
    return 0;
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
