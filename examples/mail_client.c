/* mail_client.c - mail_client host port roots line...: sends lines to mail_server.c, by TLS from STARTTLS on. */
#include <ringport.h>
#include <ringport/tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Says a line, if there is one, and waits for the answer, which must begin so. */
static int ask(rp_co *co, rp_stream *stream, const char *line, const char *answer)
{
    char said[1024];
    int length = snprintf(said, sizeof said, "%s\r\n", line ? line : "");

    if (line)
        RP_TRY(rp_stream_write(co, stream, said, (size_t)length));
    RP_TRY(rp_stream_read_line(co, stream, said, sizeof said));
    return strncmp(said, answer, strlen(answer)) == 0 ? 0 : -EBADMSG;
}

static int talk(rp_co *co, rp_stream *stream, rp_tls_context *context, char **argv)
{
    rp_tls_options options = {.server_name = argv[1]};

    RP_TRY(ask(co, stream, NULL, "220"));
    RP_TRY(ask(co, stream, "EHLO localhost", "250 STARTTLS"));
    RP_TRY(ask(co, stream, "STARTTLS", "220"));
    RP_TRY(rp_start_tls(co, stream, context, &options));
    for (char **line = argv + 4; *line; line++)
        RP_TRY(ask(co, stream, *line, "250"));
    rp_stream_close(stream);
    return rp_stream_wait_closed(co, stream);
}

static int run(rp_co *co, void *arg)
{
    char **argv = arg;
    rp_tls_context *context;
    rp_stream *stream;

    RP_TRY(rp_tls_context_new(RP_TLS_CLIENT, &context));
    int rc = rp_tls_context_load_verify_locations(context, argv[3], NULL);
    if (rc == 0)
        rc = rp_open_connection(co, &stream, argv[1], atoi(argv[2]), NULL);
    if (rc == 0) {
        rc = talk(co, stream, context, argv);
        rp_stream_free(stream);
    }
    rp_tls_context_unref(context);
    return rc;
}

int main(int argc, char **argv)
{
    int rc = argc < 5 ? -EINVAL : rp_run(run, argv);

    if (rc < 0)
        fprintf(stderr, "mail_client: %s\n", rp_strerror(rc));
    return rc < 0;
}
