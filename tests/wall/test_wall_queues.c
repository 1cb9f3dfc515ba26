/*
 * test_wall_queues.c - more operations in a turn than the rings have room for: each completes once, and the loop goes
 * on meanwhile.
 */
#include <stdio.h>

#include "ringport/loop.h"
#include "harness/support.h"

enum {
    COUNT = 10000, /* in one turn */
    RING = 64,     /* entries for submissions, and as many for completions */
};

static rp_op ops[COUNT];
static uint8_t completed[COUNT]; /* how often */
static int left, timers, callbacks;
static rp_loop *loop;

static void make_loop(void)
{
    rp_loop_options options = {.proactor_options = {.submission_entries = RING, .completion_entries = RING}};

    CHECK_INT(rp_loop_new(&options, &loop), ==, 0);
}

static void count_completion(rp_op *op)
{
    completed[op - ops]++;
    CHECK_INT(left, >, 0);
    if (--left == 0)
        rp_loop_stop(loop);
}

/* Sees each operation complete just once, with the result. */
static void run_until_complete(int64_t result)
{
    if (left > 0)
        CHECK_INT(rp_run_forever(loop), ==, 0);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(completed[i], ==, 1);
        CHECK_INT(ops[i].result, ==, result);
        completed[i] = 0;
    }
}

static void submit_all(void)
{
    left = COUNT;
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(rp_submit(loop, &ops[i]), ==, 0);
}

static void run_turns(int count)
{
    for (int i = 0; i < count; i++) {
        rp_loop_stop(loop);
        CHECK_INT(rp_run_forever(loop), ==, 0);
    }
}

static void submit_nops(void *arg)
{
    for (int i = 0; i < COUNT; i++)
        rp_op_nop(&ops[i], count_completion, NULL);
    submit_all();
}

TEST(ten_thousand_at_once)
{
    make_loop();
    for (int round = 0; round < 3; round++) {
        CHECK_INT(rp_call_soon(loop, NULL, submit_nops, NULL), ==, 0);
        left = COUNT;
        run_until_complete(0);
    }
    rp_loop_free(loop);
}

/* ---- the others ---- */

static void count_timer(void *arg)
{
    rp_timer *timer = arg;

    timers++;
    if (left > 0)
        CHECK_INT(rp_call_later(loop, timer, 0, count_timer, timer), ==, 0);
}

static void count_callback(void *arg)
{
    rp_handle *handle = arg;

    callbacks++;
    if (left > 0)
        CHECK_INT(rp_call_soon(loop, handle, count_callback, handle), ==, 0);
}

/* While they are worked off, timers and callbacks come in every turn. */
TEST(nobody_starves_meanwhile)
{
    rp_timer timer = {0};
    rp_handle handle = {0};
    rp_loop_stats before, after;

    make_loop();
    rp_loop_get_stats(loop, &before);
    submit_nops(NULL);
    CHECK_INT(rp_call_later(loop, &timer, 0, count_timer, &timer), ==, 0);
    CHECK_INT(rp_call_soon(loop, &handle, count_callback, &handle), ==, 0);
    run_until_complete(0);
    rp_loop_get_stats(loop, &after);
    uint64_t turns = after.turns - before.turns;
    CHECK_INT(callbacks, ==, turns);
    CHECK_INT(timers, >=, turns - 1);
    rp_timer_cancel(&timer);
    rp_handle_cancel(&handle);
    rp_loop_free(loop);
}

/* ---- all complete at once ---- */

/* One event completes all of them: the completion queue overflows more than a hundred times. */
TEST(ten_thousand_complete_at_once)
{
    int fds[2];
    char byte;

    make_loop();
    unix_pair(fds);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++)
            rp_op_poll(&ops[i], fds[0], RP_POLL_IN, count_completion, NULL);
        submit_all();
        run_turns(COUNT / RING + 2);
        CHECK_INT(left, ==, COUNT);
        CHECK_INT(write(fds[1], "x", 1), ==, 1);
        run_until_complete(RP_POLL_IN);
        CHECK_INT(read(fds[0], &byte, 1), ==, 1);
    }
    rp_loop_free(loop);
    close_pair(fds);
}

static void start_all(int fd)
{
    for (int i = 0; i < COUNT; i++)
        rp_op_poll(&ops[i], fd, RP_POLL_IN, count_completion, NULL);
    submit_all();
}

static void cancel_all(void)
{
    for (int i = 0; i < COUNT; i++)
        rp_cancel(loop, &ops[i]);
}

/* In the turn in which they began; when the kernel has all of them; and when it has some. */
TEST(ten_thousand_are_cancelled_at_once)
{
    int fds[2];

    make_loop();
    unix_pair(fds);
    for (int turns = 0; turns <= COUNT / RING + 2; turns += COUNT / RING / 4) {
        start_all(fds[0]);
        run_turns(turns);
        cancel_all();
        run_until_complete(-ECANCELED);
    }
    rp_loop_free(loop);
    close_pair(fds);
}

TEST(ten_thousand_are_dropped_with_the_loop)
{
    int fds[2];

    unix_pair(fds);
    for (int turns = 0; turns <= COUNT / RING + 2; turns += COUNT / RING / 4) {
        make_loop();
        start_all(fds[0]);
        run_turns(turns);
        rp_loop_free(loop);
        CHECK_INT(left, ==, COUNT);
    }
    close_pair(fds);
}

/* ---- contents ---- */

enum { RECORD = 16 };

static char records[COUNT][RECORD];

/* Each writes its own place of a file, then reads that: nothing is mixed up on the way through the queues. */
TEST(ten_thousand_writes_and_reads)
{
    FILE *file = tmpfile();
    int fd;

    CHECK(file != NULL);
    fd = fileno(file);
    make_loop();
    for (int i = 0; i < COUNT; i++) {
        snprintf(records[i], RECORD, "%d", i);
        rp_op_write(&ops[i], fd, records[i], RECORD, (int64_t)i * RECORD, count_completion, NULL);
    }
    submit_all();
    run_until_complete(RECORD);
    memset(records, 0, sizeof records);
    for (int i = 0; i < COUNT; i++)
        rp_op_read(&ops[i], fd, records[i], RECORD, (int64_t)i * RECORD, count_completion, NULL);
    submit_all();
    run_until_complete(RECORD);
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(atoi(records[i]), ==, i);
    rp_loop_free(loop);
    fclose(file);
}
