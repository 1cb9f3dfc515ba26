/*
 * server_open.h - making servers, with what layers above need besides the public functions.
 */
#ifndef RP_CONNECT_SERVER_OPEN_H
#define RP_CONNECT_SERVER_OPEN_H

#include "connect/balancer.h"
#include "connect/server.h"

/*
 * rp_create_server(), rp_create_unix_server() and rp_create_server_fds() with a `release`: it is called in every case
 * but that of an error returned, if no server comes of it too.
 */
int rp_server_request(rp_loop *loop, const rp_server_protocol *protocol, const rp_place *place, const char *host,
                      int port, const rp_server_options *options, rp_future **future);
int rp_unix_server_new(rp_loop *loop, const rp_server_protocol *protocol, const char *path, size_t length,
                       const rp_server_options *options, rp_server **server);
int rp_server_from_fds(rp_loop *loop, const rp_server_protocol *protocol, const rp_fd *fds, size_t count,
                       const rp_server_options *options, rp_server **server);

#endif
