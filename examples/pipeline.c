/* pipeline.c - pipeline command...: shell commands in a row, each one's output the next one's input; and their ends. */
#include <ringport.h>
#include <stdio.h>

enum { MOST = 16 };

typedef struct joint {
    rp_subprocess *from, *to;
} joint;

/* A command that does not want more closes its input; then the one before learns that nobody reads, and ends. */
static int pump(rp_co *co, void *arg)
{
    const joint *j = arg;
    rp_stream *from = rp_subprocess_stdout(j->from), *to = rp_subprocess_stdin(j->to);
    char buffer[4096];
    ssize_t n;
    int rc = 0;

    while (rc == 0 && (n = rp_stream_read(co, from, buffer, sizeof buffer)) != 0)
        rc = n < 0 ? (int)n : rp_stream_write(co, to, buffer, (size_t)n);
    rp_stream_close(from);
    rp_stream_close(to);
    return rc == -EPIPE ? 0 : rc;
}

static int run(rp_co *co, void *arg)
{
    rp_subprocess *all[MOST] = {NULL};
    char **commands = arg;
    rp_group group;
    int rc = 0, code, count = 0;

    rp_group_begin(co, &group);
    for (; commands[count] && count < MOST && rc == 0; count++) {
        rp_process_options options = {.in.kind = count > 0 ? RP_STDIO_PIPE : RP_STDIO_INHERIT,
                                      .out.kind = commands[count + 1] ? RP_STDIO_PIPE : RP_STDIO_INHERIT};

        rc = rp_create_subprocess_shell(co, &all[count], commands[count], &options);
        if (rc == 0 && count > 0)
            rc =
                rp_group_create_task_copy(&group, NULL, pump, &(joint){all[count - 1], all[count]}, sizeof(joint));
    }
    rc = rp_group_end(co, &group, rc);
    for (int i = 0; i < count && rc == 0; i++)
        if ((rc = rp_subprocess_wait(co, all[i], &code)) == 0)
            fprintf(stderr, "%s: %d\n", commands[i], code);
    for (int i = 0; i < count; i++)
        rp_subprocess_free(all[i]); /* which kills it if it still runs */
    return rc;
}

int main(int argc, char **argv)
{
    return argc < 2 || argc > MOST || rp_run(run, argv + 1) < 0;
}
