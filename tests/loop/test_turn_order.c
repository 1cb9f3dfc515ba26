/*
 * test_turn_order.c - the order of what happens in a turn, and what a turn costs: callbacks, posts, timers, entries of
 * the kernel.
 */
#include "base/thread.h"
#include "loop/loop.h"
#include "proactor/proactor.h"
#include "harness/support.h"
#include "harness/turns.h"

/* ---- the turn ---- */

TEST(call_soon_in_order)
{
    rp_handle handles[26] = {0};
    char letters[26][2] = {{0}};

    make_loop();
    for (int i = 0; i < 26; i++) {
        letters[i][0] = (char)('a' + i);
        CHECK_INT(rp_call_soon(loop, i % 2 ? &handles[i] : NULL, note, letters[i]), ==, 0);
    }
    run_turns(1);
    CHECK_STR(trace, "abcdefghijklmnopqrstuvwxyz");
    CHECK_INT(stats().callbacks, ==, 26);
    CHECK_INT(stats().turns, ==, 1);
    rp_loop_free(loop);
}

static void note_and_schedule(void *arg)
{
    note(arg);
    CHECK_INT(rp_call_soon(loop, NULL, note, "2"), ==, 0);
    CHECK_INT(rp_call_later(loop, NULL, -1, note, "t"), ==, 0);
}

TEST(scheduled_by_callback)
{
    make_loop();
    CHECK_INT(rp_call_soon(loop, NULL, note_and_schedule, "1"), ==, 0);
    CHECK_INT(rp_call_soon(loop, NULL, note, "b"), ==, 0);
    run_turns(1);
    CHECK_STR(trace, "1b");
    run_turns(1);
    CHECK_STR(trace, "1b2t");
    rp_loop_free(loop);
}

static int endless_runs;

static void endless(void *arg)
{
    if (++endless_runs == 1000)
        stop(arg);
    else
        CHECK_INT(rp_call_soon(loop, NULL, endless, arg), ==, 0);
}

/* A callback that schedules itself for ever keeps neither timers nor operations nor other threads from their turn. */
TEST(no_callback_starves_the_rest)
{
    rp_op op;

    make_loop();
    CHECK_INT(rp_call_soon(loop, NULL, endless, NULL), ==, 0);
    CHECK_INT(rp_call_later(loop, NULL, 0, note, "t"), ==, 0);
    CHECK_INT(rp_call_soon_threadsafe(loop, NULL, note, "p"), ==, 0);
    rp_op_nop(&op, NULL, NULL);
    CHECK_INT(rp_submit(loop, &op), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK(strcmp(trace, "tp") == 0 || strcmp(trace, "pt") == 0);
    CHECK_INT(stats().completions, ==, 1);
    CHECK_INT(stats().turns, ==, 1000);
    rp_loop_free(loop);
}

TEST(stop_finishes_turn)
{
    make_loop();
    CHECK_INT(rp_call_soon(loop, NULL, note, "a"), ==, 0);
    CHECK_INT(rp_call_soon(loop, NULL, stop, NULL), ==, 0);
    CHECK_INT(rp_call_soon(loop, NULL, note_and_schedule, "b"), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_STR(trace, "ab");
    CHECK_INT(rp_call_soon(loop, NULL, stop, NULL), ==, 0); /* stopped once, it runs again */
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_STR(trace, "ab2t");
    rp_loop_free(loop);
}

/* Completions, posts, due timers and ready handles of one turn, in this order of becoming ready. */
static void schedule_from_completion(rp_op *op)
{
    strcat(trace, "c");
    CHECK_INT(rp_call_soon(loop, NULL, note, "s"), ==, 0);
    CHECK_INT(op->result, ==, 0);
}

TEST(completions_come_first)
{
    rp_op op;

    make_loop();
    rp_op_nop(&op, schedule_from_completion, NULL);
    CHECK_INT(rp_submit(loop, &op), ==, 0);
    CHECK_STR(trace, "");
    CHECK_INT(rp_call_soon(loop, NULL, note, "r"), ==, 0);
    while (strchr(trace, 'c') == NULL)
        run_turns(1);
    CHECK_STR(trace, "crs"); /* what a completion schedules runs in the same turn */
    rp_loop_free(loop);
}

/* ---- statistics ---- */

TEST(timers_are_counted)
{
    rp_timer timers[3] = {0};

    make_loop();
    CHECK_STR(stats().backend, test_backend());
    CHECK(stats().fallback_reason == NULL);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_call_later(loop, &timers[i], i == 2 ? 0 : RP_SEC(100), note, "t"), ==, 0);
    CHECK_INT(stats().timers_scheduled, ==, 3);
    CHECK_INT(stats().timers_pending, ==, 3);
    CHECK(rp_timer_cancel(&timers[0]));
    CHECK_INT(stats().timers_cancelled, ==, 1);
    CHECK_INT(stats().timers_pending, ==, 2);
    run_turns(1);
    CHECK_STR(trace, "t");
    CHECK_INT(stats().timers_pending, ==, 1);
    CHECK_INT(stats().timers_cancelled, ==, 1);
    CHECK_INT(stats().longest_turn, >, 0);
    rp_loop_free(loop);
}

static void take_a_while(void *arg)
{
    int64_t start = rp_monotonic();

    while (rp_monotonic() - start < *(int64_t *)arg)
        ;
}

/* As many as are wanted, each short. */
static void take_turns(void *arg)
{
    int *left = arg;

    if (--*left == 0)
        rp_loop_stop(loop);
    else
        CHECK_INT(rp_call_soon(loop, NULL, take_turns, left), ==, 0);
}

TEST(the_longest_turn_stays_known)
{
    int64_t duration = RP_MSEC(50);
    int turns = 5;

    make_loop();
    CHECK_INT(rp_call_soon(loop, NULL, take_a_while, &duration), ==, 0);
    CHECK_INT(rp_call_soon(loop, NULL, take_turns, &turns), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(stats().longest_turn, >=, duration);
    rp_loop_free(loop);
}

TEST(a_runs_last_turn_counts_among_the_longest)
{
    int64_t duration = RP_MSEC(50);
    int turns = 1;

    make_loop();
    CHECK_INT(rp_call_soon(loop, NULL, take_turns, &turns), ==, 0);
    CHECK_INT(rp_call_soon(loop, NULL, take_a_while, &duration), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(stats().longest_turn, >=, duration);
    rp_loop_free(loop);
}

/* The clock is read after a wait: what was waited for is due in the same turn. */
TEST(a_timer_takes_one_turn)
{
    rp_timer timer = {0};

    make_loop();
    CHECK_INT(rp_call_later(loop, &timer, RP_MSEC(2), stop, NULL), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(stats().turns, ==, 1);
    rp_loop_free(loop);
}

static int spins;

static void spin(void *arg)
{
    if (--spins == 0)
        stop(arg);
    else
        CHECK_INT(rp_call_soon(loop, NULL, spin, NULL), ==, 0);
}

/* A loop that only calls back does not enter the kernel (test_epoll_busy.c has the one that has operations, too). */
TEST(kernel_entries)
{
    rp_op ops[10];
    char byte;
    int fds[2];

    make_loop();
    unix_pair(fds);
    spins = 100;
    CHECK_INT(rp_call_soon(loop, NULL, spin, NULL), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(stats().turns, ==, 100);
    CHECK_INT(stats().kernel_entries, ==, 0);
    if (on_uring()) {
        for (int i = 0; i < 10; i++) {
            rp_op_recv(&ops[i], fds[0], &byte, 1, 0, NULL, NULL);
            CHECK_INT(rp_submit(loop, &ops[i]), ==, 0);
        }
        CHECK_INT(stats().kernel_entries, ==, 0);
        run_turns(1);
        CHECK_INT(stats().kernel_entries, ==, 1); /* all at once */
        spins = 100;
        CHECK_INT(rp_call_soon(loop, NULL, spin, NULL), ==, 0);
        CHECK_INT(rp_run_forever(loop), ==, 0);
        CHECK_INT(stats().kernel_entries, ==, 1); /* they wait in the kernel at no cost */
    }
    rp_loop_free(loop);
    close_pair(fds);
}

static void recv_again(rp_op *op)
{
    CHECK_INT(op->result, ==, 1);
    if (--spins == 0) {
        stop(NULL);
        return;
    }
    CHECK_INT(write(*(int *)op->data, "x", 1), ==, 1);
    CHECK_INT(rp_submit(loop, op), ==, 0);
}

TEST(one_entry_a_turn)
{
    static char byte;
    int fds[2];
    rp_op op;

    if (!on_uring())
        return;
    make_loop();
    unix_pair(fds);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    rp_op_recv(&op, fds[0], &byte, 1, 0, recv_again, &fds[1]);
    CHECK_INT(rp_submit(loop, &op), ==, 0);
    spins = 100;
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(stats().kernel_entries, ==, 100); /* submit and wait, a hundred times */
    CHECK_INT(stats().turns, ==, 100);
    rp_loop_free(loop);
    close_pair(fds);
}
