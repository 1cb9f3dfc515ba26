/*
 * scenarios_pipes.c - a program that faults strike: one task writes lines into pipes, and another one reads them.
 */
#include "harness/scenarios.h"

#ifndef _WIN32

#include "harness/pipes.h"

enum { LINES = 60, LINE = 2000 }; /* more than a pipe has room for, and than may wait in the buffer */

static int write_lines(rp_co *co, void *arg)
{
    char line[LINE];

    memset(line, 'x', sizeof line - 1);
    line[LINE - 1] = '\n';
    for (int i = 0; i < LINES; i++)
        RP_TRY(scenario_note(rp_stream_write(co, arg, line, sizeof line)));
    RP_TRY(scenario_note(rp_stream_write_eof(arg)));
    return scenario_note(rp_stream_wait_closed(co, arg));
}

static int read_lines(rp_co *co, rp_stream *stream, int *lines)
{
    char line[LINE + 1];
    ssize_t n;

    while ((n = rp_stream_read_line(co, stream, line, sizeof line)) > 0) {
        if (n != LINE) /* what came before the writer failed */
            break;
        ++*lines;
    }
    return scenario_note(n > 0 ? 0 : (int)n);
}

static int write_and_read(rp_co *co, rp_stream *input, rp_stream *output)
{
    rp_group group;
    int rc, lines = 0;

    rp_group_begin(co, &group);
    rc = scenario_note(rp_group_create_task(&group, NULL, write_lines, input));
    if (rc == 0)
        rc = read_lines(co, output, &lines);
    rc = scenario_note(rp_group_end(co, &group, rc));
    CHECK_INT(lines, ==, rc == 0 ? LINES : lines);
    return rc;
}

static int move_through(rp_co *co, int reader, int writer)
{
    rp_stream *input, *output;
    int rc = scenario_note(rp_stream_from_read_pipe(co, &output, reader));

    if (rc < 0) {
        close(reader);
        close(writer);
        return rc;
    }
    rc = scenario_note(rp_stream_from_write_pipe(co, &input, writer));
    if (rc < 0) {
        close(writer);
    } else {
        rc = write_and_read(co, input, output);
        rp_stream_free(input);
    }
    rp_stream_free(output);
    return rc;
}

/* By a call that no fault strikes: it is the test's. */
static void make_pipe_of_test(int *reader, int *writer)
{
    int fds[2];

    CHECK_INT(pipe(fds), ==, 0);
    *reader = fds[0];
    *writer = fds[1];
}

static int through_each(rp_co *co, void *arg)
{
    static pipe_maker *const makers[] = {make_pipe_of_test, make_fifo};

    for (int i = 0; i < 2; i++) {
        int reader, writer;

        makers[i](&reader, &writer);
        RP_TRY(move_through(co, reader, writer));
    }
    return 0;
}

int scenario_lines_through_pipes(void)
{
    return scenario_run(through_each);
}

#else

/* Pipes of Windows are to come. */
int scenario_lines_through_pipes(void)
{
    return 0;
}

#endif
