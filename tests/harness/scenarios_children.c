/*
 * scenarios_children.c - a program that faults strike: child processes, which say what is said to them.
 */
#include "harness/puppet.h"
#include "harness/scenarios.h"
#include "harness/wire.h"

enum { LARGE = 20000 };

/* What it has heard is what was said, or the beginning of that. */
static int communicate_with(rp_co *co, rp_subprocess *child, char *bytes)
{
    rp_communication said = {.input = bytes, .input_length = LARGE, .limit = LARGE, .timeout = RP_SEC(100)};
    int rc = scenario_note(rp_subprocess_communicate(co, child, &said));

    CHECK(rc < 0 || said.out_length == LARGE);
    CHECK(said.out_length <= LARGE && wire_same(said.out, said.out_length, 0));
    return rc;
}

static int wait_for_code(rp_co *co, rp_subprocess *child)
{
    int code = -1, rc = scenario_note(rp_subprocess_wait(co, child, &code));

    CHECK(rc < 0 || code == 0);
    return rc;
}

/* By what it is told itself, line by line; and its end, which has nothing to do with that. */
static int talk_to(rp_co *co, rp_subprocess *child)
{
    rp_stream *in = rp_subprocess_stdin(child), *out = rp_subprocess_stdout(child);
    char line[16];

    RP_TRY(scenario_note(rp_stream_write(co, in, "a line\n", 7)));
    RP_TRY(scenario_note((int)rp_stream_read_line(co, out, line, sizeof line)));
    rp_stream_close(in);
    return wait_for_code(co, child);
}

static int have_child(rp_co *co, bool communicates)
{
    static char bytes[LARGE];
    const char *argv[] = PUPPET("cat");
    rp_process_options options = {.program = puppet_program(),
                                  .argv = argv,
                                  .in.kind = RP_STDIO_PIPE,
                                  .out.kind = RP_STDIO_PIPE,
                                  .err.kind = RP_STDIO_PIPE};
    rp_subprocess *child;
    int rc;

    wire_fill(bytes, sizeof bytes, 0);
    RP_TRY(scenario_note(rp_create_subprocess_exec(co, &child, &options)));
    rc = communicates ? communicate_with(co, child, bytes) : talk_to(co, child);
    rp_subprocess_free(child);
    return rc;
}

static int have_children(rp_co *co, void *arg)
{
    (void)arg;
    RP_TRY(have_child(co, true));
    return have_child(co, false);
}

int scenario_children(void)
{
    return scenario_run(have_children);
}
