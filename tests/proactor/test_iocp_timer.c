/*
 * test_iocp_timer.c - deadlines that the port tells by a packet. Wine has no such packets: tests play the functions.
 */
#include "proactor/iocp_port.h"
#include "base/thread.h"
#include "harness/support.h"

/* ---- the system's functions, as they are called ---- */

typedef WINAPI BOOL ask(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG room, ULONG *count, DWORD msec,
                        BOOL alertable);
typedef WINAPI BOOL set(HANDLE timer, const LARGE_INTEGER *due, LONG period, PTIMERAPCROUTINE routine, void *arg,
                        BOOL resume);

static bool is_endless; /* no wait ends by its own time-out */
static int asked, asked_to_wait, times_set, sets_to_fail;
static int64_t last_due; /* in units of 100 ns, from when it was set */

static WINAPI BOOL ask_port(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG room, ULONG *count, DWORD msec,
                            BOOL alertable)
{
    ask *real = (ask *)(void *)GetProcAddress(GetModuleHandleA("kernel32"), "GetQueuedCompletionStatusEx");

    asked++;
    asked_to_wait += msec != 0;
    return real(port, entries, room, count, is_endless && msec != 0 ? INFINITE : msec, alertable);
}

static WINAPI BOOL set_timer(HANDLE timer, const LARGE_INTEGER *due, LONG period, PTIMERAPCROUTINE routine,
                             void *arg, BOOL resume)
{
    set *real = (set *)(void *)GetProcAddress(GetModuleHandleA("kernel32"), "SetWaitableTimer");

    times_set++;
    last_due = -due->QuadPart;
    return sets_to_fail > 0 && sets_to_fail-- > 0 ? FALSE : real(timer, due, period, routine, arg, resume);
}

ask *__imp_GetQueuedCompletionStatusEx = ask_port; /* the pointers that they are called through */
set *__imp_SetWaitableTimer = set_timer;

/* ---- packets ---- */

static HANDLE the_packet, its_port, its_wait;
static ULONG_PTR its_key;
static atomic_bool is_tied;
static int times_tied;
static NTSTATUS answer;
static bool comes_at_once, comes_by_hand;

static NTAPI NTSTATUS create(HANDLE *packet, ACCESS_MASK access, OBJECT_ATTRIBUTES *attributes)
{
    if (answer != 0)
        return answer;
    *packet = the_packet = CreateEventA(NULL, FALSE, FALSE, NULL); /* any handle that can be closed */
    return 0;
}

/* The timer has been waited for: the wait ends with that, and the packet is in the port. */
static void post(void)
{
    atomic_store(&is_tied, false);
    CHECK(PostQueuedCompletionStatus(its_port, 0, its_key, NULL));
}

static void CALLBACK on_signalled(void *arg, BOOLEAN timed_out)
{
    post();
}

static void end_wait(void)
{
    if (its_wait)
        UnregisterWaitEx(its_wait, INVALID_HANDLE_VALUE);
    its_wait = NULL;
}

static NTAPI NTSTATUS associate(HANDLE packet, HANDLE port, HANDLE object, void *key, void *overlapped,
                                NTSTATUS status, ULONG_PTR bytes, BOOLEAN *is_signalled)
{
    CHECK(packet == the_packet && !overlapped);
    CHECK(!atomic_load(&is_tied)); /* Windows refuses a packet that is on its way */
    if (answer != 0)
        return answer;
    times_tied++;
    its_port = port;
    its_key = (ULONG_PTR)key;
    atomic_store(&is_tied, true);
    end_wait();
    if (comes_at_once)
        post();
    else if (!comes_by_hand)
        CHECK(RegisterWaitForSingleObject(&its_wait, object, on_signalled, NULL, INFINITE,
                                          WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD));
    return 0;
}

static rp_proactor *open_with_packets(void)
{
    iocp_packets = (iocp_packet_calls){create, associate};
    rp_proactor *port = open_port();

    asked = asked_to_wait = times_set = times_tied = 0;
    return port;
}

static void close_with_packets(rp_proactor *port)
{
    end_wait();
    rp_proactor_close(port);
}

static void wake_asleep(void *arg)
{
    rp_proactor *port = arg;

    while (atomic_load(&port->wake_state) != RP_ASLEEP || asked_to_wait == 0)
        Sleep(1);
    rp_proactor_wake(port);
}

/* Sleeps with a deadline that is far away, until another thread wakes it. */
static void sleep_for_a_while(rp_proactor *port, int64_t deadline)
{
    asked_to_wait = 0;
    CHECK_INT(rp_thread_start(wake_asleep, port), ==, 0);
    CHECK_INT(collect_once(port, deadline), ==, 0);
}

/* Sleeps until deadlines, the next one farther away, until one has come that was not over before it was begun. */
static void sleep_until(rp_proactor *port, const int *count)
{
    for (int64_t time = RP_MSEC(2), before = *count; *count == before; time *= 2) {
        int64_t deadline = rp_monotonic() + time;

        CHECK_INT(collect_once(port, deadline), ==, 0);
        CHECK_INT(rp_monotonic(), >=, deadline);
    }
}

/* ---- tests ---- */

/* By nothing else: the waits have no end of their own. */
TEST(a_deadline_ends_a_wait_by_its_packet)
{
    rp_proactor *port = open_with_packets();

    is_endless = true;
    for (int i = 1; i <= 40; i++) {
        int64_t deadline = rp_monotonic() + RP_USEC(137) * i;

        CHECK_INT(collect_once(port, deadline), ==, 0);
        CHECK_INT(rp_monotonic(), >=, deadline);
    }
    sleep_until(port, &times_tied);
    close_with_packets(port);
}

/* What a timer is set to is rounded up: it may be no packet early, not even by its unit. */
TEST(the_timer_is_set_to_no_less_than_the_time_left)
{
    HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    iocp_timer timer = {.tied = false};

    iocp_packets = (iocp_packet_calls){create, associate};
    comes_by_hand = true;
    iocp_timer_open(&timer);
    iocp_timer_set(&timer, port, 7, 1, 1);
    CHECK_INT(last_due, ==, 1);
    iocp_timer_set(&timer, port, 7, 1, 100);
    CHECK_INT(last_due, ==, 1);
    iocp_timer_set(&timer, port, 7, 1, 101);
    CHECK_INT(last_due, ==, 2);
    iocp_timer_set(&timer, port, 7, 1, RP_NEVER - 1);
    CHECK_INT(last_due, ==, INT64_MAX / 100 + 1);
    CHECK_INT(times_tied, ==, 1);
    iocp_timer_close(&timer);
    CloseHandle(port);
}

/* Where something is there to be taken, no timer is set, and nothing is asked twice. */
TEST(a_turn_that_does_not_sleep_makes_one_call)
{
    rp_proactor *port = open_with_packets();

    for (int i = 0; i < 10; i++) {
        int before = asked;

        iocp_post_packet(((iocp *)port)->port, IOCP_KEY_WAKE, 0, NULL);
        CHECK_INT(port->backend->wait(port, pending, MAX_PENDING, rp_monotonic() + RP_SEC(1000)), ==, 0);
        CHECK_INT(asked - before, ==, 1);
    }
    CHECK_INT(times_set, ==, 0);
    CHECK_INT(times_tied, ==, 0);
    close_with_packets(port);
}

/* One is set once, however many waits end before it; a later one need not be set, an earlier one must. */
TEST(a_deadline_that_stays_or_is_put_off_is_not_set_again)
{
    rp_proactor *port = open_with_packets();
    int64_t deadline = rp_monotonic() + RP_SEC(1000);

    comes_by_hand = true;
    for (int i = 0; i < 5; i++)
        sleep_for_a_while(port, deadline);
    CHECK_INT(times_set, ==, 1);
    CHECK_INT(times_tied, ==, 1);
    for (int i = 0; i < 5; i++)
        sleep_for_a_while(port, deadline + RP_SEC(1) * i);
    CHECK_INT(times_set, ==, 1);
    sleep_for_a_while(port, deadline - RP_SEC(1));
    CHECK_INT(times_set, ==, 2);
    CHECK_INT(times_tied, ==, 1); /* it is on its way already */
    close_with_packets(port);
}

/* The packet of an earlier deadline ends no wait, and the timer is tied anew. */
TEST(a_packet_that_comes_late_is_dropped)
{
    rp_proactor *port = open_with_packets();

    comes_by_hand = true;
    sleep_for_a_while(port, rp_monotonic() + RP_SEC(1000));
    post();
    comes_by_hand = false;
    is_endless = true;
    CHECK_INT(times_tied, ==, 1);
    sleep_until(port, &times_tied);
    close_with_packets(port);
}

/* Whatever the timer's clock says. */
TEST(a_packet_that_comes_early_ends_no_wait)
{
    rp_proactor *port = open_with_packets();

    comes_at_once = true;
    sleep_until(port, &times_tied);
    close_with_packets(port);
}

/* One that is in the port takes no completion's place for good, and does not outlive the port. */
TEST(packets_among_completions)
{
    rp_proactor *port = open_with_packets();
    rp_completion completion;
    rp_op ops[3];

    comes_by_hand = true;
    sleep_for_a_while(port, rp_monotonic() + RP_SEC(1000));
    post();
    for (int i = 0; i < 3; i++) {
        rp_op_nop(&ops[i], NULL, NULL);
        submit(port, &ops[i]);
    }
    for (int n = 0; n < 3;) {
        int rc = rp_proactor_wait(port, &completion, 1, rp_monotonic() + RP_SEC(1000));
        CHECK_INT(rc, ==, 1);
        n += rc;
    }
    sleep_for_a_while(port, rp_monotonic() + RP_SEC(1000));
    post();
    close_with_packets(port);
}

/* Then a wait ends by its own time-out, as where there is no such timer. */
TEST(what_the_system_refuses_is_done_without)
{
    enum { NO_RESOURCES = (int)0xC000009A };

    answer = NO_RESOURCES;
    rp_proactor *port = open_with_packets();
    sleep_until(port, &asked_to_wait);
    CHECK_INT(times_set, ==, 0);
    close_with_packets(port);

    answer = 0;
    port = open_with_packets();
    answer = NO_RESOURCES;
    sleep_until(port, &times_set);
    answer = 0;
    sets_to_fail = 1;
    sleep_until(port, &times_set);
    CHECK_INT(sets_to_fail, ==, 0);
    CHECK_INT(times_tied, ==, 0);
    is_endless = true; /* it is there again when the system grants it */
    sleep_until(port, &times_tied);
    close_with_packets(port);
}

TEST(windows_without_packets_does_without)
{
    iocp_packets = (iocp_packet_calls){NULL, NULL};
    rp_proactor *port = open_port();

    CHECK(!((iocp *)port)->timer.timer);
    sleep_until(port, &asked_to_wait);
    CHECK_INT(times_set, ==, 0);
    rp_proactor_close(port);
}
