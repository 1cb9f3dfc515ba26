/*
 * listen.c - accepting on a listening socket, by one multishot accept after the other.
 *
 * One multishot accept is in flight as long as the listener accepts. If it ends by an error that says nothing about the
 * listening socket, the next one follows at once. After any other error the listener rests for a second, so that a lack
 * of descriptors does not keep the processor busy.
 */
#include "connect/listen.h"

#include <assert.h>

#include "base/leave.h"
#include "loop/exception.h"
#include "proactor/proactor.h"

enum { RETRY_DELAY = 1 }; /* seconds until accepting is tried again: asyncio's ACCEPT_RETRY_DELAY */

/* ---- the end ---- */

static void close_socket(rp_listener *listener)
{
    assert(listener->closing && !listener->accepting && listener->fd >= 0);
    if (!listener->type->lends)
        rp_loop_close_socket(listener->loop, listener->fd);
    listener->fd = -1;
    listener->type->closed(listener);
}

void rp_listener_close(rp_listener *listener)
{
    assert(!listener->closing && listener->fd >= 0);
    listener->closing = true;
    rp_timer_cancel(&listener->retry);
    if (!listener->accepting) {
        close_socket(listener);
        return;
    }
    rp_cancel(listener->loop, &listener->accept);
    if (listener->type->lends)
        rp_proactor_let_go(listener->loop->proactor);
}

void rp_listener_reap(rp_listener *listener)
{
    if (!listener->type->lends)
        rp_kernel_close(listener->loop->kernel, listener->fd);
    listener->fd = -1;
}

/* ---- accepting ---- */

/* Errors of accept() that say nothing about the listening socket: accept(2) says to go on. */
static bool is_transient(int error)
{
    switch (error) {
    case -ECONNABORTED:
    case -ECONNRESET: /* Windows, or Wine, when the peer was gone before */
    case -ENOTCONN:
    case -EINTR:
    case -EAGAIN:
    case -EPROTO:
    case -ENETDOWN:
    case -ENOPROTOOPT:
#ifdef EHOSTDOWN /* on Windows EHOSTUNREACH says it */
    case -EHOSTDOWN:
#endif
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -ECANCELED:
        return true;
    default:
        return false;
    }
}

static void accept_next(void *arg);

/* The report comes last: whoever is told may have the listener freed. */
static void accept_later(rp_listener *listener, int error)
{
    rp_loop *loop = listener->loop;

    rp_call_later(loop, &listener->retry, RP_SEC(RETRY_DELAY), accept_next, listener);
    if (listener->type->failed)
        listener->type->failed(listener, error);
    else
        rp_loop_report(loop, &(rp_report){.where = RP_WHERE_ACCEPT, .error = error});
}

typedef struct acceptance {
    rp_listener *listener;
    bool more;
    int64_t result;
} acceptance;

static void go_on(acceptance *a)
{
    rp_listener *listener = a->listener;

    listener->accepting = a->more;
    if (a->more)
        return;
    if (listener->closing)
        close_socket(listener);
    else if (a->result >= 0 || is_transient((int)a->result))
        accept_next(listener);
    else
        accept_later(listener, (int)a->result);
}

static void on_accepted(rp_op *op)
{
    acceptance a RP_ON_LEAVE(go_on) = {op->data, op->flags & RP_OP_MORE, op->result};

    assert(a.listener->accepting);
    if (a.result >= 0) /* even if it was closed meanwhile: no connection that was accepted is lost */
        a.listener->type->accepted(a.listener, (rp_fd)a.result);
}

static void accept_next(void *arg)
{
    rp_listener *listener = arg;
    int rc;

    assert(!listener->closing && !listener->accepting);
    rp_op_accept_multi(&listener->accept, listener->fd, on_accepted, listener);
    listener->accept.u.accept.shared = listener->shared;
    rc = rp_submit(listener->loop, &listener->accept);
    listener->accepting = rc == 0;
    if (rc < 0)
        accept_later(listener, rc);
}

/* ---- the beginning ---- */

void rp_listener_init(rp_listener *listener, rp_loop *loop, rp_fd fd, const rp_listener_type *type, void *owner)
{
    assert(fd >= 0);
    *listener = (rp_listener){.type = type, .owner = owner, .loop = loop, .fd = fd};
}

void rp_listener_start(rp_listener *listener)
{
    accept_next(listener);
}
