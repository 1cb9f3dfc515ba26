/*
 * test_turn.c - the steps of a turn, driven by a face in the test: asyncio's order, and what an interrupt leaves.
 *
 * A trace has a letter for each callback, and a bar where a turn of the face ends: soon callbacks are small letters,
 * completions are digits, timers are capitals.
 */
#include <pthread.h>

#include "loop/handle.h"
#include "loop/running.h"
#include "loop/turn.h"
#include "proactor/proactor.h"
#include "harness/support.h"

static rp_loop *loop;
static char trace[256];
static char interrupt_at; /* the letter whose callback interrupts */

static void note(void *arg)
{
    strcat(trace, arg);
    if (((char *)arg)[0] == interrupt_at) {
        interrupt_at = '\0';
        rp_turn_interrupt(loop);
    }
}

static void note_completion(rp_op *op)
{
    CHECK_INT(op->result, ==, 0);
    note(op->data);
}

static void soon(const char *letter)
{
    CHECK_INT(rp_call_soon(loop, NULL, note, (void *)(uintptr_t)letter), ==, 0);
}

static void at(int64_t when, const char *letter)
{
    CHECK_INT(rp_call_at(loop, NULL, when, note, (void *)(uintptr_t)letter), ==, 0);
}

static void make_loop(void)
{
    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    trace[0] = interrupt_at = '\0';
}

/* ---- the face ---- */

/* One turn in asyncio's order: 0, or how a step of it ended early. */
static int turn_until(int64_t deadline)
{
    int rc = rp_turn_wait(loop, deadline);

    if (rc < 0)
        return rc;
    rp_turn_collect(loop);
    if ((rc = rp_turn_run(loop)) < 0 || (rc = rp_turn_deliver(loop)) < 0 || (rc = rp_turn_timers(loop)) < 0)
        return rc;
    strcat(trace, "|");
    return 0;
}

static int turn(void)
{
    return turn_until(rp_turn_deadline(loop));
}

/* A run of some turns. */
static int run(int turns)
{
    int rc = rp_loop_enter(loop);

    for (int i = 0; i < turns && rc == 0; i++)
        rc = turn();
    rp_loop_leave(loop);
    return rc;
}

/* A run of one turn in which operations have completed. */
static int run_with_completions(void)
{
    CHECK_INT(rp_loop_enter(loop), ==, 0);
    int rc = turn_until(RP_NEVER);
    rp_loop_leave(loop);
    return rc;
}

/* Operations that all complete in the next wait. */
static rp_op ops[3];

static void submit_three(void)
{
    static char *const digits[] = {"1", "2", "3"};

    for (int i = 0; i < 3; i++) {
        rp_op_nop(&ops[i], note_completion, digits[i]);
        CHECK_INT(rp_submit(loop, &ops[i]), ==, 0);
    }
}

/* ---- order ---- */

static void schedule_soon(void *arg)
{
    note(arg);
    soon("x");
    at(0, "X"); /* it is due, but in the next turn */
}

static void schedule_on_completion(rp_op *op)
{
    note_completion(op);
    soon("y");
    at(0, "Y");
    rp_op_nop(op, note_completion, "4");
    CHECK_INT(rp_submit(loop, op), ==, 0);
}

static void schedule_on_time(void *arg)
{
    note(arg);
    soon("z");
    at(0, "Z");
}

TEST(ready_then_received_then_due_and_what_these_schedule_in_the_next_turn)
{
    make_loop();
    submit_three();
    ops[1].callback = schedule_on_completion;
    at(2, "C");
    CHECK_INT(rp_call_at(loop, NULL, 1, schedule_on_time, "A"), ==, 0);
    at(2, "D");
    at(1, "B");
    at(rp_loop_time(loop) + RP_SEC(10000), "N");
    soon("a");
    CHECK_INT(rp_call_soon(loop, NULL, schedule_soon, "b"), ==, 0);
    soon("c");
    CHECK_INT(rp_call_soon_threadsafe(loop, NULL, note, "d"), ==, 0);
    CHECK_INT(run_with_completions(), ==, 0);
    CHECK_STR(trace, "abcd123ABCD|");
    trace[0] = '\0';
    CHECK_INT(run_with_completions(), ==, 0);
    CHECK_STR(trace, "xyz4XYZ|");
    trace[0] = '\0';
    CHECK_INT(rp_turn_deadline(loop), >, rp_loop_time(loop)); /* nothing is left but the one of the future */
    rp_loop_free(loop);
}

/* ---- what comes last ---- */

static rp_handle last, second_last;

/* A run of one turn, which does not wait. */
static int run_turn(void)
{
    CHECK_INT(rp_loop_enter(loop), ==, 0);
    int rc = turn_until(0);
    rp_loop_leave(loop);
    return rc;
}

static void note_and_come_last_again(void *arg)
{
    note(arg);
    rp_loop_last_call(loop, &last, note, "w");
}

TEST(what_is_to_come_last_comes_after_timers_and_once_a_turn)
{
    make_loop();
    submit_three();
    rp_loop_last_call(loop, &last, note_and_come_last_again, "y");
    rp_loop_last_call(loop, &second_last, note, "z");
    at(1, "A");
    soon("a");
    CHECK_INT(rp_turn_deadline(loop), ==, 0);
    CHECK_INT(run_with_completions(), ==, 0);
    CHECK_STR(trace, "a123Ayz|");
    CHECK_INT(rp_turn_deadline(loop), ==, 0); /* what is left is not waited for */
    CHECK_INT(run_turn(), ==, 0);
    CHECK_STR(trace, "a123Ayz|w|");
    rp_loop_last_call(loop, &last, note, "y");
    rp_handle_cancel(&last);
    CHECK_INT(run_turn(), ==, 0);
    CHECK_STR(trace, "a123Ayz|w||");
    rp_loop_last_call(loop, &last, note, "y"); /* it goes with the loop */
    rp_loop_free(loop);
    CHECK_STR(trace, "a123Ayz|w||");
}

TEST(an_interrupt_leaves_what_is_to_come_last_to_the_next_run)
{
    make_loop();
    rp_loop_last_call(loop, &last, note, "y");
    rp_loop_last_call(loop, &second_last, note, "z");
    at(0, "A");
    interrupt_at = 'y';
    CHECK_INT(run_turn(), ==, -EINTR);
    CHECK_STR(trace, "Ay");
    CHECK_INT(run_turn(), ==, 0);
    CHECK_STR(trace, "Ayz|");
    rp_loop_free(loop);
}

TEST(equal_times_come_in_order_of_scheduling)
{
    make_loop();
    int64_t when = rp_loop_time(loop) + RP_USEC(100);
    at(when, "A");
    at(when + 1, "D");
    at(when, "B");
    at(when - 1, "0");
    at(when, "C");
    while (!strchr(trace, 'D'))
        CHECK_INT(run(1), ==, 0);
    CHECK_STR(strtok(trace, "|"), "0ABCD"); /* most often in one turn; in any case in this order */
    rp_loop_free(loop);
}

static rp_handle later;
static rp_timer timer;

static void take_back(void *arg)
{
    note(arg);
    CHECK(rp_handle_cancel(&later));
    CHECK(rp_timer_cancel(&timer));
    CHECK(!rp_timer_cancel(&timer));
}

TEST(what_the_turn_has_collected_can_be_taken_back)
{
    make_loop();
    CHECK_INT(rp_call_soon(loop, NULL, take_back, "a"), ==, 0);
    CHECK_INT(rp_call_soon(loop, &later, note, "b"), ==, 0);
    CHECK_INT(rp_call_at(loop, &timer, 0, note, "A"), ==, 0);
    soon("c");
    CHECK_INT(run(1), ==, 0);
    CHECK_STR(trace, "ac|");
    rp_loop_free(loop);
}

TEST(how_long_a_wait_may_last)
{
    make_loop();
    CHECK_INT(rp_turn_deadline(loop), ==, RP_NEVER);
    at(RP_SEC(1000000000), "A");
    CHECK_INT(rp_turn_deadline(loop), ==, RP_SEC(1000000000));
    soon("a");
    CHECK_INT(rp_turn_deadline(loop), ==, 0);
    CHECK_INT(run(1), ==, 0);
    CHECK_INT(rp_turn_deadline(loop), ==, RP_SEC(1000000000));
    rp_loop_stop(loop);
    CHECK_INT(rp_turn_deadline(loop), ==, 0);
    CHECK_INT(run(1), ==, 0); /* the run's end takes the stop back */
    CHECK_INT(rp_turn_deadline(loop), ==, RP_SEC(1000000000));
    CHECK_STR(trace, "a||");
    rp_loop_free(loop);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* as an interpreter has one */

static void *make_ready(void *arg)
{
    pthread_mutex_lock(&lock);
    rp_loop_ready(loop, arg);
    rp_proactor_wake(loop->proactor);
    pthread_mutex_unlock(&lock);
    return NULL;
}

TEST(another_thread_makes_handles_ready_under_a_lock_of_the_face)
{
    rp_handle handle;
    pthread_t thread;

    make_loop();
    rp_handle_prepare(&handle, loop, note, "a");
    CHECK_INT(rp_loop_enter(loop), ==, 0);
    pthread_mutex_lock(&lock);
    int64_t deadline = rp_turn_deadline(loop);
    CHECK_INT(deadline, ==, RP_NEVER);
    CHECK_INT(pthread_create(&thread, NULL, make_ready, &handle), ==, 0);
    pthread_mutex_unlock(&lock);
    CHECK_INT(rp_turn_wait(loop, deadline), ==, 0);
    pthread_mutex_lock(&lock);
    rp_turn_collect(loop);
    CHECK_INT(rp_turn_run(loop), ==, 0);
    pthread_mutex_unlock(&lock);
    rp_loop_leave(loop);
    CHECK_STR(trace, "a");
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    rp_loop_free(loop);
}

/* ---- interrupts ---- */

/*
 * A turn with two callbacks that were ready, three completions, and two timers; the one named interrupts it. What is
 * scheduled before the next run comes last of all.
 */
static void interrupted_at(char letter, const char *before)
{
    static const char whole[] = "ab123AB|cC|";
    rp_op late;

    make_loop();
    submit_three();
    soon("a");
    soon("b");
    at(0, "A");
    at(0, "B");
    interrupt_at = letter;
    CHECK_INT(run_with_completions(), ==, -EINTR);
    CHECK_STR(trace, before);
    CHECK_INT(rp_turn_deadline(loop), ==, 0); /* the turn has not ended */
    soon("c");
    at(0, "C");
    rp_op_nop(&late, NULL, NULL);
    CHECK_INT(rp_submit(loop, &late), ==, 0);
    CHECK_INT(run(2), ==, 0);
    CHECK_STR(trace, whole);
    rp_loop_stats stats;
    rp_loop_get_stats(loop, &stats);
    CHECK_INT(stats.turns, ==, 2);
    CHECK_INT(stats.callbacks, ==, 6);
    rp_loop_free(loop);
}

TEST(interrupted_among_callbacks_that_were_ready)
{
    interrupted_at('a', "a");
    interrupted_at('b', "ab");
}

TEST(interrupted_among_completions)
{
    interrupted_at('1', "ab1");
    interrupted_at('2', "ab12");
    interrupted_at('3', "ab123");
}

TEST(interrupted_among_timers)
{
    interrupted_at('A', "ab123A");
    interrupted_at('B', "ab123AB");
}

/* Each of them, one run after the other. */
TEST(interrupted_at_every_callback)
{
    make_loop();
    submit_three();
    soon("a");
    soon("b");
    at(0, "A");
    interrupt_at = 'a';
    CHECK_INT(run_with_completions(), ==, -EINTR);
    const char *rest = "b123A";
    for (; *rest; rest++) {
        interrupt_at = *rest;
        CHECK_INT(run(1), ==, -EINTR);
        CHECK_INT(trace[strlen(trace) - 1], ==, *rest);
    }
    CHECK_STR(trace, "ab123A");
    CHECK_INT(run(1), ==, 0); /* which ends the turn */
    CHECK_STR(trace, "ab123A|");
    rp_loop_free(loop);
}

TEST(what_an_interrupt_has_left_can_be_taken_back)
{
    make_loop();
    soon("a");
    CHECK_INT(rp_call_soon(loop, &later, note, "b"), ==, 0);
    CHECK_INT(rp_call_at(loop, &timer, 0, note, "A"), ==, 0);
    interrupt_at = 'a';
    CHECK_INT(run(1), ==, -EINTR);
    CHECK(rp_handle_cancel(&later));
    CHECK(rp_timer_cancel(&timer));
    CHECK_INT(rp_call_soon(loop, &later, note, "c"), ==, 0);
    CHECK_INT(run(2), ==, 0);
    CHECK_STR(trace, "a|c|");
    rp_loop_free(loop);
}

static rp_op accepting;

static void must_not_be_called(rp_op *op)
{
    (void)op;
    CHECK(false);
}

/* The harness looks for what is not closed. */
TEST(a_loop_is_closed_with_what_an_interrupt_has_left)
{
    struct sockaddr_in address;
    int client, listener = listen_blocking(&address);

    make_loop();
    rp_op_accept(&accepting, listener, NULL, NULL, must_not_be_called, NULL);
    CHECK_INT(rp_submit(loop, &accepting), ==, 0);
    client = connect_tcp(&address);
    soon("a");
    at(0, "A");
    interrupt_at = 'a';
    CHECK_INT(run_with_completions(), ==, -EINTR);
    CHECK_STR(trace, "a");
    CHECK_INT(loop->taken - loop->delivered, ==, 1);
    rp_loop_free(loop);
    CHECK_STR(trace, "a");
    close(listener);
    close(client);
}

/* ---- interrupts from elsewhere ---- */

static void *interrupt(void *arg)
{
    (void)arg;
    rp_turn_interrupt(loop);
    return NULL;
}

static void in_thread(void *function(void *))
{
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, function, NULL), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
}

/* It is not lost, and what was ready is neither. */
TEST(an_interrupt_before_a_run_ends_it_before_anything_is_called)
{
    make_loop();
    soon("a");
    in_thread(interrupt);
    in_thread(interrupt); /* they are one */
    CHECK_INT(run(1), ==, -EINTR);
    CHECK_STR(trace, "");
    CHECK_INT(run(1), ==, 0);
    CHECK_STR(trace, "a|");
    rp_loop_free(loop);
}

static void *interrupt_when_asleep(void *arg)
{
    while (atomic_load(&loop->proactor->wake_state) != RP_ASLEEP)
        usleep(100);
    return interrupt(arg);
}

TEST(an_interrupt_wakes_a_wait)
{
    pthread_t thread;

    make_loop();
    CHECK_INT(pthread_create(&thread, NULL, interrupt_when_asleep, NULL), ==, 0);
    CHECK_INT(run(1), ==, -EINTR);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    rp_turn_interrupt(loop); /* there is nothing to be interrupted */
    rp_loop_free(loop);
}

static void interrupt_here(void *arg)
{
    note(arg);
    in_thread(interrupt);
}

TEST(another_thread_interrupts_a_callback)
{
    make_loop();
    CHECK_INT(rp_call_soon(loop, NULL, interrupt_here, "a"), ==, 0);
    soon("b");
    CHECK_INT(run(1), ==, -EINTR);
    CHECK_STR(trace, "a");
    CHECK_INT(run(1), ==, 0);
    CHECK_STR(trace, "ab|");
    rp_loop_free(loop);
}

static void deliver_third(void *arg)
{
    note(arg);
    rp_turn_deliver_of(loop, &ops[2], sizeof ops[2]);
    rp_turn_deliver_of(loop, &ops[2], sizeof ops[2]); /* there is no more of it */
}

TEST(what_an_owner_waits_for_is_delivered_before_its_time_and_the_rest_in_order)
{
    make_loop();
    submit_three();
    CHECK_INT(rp_call_soon(loop, NULL, deliver_third, "a"), ==, 0);
    soon("b");
    CHECK_INT(run_with_completions(), ==, 0);
    CHECK_STR(trace, "a3b12|");
    rp_loop_free(loop);
}

/* The C face is made of the same steps. */
TEST(a_run_of_the_c_face_is_interrupted)
{
    make_loop();
    submit_three();
    soon("a");
    soon("b");
    at(0, "A");
    interrupt_at = 'a';
    rp_loop_stop(loop);
    CHECK_INT(rp_run_forever(loop), ==, -EINTR);
    CHECK_STR(trace, "123a"); /* it delivers first */
    soon("c");
    rp_loop_stop(loop);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_STR(trace, "123abAc");
    rp_loop_free(loop);
}
