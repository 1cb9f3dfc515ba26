/*
 * https_fetch.c - https_fetch host port path [roots]: gets one path by HTTPS, within ten seconds. Whom to trust is the
 * system's choice, or that of the file `roots`.
 */
#include <ringport.h>
#include <ringport/tls.h>
#include <stdio.h>
#include <stdlib.h>

static int receive(rp_co *co, rp_stream *stream, char **argv)
{
    const rp_tls_certificate *server;
    char buffer[4096], status[256];
    size_t total = 0;
    ssize_t n = snprintf(buffer, sizeof buffer,
                         "GET %.3000s HTTP/1.1\r\nHost: %.255s\r\nConnection: close\r\n\r\n", argv[3], argv[1]);

    RP_TRY(rp_tls_peer_certificate(rp_stream_transport(stream), &server));
    printf("%s of %s\n", rp_tls_version_name(rp_stream_transport(stream)), server->subject);
    RP_TRY(rp_stream_write(co, stream, buffer, (size_t)n));
    RP_TRY(rp_stream_read_line(co, stream, status, sizeof status));
    while ((n = rp_stream_read(co, stream, buffer, sizeof buffer)) > 0)
        total += (size_t)n;
    printf("%s: %zu bytes, %s", argv[3], total, status);
    return (int)n; /* RP_ETLS_TRUNCATED, if the end may have been somebody else's doing */
}

static int fetch(rp_co *co, void *arg)
{
    char **argv = arg;
    rp_tls_failure failure = {0};
    rp_connect_options options = {.tls_failure = &failure, .happy_eyeballs_delay = RP_MSEC(250)};
    rp_stream *stream;
    rp_timeout timeout;

    RP_TRY(rp_tls_context_new(RP_TLS_CLIENT, &options.tls));
    rp_timeout_begin(co, &timeout, RP_SEC(10));
    int rc = argv[4] ? rp_tls_context_load_verify_locations(options.tls, argv[4], NULL) : 0;
    if (rc == 0)
        rc = rp_open_connection(co, &stream, argv[1], atoi(argv[2]), &options);
    if (rc == 0) {
        rc = receive(co, stream, argv);
        rp_stream_free(stream);
    }
    rp_tls_context_unref(options.tls);
    if (failure.text[0])
        fprintf(stderr, "%s\n", failure.text); /* says more than the error */
    return rp_timeout_end(co, &timeout, rc);
}

int main(int argc, char **argv)
{
    int rc = argc < 4 ? -EINVAL : rp_run(fetch, argv);

    if (rc < 0)
        fprintf(stderr, "https_fetch: %s\n", rp_strerror(rc));
    return rc < 0;
}
