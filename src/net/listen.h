/*
 * listen.h - the inside of rp_server, for server.c (which runs it) and listen.c (which makes it).
 */
#ifndef RP_NET_LISTEN_H
#define RP_NET_LISTEN_H

#include "loop/future.h"
#include "net/address.h"
#include "net/server.h"
#include "net/socket_file.h"

typedef struct rp_listener {
    rp_server *server;
    rp_fd fd;       /* -1: closed */
    bool accepting; /* completions of `accept` are still to come */
    rp_op accept;
    rp_timer retry;
    rp_front *front; /* whose socket this is, and which accepts on it; NULL: it is the listener's own */
    rp_node seat;    /* among those that the front hands connections to, on the hub's thread */
} rp_listener;

struct rp_server {
    rp_loop *loop;
    rp_server_protocol protocol;
    int backlog; /* 0: the sockets listen already */
    bool nagle;
    bool inherited; /* what accepted sockets have of the listening one is as it should be */
    bool owned;     /* rp_server_free() was not called yet */
    bool serving;
    bool closed;
    rp_node connections; /* transports, by their server_link */
    size_t connection_count;
    rp_node waiters; /* for its end */
    rp_resource resource;
    rp_intake intake;
    struct sockaddr_un unix_address; /* of `socket_file`, if there is one */
    rp_socket_file socket_file;
    size_t open_listeners;
    size_t listener_count;
    rp_listener listeners[];
};

/* Makes a server with room for that many listeners, in the loop's resources. NULL: no memory. */
rp_server *rp_server_new(rp_loop *loop, const rp_server_protocol *protocol, size_t listeners);

/* Hands a bound socket over to it. */
void rp_server_add_listener(rp_server *server, rp_fd fd);

/* Connections have come from the hub: `arg` is the server. A callback of its loop. */
void rp_server_take_arrivals(void *arg);

/* A resolved address as it is bound: `port` replaces its own unless it is 0. */
void rp_socket_address(const struct addrinfo *info, int port, struct sockaddr_storage *address);

/* Makes a socket that is bound to it. */
int rp_socket_bind(const struct addrinfo *info, int port, const rp_server_options *options, rp_fd *fd);

/* The TCP port a socket is bound to; 0 if it has none. */
int rp_socket_port(rp_fd fd);

#endif
