/* numbered.c - numbers the lines of standard input, as `cat -n` does, whether that is a pipe or a terminal. */
#include <ringport.h>
#include <stdio.h>

enum { LONGEST = 1000 };

static int copy(rp_co *co, rp_stream *input, rp_stream *output)
{
    char line[LONGEST + 1], text[LONGEST + 32];
    ssize_t length;

    for (int number = 1; (length = rp_stream_read_line(co, input, line, sizeof line)) != 0; number++) {
        if (length == RP_ELIMIT) /* it is skipped, as far as it has come */
            length = snprintf(line, sizeof line, "(too long)\n");
        RP_TRY((int)length);
        length = snprintf(text, sizeof text, "%6d  %s", number, line);
        RP_TRY(rp_stream_write(co, output, text, (size_t)length));
    }
    return 0;
}

static int number_lines(rp_co *co, void *arg)
{
    rp_stream *input, *output;
    int rc;

    (void)arg;
    RP_TRY(rp_stream_from_read_pipe(co, &input, 0)); /* a file is refused: -EINVAL */
    rc = rp_stream_from_write_pipe(co, &output, 1);
    if (rc == 0) {
        rc = copy(co, input, output);
        rp_stream_close(output);
        if (rc == 0)
            rc = rp_stream_wait_closed(co, output); /* all of it is written */
        rp_stream_free(output);
    }
    rp_stream_free(input);
    return rc;
}

int main(void)
{
    int rc = rp_run(number_lines, NULL);

    if (rc < 0 && rc != -EPIPE) /* nobody reads any more, as in `numbered | head` */
        fprintf(stderr, "numbered: %s\n", rp_strerror(rc));
    return rc < 0;
}
