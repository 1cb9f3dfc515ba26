/*
 * test_model_turn.c - the loop's turn under random schedules, against a model of it.
 *
 * The model: handles are scheduled into a queue, from other threads' side into a second one, or to a time. A turn takes
 * what is in the queue, then what the second one holds, then what is due in order of time (ties in order of
 * scheduling), and runs exactly that; what is scheduled meanwhile waits for the next turn, what is cancelled does not
 * run. Completions of operations come before the handles of a turn, once each.
 * Half of the sequences are driven by a face with asyncio's order: completions come between the handles and the timers,
 * and what they schedule in the next turn. It also interrupts its runs at random; what is left is then done first.
 * Time is the test's own, and passes by what is read of it and waited for. So a sequence depends on its seed alone,
 * which is printed as RP_TEST_SEED=n; with that in the environment it is replayed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/harness.h"
#include "loop/running.h"
#include "loop/turn.h"
#include "ringport.h"
#include "harness/wrap.h"

enum {
    HANDLES = 60,
    OPS = 8,
    STEPS = 600, /* callbacks that do something, in a sequence */
};

/* RUNNING: in this turn's batch, still to run; DUE: likewise, after this turn's completions (the face) */
typedef enum { IDLE, READY, POSTED, TIMED, RUNNING, DUE } place;

typedef struct item {
    rp_timer timer; /* its handle alone, where no time is asked for */
    place place;
    uint64_t order; /* of coming to that place */
} item;

typedef struct operation {
    rp_op op;
    bool in_flight;
    bool submitting;
} operation;

static rp_loop *loop;
static item items[HANDLES];
static operation operations[OPS];
static int64_t now; /* 0: the true clock holds */
static uint64_t order, state, turn;
static int steps;
static bool turn_begun; /* the batch of `turn` has been made */
static bool stopped;
static uint64_t last_turn; /* then: of this run */
static bool by_face;
static bool interrupted; /* and the run has not ended yet */

/* xorshift64*: all that tests need. */
static uint64_t random_bits(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(2685821657736338717);
}

/* ---- time ---- */

WRAP(int64_t, rp_clock_now, void)
{
    return now > 0 ? now += 40 : __real_rp_clock_now();
}

/* A wait lasts as long as it is to, or somewhat longer, in no time. */
WRAP(int, rp_proactor_wait, rp_proactor *proactor, rp_completion *completions, int capacity, int64_t deadline)
{
    bool limited = deadline != RP_NEVER;
    int n = __real_rp_proactor_wait(proactor, completions, capacity, limited ? 0 : RP_NEVER);

    if (limited && n == 0 && deadline > now)
        now = deadline;
    now += (int64_t)(random_bits() % 4 * (random_bits() % 2000));
    return n;
}

/* ---- the model's turn ---- */

static item *first_in(place where)
{
    item *first = NULL;

    for (int i = 0; i < HANDLES; i++)
        if (items[i].place == where && (!first || items[i].order < first->order))
            first = &items[i];
    return first;
}

static item *first_due(int64_t until)
{
    item *first = NULL;

    for (int i = 0; i < HANDLES; i++) {
        item *each = &items[i];

        if (each->place != TIMED || rp_timer_when(&each->timer) > until)
            continue;
        if (!first || rp_timer_when(&each->timer) < rp_timer_when(&first->timer) ||
            (rp_timer_when(&each->timer) == rp_timer_when(&first->timer) && each->order < first->order))
            first = each;
    }
    return first;
}

static void move(item *moved, place to)
{
    moved->place = to;
    moved->order = order++;
}

static void begin_turn(void)
{
    item *next;

    while ((next = first_in(READY)))
        move(next, RUNNING);
    while ((next = first_in(POSTED)))
        move(next, RUNNING);
    while ((next = first_due(loop->now)))
        move(next, by_face ? DUE : RUNNING);
    turn_begun = true;
}

/* A turn has passed since the last look: all that it was to run has run. */
static void look_at_turn(void)
{
    if (turn == loop->stats.turns)
        return;
    CHECK(first_in(RUNNING) == NULL && first_in(DUE) == NULL);
    turn = loop->stats.turns;
    turn_begun = false;
}

/* ---- random acts ---- */

static void act(void);

static void run_item(void *arg)
{
    item *ran = arg;

    look_at_turn();
    CHECK(!interrupted);
    if (!turn_begun && !by_face)
        begin_turn();
    if (!by_face || first_in(RUNNING))
        CHECK(first_in(RUNNING) == ran);
    else
        CHECK(first_in(DUE) == ran && loop->delivered == loop->taken);
    CHECK(!rp_timer_scheduled(&ran->timer));
    ran->place = IDLE;
    act();
}

static void on_completion(rp_op *op)
{
    operation *done = rp_container_of(op, operation, op);

    look_at_turn();
    CHECK(!interrupted);
    CHECK(by_face ? turn_begun && first_in(RUNNING) == NULL : !turn_begun);
    CHECK(done->in_flight && !done->submitting);
    CHECK(op->result == 0 || op->result == -ECANCELED);
    done->in_flight = false;
    act();
}

/* The run, or else the next one, ends after the turn that is going on or comes next. */
static void stop(void *arg)
{
    (void)arg;
    if (!stopped)
        last_turn = loop->stats.turns;
    stopped = true;
    rp_loop_stop(loop);
}

static int64_t random_when(void)
{
    static int64_t last;

    switch (random_bits() % 4) {
    case 0: /* a tie with the one before */
        return last;
    case 1:
        return last = loop->now - (int64_t)(random_bits() % 1000);
    case 2:
        return last = loop->now + (int64_t)(random_bits() % 1000);
    default:
        return last = loop->now + (int64_t)(random_bits() % (uint64_t)RP_USEC(300));
    }
}

static void schedule(item *idle)
{
    switch (random_bits() % 4) {
    case 0:
        CHECK_INT(rp_call_soon_threadsafe(loop, &idle->timer.handle, run_item, idle), ==, 0);
        move(idle, POSTED);
        break;
    case 1:
        CHECK_INT(rp_call_soon(loop, &idle->timer.handle, run_item, idle), ==, 0);
        move(idle, READY);
        break;
    default:
        CHECK_INT(rp_call_at(loop, &idle->timer, random_when(), run_item, idle), ==, 0);
        move(idle, TIMED);
    }
}

static void cancel(item *scheduled)
{
    CHECK_INT(rp_call_soon(loop, &scheduled->timer.handle, run_item, scheduled), ==, -EBUSY);
    CHECK(rp_timer_cancel(&scheduled->timer));
    CHECK(!rp_timer_cancel(&scheduled->timer));
    scheduled->place = IDLE;
}

static void submit_or_cancel(operation *any)
{
    if (any->in_flight) {
        rp_cancel(loop, &any->op);
        return;
    }
    any->in_flight = any->submitting = true;
    rp_op_nop(&any->op, on_completion, NULL);
    CHECK_INT(rp_submit(loop, &any->op), ==, 0);
    any->submitting = false;
}

static void interrupt(void)
{
    rp_turn_interrupt(loop);
    interrupted = true;
}

static void act(void)
{
    for (uint64_t i = random_bits() % 4; i > 0 && steps > 0; i--, steps--) {
        item *any = &items[random_bits() % HANDLES];

        switch (random_bits() % 8) {
        case 0:
            if (any->place != IDLE)
                cancel(any);
            break;
        case 1:
            submit_or_cancel(&operations[random_bits() % OPS]);
            break;
        case 2:
            if (by_face && random_bits() % 4 != 0)
                interrupt();
            else
                stop(NULL);
            break;
        default:
            if (any->place == IDLE)
                schedule(any);
        }
    }
}

/* ---- a sequence ---- */

static bool anything_left(void)
{
    for (int i = 0; i < OPS; i++)
        if (operations[i].in_flight)
            return true;
    return first_in(READY) || first_in(POSTED) || first_in(RUNNING) || first_in(DUE) || first_due(RP_NEVER);
}

/* A turn in asyncio's order. */
static int turn_of_face(void)
{
    int rc = rp_turn_wait(loop, rp_turn_deadline(loop));

    if (rc < 0)
        return rc;
    rp_turn_collect(loop);
    if (!turn_begun)
        begin_turn();
    if ((rc = rp_turn_run(loop)) < 0 || (rc = rp_turn_deliver(loop)) < 0 || (rc = rp_turn_timers(loop)) < 0)
        return rc;
    look_at_turn();
    return 0;
}

/* Until something stops it; goes on after interrupts. */
static void run_face(void)
{
    int rc = -EINTR;

    while (rc == -EINTR) {
        CHECK_INT(rp_loop_enter(loop), ==, 0);
        do
            rc = turn_of_face();
        while (rc == 0 && !stopped);
        rp_loop_leave(loop);
        CHECK_INT(rc, ==, interrupted ? -EINTR : 0);
        interrupted = false;
        if (rc < 0)
            act();
    }
}

/* A run of one turn, or until something stops it. */
static void run_once(void)
{
    rp_timer limit = {0};

    if (steps == 0 || !anything_left() || random_bits() % 4 == 0)
        stop(NULL);
    CHECK_INT(rp_call_later(loop, &limit, RP_MSEC(1), stop, NULL), ==, 0);
    if (by_face)
        run_face();
    else
        CHECK_INT(rp_run_forever(loop), ==, 0);
    rp_timer_cancel(&limit);
    CHECK(stopped);
    CHECK_INT(loop->stats.turns, ==, last_turn + 1);
    stopped = false;
    look_at_turn();
}

static void compare_with_model(uint64_t seed)
{
    fprintf(stderr, "RP_TEST_SEED=%llu\n", (unsigned long long)seed);
    state = seed;
    by_face = random_bits() % 2 == 0;
    memset(items, 0, sizeof items);
    memset(operations, 0, sizeof operations);
    order = 0;
    steps = STEPS;
    now = RP_SEC(1000);
    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    turn = loop->stats.turns;
    turn_begun = stopped = interrupted = false;
    while (steps > 0 || anything_left()) {
        act();
        run_once();
    }
    rp_loop_free(loop);
    now = 0;
}

TEST(random_schedules_agree_with_the_model)
{
    const char *fixed = getenv("RP_TEST_SEED");

    if (fixed) {
        compare_with_model(strtoull(fixed, NULL, 10));
        return;
    }
    for (int i = 0; i < (test_slow() ? 50 : 1000); i++)
        compare_with_model(((uint64_t)rp_monotonic() << 8 | (uint64_t)i) | 1);
}
