/* chat_server.c - chat_server port: each line goes to all other clients, by a queue for each; until SIGINT. */
#include <ringport.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct member {
    struct member *next;
    rp_stream *stream;
    rp_queue lines;
} member;

static int deliver(rp_co *co, void *arg)
{
    member *m = arg;

    for (void *line = NULL; rp_queue_get(co, &m->lines, &line) != RP_ESHUTDOWN; line = NULL) {
        if (line) /* else this task is cancelled */
            rp_stream_write(co, m->stream, line, strlen(line));
        free(line);
    }
    return 0;
}

static int chat(rp_co *co, rp_stream *stream, void *arg)
{
    member **members = arg, **link = members, me = {.next = *members, .stream = stream};
    char text[1024], *line;
    rp_task *task;

    rp_queue_init(&me.lines, 100);
    RP_TRY(rp_create_task(&task, deliver, &me));
    for (*members = &me; rp_stream_read_line(co, stream, text, sizeof text) > 0;)
        for (member *m = *members; m; m = m->next)
            if (m != &me && (line = strdup(text)) && rp_queue_put_nowait(&m->lines, line) < 0)
                free(line); /* so slow a client misses it */
    while (*link != &me)
        link = &(*link)->next;
    *link = me.next;
    rp_queue_shutdown(&me.lines, false);
    rp_join(co, task); /* when it has delivered what was left */
    return rp_queue_fini(&me.lines);
}

static int serve(rp_co *co, void *port)
{
    static member *members; /* whose tasks outlast this one */
    rp_server *server;

    RP_TRY(rp_start_server(co, &server, chat, &members, "127.0.0.1", atoi(port), NULL));
    printf("serving on 127.0.0.1:%d\n", rp_server_port(server));
    fflush(stdout);
    return rp_server_serve_forever(co, server);
}

int main(int argc, char **argv)
{
    return argc != 2 || rp_run(serve, argv[1]) != -EINTR;
}
