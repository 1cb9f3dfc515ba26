/*
 * named_pipe_posix.c - there are no named pipes of Windows' kind on POSIX.
 */
#include <errno.h>

#include "connect/named_pipe.h"

int rp_create_pipe_connection(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *path,
                              rp_future **future)
{
    return -ENOTSUP;
}

int rp_named_pipe_server(rp_loop *loop, const rp_server_protocol *protocol, const char *path,
                         const rp_server_options *options, rp_server **server)
{
    return -ENOTSUP;
}

int rp_create_pipe_server(rp_loop *loop, rp_protocol_factory *factory, void *arg, const char *path,
                          const rp_server_options *options, rp_server **server)
{
    return -ENOTSUP;
}
