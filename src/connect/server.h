/*
 * server.h - the inside of rp_server: listening sockets, and the connections that were accepted on them.
 *
 * Life: made (rp_server_new), with a socket for each address (rp_server_add_socket), then serving, then `closed`: it
 * accepts no more, and its connections go on. It is at its end when it is closed, its listeners are, its last
 * connection has ended, and its owner has freed it.
 */
#ifndef RP_CONNECT_SERVER_H
#define RP_CONNECT_SERVER_H

#include "connect/intake.h"
#include "connect/listen.h"
#include "connect/secure.h"
#include "loop/resource.h"
#include "net/socket_file.h"
#include "ringport/net.h"

/* How a server makes its protocols. */
typedef struct rp_server_protocol {
    rp_protocol_factory *factory;
    void *arg;
    void (*release)(void *arg); /* when neither server nor connections need `arg` any more; may be NULL */
} rp_server_protocol;

struct rp_server {
    rp_loop *loop; /* holds a reference */
    unsigned refs; /* keep its memory: one until its end, the others whoever's */
    rp_server_protocol protocol;
    int backlog; /* 0: the sockets listen already */
    bool nagle;
    bool inherited; /* an accepted socket has the options of the listening one: none needs to be set again */
    rp_secure secure;
    bool owned; /* rp_server_free() was not called yet */
    bool serving;
    bool closed;
    rp_node connections; /* transports, by their maker_link */
    size_t connection_count;
    rp_node waiters; /* for its end */
    rp_resource resource;
    rp_intake *intake;               /* where connections come from; NULL: its listeners accept them */
    struct sockaddr_un unix_address; /* of `socket_file`, if there is one */
    rp_socket_file socket_file;
    size_t open_listeners; /* and one while arrivals are taken; an intake lends the sockets of its server's */
    size_t listener_count;
    rp_listener listeners[];
};

/* Makes a server with room for that many sockets, in the loop's resources. NULL: no memory. */
rp_server *rp_server_new(rp_loop *loop, const rp_server_protocol *protocol, size_t sockets);

/* Its connections come from there: it owns the memory from now on. Before the first socket is added. */
void rp_server_set_intake(rp_server *server, rp_intake *intake);

/* Hands over a bound socket, or one that its intake lends. */
void rp_server_add_socket(rp_server *server, rp_fd fd);

/* Closes and frees a server that was never handed out: what its protocol needs stays the caller's. */
void rp_server_discard(rp_server *server);

#endif
