/*
 * test_epoll_busy.c - a loop that always has something to do asks the kernel seldom, and misses nothing.
 */
#include <signal.h>

#include "harness/support.h"
#include "harness/wire.h"
#include "harness/wrap.h"

static int64_t now, step; /* the test's own time, which passes by what is read of it; 0: the true clock holds */

WRAP(int64_t, rp_clock_now, void)
{
    return now > 0 ? now += step : __real_rp_clock_now();
}

enum { MOST_TURNS = 64, EACH = -1 };

/* A loop that has something to do in each turn. */
typedef struct busy {
    rp_loop *loop;
    rp_handle handle;
    int turns, end;           /* how many have been, and are to be */
    int input_at, seen_at;    /* the turns in which input was made (EACH: all), and was seen last */
    int inputs;               /* how many were seen */
    int64_t duration;         /* of a turn, by the test's clock */
    void (*make_input)(void); /* or a byte is written */
    int fds[2];
} busy;

static void take_turn(void *arg)
{
    busy *b = arg;

    now += b->duration;
    if (++b->turns == b->input_at || b->input_at == EACH) {
        if (b->make_input != NULL)
            b->make_input();
        else
            CHECK_INT(write(b->fds[1], "x", 1), ==, 1);
    }
    if (b->turns == b->end)
        rp_loop_stop(b->loop);
    else
        CHECK_INT(rp_call_soon(b->loop, &b->handle, take_turn, b), ==, 0);
}

static void see_signal(void *arg)
{
    busy *b = arg;

    b->inputs++;
    b->seen_at = b->turns; /* after take_turn(), which was ready before */
}

static void see_input(rp_fd fd, void *arg)
{
    char byte;

    CHECK_INT(read(fd, &byte, 1), ==, 1);
    see_signal(arg);
}

static void open_busy(busy *b)
{
    *b = (busy){.loop = loop_of("epoll")};
    unix_pair(b->fds);
    CHECK_INT(rp_add_reader(b->loop, b->fds[0], see_input, b), ==, 0);
    now = RP_SEC(1000);
    step = 0;
}

static void close_busy(busy *b)
{
    rp_loop_free(b->loop);
    close_pair(b->fds);
    now = 0;
}

static uint64_t entries(const rp_loop *loop)
{
    rp_loop_stats stats;

    rp_loop_get_stats(loop, &stats);
    return stats.kernel_entries;
}

/* Runs so many turns, input being made in one of them. */
static void run_busy(busy *b, int turns, int input_at)
{
    b->turns = b->seen_at = b->inputs = 0;
    b->end = turns;
    b->input_at = input_at;
    CHECK_INT(rp_call_soon(b->loop, &b->handle, take_turn, b), ==, 0);
    CHECK_INT(rp_run_forever(b->loop), ==, 0);
    CHECK_INT(b->turns, ==, turns);
}

/* The turns that ask are the 1st, 3rd, 7th, 15th to 63rd, and from then on each 64th. */
enum { MANY_TURNS = 100 * MOST_TURNS, SELDOM = 6 + 99 };

TEST(busy_turns_ask_seldom)
{
    busy b;

    open_busy(&b);
    run_busy(&b, MANY_TURNS, 0);
    CHECK_INT(entries(b.loop), ==, SELDOM);
    close_busy(&b);
}

/* Whenever it comes, input is seen within so many turns. */
TEST(busy_turns_see_input)
{
    busy b;
    int most = 0;

    open_busy(&b);
    for (int at = 1; at <= 2 * MOST_TURNS; at++) {
        run_busy(&b, 4 * MOST_TURNS, at);
        CHECK_INT(b.seen_at, >, at);
        most = b.seen_at - at > most ? b.seen_at - at : most;
    }
    CHECK_INT(most, ==, MOST_TURNS);
    close_busy(&b);
}

static void send_signal(void)
{
    CHECK_INT(raise(SIGUSR1), ==, 0);
}

TEST(busy_turns_see_signals)
{
    busy b;

    open_busy(&b);
    b.make_input = send_signal;
    CHECK_INT(rp_add_signal_handler(b.loop, SIGUSR1, see_signal, &b), ==, 0);
    run_busy(&b, 4 * MOST_TURNS, 1);
    CHECK_INT(b.seen_at, >, 1);
    CHECK_INT(b.seen_at, <=, 1 + MOST_TURNS);
    close_busy(&b);
}

/* While there is input, each turn asks. */
TEST(turns_with_input_ask)
{
    busy b;

    open_busy(&b);
    CHECK_INT(write(b.fds[1], "x", 1), ==, 1); /* for the first */
    run_busy(&b, 2 * MOST_TURNS, EACH);
    CHECK_INT(b.inputs, ==, 2 * MOST_TURNS); /* what the last one made nobody has looked for */
    close_busy(&b);
}

/* Where turns are long, time is what counts: input is seen in the first turn that begins 50 us after the last look. */
TEST(long_turns_see_input_sooner)
{
    busy b;

    open_busy(&b);
    for (int turns = 1; turns <= 10; turns++) {
        b.duration = (RP_USEC(50) + turns - 1) / turns;
        for (int at = 1; at <= 20; at++) {
            run_busy(&b, 60, at);
            CHECK_INT(b.seen_at, >, at);
            CHECK_INT(b.seen_at, <=, at + turns);
        }
    }
    close_busy(&b);
}

/* A run of a single turn, such as a program makes that has a loop of its own, sees what there is. */
TEST(first_turn_of_a_run_asks)
{
    busy b;

    open_busy(&b);
    for (int i = 0; i < 10; i++) {
        run_busy(&b, MOST_TURNS + 10, 0); /* and it would be long until the next look */
        CHECK_INT(write(b.fds[1], "x", 1), ==, 1);
        run_busy(&b, 1, 0);
        CHECK_INT(b.seen_at, >, 0);
    }
    close_busy(&b);
}

/* And so does a wait on the loop's proactor that is none of the loop's. */
TEST(a_wait_after_a_run_asks)
{
    rp_completion completion;
    rp_op op;
    busy b;

    open_busy(&b);
    rp_op_poll(&op, b.fds[1], RP_POLL_IN, NULL, NULL);
    CHECK_INT(rp_submit(b.loop, &op), ==, 0);
    run_busy(&b, MOST_TURNS + 10, 0);
    CHECK_INT(write(b.fds[0], "x", 1), ==, 1);
    CHECK_INT(rp_proactor_wait(rp_loop_proactor(b.loop), &completion, 1, 0), ==, 1);
    CHECK(completion.op == &op);
    close_busy(&b);
}

static void perform_again(rp_op *op)
{
    busy *b = op->data;

    if (++b->turns == b->end)
        rp_loop_stop(b->loop);
    else
        CHECK_INT(rp_submit(b->loop, op), ==, 0);
}

/* Operations that are done at once are something to do, too. */
TEST(finished_operations_ask_seldom)
{
    busy b;
    rp_op op;

    open_busy(&b);
    b.end = MANY_TURNS;
    rp_op_nop(&op, perform_again, &b);
    CHECK_INT(rp_submit(b.loop, &op), ==, 0);
    CHECK_INT(rp_run_forever(b.loop), ==, 0);
    CHECK_INT(entries(b.loop), ==, SELDOM);
    close_busy(&b);
}

/* Busy polling is there to ask. */
TEST(busy_polls_ask_each_time)
{
    rp_loop_options options = {.backend = "epoll", .proactor_options.busy_poll = RP_USEC(20)};
    rp_timer timer = {0};
    rp_loop *loop;
    int fds[2];

    CHECK_INT(rp_loop_new(&options, &loop), ==, 0);
    unix_pair(fds);
    CHECK_INT(rp_add_reader(loop, fds[0], wire_stop_when_ready, loop), ==, 0);
    now = __real_rp_clock_now();
    step = 1000;
    CHECK_INT(rp_call_later(loop, &timer, RP_USEC(40), wire_stop, loop), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(entries(loop), >=, 15);
    now = 0;
    rp_loop_free(loop);
    close_pair(fds);
}
