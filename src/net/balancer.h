/*
 * balancer.h - one listening socket for the servers of several loops: a hub accepts, and hands each connection to one
 * of them. See balancer.c.
 */
#ifndef RP_NET_BALANCER_H
#define RP_NET_BALANCER_H

#include <stdatomic.h>

#include "base/list.h"
#include "ringport/net.h"

struct addrinfo;

typedef struct rp_hub rp_hub;
typedef struct rp_front rp_front;

enum { RP_HUB_SLOTS = 64 };

/* Where a server's connections come from, if not from listening sockets of its own. */
typedef struct rp_place {
    rp_hub *hub;   /* NULL: from its own */
    unsigned slot; /* on port 0: servers with the same slot of a hub get the same port */
    bool numbered; /* there is a slot */
} rp_place;

/* What a server has of its hub. */
typedef struct rp_intake {
    rp_hub *hub;
    atomic_size_t load; /* connections that were handed to it and have not ended */
    rp_node arrivals;   /* handed to it and not taken, under the hub's mutex */
    rp_handle wake;     /* tells its loop of them */
} rp_intake;

/* Starts the hub's thread: 0, -ENOMEM, -EAGAIN, or why no loop could be made. */
int rp_hub_new(rp_hub **hub);

/* Ends it. There is no server any more that has its connections from it. NULL is let pass. */
void rp_hub_free(rp_hub *hub);

/*
 * While a server is made, since two that choose a port must not do so at once. Between them, the ports of the slots
 * can be read and set; 0: none yet.
 */
int *rp_hub_lock_ports(rp_hub *hub);
void rp_hub_unlock_ports(rp_hub *hub);

/* ---- for a server of the hub's, on its loop's thread; each waits for the hub's thread, which is never long ---- */

/* Adds a listener that shares the address with all others there; the first one's is bound. 0 or an error. */
int rp_hub_join(rp_server *server, const struct addrinfo *info, int port, const rp_server_options *options);

/* From now on it is handed connections. 0 or an error. */
int rp_hub_serve(rp_server *server);

/* The next connection that was handed to it: false if there is none. */
bool rp_hub_take(rp_server *server, rp_fd *fd);

/*
 * It has listeners no more. What was handed to it and not taken goes to other servers of the same address. Without any,
 * the address is free when this returns.
 */
void rp_hub_leave(rp_server *server);

#endif
