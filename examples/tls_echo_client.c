/* tls_echo_client.c - tls_echo_client host port roots: sends stdin to a TLS echo server; `roots`: whom to trust. */
#include <ringport.h>
#include <ringport/tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int send_lines(rp_co *co, void *arg)
{
    char line[1024];

    while (fgets(line, sizeof line, stdin))
        RP_TRY(rp_stream_write(co, arg, line, strlen(line)));
    return rp_stream_write_eof(arg); /* TLS has half-closes as well */
}

static int talk(rp_co *co, rp_stream *stream)
{
    char buffer[4096];
    rp_task *sender;
    ssize_t n;

    printf("%s\n", rp_tls_version_name(rp_stream_transport(stream)));
    RP_TRY(rp_create_task(&sender, send_lines, stream));
    while ((n = rp_stream_read(co, stream, buffer, sizeof buffer)) > 0)
        fwrite(buffer, 1, (size_t)n, stdout);
    int rc = rp_join(co, sender);
    return n < 0 ? (int)n : rc;
}

static int run(rp_co *co, void *arg)
{
    char **argv = arg;
    rp_tls_failure failure = {0};
    rp_connect_options options = {.tls_failure = &failure};
    rp_stream *stream;

    RP_TRY(rp_tls_context_new(RP_TLS_CLIENT, &options.tls));
    int rc = rp_tls_context_load_verify_locations(options.tls, argv[3], NULL);
    if (rc == 0)
        rc = rp_open_connection(co, &stream, argv[1], atoi(argv[2]), &options);
    rp_tls_context_unref(options.tls);
    if (failure.text[0])
        fprintf(stderr, "%s\n", failure.text); /* says more than the error */
    RP_TRY(rc);
    rc = talk(co, stream);
    rp_stream_free(stream);
    return rc;
}

int main(int argc, char **argv)
{
    int rc = argc < 4 ? -EINVAL : rp_run(run, argv);

    if (rc < 0)
        fprintf(stderr, "tls_echo_client: %s\n", rp_strerror(rc));
    return rc < 0;
}
