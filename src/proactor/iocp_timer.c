/*
 * iocp_timer.c - a deadline that the port tells by a packet: a high-resolution timer that is tied to it.
 *
 * The time-outs of Windows' own waits end with the system's clock tick, each 15.6 ms. A wait has such a time-out all
 * the same: it is all that there is where Windows has no such timer, or does not grant it this time.
 *
 * What must stay true: there is one packet, which comes once after it was tied, and not after `deadline`. It is never
 * taken back. To bring it forward, the timer is set anew, whose waits outlive that. A deadline that is put off leaves
 * it where it is. Either way it may come before the wait's deadline, for an earlier one: the wait looks at the clock,
 * and goes on.
 */
#include "proactor/iocp_timer.h"

enum { HIGH_RESOLUTION = 2 /* CREATE_WAITABLE_TIMER_HIGH_RESOLUTION, which is new to headers */ };

iocp_packet_calls iocp_packets;

__attribute__((constructor)) static void find_calls(void)
{
    HMODULE ntdll = GetModuleHandleA("ntdll.dll");

    iocp_packets.create = (iocp_create_packet *)(uintptr_t)GetProcAddress(ntdll, "NtCreateWaitCompletionPacket");
    iocp_packets.associate =
        (iocp_associate_packet *)(uintptr_t)GetProcAddress(ntdll, "NtAssociateWaitCompletionPacket");
}

void iocp_timer_open(iocp_timer *timer)
{
    if (!iocp_packets.create || !iocp_packets.associate)
        return;
    timer->timer =
        CreateWaitableTimerExW(NULL, NULL, HIGH_RESOLUTION, SYNCHRONIZE | TIMER_QUERY_STATE | TIMER_MODIFY_STATE);
    if (timer->timer && !NT_SUCCESS(iocp_packets.create(&timer->packet, GENERIC_ALL, NULL))) {
        CloseHandle(timer->timer);
        timer->timer = NULL;
    }
}

void iocp_timer_close(iocp_timer *timer)
{
    if (!timer->timer)
        return;
    CloseHandle(timer->packet); /* which ends the wait */
    CloseHandle(timer->timer);
}

void iocp_timer_set(iocp_timer *timer, HANDLE port, ULONG_PTR key, int64_t deadline, int64_t left)
{
    LARGE_INTEGER due = {.QuadPart = -(left / 100 + (left % 100 != 0))}; /* from now, rounded up */

    if (!SetWaitableTimer(timer->timer, &due, 0, NULL, NULL, FALSE))
        return;
    timer->deadline = deadline;
    if (!timer->tied)
        timer->tied =
            NT_SUCCESS(iocp_packets.associate(timer->packet, port, timer->timer, (void *)key, NULL, 0, 0, NULL));
}
