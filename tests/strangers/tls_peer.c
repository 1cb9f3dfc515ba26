/*
 * tls_peer.c - our end of a connection of TLS, for programs of others at the other one.
 *
 *   tls_peer echo|http host port [option=value]...      serves, until SIGINT
 *   tls_peer client host port [option=value]...         sends its stdin, and the end; prints what comes
 *
 * It prints what was negotiated: a server on stdout, a line each connection; a client on stderr.
 *
 * Options: cert and key (files; may come again), ca (whom to trust), verify=none|optional|required, alpn=a,b, min and
 * max (1.0 to 1.3), ciphers, name (the server's, for a client), sni (a name that the next cert and key are for),
 * times (how often a client connects, with the session of the time before), keep=1 (a client does not send the end).
 */
#include <ringport.h>
#include <ringport/tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct setup {
    const char *mode, *host;
    int port;
    rp_tls_context *context;
    rp_tls_context *for_name; /* to which cert and key belong; lent */
    const char *cert, *sni, *name;
    int times;
    bool keep;
    char input[1 << 20];
    size_t input_length;
} setup;

static setup s;

/* ---- options ---- */

static int version_of(const char *text)
{
    return RP_TLS_1_0 + (text[2] - '0');
}

static int set_alpn(char *list)
{
    const char *names[8];
    size_t count = 0;

    for (char *name = strtok(list, ","); name && count < 8; name = strtok(NULL, ","))
        names[count++] = name;
    return rp_tls_context_set_alpn_protocols(s.context, names, count);
}

static int set_name(const char *name)
{
    rp_tls_context *other;

    RP_TRY(rp_tls_context_new(RP_TLS_SERVER, &other));
    int rc = rp_tls_context_add_server_name(s.context, name, other);
    s.for_name = other;
    rp_tls_context_unref(other);
    return rc;
}

static int set_option(const char *option, char *value)
{
    if (strcmp(option, "cert") == 0)
        s.cert = value;
    else if (strcmp(option, "key") == 0)
        return rp_tls_context_load_cert_chain(s.for_name, s.cert, value, NULL, NULL);
    else if (strcmp(option, "ca") == 0)
        return rp_tls_context_load_verify_locations(s.context, value, NULL);
    else if (strcmp(option, "verify") == 0)
        return rp_tls_context_set_verify_mode(s.context, value[0] == 'n'   ? RP_TLS_CERT_NONE
                                                         : value[0] == 'o' ? RP_TLS_CERT_OPTIONAL
                                                                           : RP_TLS_CERT_REQUIRED);
    else if (strcmp(option, "alpn") == 0)
        return set_alpn(value);
    else if (strcmp(option, "min") == 0)
        return rp_tls_context_set_minimum_version(s.context, version_of(value));
    else if (strcmp(option, "max") == 0)
        return rp_tls_context_set_maximum_version(s.context, version_of(value));
    else if (strcmp(option, "ciphers") == 0)
        return rp_tls_context_set_ciphers(s.context, value);
    else if (strcmp(option, "sni") == 0)
        return set_name(value);
    else if (strcmp(option, "name") == 0)
        s.name = value;
    else if (strcmp(option, "times") == 0)
        s.times = atoi(value);
    else if (strcmp(option, "keep") == 0)
        s.keep = true;
    else
        return -EINVAL;
    return 0;
}

static int set_options(char **arguments)
{
    for (; *arguments; arguments++) {
        char *value = strchr(*arguments, '=');

        if (!value)
            return -EINVAL;
        *value = '\0';
        RP_TRY(set_option(*arguments, value + 1));
    }
    return 0;
}

/* ---- both ends ---- */

static const char *or_none(const char *text)
{
    return text ? text : "-";
}

static int tell(FILE *file, const rp_stream *stream)
{
    const rp_transport *transport = rp_stream_transport(stream);
    const rp_tls_certificate *peer;

    RP_TRY(rp_tls_peer_certificate(transport, &peer));
    fprintf(file, "%s %s alpn=%s name=%s resumed=%d peer=%s\n", rp_tls_version_name(transport),
            rp_tls_cipher(transport), or_none(rp_tls_alpn(transport)), or_none(rp_tls_server_name(transport)),
            rp_tls_session_reused(transport), peer ? peer->subject : "-");
    fflush(file);
    return 0;
}

/* ---- a server ---- */

static int echo(rp_co *co, rp_stream *stream, void *arg)
{
    char buffer[16 * 1024];
    ssize_t n;

    (void)arg;
    RP_TRY(tell(stdout, stream));
    while ((n = rp_stream_read(co, stream, buffer, sizeof buffer)) > 0)
        RP_TRY(rp_stream_write(co, stream, buffer, (size_t)n));
    return (int)n;
}

/* Answers requests without a body by their paths. */
static int http(rp_co *co, rp_stream *stream, void *arg)
{
    char head[8192], answer[8400], path[4096];

    (void)arg;
    RP_TRY(tell(stdout, stream));
    for (;;) {
        ssize_t n = rp_stream_read_until(co, stream, head, sizeof head - 1, "\r\n\r\n", 4);

        if (n < 0)
            return n == RP_EOF ? 0 : (int)n;
        head[n] = '\0';
        if (sscanf(head, "GET %4095s HTTP/1.", path) != 1)
            return -EBADMSG;
        int length = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                              strlen(path), path);
        RP_TRY(rp_stream_write(co, stream, answer, (size_t)length));
    }
}

/* What a peer does wrong is told, and is no reason to end. */
static void complain(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    printf("error: %s\n", rp_errname(context->error));
    fflush(stdout);
}

static int serve(rp_co *co, void *arg)
{
    rp_server_options options = {.tls = s.context};
    rp_server *server;

    (void)arg;
    rp_set_debug(rp_co_loop(co), true); /* which has failed handshakes reported */
    rp_set_exception_handler(rp_co_loop(co), complain, NULL);
    RP_TRY(rp_start_server(co, &server, s.mode[0] == 'h' ? http : echo, NULL, s.host, s.port, &options));
    printf("serving on %s:%d\n", s.host, rp_server_port(server));
    fflush(stdout);
    int rc = rp_server_serve_forever(co, server);
    rp_server_free(server);
    return rc;
}

/* ---- a client ---- */

static int send_input(rp_co *co, void *arg)
{
    RP_TRY(rp_stream_write(co, arg, s.input, s.input_length));
    return s.keep ? 0 : rp_stream_write_eof(arg);
}

static int receive_all(rp_co *co, rp_stream *stream)
{
    char buffer[16 * 1024];
    ssize_t n;

    while ((n = rp_stream_read(co, stream, buffer, sizeof buffer)) > 0) {
        fwrite(buffer, 1, (size_t)n, stdout);
        fflush(stdout);
    }
    return (int)n;
}

static int talk(rp_co *co, rp_stream *stream)
{
    rp_tls_session *session;
    rp_task *sender;

    RP_TRY(tell(stderr, stream));
    RP_TRY(rp_create_task(&sender, send_input, stream));
    int rc = receive_all(co, stream);
    int sent = rp_join(co, sender);
    if (rp_stream_transport(stream) && rp_tls_get_session(rp_stream_transport(stream), &session) == 0) {
        rp_tls_context_set_session(s.context, session);
        rp_tls_session_unref(session);
    }
    return rc < 0 ? rc : sent;
}

static int connect_once(rp_co *co)
{
    rp_tls_failure failure;
    rp_connect_options options = {.tls = s.context, .server_name = s.name, .tls_failure = &failure};
    rp_stream *stream;
    int rc = rp_open_connection(co, &stream, s.host, s.port, &options);

    if (rc < 0) {
        fprintf(stderr, "alert=%d %s\n", failure.alert, failure.text);
        return rc;
    }
    rc = talk(co, stream);
    rp_stream_free(stream);
    return rc;
}

static int run_client(rp_co *co, void *arg)
{
    (void)arg;
    s.input_length = fread(s.input, 1, sizeof s.input, stdin);
    for (int i = 0; i < s.times; i++)
        RP_TRY(connect_once(co));
    return 0;
}

int main(int argc, char **argv)
{
    bool is_client = argc > 1 && strcmp(argv[1], "client") == 0;
    int rc = argc < 4 ? -EINVAL : rp_tls_context_new(is_client ? RP_TLS_CLIENT : RP_TLS_SERVER, &s.context);

    if (rc == 0) {
        s.mode = argv[1];
        s.host = argv[2];
        s.port = atoi(argv[3]);
        s.times = 1;
        s.for_name = s.context;
        rc = set_options(argv + 4);
    }
    if (rc == 0)
        rc = rp_run(is_client ? run_client : serve, NULL);
    rp_tls_context_unref(s.context);
    if (rc < 0 && rc != -EINTR)
        fprintf(stderr, "error: %s\n", rp_errname(rc));
    return rc < 0 && rc != -EINTR;
}
