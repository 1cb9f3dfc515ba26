/* fetch.c - fetch host port path...: gets all the paths by HTTP at the same time, within two seconds altogether. */
#include <ringport.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct job {
    const char *host;
    int port;
    const char *path;
} job;

static int receive(rp_co *co, rp_stream *stream, const job *j)
{
    char buffer[4096], status[256];
    size_t total = 0;
    ssize_t n = snprintf(buffer, sizeof buffer,
                         "GET %.3000s HTTP/1.1\r\nHost: %.255s\r\nConnection: close\r\n\r\n", j->path, j->host);

    RP_TRY(rp_stream_write(co, stream, buffer, (size_t)n));
    RP_TRY(rp_stream_read_line(co, stream, status, sizeof status));
    while ((n = rp_stream_read(co, stream, buffer, sizeof buffer)) > 0)
        total += (size_t)n;
    printf("%s: %zu bytes, %s", j->path, total, status);
    return (int)n;
}

static int fetch(rp_co *co, void *arg)
{
    const job *j = arg;
    rp_stream *stream;

    RP_TRY(rp_open_connection(co, &stream, j->host, j->port, NULL));
    int rc = receive(co, stream, j);
    rp_stream_free(stream);
    return rc;
}

static int fetch_all(rp_co *co, void *arg)
{
    char **argv = arg;
    rp_timeout timeout;
    rp_group group;
    int rc = 0;

    rp_timeout_begin(co, &timeout, RP_SEC(2));
    rp_group_begin(co, &group);
    for (char **path = argv + 3; *path != NULL && rc == 0; path++)
        rc = rp_group_create_task_copy(&group, NULL, fetch, &(job){argv[1], atoi(argv[2]), *path}, sizeof(job));
    rc = rp_group_end(co, &group, rc); /* the first error cancels the rest */
    return rp_timeout_end(co, &timeout, rc);
}

int main(int argc, char **argv)
{
    int rc = argc < 4 ? -EINVAL : rp_run(fetch_all, argv);

    if (rc < 0)
        fprintf(stderr, "fetch: %s\n", rp_strerror(rc));
    return rc < 0;
}
