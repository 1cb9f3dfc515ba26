/*
 * subprocess.c - child processes for coroutines: a process of src/process, and a stream for each of its pipes.
 *
 * What communicate() has written and read is kept here and not in its frame, so that a call that is cancelled, or whose
 * time is up, has lost nothing: the next one goes on there. The memory is freed when its owner has given it up, and no
 * call is inside; or else with the loop.
 */
#include "ringport/subprocess.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "co/task.h"
#include "loop/resource.h"
#include "process/shell.h"
#include "stream/stream_open.h"
#include "stream/stream_state.h"

enum {
    PIECE = 64 * 1024, /* of the input, at a time: as much as a pipe takes */
    CHUNK = 4096,      /* of an output, at least */
};

/* One of the outputs, and what was heard of it. */
typedef struct output {
    rp_stream *stream; /* NULL: it is no pipe */
    char *data;        /* with room for a '\0' behind it */
    size_t length;
    size_t capacity;
} output;

struct rp_subprocess {
    rp_process *process;
    rp_stream *input;
    output out, err;
    size_t said; /* bytes of the input that were written */
    unsigned uses;
    bool released;
    bool communicating;
    rp_resource resource;
};

/* ---- life ---- */

static void free_subprocess(rp_subprocess *subprocess)
{
    rp_resource_remove(&subprocess->resource);
    rp_process_unref(subprocess->process);
    rp_free(subprocess->out.data);
    rp_free(subprocess->err.data);
    rp_free(subprocess);
}

static void reap(rp_resource *resource)
{
    free_subprocess(rp_container_of(resource, rp_subprocess, resource));
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

/* Brackets of every call that may suspend. After leave() the subprocess may be gone. */
static void enter(rp_subprocess *subprocess)
{
    subprocess->uses++;
}

static void leave(rp_subprocess *subprocess)
{
    assert(subprocess->uses > 0);
    if (--subprocess->uses == 0 && subprocess->released)
        free_subprocess(subprocess);
}

void rp_subprocess_detach(rp_subprocess *subprocess)
{
    if (!subprocess)
        return;
    enter(subprocess);
    rp_stream_free(subprocess->input);
    rp_stream_free(subprocess->out.stream);
    rp_stream_free(subprocess->err.stream);
    subprocess->input = subprocess->out.stream = subprocess->err.stream = NULL;
    subprocess->released = true;
    leave(subprocess);
}

void rp_subprocess_free(rp_subprocess *subprocess)
{
    if (subprocess)
        rp_process_kill(subprocess->process); /* one that has ended is left alone */
    rp_subprocess_detach(subprocess);
}

/* ---- starting ---- */

/* A stream of the parent's end of a pipe, if there is one: 0 or an error. */
static int open_stream(rp_co *co, rp_process *process, int number, rp_stream **stream)
{
    rp_fd fd = rp_process_take_pipe(process, number);
    int rc;

    if (fd == -1)
        return 0;
    rc = number == 0 ? rp_stream_from_write_pipe(co, stream, fd) : rp_stream_from_read_pipe(co, stream, fd);
    if (rc < 0)
        rp_kernel_close_file(rp_co_loop(co)->kernel, fd);
    return rc;
}

static int open_streams(rp_co *co, rp_subprocess *subprocess)
{
    RP_TRY(open_stream(co, subprocess->process, 0, &subprocess->input));
    RP_TRY(open_stream(co, subprocess->process, 1, &subprocess->out.stream));
    return open_stream(co, subprocess->process, 2, &subprocess->err.stream);
}

int rp_create_subprocess_exec(rp_co *co, rp_subprocess **subprocess, const rp_process_options *options)
{
    rp_subprocess *created;
    int rc;

    RP_TRY(rp_co_here(co));
    created = rp_calloc(sizeof *created);
    if (!created)
        return -ENOMEM;
    rc = rp_process_spawn(rp_co_loop(co), options, NULL, NULL, &created->process);
    if (rc < 0) {
        rp_free(created);
        return rc;
    }
    rp_resource_add(rp_co_loop(co), &created->resource, &resource_type);
    rc = open_streams(co, created);
    if (rc < 0)
        rp_subprocess_free(created);
    else
        *subprocess = created;
    return rc;
}

int rp_create_subprocess_shell(rp_co *co, rp_subprocess **subprocess, const char *command,
                               const rp_process_options *options)
{
    rp_process_options used = options ? *options : (rp_process_options){0};
    rp_shell shell;
    int rc;

    RP_TRY(rp_co_here(co));
    if (!command)
        return -EINVAL;
    RP_TRY(rp_shell_init(&shell, command, &used));
    rc = rp_create_subprocess_exec(co, subprocess, &used);
    rp_shell_fini(&shell);
    return rc;
}

/* ---- communicating ---- */

/* One task of those that communicate, on what all of them share. */
typedef struct talk {
    rp_subprocess *subprocess;
    const char *input;
    size_t input_length;
    size_t limit; /* SIZE_MAX: none */
    bool drops;   /* what is heard */
} talk;

/* A child that has closed its stdin, or is gone, does not want the rest. That is no error; any other one is. */
static int stdin_error(int rc)
{
    return rc == -EPIPE || rc == -ECONNRESET ? 0 : rc;
}

static int say(rp_co *co, void *arg)
{
    const talk *t = arg;
    rp_subprocess *subprocess = t->subprocess;
    int rc = 0;

    while (rc == 0 && subprocess->input && subprocess->said < t->input_length) {
        const char *piece = t->input + subprocess->said;
        size_t left = t->input_length - subprocess->said, length = left < PIECE ? left : PIECE;

        subprocess->said += length; /* a call that is cancelled has taken them */
        rc = rp_stream_write(co, subprocess->input, piece, length);
        if (rc == -ENOMEM)
            subprocess->said -= length;
    }
    if (stdin_error(rc) == 0 && subprocess->input)
        rp_stream_close(subprocess->input);
    return stdin_error(rc);
}

/* What was written last is sent in the background, and may have failed since. */
static int said_all(const rp_subprocess *subprocess)
{
    return subprocess->input && subprocess->input->lost ? stdin_error(subprocess->input->error) : 0;
}

/* Makes room for one more byte at least, and the '\0'. */
static int make_room(output *o)
{
    size_t capacity = o->capacity ? 2 * o->capacity : CHUNK;
    char *data;

    if (o->capacity - o->length > 1)
        return 0;
    if (capacity < o->capacity)
        return -ENOMEM;
    data = rp_realloc(o->data, capacity);
    if (!data)
        return -ENOMEM;
    o->data = data;
    o->capacity = capacity;
    return 0;
}

/* The output is as long as it may be: whether that was all. */
static int expect_end(rp_co *co, const output *o)
{
    char more;
    ssize_t n = rp_stream_peek(co, o->stream, &more, 1);

    return n > 0 ? RP_ELIMIT : (int)n;
}

static int hear(rp_co *co, output *o, const talk *t)
{
    ssize_t n = 1;

    if (!o->stream) /* it was freed before this task began */
        return -EPIPE;
    while (n > 0 && o->length < t->limit) {
        RP_TRY(make_room(o));
        size_t room = o->capacity - o->length - 1, left = t->limit - o->length;
        n = rp_stream_read(co, o->stream, o->data + o->length, room < left ? room : left);
        if (n < 0)
            return (int)n;
        o->length += t->drops ? 0 : (size_t)n;
    }
    return n > 0 ? expect_end(co, o) : 0;
}

static int hear_out(rp_co *co, void *arg)
{
    const talk *t = arg;

    return hear(co, &t->subprocess->out, t);
}

static int hear_err(rp_co *co, void *arg)
{
    const talk *t = arg;

    return hear(co, &t->subprocess->err, t);
}

/* Each of them in a task, and the last in this one. */
static int talk_at_once(rp_co *co, talk *t)
{
    const rp_subprocess *subprocess = t->subprocess;
    rp_coro *all[3];
    rp_group group;
    size_t count = 0;
    int rc = 0;

    if (subprocess->input)
        all[count++] = say;
    if (subprocess->out.stream)
        all[count++] = hear_out;
    if (subprocess->err.stream)
        all[count++] = hear_err;
    if (count < 2)
        return count == 1 ? all[0](co, t) : 0;
    rp_group_begin(co, &group);
    for (size_t i = 0; rc == 0 && i + 1 < count; i++)
        rc = rp_group_create_task(&group, NULL, all[i], t);
    if (rc == 0)
        rc = all[count - 1](co, t);
    return rp_group_end(co, &group, rc);
}

static int talk_and_wait(rp_co *co, talk *t, int64_t timeout)
{
    rp_timeout scope;
    int rc;

    rp_timeout_begin(co, &scope, timeout != 0 ? timeout : RP_NEVER);
    rc = talk_at_once(co, t);
    if (rc == 0)
        rc = rp_subprocess_wait(co, t->subprocess, NULL);
    if (rc == 0)
        rc = said_all(t->subprocess);
    return rp_timeout_end(co, &scope, rc);
}

static const char *heard(output *o, size_t *length)
{
    *length = o->length;
    if (o->data)
        o->data[o->length] = '\0';
    return o->data ? o->data : o->stream ? "" : NULL;
}

int rp_subprocess_communicate(rp_co *co, rp_subprocess *subprocess, rp_communication *communication)
{
    rp_communication nothing = {0}, *said = communication ? communication : &nothing;
    talk t = {.subprocess = subprocess,
              .input = said->input,
              .input_length = said->input ? said->input_length : 0,
              .limit = said->limit ? said->limit : SIZE_MAX,
              .drops = !communication};
    int rc;

    RP_TRY(rp_co_here(co));
    if (subprocess->communicating)
        return -EBUSY;
    subprocess->communicating = true;
    said->out = said->err = NULL;
    said->out_length = said->err_length = 0;
    enter(subprocess);
    rc = rp_co_pending(co);
    if (rc == 0)
        rc = talk_and_wait(co, &t, said->timeout);
    subprocess->communicating = false;
    if (!subprocess->released) {
        said->out = heard(&subprocess->out, &said->out_length);
        said->err = heard(&subprocess->err, &said->err_length);
    }
    leave(subprocess);
    return rc;
}

/* ---- the end ---- */

static int await_end(rp_co *co, rp_subprocess *subprocess)
{
    rp_future *ended;
    int rc;

    RP_TRY(rp_co_pending(co));
    RP_TRY(rp_process_wait(subprocess->process, &ended));
    rc = rp_stream_await_request(co, ended);
    rp_future_unref(ended);
    return rc;
}

int rp_subprocess_wait(rp_co *co, rp_subprocess *subprocess, int *code)
{
    int rc;

    RP_TRY(rp_co_here(co));
    rc = rp_process_returncode(subprocess->process, code);
    if (rc != RP_EINVALIDSTATE)
        return rc;
    enter(subprocess);
    rc = await_end(co, subprocess);
    if (rc == 0)
        rc = rp_process_returncode(subprocess->process, code);
    leave(subprocess);
    return rc;
}

int rp_subprocess_returncode(const rp_subprocess *subprocess, int *code)
{
    return rp_process_returncode(subprocess->process, code);
}

int rp_subprocess_send_signal(rp_subprocess *subprocess, int signal)
{
    return rp_process_send_signal(subprocess->process, signal);
}

int rp_subprocess_terminate(rp_subprocess *subprocess)
{
    return rp_process_terminate(subprocess->process);
}

int rp_subprocess_kill(rp_subprocess *subprocess)
{
    return rp_process_kill(subprocess->process);
}

/* ---- what it consists of ---- */

rp_stream *rp_subprocess_stdin(const rp_subprocess *subprocess)
{
    return subprocess->input;
}

rp_stream *rp_subprocess_stdout(const rp_subprocess *subprocess)
{
    return subprocess->out.stream;
}

rp_stream *rp_subprocess_stderr(const rp_subprocess *subprocess)
{
    return subprocess->err.stream;
}

int64_t rp_subprocess_pid(const rp_subprocess *subprocess)
{
    return rp_process_pid(subprocess->process);
}

rp_process *rp_subprocess_process(const rp_subprocess *subprocess)
{
    return subprocess->process;
}
