/*
 * test_real_time.c - how exact deadlines are: Windows' time-outs have a grain of 15.6 ms, its newer timers have not.
 */
#include <stdio.h>

#include "proactor/iocp_port.h"
#include "harness/support.h"

enum { SLEEPS = 200 };

typedef struct lateness {
    int64_t best, sum, worst;
} lateness;

/* How late waits end that have a deadline in a millisecond. */
static lateness measure(rp_proactor *port)
{
    lateness late = {.best = RP_NEVER};

    for (int i = 0; i < SLEEPS; i++) {
        int64_t deadline = rp_monotonic() + RP_MSEC(1);

        CHECK_INT(collect_once(port, deadline), ==, 0);
        int64_t by = rp_monotonic() - deadline;
        CHECK_INT(by, >=, 0);
        late.best = by < late.best ? by : late.best;
        late.worst = by > late.worst ? by : late.worst;
        late.sum += by;
    }
    return late;
}

static void print(const char *what, lateness late)
{
    printf("# %s: late by %.3f ms at best, %.3f ms on average, %.3f ms at worst\n", what, (double)late.best / 1e6,
           (double)late.sum / SLEEPS / 1e6, (double)late.worst / 1e6);
}

/* Each wait begins when the one before has ended, just after a tick: by ticks, the next one ends a whole tick later. */
TEST(deadlines_are_not_tied_to_the_systems_tick)
{
    test_need_real_windows("there are no packets of waits");
    CHECK(iocp_packets.create && iocp_packets.associate);
    rp_proactor *port = open_port();
    CHECK(((iocp *)port)->timer.timer);
    lateness late = measure(port);
    print("with the timer", late);
    rp_proactor_close(port);
    iocp_packets = (iocp_packet_calls){NULL, NULL};
    port = open_port();
    print("by time-outs alone", measure(port));
    rp_proactor_close(port);
    CHECK_INT(late.best, <, RP_MSEC(8));
}

/* The timer's wait goes on when the timer is set anew: or a deadline that is brought forward would be told late. */
TEST(a_timer_that_is_set_anew_is_still_waited_for)
{
    HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    iocp_timer timer = {.tied = false};
    OVERLAPPED_ENTRY entry;
    ULONG count;

    test_need_real_windows("there are no packets of waits");
    iocp_timer_open(&timer);
    for (int i = 0; i < 50; i++) {
        iocp_timer_set(&timer, port, 7, 2, RP_SEC(1000));
        CHECK(timer.tied);
        iocp_timer_set(&timer, port, 7, 1, RP_MSEC(1));
        CHECK(GetQueuedCompletionStatusEx(port, &entry, 1, &count, INFINITE, FALSE));
        CHECK_INT(count, ==, 1);
        CHECK_INT(entry.lpCompletionKey, ==, 7);
        iocp_timer_came(&timer);
        CHECK(!GetQueuedCompletionStatusEx(port, &entry, 1, &count, 0, FALSE)); /* it comes once */
    }
    iocp_timer_set(&timer, port, 7, 1,
                   RP_MSEC(1)); /* a packet that is on its way goes with its handle, or the port */
    iocp_timer_close(&timer);
    CloseHandle(port);
    printf("# a timer that was set anew was waited for, 50 times of 50\n");
}
