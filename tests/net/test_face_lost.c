/*
 * test_face_lost.c - when a face is told that its connection is lost: in the next turn, in asyncio's order, whatever
 * the kernel still holds.
 */
#include "harness/face.h"

static void abort_between_two(face *f)
{
    CHECK_INT(rp_call_soon(the_loop, NULL, note_call, f), ==, 0);
    rp_transport_abort(f->transport);
    CHECK_INT(rp_call_soon(the_loop, NULL, note_call, f), ==, 0);
}

static void close_by_callback(void *arg)
{
    face *f = arg;

    note(f, 'D');
    close_between_two(f);
}

static void abort_by_callback(void *arg)
{
    face *f = arg;

    note(f, 'D');
    abort_between_two(f);
}

TEST(what_a_callback_closes_is_told_in_the_next_turn_where_it_was_closed)
{
    rp_callback *const ways[] = {close_by_callback, abort_by_callback};

    for (int i = 0; i < 2; i++) {
        face f = {0};
        int there = attach(&f, &plain);

        CHECK_INT(rp_call_soon(the_loop, NULL, ways[i], &f), ==, 0);
        RUN_UNTIL(the_loop, has(&f, 'L') && f.length == 5);
        CHECK_STR(f.log, "MD.L.");
        for (int k = 2; k < 5; k++)
            CHECK_INT(f.turns[k], ==, f.turns[1] + 1);
        CHECK_INT(f.error, ==, 0);
        finish(there);
    }
}

TEST(what_is_closed_while_data_is_received_is_told_in_the_next_turn)
{
    void (*const ways[])(face * f) = {close_between_two, abort_between_two};

    for (int i = 0; i < 2; i++) {
        face f = {.at_data = ways[i]};
        int there = attach(&f, &plain);

        say(there, "x");
        RUN_UNTIL(the_loop, has(&f, 'L'));
        CHECK_STR(f.log, "MD..L");
        CHECK_INT(f.turns[4], ==, f.turns[1] + 1);
        finish(there);
    }
}

TEST(what_is_closed_outside_of_a_run_is_told_in_its_first_turn)
{
    face f = {0};
    int there = attach(&f, &plain);

    close_between_two(&f);
    CHECK_STR(f.log, "M");
    run_turn();
    CHECK_STR(f.log, "M.L.");
    finish(there);
}

TEST(a_connection_that_a_write_has_lost_is_told_in_the_next_turn)
{
    face f = {0};
    int there = attach(&f, &plain);

    run_turn();
    close_with_reset(there);
    CHECK_INT(rp_call_soon(the_loop, NULL, note_call, &f), ==, 0);
    CHECK_INT(rp_transport_write(f.transport, "x", 1), <, 0);
    CHECK_INT(rp_call_soon(the_loop, NULL, note_call, &f), ==, 0);
    run_turn();
    CHECK_STR(f.log, "M.L.");
    CHECK(f.error == -ECONNRESET || f.error == -EPIPE);
    rp_loop_free(the_loop);
}

/* The kernel takes its time to let go of what it was asked to give up. */
static struct {
    bool holds;
    rp_loop *loop;
    rp_op *op;
} kernel;

void __real_rp_cancel(rp_loop *loop, rp_op *op);
void __wrap_rp_cancel(rp_loop *loop, rp_op *op);

void __wrap_rp_cancel(rp_loop *loop, rp_op *op)
{
    if (!kernel.holds) {
        __real_rp_cancel(loop, op);
        return;
    }
    kernel.loop = loop;
    kernel.op = op;
}

TEST(connection_lost_does_not_wait_for_the_kernel_and_the_descriptor_does)
{
    for (int aborts = 0; aborts < 2; aborts++) {
        face f = {0};
        int there = attach(&f, &plain);
        char byte;

        run_turn();
        kernel.holds = true;
        if (aborts)
            abort_between_two(&f);
        else
            close_between_two(&f);
        run_turn();
        CHECK_STR(f.log, "M.L.");
        CHECK_INT(wire_read(there, &byte, 1), ==, -EAGAIN);
        for (int i = 0; i < 5; i++)
            run_turn();
        CHECK_INT(wire_read(there, &byte, 1), ==, -EAGAIN);
        kernel.holds = false;
        rp_cancel(kernel.loop, kernel.op);
        CHECK_INT(wire_await(the_loop, there, &byte, 1), ==, aborts ? wire_reset() : 0);
        CHECK_STR(f.log, "M.L.");
        finish(there);
    }
}

TEST(a_loop_may_be_closed_before_the_kernel_has_let_go)
{
    face f = {0};
    int there = attach(&f, &plain);
    char byte;

    run_turn();
    kernel.holds = true;
    rp_transport_close(f.transport);
    run_turn();
    CHECK_STR(f.log, "ML");
    rp_loop_close(the_loop);
    while (wire_read(there, &byte, 1) == -EAGAIN)
        usleep(1000);
    finish(there);
}
