/*
 * listen.h - a listener: a socket that listens, and accepts for its owner.
 *
 * Life: made (rp_listener_init), then accepting (rp_listener_start), then closing (rp_listener_close) until no
 * completion is to come any more: the socket is closed, and its owner told.
 */
#ifndef RP_CONNECT_LISTEN_H
#define RP_CONNECT_LISTEN_H

#include "loop/loop.h"

typedef struct rp_listener rp_listener;

/* What its owner does at each event. */
typedef struct rp_listener_type {
    void (*accepted)(rp_listener *listener, rp_fd fd); /* a connection, which is the owner's from then on */
    void (*closed)(rp_listener *listener); /* its socket is closed, and the listener's memory the owner's again */
    void (*failed)(rp_listener *listener, int error); /* and is tried again later; NULL: it is reported */
    bool lends; /* the socket stays the owner's, who may close it as soon as the listener is asked to close */
} rp_listener_type;

struct rp_listener {
    const rp_listener_type *type;
    void *owner;
    rp_loop *loop;
    rp_fd fd;       /* -1: closed */
    bool accepting; /* completions of `accept` are still to come */
    bool closing;
    bool shared; /* its owner's to set before it starts, not on Windows: others accept on the socket, too (op.h) */
    rp_op accept;
    rp_timer retry;
};

/* Makes one of a bound socket, which it owns from then on unless its type lends it. */
void rp_listener_init(rp_listener *listener, rp_loop *loop, rp_fd fd, const rp_listener_type *type, void *owner);

/* Accepts from now on; the socket listens. Where that fails it is tried again later, and reported. */
void rp_listener_start(rp_listener *listener);

/*
 * Accepts no more. `closed` is called, now or later; what was accepted until then goes to the owner. Once.
 * A socket that was lent is not used from now on: if its owner closes it, connecting is refused at once.
 */
void rp_listener_close(rp_listener *listener);

/*
 * Closes the socket of a listener whose loop is closed, unless it was lent: nothing is in flight any more, and `closed`
 * is not called.
 */
void rp_listener_reap(rp_listener *listener);

#endif
