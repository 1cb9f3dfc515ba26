/*
 * test_loop_submit.c - operations of a loop: their callbacks submit again and cancel each other, and are told of each
 * completion once.
 */
#include "base/thread.h"
#include "loop/loop.h"
#include "harness/support.h"
#include "harness/turns.h"

static int runs;

static void submit_again(rp_op *op)
{
    CHECK_INT(op->result, ==, 0);
    CHECK_INT(op->flags, ==, 0);
    if (++runs == 100) {
        free(op);
        stop(NULL);
        return;
    }
    if (runs % 2)
        rp_op_nop(op, submit_again, NULL);
    CHECK_INT(rp_submit(loop, op), ==, 0);
    CHECK_INT(rp_submit(loop, op), ==, -EBUSY);
}

TEST(op_submitted_in_its_callback)
{
    rp_op *op = malloc(sizeof *op), bad;

    make_loop();
    rp_op_nop(op, submit_again, NULL);
    CHECK_INT(rp_submit(loop, op), ==, 0);
    CHECK_INT(runs, ==, 0); /* never inside of submit */
    CHECK_INT(rp_submit(loop, op), ==, -EBUSY);
    CHECK_INT(stats().operations_in_flight, ==, 1);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(runs, ==, 100);
    CHECK_INT(stats().operations_in_flight, ==, 0);
    CHECK_INT(stats().completions, ==, 100);
    rp_op_nop(&bad, NULL, NULL);
    bad.kind = 200;
    CHECK_INT(rp_submit(loop, &bad), ==, -EINVAL);
    rp_loop_free(loop);
}

static rp_op chain[2];
static char chain_byte;

/* Of two that complete together the first one cancels the second: that one has its result already. */
static void cancel_other(rp_op *op)
{
    CHECK_INT(op->result, ==, 0);
    rp_cancel(loop, op == &chain[0] ? &chain[1] : &chain[0]);
    runs++;
}

TEST(cancel_in_callback)
{
    make_loop();
    for (int i = 0; i < 2; i++) {
        rp_op_nop(&chain[i], cancel_other, NULL);
        CHECK_INT(rp_submit(loop, &chain[i]), ==, 0);
    }
    while (runs < 2)
        run_turns(1);
    run_turns(3);
    CHECK_INT(runs, ==, 2);
    rp_loop_free(loop);
}

static void submit_other(rp_op *op)
{
    rp_op *other = op == &chain[0] ? &chain[1] : &chain[0];

    CHECK_INT(rp_submit(loop, other), ==, runs++ == 0 ? -EBUSY : 0);
}

/* Both have completed, but the second one is not told yet. */
TEST(no_submitting_before_the_completion_is_delivered)
{
    make_loop();
    for (int i = 0; i < 2; i++) {
        rp_op_nop(&chain[i], submit_other, NULL);
        CHECK_INT(rp_submit(loop, &chain[i]), ==, 0);
    }
    while (runs < 2)
        run_turns(1);
    rp_loop_free(loop);
}

static rp_op watches[2];
static int watched; /* completions of both */
static bool both_ended;

/* The first to complete cancels the other, a completion of which was taken in the same batch. */
static void cancel_other_watch(rp_op *op)
{
    rp_op *other = op == &watches[0] ? &watches[1] : &watches[0];

    if (watched++ == 0)
        rp_cancel(loop, other);
    else if (op->flags & RP_OP_MORE)
        CHECK_INT(op->result, ==, RP_POLL_IN);
    else {
        CHECK_INT(op->result, ==, -ECANCELED);
        both_ended = true;
    }
}

TEST(the_end_of_a_multishot_is_not_what_came_before_it)
{
    int pairs[2][2];

    make_loop();
    for (int i = 0; i < 2; i++) {
        tcp_pair(pairs[i]);
        CHECK_INT(send(pairs[i][1], "x", 1, 0), ==, 1);
        rp_op_poll_multi(&watches[i], pairs[i][0], RP_POLL_IN, cancel_other_watch, NULL);
        CHECK_INT(rp_submit(loop, &watches[i]), ==, 0);
    }
    while (!both_ended)
        run_turns(1);
    rp_loop_free(loop);
    close_pair(pairs[0]);
    close_pair(pairs[1]);
}

static uint64_t last_events;

static void note_events(rp_op *op)
{
    last_events = (uint64_t)op->result;
    runs++;
}

TEST(a_multishot_poll_does_not_tell_twice)
{
    static char chunk[65536];
    int pair[2];

    make_loop();
    tcp_pair(pair);
    set_nonblocking(pair[0]);
    set_nonblocking(pair[1]);
    CHECK_INT(send(pair[1], "x", 1, 0), ==, 1);
    rp_op_poll_multi(&watches[0], pair[0], RP_POLL_IN | RP_POLL_OUT, note_events, NULL);
    CHECK_INT(rp_submit(loop, &watches[0]), ==, 0);
    while (!(last_events & RP_POLL_IN))
        run_turns(1);
    CHECK_INT(recv(pair[0], chunk, sizeof chunk, 0), ==, 1);
    while (send(pair[0], chunk, sizeof chunk, 0) > 0)
        ;
    run_turns(3);
    runs = 0;
    while (runs == 0) {
        while (recv(pair[1], chunk, sizeof chunk, 0) > 0)
            ;
        run_turns(1);
    }
    CHECK_INT(last_events, ==, RP_POLL_OUT);
    rp_loop_free(loop);
    close_pair(pair);
}

static void expect_cancelled(rp_op *op)
{
    CHECK_INT(op->result, ==, -ECANCELED);
    rp_op_recv(op, op->fd, &chain_byte, 1, 0, expect_cancelled, NULL);
    if (++runs < 10) {
        CHECK_INT(rp_submit(loop, op), ==, 0);
        rp_cancel(loop, op);
        return;
    }
    stop(NULL);
}

TEST(cancel_and_again)
{
    int fds[2];
    rp_op op;

    make_loop();
    unix_pair(fds);
    rp_op_recv(&op, fds[0], &chain_byte, 1, 0, expect_cancelled, NULL);
    CHECK_INT(rp_submit(loop, &op), ==, 0);
    rp_cancel(loop, &op);
    CHECK_INT(runs, ==, 0); /* never inside of cancel */
    CHECK_INT(rp_run_forever(loop), ==, 0);
    rp_loop_free(loop);
    close_pair(fds);
}
