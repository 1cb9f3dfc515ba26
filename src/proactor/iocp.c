/*
 * iocp.c - the proactor on Windows' I/O completion port: an operation is an overlapped one, its OVERLAPPED is in
 * the op.
 *
 * What must stay true: an operation in flight has exactly one packet in the port or on its way there
 * (RP_OP_SUBMITTED), or waits for its owner's next move (RP_OP_QUEUED: a receive stream that has something to
 * take), or for its turn in a lane (RP_OP_QUEUED as well), or is among the finished. Whatever completes at once
 * has its packet in the port all the same. A multishot accept has many (iocp_accept.c), and is in flight until the
 * last of them has come.
 *
 * The five sets of asyncio's IocpProactor, and where they are here:
 * - results, completions taken out of the port and not delivered: there are none. No more packets are taken than
 *   the caller has room for; what comes out of the port otherwise is in rp_proactor.finished;
 * - cache, operations in flight by their OVERLAPPED's address: iocp_op_of(), and rp_proactor.operations keeps
 *   them;
 * - registered, handles that are associated with the port: iocp.registered. What the library closes is taken out.
 *   The program may close a handle and get its number again for another one, so that the kernel is asked each time,
 *   but by what lasts; the set tells its answer "this one is associated" from "this one is another port's". Where
 *   the number is old and the handle another proactor's, that gets the packet, and sends it on to the operation's
 *   own;
 * - unregistered, operations whose late completion is to be swallowed: rp_proactor_close() cancels whatever is in
 *   flight, and drops what comes until nothing is: no OVERLAPPED outlives its port;
 * - stopped_serving, listeners that were closed while an accept was pending: the accept ends by itself
 *   (iocp_error()), and what it had accepted is delivered first (iocp_accept.c).
 */
#include "proactor/iocp.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/clock.h"
#include "base/error_windows.h"
#include "base/memory.h"
#include "proactor/iocp_accept.h"
#include "proactor/iocp_child.h"
#include "proactor/iocp_file.h"
#include "proactor/iocp_poll.h"
#include "proactor/iocp_port.h"
#include "proactor/iocp_socket.h"

enum {
    BATCH = 128, /* packets taken from the port at a time */
    ALL_THREADS = 0xffffffff,
    RETRY_MSEC = 10, /* how often a stubborn operation is cancelled */
};

static int64_t start_nop(iocp *i, rp_op *op)
{
    return 0;
}

static const iocp_method nop = {.start = start_nop};

static const iocp_method *const methods[IOCP_OP_KINDS] = {
    [RP_OP_NOP] = &nop,
    [RP_OP_ACCEPT] = &iocp_accept,
    [RP_OP_ACCEPT_MULTI] = &iocp_accept_multi,
    [IOCP_OP_ACCEPT_PART] = &iocp_accept_part,
    [RP_OP_CONNECT] = &iocp_connect,
    [RP_OP_RECV] = &iocp_recv,
    [RP_OP_RECV_STREAM] = &iocp_recv_stream,
    [RP_OP_SEND] = &iocp_send,
    [RP_OP_SENDMSG] = &iocp_send,
    [RP_OP_RECVMSG] = &iocp_recv,
    [RP_OP_SHUTDOWN] = &iocp_shutdown,
    [RP_OP_CLOSE] = &iocp_close,
    [RP_OP_POLL] = &iocp_poll_once,
    [RP_OP_POLL_MULTI] = &iocp_poll_multi,
    [RP_OP_READ] = &iocp_read,
    [RP_OP_WRITE] = &iocp_write,
    [RP_OP_READV] = &iocp_read,
    [RP_OP_WRITEV] = &iocp_write,
    [RP_OP_FSYNC] = &iocp_fsync,
    [RP_OP_OPENAT] = &iocp_by_path,
    [RP_OP_STATX] = &iocp_by_path,
    [RP_OP_WAIT_CHILD] = &iocp_wait_child,
    [RP_OP_RENAMEAT] = &iocp_by_path,
    [RP_OP_UNLINKAT] = &iocp_by_path,
    [RP_OP_MKDIRAT] = &iocp_by_path,
    [RP_OP_SYMLINKAT] = &iocp_by_path,
    [RP_OP_LINKAT] = &iocp_by_path,
    [RP_OP_READLINKAT] = &iocp_by_path,
    [RP_OP_TRUNCATE] = &iocp_by_path,
    [RP_OP_FTRUNCATE] = &iocp_by_path,
};

/* ---- submitting and cancelling ---- */

static void iocp_submit(rp_proactor *proactor, rp_op *op)
{
    iocp *i = (iocp *)proactor;

    memset(op->scratch, 0, sizeof op->scratch);
    op->state = RP_OP_SUBMITTED;
    int64_t result = methods[op->kind]->start(i, op);
    if (result != IOCP_PENDING)
        rp_op_finish(proactor, op, result);
}

static void iocp_cancel(rp_proactor *proactor, rp_op *op)
{
    iocp *i = (iocp *)proactor;

    if (op->state == RP_OP_QUEUED && !rp_node_linked(&op->queue)) { /* it waits for its owner */
        rp_op_finish(proactor, op, -ECANCELED);
        return;
    }
    if (op->phase & IOCP_CANCELLED)
        return;
    op->phase |= IOCP_CANCELLED;
    if (op->phase & IOCP_POLLING)
        iocp_poll_cancel(i, op);
    else if (methods[op->kind]->cancel)
        methods[op->kind]->cancel(i, op);
    else
        CancelIoEx((HANDLE)op->fd,
                   &iocp_extra_of(op)->overlapped); /* finds nothing if its packet is in the port */
}

/* However much comes out of the port meanwhile: every so often. */
static void cancel_stubborn(iocp *i)
{
    int64_t now;

    if (rp_list_empty(&i->stubborn))
        return;
    now = rp_proactor_now(&i->base);
    if (now < i->ask_again)
        return;
    i->ask_again = now + RP_MSEC(RETRY_MSEC);
    for (rp_node *node = i->stubborn.next; node != &i->stubborn; node = node->next)
        iocp_file_interrupt(i, iocp_op_of(&rp_container_of(node, iocp_extra, u.file.stubborn)->overlapped));
}

/* ---- waiting ---- */

/* A packet of an operation, or of a part of one. Returns how many completions it makes: 0 or 1. */
static int collect(iocp *i, rp_op *from, size_t bytes, rp_completion *completion)
{
    rp_op *op = from->kind == IOCP_OP_ACCEPT_PART ? from->data : from;
    const iocp_method *method = methods[op->kind];
    NTSTATUS status = (NTSTATUS)iocp_extra_of(from)->overlapped.Internal;
    const iocp *owner = op->owner;

    if (owner != i) {
        iocp_post_packet(owner->port, IOCP_KEY_OP, bytes, &iocp_extra_of(from)->overlapped);
        return 0;
    }
    int64_t result = methods[from->kind]->collect(i, from, status, bytes);
    if (result == IOCP_PENDING)
        return 0;
    if (result < 0 || !method->resume) {
        rp_op_complete(&i->base, op, completion, result, 0);
        return 1;
    }
    rp_op_complete(&i->base, op, completion, result, RP_OP_MORE);
    method->resume(i, op);
    return 1;
}

/* The time to wait in milliseconds, rounded up: it must not end before the deadline. */
static DWORD milliseconds_until(const iocp *i, int64_t deadline)
{
    int64_t left = deadline == RP_NEVER ? RP_NEVER : rp_time_left(rp_proactor_now(&i->base), deadline);
    int64_t msec = left / 1000000 + (left % 1000000 != 0);

    if (!rp_list_empty(&i->stubborn) && msec > RETRY_MSEC)
        return RETRY_MSEC;
    if (left == RP_NEVER)
        return INFINITE;
    return msec < INT_MAX ? (DWORD)msec : INT_MAX;
}

/* Takes packets out of the port, at most `room`: how many, or an error. The count is left at 1 by a time-out. */
static int ask_port(iocp *i, OVERLAPPED_ENTRY *entries, int room, DWORD milliseconds)
{
    ULONG count;

    i->base.kernel_entries++;
    if (GetQueuedCompletionStatusEx(i->port, entries, (ULONG)room, &count, milliseconds, FALSE))
        return (int)count;
    return GetLastError() == WAIT_TIMEOUT ? 0 : rp_error_last();
}

/* Waits for packets until the deadline. The timer is set only when there is nothing to be taken at once. */
static int take_packets(iocp *i, OVERLAPPED_ENTRY *entries, int room, int64_t deadline)
{
    bool is_set = deadline == 0 || deadline == RP_NEVER || iocp_timer_is_set(&i->timer, deadline);

    for (;;) {
        cancel_stubborn(i);
        int count = ask_port(i, entries, room, is_set ? milliseconds_until(i, deadline) : 0);

        if (count != 0 || deadline == 0)
            return count;
        int64_t left = deadline == RP_NEVER ? RP_NEVER : rp_time_left(rp_proactor_now(&i->base), deadline);
        if (left == 0)
            return 0;
        if (!is_set)
            iocp_timer_set(&i->timer, i->port, IOCP_KEY_TIMER, deadline, left);
        is_set = true;
    }
}

static int enter(iocp *i, rp_completion *completions, int capacity, int64_t deadline)
{
    OVERLAPPED_ENTRY entries[BATCH];
    int count = take_packets(i, entries, capacity < BATCH ? capacity : BATCH, deadline);
    int n = 0;

    rp_proactor_awake(&i->base);
    for (int k = 0; k < count; k++)
        if (entries[k].lpCompletionKey == IOCP_KEY_OP)
            n += collect(i, iocp_op_of(entries[k].lpOverlapped), entries[k].dwNumberOfBytesTransferred,
                         &completions[n]);
        else if (entries[k].lpCompletionKey == IOCP_KEY_TIMER)
            iocp_timer_came(&i->timer);
    return count < 0 ? count : n;
}

static int iocp_wait(rp_proactor *proactor, rp_completion *completions, int capacity, int64_t deadline)
{
    iocp *i = (iocp *)proactor;

    if (!rp_list_empty(&proactor->finished))
        deadline = 0;
    if (deadline == 0 && proactor->in_flight == 0) { /* nothing can come from the port but a wake-up */
        rp_proactor_awake(proactor);
        return 0;
    }
    deadline = rp_proactor_fall_asleep(proactor, deadline);
    /* Neither the port's completions nor the finished ones can keep the others from being delivered. */
    int room = rp_list_empty(&proactor->finished) ? capacity : (capacity + 1) / 2;
    int n = enter(i, completions, room, deadline);
    int rc = n < 0 ? n : 0;
    if (n < 0)
        n = 0;
    n += rp_proactor_take_finished(proactor, completions + n, capacity - n);
    return n == 0 ? rc : n;
}

static void iocp_closing(rp_proactor *proactor, rp_fd fd)
{
    iocp_forget((iocp *)proactor, fd);
}

static void iocp_kick(rp_proactor *proactor)
{
    iocp_post_packet(((iocp *)proactor)->port, IOCP_KEY_WAKE, 0, NULL);
}

/* ---- opening and closing ---- */

static int load_function(SOCKET socket, GUID id, void *function, DWORD size)
{
    DWORD length;

    return WSAIoctl(socket, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, function, size, &length, NULL,
                    NULL) != 0
               ? rp_winsock_error((rp_fd)socket)
               : 0;
}

static int load_functions(iocp *i)
{
    rp_fd fd;
    int rc = rp_kernel_open(i->base.kernel, AF_INET, SOCK_STREAM, IPPROTO_TCP, &fd);

    if (rc < 0)
        return rc;
    rc = load_function((SOCKET)fd, (GUID)WSAID_ACCEPTEX, &i->accept, sizeof i->accept);
    if (rc == 0)
        rc = load_function((SOCKET)fd, (GUID)WSAID_CONNECTEX, &i->connect, sizeof i->connect);
    rp_kernel_close(i->base.kernel, fd);
    return rc;
}

static void iocp_close_(rp_proactor *proactor)
{
    iocp *i = (iocp *)proactor;

    rp_pool_free(i->pool);
    rp_pool_free(i->patient);
    if (i->afd)
        CloseHandle(i->afd);
    iocp_timer_close(&i->timer);
    if (i->port)
        CloseHandle(i->port);
    rp_free(i->registered);
}

static int iocp_open(rp_proactor *proactor, const rp_proactor_options *options)
{
    iocp *i = (iocp *)proactor;

    rp_lanes_init(&i->lanes);
    rp_list_init(&i->stubborn);
    iocp_timer_open(&i->timer);
    i->port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0,
                                     options->concurrency != 0 ? options->concurrency : ALL_THREADS);
    int rc = i->port ? load_functions(i) : rp_error_last();
    if (rc < 0)
        iocp_close_(proactor);
    return rc;
}

const rp_backend rp_iocp_backend = {
    .name = "iocp",
    .size = sizeof(iocp),
    .open = iocp_open,
    .close = iocp_close_,
    .submit = iocp_submit,
    .cancel = iocp_cancel,
    .closing = iocp_closing,
    .wait = iocp_wait,
    .kick = iocp_kick,
    .receive = iocp_receive,
};
