/*
 * server.h - the inside of servers, for transports and the layers above.
 */
#ifndef RP_NET_SERVER_H
#define RP_NET_SERVER_H

#include "net/balancer.h"
#include "ringport/net.h"

/* A connection that the server accepted has ended. */
void rp_server_detach(rp_server *server, rp_transport *transport);

/* How a server makes its protocols. */
typedef struct rp_server_protocol {
    rp_protocol_factory *factory;
    void (*accepted)(void *arg, rp_fd fd); /* if set: takes the socket itself, and no protocol is made */
    void *arg;
    void (*release)(
        void *arg); /* gives arg back, when neither server nor connections need it any more; may be NULL */
} rp_server_protocol;

/*
 * rp_create_server(), rp_create_unix_server() and rp_create_server_fd() with a `release`: it is called in every case
 * but that of an error returned, if no server comes of it too.
 */
int rp_server_request(rp_loop *loop, const rp_server_protocol *protocol, const rp_place *place, const char *host,
                      int port, const rp_server_options *options, rp_future **future);
int rp_unix_server_new(rp_loop *loop, const rp_server_protocol *protocol, const char *path, size_t length,
                       const rp_server_options *options, rp_server **server);
int rp_server_from_fd(rp_loop *loop, const rp_server_protocol *protocol, rp_fd fd,
                      const rp_server_options *options, rp_server **server);

#endif
