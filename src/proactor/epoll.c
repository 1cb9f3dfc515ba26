/*
 * epoll.c - the proactor on readiness: an operation is tried first, and waits for readiness only if it would block.
 *
 * Each descriptor has a port (epoll_port.h) with the operations that wait on it, in order. It is registered once,
 * edge-triggered, for as long as operations wait. An edge makes the waiting operations try again. The owner may close
 * and reuse a number while nothing waits on it. So the first operation to wait asks the kernel anew: EPOLL_CTL_MOD
 * also reports readiness that is there already, so that no edge is lost. Room to send is asked for only when
 * something waits for it: sockets that are not TCP's announce it each time their peer has taken something, needed or
 * not.
 *
 * File operations, and whatever epoll refuses, block threads instead (performer.h).
 *
 * What must stay true: an operation in flight waits on a port (RP_OP_QUEUED), or is with the performer
 * (RP_OP_SUBMITTED, or in a lane), or is among the finished. A multishot operation stays on its port; while it has
 * something to deliver its second node is in `signalled`.
 */
#include "proactor/epoll.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "proactor/child_posix.h"
#include "proactor/epoll_port.h"
#include "proactor/file_posix.h"
#include "proactor/performer.h"
#include "proactor/ready.h"
#include "proactor/receive_stream.h"

enum {
    EVENTS = 128, /* taken from the kernel at a time */
    /* While there is something else to do, the kernel is asked again after so many nanoseconds, or waits in between: */
    ASK_AFTER = 50 * 1000,
    MOST_SKIPPED = 63,
    /* What is registered: input always, more when it is waited for. */
    INPUT = EPOLLIN | EPOLLPRI | EPOLLRDHUP,
    REGISTERED = INPUT | EPOLLOUT,
};

typedef struct epoll {
    rp_proactor base;
    epoll_ports ports;
    int wake_fd;       /* an eventfd */
    bool milliseconds; /* there is no epoll_pwait2(): a kernel before 5.11 */
    size_t waiting;    /* operations that wait on ports */
    rp_node signalled; /* multishot operations with something to deliver, by their second nodes */
    rp_performer performer;
} epoll;

/* The scratch space of a multishot operation. */
typedef struct extra {
    rp_node signalled; /* its second node; the first, `queue`, is on the port */
} extra;

_Static_assert(sizeof(extra) <= sizeof((rp_op *)NULL)->scratch, "an operation's scratch space holds the extra");

static extra *extra_of(rp_op *op)
{
    return (extra *)op->scratch;
}

/* ---- waiting on ports ---- */

static void epoll_forget(rp_proactor *proactor, rp_fd fd)
{
    epoll *e = (epoll *)proactor;
    epoll_port *p = epoll_ports_find(&e->ports, fd);

    if (p && rp_list_empty(&p->waiting))
        epoll_port_retract(&e->ports, p, fd);
}

/* Ends an operation that waits no more. A child's descriptor is closed with it. */
static void finish(epoll *e, rp_op *op, int64_t result)
{
    if (op->kind == RP_OP_WAIT_CHILD && op->fd >= 0) {
        epoll_forget(&e->base, op->fd);
        rp_child_close(op);
    }
    rp_op_finish(&e->base, op, result);
}

static void wait_on_port(epoll *e, rp_op *op)
{
    uint32_t events = INPUT | (rp_ready_direction(op) & REGISTERED);
    int rc = epoll_ports_make(&e->ports, op->fd);
    epoll_port *p = epoll_ports_find(&e->ports, op->fd);

    if (rc == 0 && rp_list_empty(&p->waiting))
        rc = epoll_port_register(&e->ports, p, op->fd, events);
    else if (rc == 0 && events & ~p->registered)
        rc = epoll_port_register(&e->ports, p, op->fd, events | p->registered);
    if (rc == -EPERM && (op->kind == RP_OP_POLL || op->kind == RP_OP_POLL_MULTI))
        rc = 0; /* as files are, whose readiness never changes: there will be no edges */
    if (rc < 0) {
        finish(e, op, rc);
        return;
    }
    assert(!rp_node_linked(&op->queue));
    op->state = RP_OP_QUEUED;
    rp_list_push(&p->waiting, &op->queue);
    e->waiting++;
}

static void leave_port(epoll *e, rp_op *op)
{
    assert(op->state == RP_OP_QUEUED && e->waiting > 0);
    rp_list_remove(&op->queue);
    e->waiting--;
}

/* Whether it is served in order with others of its direction, as is what takes something in or sends it out. */
static bool is_ordered(const rp_op *op)
{
    switch (op->kind) {
    case RP_OP_ACCEPT:
    case RP_OP_RECV:
    case RP_OP_SEND:
    case RP_OP_SENDMSG:
    case RP_OP_RECVMSG:
    case RP_OP_READ:
    case RP_OP_WRITE:
    case RP_OP_READV:
    case RP_OP_WRITEV:
        return true;
    default:
        return false;
    }
}

/* Whether one that goes first waits on the descriptor. */
static bool must_queue(const epoll *e, const rp_op *op)
{
    const epoll_port *p = epoll_ports_find(&e->ports, op->fd);

    if (!p || !is_ordered(op))
        return false;
    for (const rp_node *node = p->waiting.next; node != &p->waiting; node = node->next) {
        const rp_op *other = rp_container_of(node, rp_op, queue);

        if (is_ordered(other) && rp_ready_direction(other) == rp_ready_direction(op))
            return true;
    }
    return false;
}

/* ---- trying again ---- */

/* Single-shot operations that wait for the events try again, in order, until one of their direction must wait on. */
static void try_again(epoll *e, epoll_port *p, uint32_t events)
{
    uint32_t blocked = 0;
    rp_node *next;

    for (rp_node *node = p->waiting.next; node != &p->waiting; node = next) {
        rp_op *op = rp_container_of(node, rp_op, queue);

        next = node->next;
        if (rp_op_is_multishot(op))
            continue;
        uint32_t direction = rp_ready_direction(op);
        if (!(events & (direction | EPOLLERR | EPOLLHUP)))
            continue;
        if ((blocked & direction) && is_ordered(op))
            continue;
        int64_t result = rp_ready_attempt(op);
        if (result == -EAGAIN) {
            if (is_ordered(op))
                blocked |= direction;
            continue;
        }
        leave_port(e, op);
        finish(e, op, result);
    }
}

/* ---- submitting and cancelling ---- */

static void signal_op(epoll *e, rp_op *op)
{
    if (!rp_node_linked(&extra_of(op)->signalled))
        rp_list_push(&e->signalled, &extra_of(op)->signalled);
}

static void submit_multishot(epoll *e, rp_op *op)
{
    const epoll_port *p = epoll_ports_find(&e->ports, op->fd);
    bool others = p && !rp_list_empty(&p->waiting);
    int rc = rp_ready_begin(op);

    extra_of(op)->signalled = (rp_node){NULL, NULL};
    if (rc < 0) {
        rp_op_finish(&e->base, op, rc);
        return;
    }
    wait_on_port(e, op);
    if (op->state != RP_OP_QUEUED)
        return;
    if (op->kind == RP_OP_ACCEPT_MULTI) {
        signal_op(e, op); /* an attempt at once: what is no listener makes no edge */
        return;
    }
    if (!others && epoll_ports_find(&e->ports, op->fd)->registered)
        return; /* registering makes an edge of what is there already */
    uint32_t events = rp_ready_poll(op->fd, rp_ready_direction(op));
    if (events != 0 && rp_ready_signal(op, events))
        signal_op(e, op);
}

static void epoll_submit(rp_proactor *proactor, rp_op *op)
{
    epoll *e = (epoll *)proactor;
    int64_t result;

    if (rp_op_is_multishot(op)) {
        submit_multishot(e, op);
        return;
    }
    if (rp_op_transfers(op) && rp_file_needs_no_wait(op)) {
        rp_op_finish(proactor, op, rp_file_perform(op));
        return;
    }
    if (rp_op_may_be_cached(op) && !must_queue(e, op)) {
        result = rp_file_try(op);
        if (result != -EAGAIN && result != -EOPNOTSUPP) {
            rp_op_finish(proactor, op, result);
            return;
        }
    }
    if (rp_ready_blocks(op)) {
        rp_performer_take(&e->performer, op);
        return;
    }
    if (op->kind == RP_OP_CLOSE)
        rp_performer_close(&e->performer, op->fd);
    if (op->kind == RP_OP_CLOSE && epoll_ports_find(&e->ports, op->fd))
        epoll_port_retract(&e->ports, epoll_ports_find(&e->ports, op->fd), op->fd);
    result = rp_ready_begin(op);
    if (result == 0)
        result = must_queue(e, op) ? -EAGAIN : rp_ready_attempt(op);
    if (result == -EAGAIN && rp_ready_may_wait(op))
        wait_on_port(e, op);
    else
        finish(e, op, result);
    if (op->kind == RP_OP_SHUTDOWN && result == 0 && epoll_ports_find(&e->ports, op->fd))
        try_again(e, epoll_ports_find(&e->ports, op->fd),
                  EPOLLIN | EPOLLOUT); /* what this ends makes no edge on every socket */
}

static void epoll_cancel(rp_proactor *proactor, rp_op *op)
{
    epoll *e = (epoll *)proactor;

    if (rp_performer_has(op)) {
        rp_performer_cancel(&e->performer, op);
        return;
    }
    leave_port(e, op);
    if (rp_op_is_multishot(op) && rp_node_linked(&extra_of(op)->signalled))
        rp_list_remove(&extra_of(op)->signalled);
    epoll_forget(proactor, op->fd); /* most often its owner closes the descriptor next */
    finish(e, op, rp_ready_cancelled(op));
    if (is_ordered(op)) /* whoever comes next may have less to wait for */
        try_again(e, epoll_ports_find(&e->ports, op->fd), rp_ready_direction(op));
}

/* ---- waiting ---- */

/*
 * An edge as every message of a connection brings one: a receive stream waits on the port alone. Its completion is
 * stored at once. It is not in `signalled`: what was there has been stored before, or there is no room for this either.
 * Returns whether the edge was such a one.
 */
static bool store_stream(epoll *e, const struct epoll_event *event, rp_completion *completion)
{
    epoll_port *p = epoll_ports_of(&e->ports, event);

    if (!p || rp_list_empty(&p->waiting) || p->waiting.next != p->waiting.prev)
        return false;
    rp_op *op = rp_container_of(p->waiting.next, rp_op, queue);
    if (op->kind != RP_OP_RECV_STREAM)
        return false;
    assert(!rp_node_linked(&extra_of(op)->signalled));
    rp_receive_stream_signal(op, event->events);
    rp_op_complete(&e->base, op, completion, 0, RP_OP_MORE);
    return true;
}

/* An edge: multishot operations are signalled, others try again. */
static void dispatch(epoll *e, const struct epoll_event *event)
{
    int fd = (int)(uint32_t)event->data.u64;
    uint32_t events = event->events;
    epoll_port *p = epoll_ports_of(&e->ports, event);

    if (!p)
        return;
    if (rp_list_empty(&p->waiting)) { /* nobody has waited for some time: no more edges */
        epoll_port_retract(&e->ports, p, fd);
        return;
    }
    for (rp_node *node = p->waiting.next; node != &p->waiting; node = node->next) {
        rp_op *op = rp_container_of(node, rp_op, queue);

        if (rp_op_is_multishot(op) && events & (rp_ready_direction(op) | EPOLLERR | EPOLLHUP) &&
            rp_ready_signal(op, events))
            signal_op(e, op);
    }
    try_again(e, p, events);
}

/* Accepts what there is, as far as there is room; stays signalled, as the last one, if there may be more. */
static int store_accepts(epoll *e, rp_op *op, rp_completion *completions, int capacity)
{
    int n = 0;

    while (n < capacity) {
        int64_t result = rp_ready_attempt(op);

        if (result == -EAGAIN) {
            rp_list_remove(&extra_of(op)->signalled);
            return n;
        }
        if (result < 0) {
            rp_list_remove(&extra_of(op)->signalled);
            leave_port(e, op);
            rp_op_complete(&e->base, op, &completions[n++], result, 0);
            return n;
        }
        rp_op_complete(&e->base, op, &completions[n++], result, RP_OP_MORE);
    }
    rp_list_remove(&extra_of(op)->signalled);
    signal_op(e, op);
    return n;
}

static int store_signalled(epoll *e, rp_completion *completions, int capacity)
{
    int n = 0;

    while (n < capacity && !rp_list_empty(&e->signalled)) {
        extra *x = rp_container_of(e->signalled.next, extra, signalled);
        rp_op *op = rp_container_of(x, rp_op, scratch);

        if (op->kind == RP_OP_ACCEPT_MULTI) {
            n += store_accepts(e, op, completions + n, capacity - n);
            continue;
        }
        rp_list_remove(&x->signalled);
        rp_op_complete(&e->base, op, &completions[n++], op->outcome, RP_OP_MORE);
        op->outcome = 0;
    }
    return n;
}

/* Neither multishot operations nor single ones can keep the others from being delivered. */
static int take(epoll *e, rp_completion *completions, int capacity)
{
    int n = 0;

    if (!rp_list_empty(&e->signalled))
        n = store_signalled(e, completions, (capacity + 1) / 2);
    rp_performer_collect(&e->performer);
    if (!rp_list_empty(&e->base.finished))
        n += rp_proactor_take_finished(&e->base, completions + n, capacity - n);
    if (!rp_list_empty(&e->signalled))
        n += store_signalled(e, completions + n, capacity - n);
    return n;
}

/* Whether a wait that has something else to do leaves the kernel alone. */
static bool asked_lately(rp_asking *asking)
{
    return asking->now != 0 && asking->now - asking->last < ASK_AFTER && asking->skipped++ < asking->to_skip;
}

/* As long as there is input each wait asks; each answer of nothing doubles the way to the next question. */
static void note_answer(rp_asking *asking, bool found)
{
    asking->last = asking->now;
    asking->skipped = 0;
    if (found)
        asking->to_skip = 0;
    else if (asking->to_skip < MOST_SKIPPED)
        asking->to_skip = 2 * asking->to_skip + 1;
}

static int enter(epoll *e, struct epoll_event *events, int64_t deadline)
{
    struct timespec limit;

    e->base.kernel_entries++;
    if (deadline == RP_NEVER)
        return epoll_wait(e->ports.fd, events, EVENTS, -1);
    int64_t left = rp_time_left(rp_proactor_now(&e->base), deadline);
    limit = (struct timespec){.tv_sec = left / RP_SEC(1), .tv_nsec = left % RP_SEC(1)};
    int n = e->milliseconds ? -1 : epoll_pwait2(e->ports.fd, events, EVENTS, &limit, NULL);
    if (n < 0 && !e->milliseconds)
        e->milliseconds = errno == ENOSYS || errno == EPERM; /* an old kernel, or a filter that does not know it */
    if (e->milliseconds)                                     /* rounded up */
        n = epoll_wait(e->ports.fd, events, EVENTS,
                       (int)(((left < RP_SEC(86400) ? left : RP_SEC(86400)) + 999999) / 1000000));
    return n;
}

/* Stores what can be told at once; returns how many completions that is, or an error. */
static int poll_kernel(epoll *e, rp_completion *completions, int capacity, int64_t deadline)
{
    struct epoll_event events[EVENTS];
    uint64_t count;
    int stored = 0;

    deadline = rp_proactor_fall_asleep(&e->base, deadline);
    int n = enter(e, events, deadline);
    int rc = n < 0 && errno != EINTR ? -errno : 0;
    e->base.woken |= n < 0 && errno == EINTR;
    rp_proactor_awake(&e->base);
    note_answer(&e->base.asking, n > 0);
    for (int i = 0; i < n; i++) {
        if (stored < capacity && store_stream(e, &events[i], &completions[stored]))
            stored++;
        else if (events[i].data.u64 != epoll_port_data(e->wake_fd, 0))
            dispatch(e, &events[i]);
        else if (read(e->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN && errno != EINTR)
            rc = -errno;
    }
    return stored > 0 ? stored : rc;
}

static int epoll_wait_(rp_proactor *proactor, rp_completion *completions, int capacity, int64_t deadline)
{
    epoll *e = (epoll *)proactor;
    int n = take(e, completions, capacity);
    int rc;

    if (n > 0)
        deadline = 0; /* but even if there is no room left, the kernel is asked: nobody starves */
    if (deadline == 0 &&
        (e->waiting == 0 || asked_lately(&proactor->asking))) { /* nothing can come, or is awaited */
        rp_proactor_awake(proactor);
        return n;
    }
    rc = poll_kernel(e, completions + n, capacity - n, deadline);
    n += rc > 0 ? rc : 0;
    n += take(e, completions + n, capacity - n);
    return n == 0 && rc < 0 ? rc : n;
}

static void epoll_kick(rp_proactor *proactor)
{
    epoll *e = (epoll *)proactor;
    uint64_t one = 1;
    int saved = errno;

    while (write(e->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    errno = saved;
}

/* ---- opening and closing ---- */

static int open_descriptors(epoll *e)
{
    struct epoll_event event = {.events = EPOLLIN};

    e->ports.fd = epoll_create1(EPOLL_CLOEXEC);
    if (e->ports.fd < 0)
        return -errno;
    e->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (e->wake_fd < 0)
        return -errno;
    event.data.u64 = epoll_port_data(e->wake_fd, 0);
    return epoll_ctl(e->ports.fd, EPOLL_CTL_ADD, e->wake_fd, &event) < 0 ? -errno : 0;
}

static void epoll_close(rp_proactor *proactor)
{
    epoll *e = (epoll *)proactor;

    if (!rp_proactor_is_forked(proactor)) /* a child has none of the threads, and one may have held a mutex */
        rp_performer_fini(&e->performer);
    if (e->wake_fd >= 0)
        close(e->wake_fd);
    if (e->ports.fd >= 0)
        close(e->ports.fd);
    epoll_ports_fini(&e->ports);
}

static int epoll_open(rp_proactor *proactor, const rp_proactor_options *options)
{
    epoll *e = (epoll *)proactor;

    (void)options;
    rp_list_init(&e->signalled);
    e->ports.fd = e->wake_fd = -1;
    RP_TRY(rp_performer_init(&e->performer, proactor));
    int rc = open_descriptors(e);
    if (rc < 0)
        epoll_close(proactor);
    return rc;
}

const rp_backend rp_epoll_backend = {
    .name = "epoll",
    .size = sizeof(epoll),
    .open = epoll_open,
    .close = epoll_close,
    .submit = epoll_submit,
    .cancel = epoll_cancel,
    .forget = epoll_forget,
    .closing = epoll_forget,
    .wait = epoll_wait_,
    .kick = epoll_kick,
    .receive = rp_receive_stream_take,
};
