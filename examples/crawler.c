/* crawler.c - crawler host port path rate: gets what a page leads to, each once, so many pages a second at most. */
#include <ringport.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char **args, paths[1000][128];
static int known, left; /* how many paths; how many of these pages are still to be read */

static void note(const char *path, size_t n)
{
    for (int i = 0; i < known; i++)
        if (strncmp(paths[i], path, n) == 0 && paths[i][n] == '\0')
            return;
    if (known < 1000 && n < sizeof paths[0] && memcpy(paths[known++], path, n))
        left++;
}

static int pace(rp_co *co, void *rate)
{
    while (rp_yield(co, NULL) == 0) /* a page may be asked for */
        RP_TRY(rp_sleep(co, RP_SEC(1) / atoi(rate)));
    return -ECANCELED;
}

static int get(rp_co *co, void *path)
{
    rp_connect_options options = {.happy_eyeballs_delay = RP_MSEC(250)};
    rp_stream *stream;
    char line[4096];

    RP_TRY(rp_open_connection(co, &stream, args[1], atoi(args[2]), &options));
    ssize_t n = snprintf(line, sizeof line, "GET %s HTTP/1.0\r\n\r\n", (char *)path);
    n = rp_stream_write(co, stream, line, (size_t)n);
    while (n >= 0 && (n = rp_stream_read_line(co, stream, line, sizeof line)) > 0)
        for (char *link = line; (link = strstr(link, "href=\"/")); link += 6)
            note(link + 6, strcspn(link + 6, "\"#"));
    rp_stream_free(stream), left--;
    return printf("%s: %s\n", (char *)path, n < 0 ? rp_strerror((int)n) : "read");
}

static int crawl(rp_co *co, void *turn)
{
    rp_group group;
    rp_agen *pacer;
    int rc = rp_agen_new(&pacer, pace, args[4]);
    note(args[3], strlen(args[3]));
    rp_group_begin(co, &group);
    for (int i = 0; rc >= 0 && left > 0 && (rc = rp_agen_next(co, pacer, &turn)) > 0;)
        if (i < known)
            rc = rp_group_create_task(&group, NULL, get, paths[i++]);
    rc = rp_group_end(co, &group, rc);
    return rp_agen_free(pacer), rc;
}

int main(int argc, char **argv)
{
    return argc != 5 || atoi(argv[4]) < 1 || rp_run(crawl, args = argv) < 0;
}
