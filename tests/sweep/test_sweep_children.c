/*
 * test_sweep_children.c - a task that communicates with a child is cancelled at its nth suspension, for every n, and so
 * is one that speaks with a child by its streams and waits for it. What they have left is done after their end:
 * nothing that was said or heard is missing then, or there twice.
 */
#include <stdio.h>
#include <string.h>

#include "co/task.h"
#include "harness/leaks.h"
#include "harness/puppet.h"
#include "harness/wire.h"
#include "harness/wrap.h"
#include "ringport.h"

enum { LENGTH = 200000 }; /* more than the pipes take */

static struct {
    uint64_t nth, turns; /* the suspension at which it is cancelled, and how many turns later */
    uint64_t suspensions;
    rp_task *victim;
    rp_handle cancel;
    uint64_t to_pass;
    rp_subprocess *child;
    size_t lines; /* that were spoken and have come back */
    bool spoken;  /* one was, which has not come back yet */
} t;

static char input[LENGTH];

/* ---- cancelling ---- */

static void cancel_victim(void *loop)
{
    if (t.to_pass-- > 0)
        CHECK_INT(rp_call_soon(loop, &t.cancel, cancel_victim, loop), ==, 0);
    else
        rp_task_cancel(t.victim);
}

WRAP(bool, rp_co_suspend, rp_co *co, const rp_waiting *waiting, void *arg)
{
    if (t.victim && rp_co_task(co) == t.victim && ++t.suspensions == t.nth) {
        t.to_pass = t.turns;
        CHECK_INT(rp_call_soon(rp_co_loop(co), &t.cancel, cancel_victim, rp_co_loop(co)), ==, 0);
    }
    return __real_rp_co_suspend(co, waiting, arg);
}

/* ---- what the victim does, and whoever comes after it ---- */

static rp_communication said;

static int communicate(rp_co *co, void *arg)
{
    (void)arg;
    said = (rp_communication){.input = input, .input_length = sizeof input};
    return rp_subprocess_communicate(co, t.child, &said);
}

static void is_whole(void)
{
    CHECK_INT(said.out_length, ==, LENGTH);
    CHECK(memcmp(said.out, input, LENGTH) == 0);
}

static int speak(rp_co *co, void *arg)
{
    char line[16];

    (void)arg;
    for (; t.lines < 5; t.lines++) {
        if (!t.spoken) {
            t.spoken = true; /* a write that is cancelled has taken the bytes */
            RP_TRY(rp_stream_write(co, rp_subprocess_stdin(t.child), "a line\n", 7));
        }
        RP_TRY(rp_stream_read_line(co, rp_subprocess_stdout(t.child), line, sizeof line));
        CHECK_STR(line, "a line\n");
        t.spoken = false;
    }
    rp_stream_close(rp_subprocess_stdin(t.child));
    RP_TRY(rp_stream_read(co, rp_subprocess_stdout(t.child), line, sizeof line));
    return rp_subprocess_wait(co, t.child, NULL);
}

static void is_spoken(void)
{
    CHECK_INT(t.lines, ==, 5);
}

/* ---- the sweep ---- */

typedef struct subject {
    rp_coro *coro;
    void (*judge)(void);
} subject;

static int try_it(rp_co *co, void *arg)
{
    const char *argv[] = PUPPET("cat");
    rp_process_options options = {
        .program = puppet_program(), .argv = argv, .in.kind = RP_STDIO_PIPE, .out.kind = RP_STDIO_PIPE};
    const subject *s = arg;
    int code = 99, rc;

    CHECK_INT(rp_create_subprocess_exec(co, &t.child, &options), ==, 0);
    CHECK_INT(rp_create_task(&t.victim, s->coro, NULL), ==, 0);
    rp_future_ref(t.victim);
    rc = rp_join(co, t.victim);
    fprintf(stderr, "cancelled at suspension %llu: %s\n", (unsigned long long)t.nth, rp_errname(rc));
    CHECK(rc == 0 || rc == RP_EFUTCANCELED);
    rp_handle_cancel(&t.cancel);
    rp_future_unref(t.victim);
    t.victim = NULL;
    if (rc < 0)
        CHECK_INT(s->coro(co, NULL), ==, 0);
    s->judge();
    CHECK_INT(rp_subprocess_wait(co, t.child, &code), ==, 0);
    CHECK_INT(code, ==, 0);
    rp_subprocess_free(t.child);
    return 0;
}

static void sweep(const subject *s)
{
    char text[512];

    wire_fill(input, sizeof input, 0);
    for (uint64_t turns = 0; turns < 3; turns++)
        for (uint64_t nth = 1;; nth++) {
            memset(&t, 0, sizeof t);
            t.nth = nth;
            t.turns = turns;
            CHECK_INT(rp_run(try_it, (void *)(uintptr_t)s), ==, 0);
            if (leaks_find(text, sizeof text))
                test_fail(__FILE__, __LINE__, "%s", text);
            if (t.suspensions < nth)
                break;
        }
}

TEST(whoever_communicates)
{
    static const subject s = {communicate, is_whole};

    sweep(&s);
}

TEST(whoever_speaks_by_streams)
{
    static const subject s = {speak, is_spoken};

    sweep(&s);
}
