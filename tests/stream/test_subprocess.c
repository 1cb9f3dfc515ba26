/*
 * test_subprocess.c - child processes for coroutines: their streams, communicating with them, their end.
 */
#include <stdlib.h>

#include "harness/puppet.h"
#include "harness/tasks.h"
#include "harness/wire.h"

enum { MUCH = 300000 }; /* more than a pipe takes */

#define OPTIONS(arguments, ...)                                                                                   \
    ((rp_process_options){.program = puppet_program(), .argv = (arguments), __VA_ARGS__})
#define ALL_PIPES .in.kind = RP_STDIO_PIPE, .out.kind = RP_STDIO_PIPE, .err.kind = RP_STDIO_PIPE

static rp_subprocess *start(rp_co *co, rp_process_options options)
{
    rp_subprocess *child = NULL;

    CHECK_INT(rp_create_subprocess_exec(co, &child, &options), ==, 0);
    CHECK(child);
    return child;
}

/* Waits for its end, which is this one. */
static void ends_with(rp_co *co, rp_subprocess *child, int expected)
{
    int code = 99;

    CHECK_INT(rp_subprocess_wait(co, child, &code), ==, 0);
    CHECK_INT(code, ==, expected);
    CHECK_INT(rp_subprocess_returncode(child, &code), ==, 0);
    CHECK_INT(code, ==, expected);
}

/* How a child ends that is killed. */
static int killed_by(int number)
{
#ifdef _WIN32
    (void)number;
    return 1;
#else
    return -number;
#endif
}

/* ---- communicating ---- */

CO_TEST(what_is_said_comes_back)
{
    const char *argv[] = PUPPET("cat");
    rp_subprocess *child = start(co, OPTIONS(argv, ALL_PIPES));
    rp_communication said = {.input = "to and fro", .input_length = 10};

    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, 0);
    CHECK_INT(said.out_length, ==, 10);
    CHECK_STR(said.out, "to and fro");
    CHECK_INT(said.err_length, ==, 0);
    CHECK_STR(said.err, "");
    ends_with(co, child, 0);
    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, 0); /* again: nothing is left to be said */
    CHECK_STR(said.out, "to and fro");
    rp_subprocess_free(child);
}

/* More than the pipes take, each way: whoever did one after the other would wait for ever. */
CO_TEST(much_is_said_and_heard_at_once)
{
    const char *argv[] = PUPPET("cat");
    rp_subprocess *child = start(co, OPTIONS(argv, ALL_PIPES));
    char *input = malloc(MUCH);
    rp_communication said = {.input = input, .input_length = MUCH};

    wire_fill(input, MUCH, 0);
    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, 0);
    CHECK_INT(said.out_length, ==, MUCH);
    CHECK(memcmp(said.out, input, MUCH) == 0);
    ends_with(co, child, 0);
    rp_subprocess_free(child);
    free(input);
}

CO_TEST(both_outputs_are_heard_at_once)
{
    const char *argv[] = PUPPET("flood", "300000", "400000");
    rp_subprocess *child = start(co, OPTIONS(argv, .out.kind = RP_STDIO_PIPE, .err.kind = RP_STDIO_PIPE));
    rp_communication said = {0};

    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, 0);
    CHECK_INT(said.out_length, ==, 300000);
    CHECK_INT(said.err_length, ==, 400000);
    CHECK(wire_same(said.out, said.out_length, 0));
    CHECK(wire_same(said.err, said.err_length, 0));
    rp_subprocess_free(child);
}

CO_TEST(stderr_goes_to_stdout)
{
    const char *argv[] = PUPPET("flood", "500", "700");
    rp_subprocess *child = start(co, OPTIONS(argv, .out.kind = RP_STDIO_PIPE, .err.kind = RP_STDIO_TO_STDOUT));
    rp_communication said = {0};

    CHECK(!rp_subprocess_stderr(child));
    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, 0);
    CHECK_INT(said.out_length, ==, 1200);
    CHECK(!said.err);
    rp_subprocess_free(child);
}

CO_TEST(what_is_no_pipe_is_left_alone)
{
    const char *argv[] = PUPPET("exit", "3");
    rp_subprocess *child = start(co, OPTIONS(argv, .in.kind = RP_STDIO_NULL, .out.kind = RP_STDIO_NULL));
    rp_communication said = {.input = "for nobody", .input_length = 10};

    CHECK(!rp_subprocess_stdin(child) && !rp_subprocess_stdout(child) && !rp_subprocess_stderr(child));
    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, 0);
    CHECK(!said.out && !said.err);
    CHECK_INT(said.out_length + said.err_length, ==, 0);
    ends_with(co, child, 3);
    rp_subprocess_free(child);
}

/* And then none of it is kept: the test's memory does not grow by it. */
CO_TEST(nobody_needs_to_know_what_was_said)
{
    const char *argv[] = PUPPET("flood", "1000000", "1000000");
    rp_subprocess *child = start(co, OPTIONS(argv, ALL_PIPES));
    rp_communication said = {0};

    CHECK_INT(rp_subprocess_communicate(co, child, NULL), ==, 0);
    ends_with(co, child, 0);
    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, 0);
    CHECK_INT(said.out_length + said.err_length, ==, 0);
    rp_subprocess_free(child);
}

/* The child does not read, and is gone before all is said. */
CO_TEST(a_child_need_not_want_its_input)
{
    const char *argv[] = PUPPET("exit", "5");
    char *input = calloc(1, MUCH);

    for (int i = 0; i < 5; i++) {
        rp_subprocess *child = start(co, OPTIONS(argv, ALL_PIPES));
        rp_communication said = {.input = input, .input_length = MUCH};

        if (i > 2) /* it is known to be gone */
            ends_with(co, child, 5);
        CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, 0);
        CHECK_INT(said.out_length, ==, 0);
        ends_with(co, child, 5);
        rp_subprocess_free(child);
    }
    free(input);
}

/* ---- limits ---- */

CO_TEST(output_of_just_the_limit)
{
    const char *argv[] = PUPPET("flood", "1000", "500");
    rp_subprocess *child = start(co, OPTIONS(argv, ALL_PIPES));
    rp_communication said = {.limit = 1000};

    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, 0);
    CHECK_INT(said.out_length, ==, 1000);
    CHECK_INT(said.err_length, ==, 500);
    rp_subprocess_free(child);
}

CO_TEST(output_above_the_limit_is_kept_for_a_higher_one)
{
    const char *argv[] = PUPPET("flood", "200000", "0");
    rp_subprocess *child = start(co, OPTIONS(argv, ALL_PIPES));
    rp_communication said = {.limit = 1000};

    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, RP_ELIMIT);
    CHECK_INT(said.out_length, ==, 1000);
    CHECK(wire_same(said.out, said.out_length, 0));
    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, RP_ELIMIT); /* as before */
    CHECK_INT(said.out_length, ==, 1000);
    said.limit = 200000;
    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, 0);
    CHECK_INT(said.out_length, ==, 200000);
    CHECK(wire_same(said.out, said.out_length, 0));
    ends_with(co, child, 0);
    rp_subprocess_free(child);
}

CO_TEST(output_above_the_limit_and_the_child_is_given_up)
{
    const char *argv[] = PUPPET("flood", "100000000", "0");
    rp_subprocess *child = start(co, OPTIONS(argv, ALL_PIPES));
    rp_communication said = {.limit = 100};

    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, RP_ELIMIT);
    CHECK_INT(rp_subprocess_kill(child), ==, 0);
    ends_with(co, child, killed_by(9));
    rp_subprocess_free(child);
}

/* The child has said something, and stays. */
CO_TEST(a_time_limit_loses_nothing)
{
    const char *argv[] = PUPPET("say", "something");
    rp_subprocess *child = start(co, OPTIONS(argv, ALL_PIPES));
    rp_communication said = {.timeout = RP_MSEC(20)};
    char first;

    CHECK_INT(rp_stream_peek(co, rp_subprocess_stdout(child), &first, 1), ==, 1);
    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, -ETIMEDOUT);
    CHECK_STR(said.out, "something");
    CHECK_INT(rp_subprocess_returncode(child, NULL), ==, RP_EINVALIDSTATE); /* it goes on */
    said.timeout = -1;                                                      /* over already */
    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, -ETIMEDOUT);
    CHECK_STR(said.out, "something");
    said.out = NULL;
    rp_task_cancel(rp_co_task(co)); /* so is this one, before it has begun */
    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, -ECANCELED);
    CHECK_STR(said.out, "something");
    CHECK_INT(rp_subprocess_kill(child), ==, 0);
    said.timeout = RP_SEC(100);
    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, 0);
    CHECK_STR(said.out, "something");
    ends_with(co, child, killed_by(9));
    rp_subprocess_free(child);
}

/* ---- cancellation ---- */

/* Communicates, in a task that is cancelled each time it has come a little further. */
typedef struct talker {
    rp_subprocess *child;
    rp_communication said;
    int result;
} talker;

static int talk(rp_co *co, void *arg)
{
    talker *t = arg;

    t->said.out = "stale";

    t->result = rp_subprocess_communicate(co, t->child, &t->said);
    return t->result;
}

CO_TEST(cancelled_again_and_again_it_loses_nothing)
{
    const char *argv[] = PUPPET("cat");
    char *input = malloc(MUCH);
    talker t = {.child = start(co, OPTIONS(argv, ALL_PIPES)), .said = {.input = input, .input_length = MUCH}};
    int cancelled = 0;

    wire_fill(input, MUCH, 0);
    for (bool done = false; !done; cancelled += !done) {
        rp_task *task = spawn(talk, &t);

        for (int i = 0; i < cancelled % 7 + 1; i++)
            CHECK_INT(rp_sleep(co, 0), ==, 0);
        rp_task_cancel(task);
        int rc = rp_join(co, task);
        done = rc == 0;
        if (!done)
            CHECK_INT(rc, ==, RP_EFUTCANCELED);
        CHECK(wire_same(t.said.out, t.said.out_length, 0));
    }
    CHECK_INT(t.result, ==, 0);
    CHECK_INT(cancelled, >, 0);
    CHECK_INT(t.said.out_length, ==, MUCH);
    CHECK(memcmp(t.said.out, input, MUCH) == 0);
    ends_with(co, t.child, 0);
    rp_subprocess_free(t.child);
    free(input);
}

static int wait_for(rp_co *co, void *arg)
{
    return rp_subprocess_wait(co, arg, NULL);
}

CO_TEST(a_wait_can_be_cancelled_and_the_child_goes_on)
{
    const char *argv[] = PUPPET("after", "4");
    rp_subprocess *child = start(co, OPTIONS(argv, .in.kind = RP_STDIO_PIPE));
    rp_task *task = spawn(wait_for, child), *other = spawn(wait_for, child);

    settle(co);
    cancel_and_join(co, task);
    CHECK_INT(rp_subprocess_returncode(child, NULL), ==, RP_EINVALIDSTATE);
    rp_stream_close(rp_subprocess_stdin(child));
    CHECK_INT(rp_join(co, other), ==, 0);
    ends_with(co, child, 4);
    rp_subprocess_free(child);
}

CO_TEST(two_do_not_communicate_at_once)
{
    const char *argv[] = PUPPET("forever");
    talker t = {.child = start(co, OPTIONS(argv, ALL_PIPES))};
    rp_task *task = spawn(talk, &t);
    char byte;

    settle(co);
    CHECK_INT(rp_subprocess_communicate(co, t.child, NULL), ==, -EBUSY);
    CHECK_INT(rp_stream_read(co, rp_subprocess_stdout(t.child), &byte, 1), ==, -EBUSY);
    CHECK_INT(rp_subprocess_terminate(t.child), ==, 0);
    CHECK_INT(rp_join(co, task), ==, 0);
    ends_with(co, t.child, killed_by(SIGTERM));
    rp_subprocess_free(t.child);
}

/* ---- its end ---- */

/* Another process has its stdout, and stays. */
CO_TEST(what_holds_its_pipes_open_does_not_hold_up_a_wait)
{
    const char *argv[] = PUPPET("leave");
    rp_subprocess *child = start(co, OPTIONS(argv, .out.kind = RP_STDIO_PIPE));
    rp_communication said = {.timeout = RP_MSEC(20)};

    ends_with(co, child, 0);
    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, -ETIMEDOUT); /* that one does not end */
    rp_subprocess_free(child);
}

CO_TEST(signals_and_what_they_do)
{
    const char *argv[] = PUPPET("forever");
    int numbers[] = {SIGTERM, 9, SIGINT};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        rp_subprocess *child = start(co, OPTIONS(argv, .in.kind = RP_STDIO_PIPE));

        CHECK_INT(rp_subprocess_send_signal(child, 0), ==, 0);
        CHECK_INT(rp_subprocess_send_signal(child, 12345), ==, -EINVAL);
        CHECK_INT(rp_subprocess_send_signal(child, numbers[i]), ==, 0);
        ends_with(co, child, killed_by(numbers[i]));
        CHECK_INT(rp_subprocess_send_signal(child, 0), ==, -ESRCH);
        CHECK_INT(rp_subprocess_terminate(child), ==, -ESRCH);
        CHECK_INT(rp_subprocess_kill(child), ==, -ESRCH);
        rp_subprocess_free(child);
    }
}

CO_TEST(streams_of_its_pipes)
{
    const char *argv[] = PUPPET("cat");
    rp_subprocess *child = start(co, OPTIONS(argv, .in.kind = RP_STDIO_PIPE, .out.kind = RP_STDIO_PIPE));
    rp_stream *in = rp_subprocess_stdin(child), *out = rp_subprocess_stdout(child);
    char line[32];

    CHECK_INT(rp_subprocess_pid(child), >, 0);
    CHECK_INT(rp_process_pid(rp_subprocess_process(child)), ==, rp_subprocess_pid(child));
    for (int i = 0; i < 100; i++) {
        CHECK_INT(rp_stream_write(co, in, "a line\n", 7), ==, 0);
        CHECK_INT(rp_stream_read_line(co, out, line, sizeof line), ==, 7);
        CHECK_STR(line, "a line\n");
    }
    CHECK_INT(rp_stream_write_eof(in), ==, 0);
    CHECK_INT(rp_stream_read_line(co, out, line, sizeof line), ==, 0);
    CHECK(rp_stream_at_eof(out));
    ends_with(co, child, 0);
    rp_subprocess_free(child);
}

CO_TEST(freed_while_it_runs_it_is_killed)
{
    const char *argv[] = PUPPET("cat");
    rp_subprocess *child = start(co, OPTIONS(argv, ALL_PIPES));
    rp_process *process = rp_process_ref(rp_subprocess_process(child));
    rp_future *end;
    int code = 99;

    rp_subprocess_free(child);
    CHECK_INT(rp_process_wait(process, &end), ==, 0);
    CHECK_INT(rp_await(co, end), ==, 0);
    rp_future_unref(end);
    CHECK_INT(rp_process_returncode(process, &code), ==, 0);
    CHECK_INT(code, ==, killed_by(9));
    rp_process_unref(process);
    rp_subprocess_free(NULL);
    rp_subprocess_detach(NULL);
}

/* Its input has ended, and so it ends by itself. */
CO_TEST(detached_while_it_runs_it_goes_on)
{
    const char *argv[] = PUPPET("after", "6");
    rp_subprocess *child = start(co, OPTIONS(argv, .in.kind = RP_STDIO_PIPE));
    rp_process *process = rp_process_ref(rp_subprocess_process(child));
    rp_future *end;
    int code = 99;

    rp_subprocess_detach(child);
    CHECK_INT(rp_process_wait(process, &end), ==, 0);
    CHECK_INT(rp_await(co, end), ==, 0);
    rp_future_unref(end);
    CHECK_INT(rp_process_returncode(process, &code), ==, 0);
    CHECK_INT(code, ==, 6);
    rp_process_unref(process);
}

/* Those that are inside go on: one learns that the streams are gone, the other of the end. */
CO_TEST(freed_while_others_are_in_a_call_on_it)
{
    const char *argv[] = PUPPET("forever");
    talker t = {.child = start(co, OPTIONS(argv, ALL_PIPES))};
    rp_task *talking = spawn(talk, &t), *waiting = spawn(wait_for, t.child);

    settle(co);
    rp_subprocess_free(t.child);
    CHECK_INT(rp_join(co, talking), ==, -EPIPE);
    CHECK(!t.said.out && !t.said.err);
    CHECK_INT(rp_join(co, waiting), ==, 0);
}

/* ---- starting ---- */

CO_TEST(what_cannot_be_started)
{
    const char *missing[] = {"/no/such/program", NULL}, *none[] = {NULL};
    rp_subprocess *child = NULL;

    CHECK_INT(rp_create_subprocess_exec(co, &child, &(rp_process_options){.argv = missing, ALL_PIPES}), ==,
              -ENOENT);
    CHECK_INT(rp_create_subprocess_exec(co, &child, &(rp_process_options){.argv = none, ALL_PIPES}), ==, -EINVAL);
    CHECK_INT(rp_create_subprocess_exec(co, &child, &(rp_process_options){0}), ==, -EINVAL);
    CHECK_INT(rp_create_subprocess_exec(NULL, &child, &(rp_process_options){0}), ==, RP_ENOTASK);
    CHECK_INT(rp_create_subprocess_shell(co, &child, NULL, NULL), ==, -EINVAL);
    CHECK(!child);
}

CO_TEST(shells)
{
    rp_process_options options = {.out.kind = RP_STDIO_PIPE};
    rp_communication said = {0};
    rp_subprocess *child;

    CHECK_INT(rp_create_subprocess_shell(co, &child, "echo one&& echo two", &options), ==, 0);
    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, 0);
#ifdef _WIN32
    CHECK_STR(said.out, "one\r\ntwo\r\n");
#else
    CHECK_STR(said.out, "one\ntwo\n");
#endif
    rp_subprocess_free(child);
    CHECK_INT(rp_create_subprocess_shell(co, &child, "exit 7", NULL), ==, 0);
    ends_with(co, child, 7);
    rp_subprocess_free(child);
}

/* ---- the loop's end ---- */

static rp_subprocess *left;

static int leave_one(rp_co *co, void *arg)
{
    const char *argv[] = PUPPET("forever");

    left = start(co, OPTIONS(argv, ALL_PIPES));
    *(int64_t *)arg = rp_subprocess_pid(left);
    return 0;
}

TEST(a_loop_frees_what_is_left)
{
    int64_t pid = 0;

    CHECK_INT(rp_run(leave_one, &pid), ==, 0);
    test_end_child(pid);
}
