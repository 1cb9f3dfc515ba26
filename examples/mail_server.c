/* mail_server.c - mail_server port certificate key: prints lines that come by TLS, which begins at STARTTLS. */
#include <ringport.h>
#include <ringport/tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int say(rp_co *co, rp_stream *stream, const char *text)
{
    return rp_stream_write(co, stream, text, strlen(text));
}

static int talk(rp_co *co, rp_stream *stream, void *context)
{
    bool secure = false;
    char line[1024];

    RP_TRY(say(co, stream, "220 localhost\r\n"));
    while (rp_stream_read_line(co, stream, line, sizeof line) > 0) {
        if (secure) {
            printf("%s", line);
            RP_TRY(say(co, stream, "250 taken\r\n"));
        } else if (strncmp(line, "STARTTLS", 8) == 0) {
            RP_TRY(say(co, stream, "220 begin\r\n")); /* plain text that comes before TLS fails the handshake */
            RP_TRY(rp_start_tls(co, stream, context, NULL));
            secure = true;
        } else
            RP_TRY(say(co, stream, line[0] == 'E' ? "250 STARTTLS\r\n" : "530 STARTTLS comes first\r\n"));
    }
    return 0;
}

static int serve(rp_co *co, void *arg)
{
    char **argv = arg;
    rp_tls_context *context;
    rp_server *server;

    RP_TRY(rp_tls_context_new(RP_TLS_SERVER, &context));
    int rc = rp_tls_context_load_cert_chain(context, argv[2], argv[3], NULL, NULL);
    if (rc == 0)
        rc = rp_start_server(co, &server, talk, context, "127.0.0.1", atoi(argv[1]), NULL);
    if (rc == 0) {
        printf("serving on 127.0.0.1:%d\n", rp_server_port(server));
        rc = rp_server_serve_forever(co, server);
        rp_server_free(server);
    }
    rp_tls_context_unref(context);
    return rc;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    int rc = argc < 4 ? -EINVAL : rp_run(serve, argv);
    return rc < 0 && rc != -EINTR;
}
