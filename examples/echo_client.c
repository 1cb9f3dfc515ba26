/* echo_client.c - echo_client host port [connections [seconds]]: keeps an echo server busy, and compares every byte. */
#include <ringport.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 1024 };

typedef struct load {
    const char *host;
    int port;
    int connections;
    int64_t end;
    unsigned long long messages;
} load;

/* One message after the other, each of other bytes than the last, until the time is up: one at least. */
static int talk(rp_co *co, rp_stream *stream, load *l)
{
    unsigned char sent[SIZE], received[SIZE];

    for (unsigned number = 0; number == 0 || rp_monotonic() < l->end; number++, l->messages++) {
        for (unsigned i = 0; i < SIZE; i++)
            sent[i] = (unsigned char)(number * 31 + i * 7 + i / 256);
        RP_TRY(rp_stream_write(co, stream, sent, SIZE));
        RP_TRY(rp_stream_read_exactly(co, stream, received, SIZE));
        if (memcmp(sent, received, SIZE) != 0)
            return -EBADMSG;
    }
    return 0;
}

static int connect_and_talk(rp_co *co, void *arg)
{
    load *l = arg;
    rp_stream *stream;

    RP_TRY(rp_open_connection(co, &stream, l->host, l->port, NULL));
    int rc = talk(co, stream, l);
    rp_stream_free(stream);
    return rc;
}

static int run(rp_co *co, void *arg)
{
    load *l = arg;
    rp_group group;
    int rc = 0;

    rp_group_begin(co, &group);
    for (int i = 0; i < l->connections && rc == 0; i++)
        rc = rp_group_create_task(&group, NULL, connect_and_talk, l);
    return rp_group_end(co, &group, rc); /* the first error cancels the rest */
}

int main(int argc, char **argv)
{
    load l = {.host = "127.0.0.1", .port = 8888, .connections = 10};
    double seconds = argc > 4 ? atof(argv[4]) : 3;

    if (argc > 1)
        l.host = argv[1];
    if (argc > 2)
        l.port = atoi(argv[2]);
    if (argc > 3)
        l.connections = atoi(argv[3]);
    l.end = rp_monotonic() + (int64_t)(seconds * 1e9);
    int rc = rp_run(run, &l);
    if (rc < 0)
        fprintf(stderr, "echo_client: %s\n", rp_strerror(rc));
    else
        printf("%d connections, %d bytes: %llu messages compared, %.0f a second\n", l.connections, SIZE,
               l.messages, (double)l.messages / seconds);
    return rc < 0;
}
