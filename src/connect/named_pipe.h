/*
 * named_pipe.h - servers of named pipes, with what layers above need besides the public function.
 */
#ifndef RP_CONNECT_NAMED_PIPE_H
#define RP_CONNECT_NAMED_PIPE_H

#include "connect/server.h"

/* rp_create_pipe_server() with a `release`: it is called in every case but that of an error returned. */
int rp_named_pipe_server(rp_loop *loop, const rp_server_protocol *protocol, const char *path,
                         const rp_server_options *options, rp_server **server);

#endif
