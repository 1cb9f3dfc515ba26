/*
 * balancer.h - one listening socket for the servers of several loops: a balancer accepts, and hands each connection to
 * one of them.
 */
#ifndef RP_CONNECT_BALANCER_H
#define RP_CONNECT_BALANCER_H

#include "connect/intake.h"
#include "ringport/net.h"

struct addrinfo;

typedef struct rp_balancer rp_balancer;

enum { RP_BALANCER_SLOTS = 64 };

/* Where a server's connections come from, if not from listening sockets of its own. */
typedef struct rp_place {
    rp_balancer *balancer; /* NULL: from its own */
    unsigned slot;         /* on port 0: servers with the same slot of a balancer get the same port */
    bool numbered;         /* there is a slot */
} rp_place;

/* Starts the balancer's thread: 0, -ENOMEM, -EAGAIN, or why no loop could be made. */
int rp_balancer_new(rp_balancer **balancer);

/* Ends it. There is no server any more that has its connections from it. NULL is ignored. */
void rp_balancer_free(rp_balancer *balancer);

/*
 * While a server is made, since two that choose a port must not do so at once. Between them, the ports of the slots
 * can be read and set; 0: none yet.
 */
int *rp_balancer_lock_ports(rp_balancer *balancer);
void rp_balancer_unlock_ports(rp_balancer *balancer);

/* What a server at so many addresses has its connections from. NULL: no memory. */
rp_intake *rp_balancer_intake_new(rp_balancer *balancer, size_t addresses);

/*
 * Adds an address, which it shares with all others there; the first one's is bound. The socket is lent to the intake's
 * server until that leaves. On its loop's thread; waits for the balancer's, which is never long. 0 or an error.
 */
int rp_balancer_join(rp_intake *intake, const struct addrinfo *info, int port, const rp_server_options *options,
                     rp_fd *fd);

#endif
