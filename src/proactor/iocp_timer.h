/*
 * iocp_timer.h - a deadline that the port tells by a packet.
 */
#ifndef RP_PROACTOR_IOCP_TIMER_H
#define RP_PROACTOR_IOCP_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/socket.h"
/* After it: */
#include <winternl.h>

typedef struct iocp_timer {
    HANDLE timer;  /* NULL: there is none */
    HANDLE packet; /* the wait for it */
    bool tied;     /* the packet is to come, or in the port */
    int64_t deadline;
} iocp_timer;

/* Functions of ntdll that are no part of its import library, nor of each Windows: NULL where they are missing. */
typedef NTSTATUS NTAPI iocp_create_packet(HANDLE *packet, ACCESS_MASK access, OBJECT_ATTRIBUTES *attributes);
typedef NTSTATUS NTAPI iocp_associate_packet(HANDLE packet, HANDLE port, HANDLE object, void *key,
                                             void *overlapped, NTSTATUS status, ULONG_PTR bytes,
                                             BOOLEAN *is_signalled);
typedef struct iocp_packet_calls {
    iocp_create_packet *create;
    iocp_associate_packet *associate;
} iocp_packet_calls;

/* Found before main(). Tests play them. */
extern iocp_packet_calls iocp_packets;

/* Without a timer, if the system has none of that kind. */
void iocp_timer_open(iocp_timer *timer);
void iocp_timer_close(iocp_timer *timer);

/* Whether a packet will come by then: there is nothing to set. So it is where there is no timer. */
static inline bool iocp_timer_is_set(const iocp_timer *timer, int64_t deadline)
{
    return !timer->timer || (timer->tied && timer->deadline <= deadline);
}

/* Has the port get a packet with this key at the deadline, so many nanoseconds from now. If that fails, none comes. */
void iocp_timer_set(iocp_timer *timer, HANDLE port, ULONG_PTR key, int64_t deadline, int64_t left);

/* That packet has come. It may be one of an earlier deadline. */
static inline void iocp_timer_came(iocp_timer *timer)
{
    timer->tied = false;
}

#endif
