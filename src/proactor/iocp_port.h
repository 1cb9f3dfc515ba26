/*
 * iocp_port.h - the completion port, what is associated with it, its packets, and what the backend keeps in an
 * operation.
 */
#ifndef RP_PROACTOR_IOCP_PORT_H
#define RP_PROACTOR_IOCP_PORT_H

#include "base/socket.h"
/* After it: */
#include <winternl.h>

#include "base/pool.h"
#include "proactor/backend.h"
#include "proactor/iocp_timer.h"
#include "proactor/lanes.h"
#include "proactor/winsock.h"

/* In place of a result: a packet of the operation will come out of the port. */
#define IOCP_PENDING INT64_MIN

/* Packets' statuses that are more than errors. (<ntstatus.h> and <windows.h> do not go together.) */
enum {
    IOCP_STATUS_OVERFLOW = (int)0x80000005,       /* a datagram or message was longer than its buffer */
    IOCP_STATUS_HANDLES_CLOSED = (int)0x8000000a, /* what Wine says of a socket that was closed under it */
    IOCP_STATUS_END_OF_FILE = (int)0xc0000011,
    IOCP_STATUS_CANCELLED = (int)0xc0000120,
};

/* A kind of the backend's own, behind the public ones: a part of a multishot accept, which is its `data`. */
enum { IOCP_OP_ACCEPT_PART = RP_OP_KINDS_, IOCP_OP_KINDS };

/* rp_op.phase */
enum {
    IOCP_CANCELLED = 1 << 0, /* its end was asked for: it does not go on */
    IOCP_POLLING = 1 << 1,   /* its packet is that of a poll for readiness */
    IOCP_POOLED = 1 << 2,    /* its packet is posted by a thread of the pool */
    IOCP_SOCKET = 1 << 3,    /* a read or write, and the descriptor is a socket */
    IOCP_PIPE = 1 << 4,      /* a connect, and the descriptor is an instance of a named pipe */
};

/* What the socket driver wants to be asked, and answers. */
typedef struct iocp_poll {
    LARGE_INTEGER timeout;
    ULONG count;
    ULONG exclusive;
    HANDLE handle;
    ULONG events;
    NTSTATUS status;
} iocp_poll;

/* The scratch space of an operation. */
typedef struct iocp_extra {
    OVERLAPPED overlapped; /* what is in flight: the port hands its address back */
    union {
        struct {
            rp_fd socket; /* the next connection's */
            int family;   /* of the listener */
            int protocol;
            struct iocp_accept_parts *parts; /* of a multishot one */
        } accept;
        struct {
            size_t done;        /* bytes, of a transfer that goes on after a part */
            DWORD flags;        /* recv's: the kernel reads them */
            bool fills;         /* a receive that ends only when its buffer is full */
            uint32_t name_room; /* for the sender's address */
            iocp_poll poll;
        } transfer;
        struct {
            int error; /* that the notification has consumed: for rp_op_receive() */
        } stream;
        struct {
            iocp_poll poll;
            bool is_file; /* always ready */
        } poll;
        struct {
            rp_node stubborn; /* see iocp.stubborn */
            union {
                struct {
                    size_t done;
                    size_t piece; /* bytes that are being read or written now */
                } port;
                struct {
                    rp_work work;
                    int64_t result;
                } pool;
            };
            bool is_disk;        /* has positions */
            bool is_pipe;        /* what is neither is a device */
            bool is_synchronous; /* does one thing at a time, by blocking */
        } file;
        struct {
            HANDLE process;
            HANDLE wait;
            HANDLE port;
            atomic_bool posted;
        } child;
    } u;
} iocp_extra;

_Static_assert(sizeof(iocp_extra) <= sizeof((rp_op *)NULL)->scratch,
               "an operation's scratch space holds the extra");

typedef struct iocp {
    rp_proactor base;
    HANDLE port;
    HANDLE afd;           /* the socket driver, for polls; NULL until the first */
    uint64_t *registered; /* a bit for each handle that was associated with the port */
    size_t registered_words;
    rp_lanes lanes;    /* operations on files */
    rp_node stubborn;  /* of these, what is to end and blocks a thread of the pool, by u.file.stubborn */
    int64_t ask_again; /* when Windows is asked for their end again */
    rp_pool *pool;     /* of what ends by itself; made on first use */
    rp_pool *patient;  /* of what waits for others, such as the far end of a pipe; the same */
    iocp_timer timer;
    LPFN_ACCEPTEX accept;
    LPFN_CONNECTEX connect;
    /* Addresses that nobody reads: the system may write those of several accepts here at once. */
    char accept_sink[2 * (sizeof(struct sockaddr_storage) + 16)];
} iocp;

/* What an operation of one kind does. */
typedef struct iocp_method {
    /* Starts it: its result, or IOCP_PENDING. */
    int64_t (*start)(iocp *i, rp_op *op);
    /* Its packet has come: the result, or IOCP_PENDING if it goes on. */
    int64_t (*collect)(iocp *i, rp_op *op, NTSTATUS status, size_t bytes);
    /* Of a multishot one, whose result is being delivered: it goes on. */
    void (*resume)(iocp *i, rp_op *op);
    /* NULL: the overlapped operation on its descriptor is cancelled. */
    void (*cancel)(iocp *i, rp_op *op);
} iocp_method;

static inline iocp_extra *iocp_extra_of(rp_op *op)
{
    return (iocp_extra *)op->scratch;
}

static inline rp_op *iocp_op_of(OVERLAPPED *overlapped)
{
    return rp_container_of(rp_container_of(overlapped, iocp_extra, overlapped), rp_op, scratch);
}

/* The completion keys of packets. */
enum { IOCP_KEY_WAKE, IOCP_KEY_OP, IOCP_KEY_TIMER };

/* Posts a packet; any thread. */
void iocp_post_packet(HANDLE port, ULONG_PTR key, size_t bytes, OVERLAPPED *overlapped);

/* Posts the operation's packet with this status. Any thread. */
void iocp_post(HANDLE port, rp_op *op, NTSTATUS status);

/*
 * Associates a handle with the port, unless it is: 1 if it was not, 0 if it was, or an error: -EBUSY if it cannot be or
 * is another port's.
 */
int iocp_associate(iocp *i, rp_fd fd);

/* The handle is about to be closed. */
void iocp_forget(iocp *i, rp_fd fd);

/* The packet's status as an error, or 0. A descriptor that was closed under the operation is -EBADF. */
int iocp_error(const rp_op *op, NTSTATUS status);

#endif
