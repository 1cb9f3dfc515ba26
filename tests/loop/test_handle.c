/*
 * test_handle.c - handles and timers: order, taking back in every state, what is refused.
 */
#include <pthread.h>

#include "loop/loop.h"
#include "harness/support.h"
#include "harness/turns.h"

static int count;

static void increment(void *arg)
{
    (void)arg;
    count++;
}

static void not_ready(rp_fd fd, void *arg)
{
    (void)fd;
    increment(arg);
}

static void must_not_run(void *arg)
{
    (void)arg;
    CHECK(false);
}

TEST(refused)
{
    rp_handle handle = {0};
    rp_timer timer = {0};

    make_loop();
    CHECK_INT(rp_call_soon(loop, NULL, NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_call_soon(loop, &handle, NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_call_soon_threadsafe(loop, &handle, NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_call_later(loop, &timer, 0, NULL, NULL), ==, -EINVAL);
    CHECK(!rp_handle_scheduled(&handle));
    CHECK_INT(rp_call_soon(loop, &handle, increment, NULL), ==, 0);
    CHECK_INT(rp_call_soon(loop, &handle, increment, NULL), ==, -EBUSY);
    CHECK_INT(rp_call_soon_threadsafe(loop, &handle, increment, NULL), ==, -EBUSY);
    CHECK_INT(rp_call_later(loop, &timer, RP_SEC(1), increment, NULL), ==, 0);
    CHECK_INT(rp_call_later(loop, &timer, 0, increment, NULL), ==, -EBUSY);
    CHECK_INT(rp_call_at(loop, &timer, 0, increment, NULL), ==, -EBUSY);
    CHECK_INT(rp_call_soon(loop, &timer.handle, increment, NULL), ==, -EBUSY);
    run_turns(1);
    CHECK_INT(count, ==, 1);
    CHECK(!rp_handle_scheduled(&handle));
    CHECK_INT(rp_call_soon_threadsafe(loop, &handle, increment, NULL), ==, 0);
    CHECK_INT(rp_call_soon_threadsafe(loop, &handle, increment, NULL), ==, -EBUSY);
    CHECK_INT(rp_call_soon(loop, &handle, increment, NULL), ==, -EBUSY);
    run_turns(1);
    CHECK_INT(count, ==, 2);
    CHECK(rp_timer_cancel(&timer));
    test_fail_allocation(1);
    CHECK_INT(rp_call_soon(loop, NULL, increment, NULL), ==, -ENOMEM);
    test_fail_allocation(1);
    CHECK_INT(rp_call_soon_threadsafe(loop, NULL, increment, NULL), ==, -ENOMEM);
    test_fail_allocation(1);
    CHECK_INT(rp_call_later(loop, NULL, 0, increment, NULL), ==, -ENOMEM);
    test_fail_allocation(0);
    run_turns(2);
    CHECK_INT(count, ==, 2);
    rp_loop_free(loop);
}

/* ---- timers ---- */

TEST(timers_in_order)
{
    rp_timer timers[6] = {0};
    int64_t now;

    make_loop();
    now = rp_loop_time(loop);
    CHECK_INT(rp_call_at(loop, &timers[0], now + RP_USEC(300), note, "4"), ==, 0);
    CHECK_INT(rp_call_at(loop, &timers[1], now + RP_USEC(100), note, "1"), ==, 0);
    CHECK_INT(rp_call_at(loop, &timers[2], now + RP_USEC(300), note, "5"), ==, 0);
    CHECK_INT(rp_call_at(loop, &timers[3], now + RP_USEC(299), note, "3"), ==, 0);
    CHECK_INT(rp_call_at(loop, NULL, now + RP_USEC(300), note, "6"), ==, 0);
    CHECK_INT(rp_call_at(loop, &timers[4], now + RP_USEC(200), note, "2"), ==, 0);
    CHECK_INT(rp_call_at(loop, &timers[5], now + RP_USEC(301), stop, NULL), ==, 0);
    CHECK_INT(rp_timer_when(&timers[3]), ==, now + RP_USEC(299));
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_STR(trace, "123456");
    CHECK_INT(rp_loop_time(loop), >=, now + RP_USEC(301)); /* never early */
    CHECK_INT(rp_timer_when(&timers[3]), ==, now + RP_USEC(299));
    rp_loop_free(loop);
}

TEST(timers_of_the_past)
{
    make_loop();
    int64_t now = rp_loop_time(loop);
    CHECK_INT(rp_call_at(loop, NULL, now - 5, note, "3"), ==, 0);
    CHECK_INT(rp_call_at(loop, NULL, INT64_MIN, note, "1"), ==, 0);
    CHECK_INT(rp_call_at(loop, NULL, now - 5, note, "4"), ==, 0);
    CHECK_INT(rp_call_at(loop, NULL, 0, note, "2"), ==, 0);
    CHECK_INT(rp_call_soon(loop, NULL, note, "r"), ==, 0);
    run_turns(1);
    CHECK_STR(trace, "r1234");
    rp_loop_free(loop);
}

TEST(delays)
{
    rp_timer timer = {0}, never = {0};

    make_loop();
    CHECK_INT(rp_call_later(loop, NULL, -RP_SEC(5), note, "a"), ==, 0);
    CHECK_INT(rp_call_later(loop, NULL, INT64_MIN, note, "b"), ==, 0);
    CHECK_INT(rp_call_later(loop, NULL, 0, note, "c"), ==, 0);
    CHECK_INT(rp_call_later(loop, &never, RP_NEVER, must_not_run, NULL), ==, 0);
    CHECK_INT(rp_call_at(loop, &timer, RP_NEVER, must_not_run, NULL), ==, 0);
    CHECK_INT(rp_timer_when(&never), ==, RP_NEVER);
    run_turns(1);
    CHECK_STR(trace, "bac");
    CHECK(rp_timer_scheduled(&never));
    int64_t before = rp_loop_time(loop);
    CHECK_INT(rp_call_later(loop, NULL, RP_MSEC(3), stop, NULL), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0); /* sleeps, though a timer is there that never comes */
    CHECK_INT(rp_loop_time(loop), >=, before + RP_MSEC(3));
    CHECK(rp_timer_cancel(&never));
    CHECK(rp_timer_cancel(&timer));
    rp_loop_free(loop);
}

static rp_timer ticking;

static void tick(void *arg)
{
    CHECK(!rp_timer_scheduled(&ticking)); /* idle when it is called */
    if (++count == 10)
        stop(arg);
    else
        CHECK_INT(rp_call_at(loop, &ticking, rp_timer_when(&ticking) + RP_USEC(50), tick, arg), ==, 0);
}

TEST(timer_again_in_its_callback)
{
    make_loop();
    int64_t start = rp_loop_time(loop);
    CHECK_INT(rp_call_at(loop, &ticking, start, tick, NULL), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(count, ==, 10);
    CHECK_INT(rp_timer_when(&ticking), ==, start + 9 * RP_USEC(50));
    rp_loop_free(loop);
}

/* The turn takes all that is due: a cancelled one's memory is the caller's at once, whatever the state. */
TEST(cancelled_memory_is_free)
{
    make_loop();
    for (int i = 0; i < 1000; i++) {
        rp_timer *timer = calloc(1, sizeof *timer);
        rp_handle *handle = calloc(1, sizeof *handle);

        CHECK_INT(rp_call_later(loop, timer, (int64_t)i * i * i * 1000 - 10, must_not_run, NULL), ==, 0);
        CHECK_INT(rp_call_soon(loop, handle, must_not_run, NULL), ==, 0);
        CHECK(rp_timer_cancel(timer));
        CHECK(!rp_timer_cancel(timer));
        free(timer);
        CHECK(rp_handle_cancel(handle));
        CHECK(!rp_handle_cancel(handle));
        CHECK_INT(rp_call_soon_threadsafe(loop, handle, must_not_run, NULL), ==, 0);
        CHECK(rp_handle_scheduled(handle));
        CHECK(rp_handle_cancel(handle));
        CHECK(!rp_handle_scheduled(handle));
        free(handle);
    }
    run_turns(3);
    rp_loop_stats stats;
    rp_loop_get_stats(loop, &stats);
    CHECK_INT(stats.timers_scheduled, ==, 1000);
    CHECK_INT(stats.timers_cancelled, ==, 1000);
    CHECK_INT(stats.timers_pending, ==, 0);
    rp_loop_free(loop);
}

static rp_handle victims[4];
static rp_timer late;

static void cancel_victims(void *arg)
{
    note(arg);
    for (int i = 0; i < 4; i++)
        CHECK(rp_handle_cancel(&victims[i]));
    CHECK(rp_timer_cancel(&late));
    CHECK_INT(rp_call_soon(loop, &victims[3], note, "again"), ==, 0);
}

/* What is to run in this very turn can still be taken back. */
TEST(cancel_within_the_turn)
{
    make_loop();
    CHECK_INT(rp_call_soon(loop, NULL, cancel_victims, "x"), ==, 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_call_soon(loop, &victims[i], must_not_run, NULL), ==, 0);
    CHECK_INT(rp_call_soon_threadsafe(loop, &victims[3], must_not_run, NULL), ==, 0);
    CHECK_INT(rp_call_later(loop, &late, -1, must_not_run, NULL), ==, 0);
    run_turns(1);
    CHECK_STR(trace, "x");
    run_turns(1);
    CHECK_STR(trace, "xagain");
    rp_loop_free(loop);
}

static void free_own(void *arg)
{
    CHECK(!rp_handle_scheduled(arg));
    CHECK(!rp_handle_cancel(arg));
    free(arg);
    count++;
}

TEST(freed_in_its_callback)
{
    make_loop();
    for (int debug = 0; debug < 2; debug++) {
        rp_set_debug(loop, debug);
        rp_handle *handle = calloc(1, sizeof *handle), *posted = calloc(1, sizeof *posted);
        rp_timer *timer = calloc(1, sizeof *timer);

        CHECK_INT(rp_call_soon(loop, handle, free_own, handle), ==, 0);
        CHECK_INT(rp_call_soon_threadsafe(loop, posted, free_own, posted), ==, 0);
        CHECK_INT(rp_call_later(loop, timer, 0, free_own, timer), ==, 0);
        run_turns(2);
        CHECK_INT(count, ==, 3 + 3 * debug);
    }
    rp_loop_free(loop);
}

/* Debug mode may be switched while handles are scheduled. */
TEST(debug_switched_between)
{
    rp_handle handles[2] = {0};

    make_loop();
    CHECK_INT(rp_call_soon(loop, &handles[0], increment, NULL), ==, 0);
    rp_set_debug(loop, true);
    CHECK_INT(rp_call_soon(loop, &handles[1], increment, NULL), ==, 0);
    CHECK_INT(rp_call_soon(loop, NULL, increment, NULL), ==, 0);
    CHECK(handles[1].origin != NULL);
    rp_set_debug(loop, false);
    run_turns(1);
    CHECK_INT(count, ==, 3);
    CHECK(handles[1].origin == NULL);
    rp_loop_free(loop);
}

static void *schedule_abroad(void *arg)
{
    rp_op op;
    (void)arg;

    CHECK_INT(rp_call_soon(loop, NULL, increment, NULL), ==, RP_ETHREAD);
    CHECK_INT(rp_call_later(loop, NULL, 0, increment, NULL), ==, RP_ETHREAD);
    CHECK_INT(rp_call_at(loop, NULL, 0, increment, NULL), ==, RP_ETHREAD);
    rp_op_nop(&op, NULL, NULL);
    CHECK_INT(rp_submit(loop, &op), ==, RP_ETHREAD);
    CHECK_INT(rp_add_reader(loop, 0, not_ready, NULL), ==, RP_ETHREAD);
    CHECK_INT(rp_remove_reader(loop, 0), ==, RP_ETHREAD);
    CHECK_INT(rp_call_soon_threadsafe(loop, NULL, increment, NULL), ==, 0);
    return NULL;
}

static void visit_thread(void *arg)
{
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, schedule_abroad, arg), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    stop(NULL);
}

TEST(foreign_threads_in_debug_mode)
{
    make_loop();
    rp_set_debug(loop, true);
    CHECK_INT(rp_call_soon(loop, NULL, visit_thread, NULL), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    run_turns(1);
    CHECK_INT(count, ==, 1);
    rp_loop_free(loop);
}

TEST(nothing_allocated_for_own_handles)
{
    rp_handle handle = {0};
    rp_timer timer = {0};

    make_loop();
    run_turns(1);
    uint64_t before = test_allocations();
    for (int i = 0; i < 100; i++) {
        CHECK_INT(rp_call_soon(loop, &handle, increment, NULL), ==, 0);
        CHECK_INT(rp_call_later(loop, &timer, 0, increment, NULL), ==, 0);
        run_turns(1);
    }
    CHECK_INT(count, ==, 200);
    CHECK_INT(test_allocations(), ==, before);
    rp_loop_free(loop);
}
