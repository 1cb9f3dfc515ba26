/*
 * bind.h - sockets that are bound: making them, with the options they need, and asking for their ports.
 *
 * What returns a socket returns 0 or an error, and opens nothing then.
 */
#ifndef RP_NET_BIND_H
#define RP_NET_BIND_H

#include "net/socket_file.h"
#include "proactor/kernel.h"
#include "ringport/net.h"

/* A resolved address as it is bound: `port` replaces its own unless it is 0. */
void rp_bind_address(const struct addrinfo *info, int port, struct sockaddr_storage *address);

/* Makes a TCP socket that is bound to it. */
int rp_bind_tcp(const rp_kernel *kernel, const struct addrinfo *info, int port, const rp_server_options *options,
                rp_fd *fd);

/*
 * Makes a Unix socket that is bound to a path or an abstract name; a socket that lies at the path is removed first.
 * `file` becomes the one at the path. For an abstract name, which has no file, it stays as it is; -ENOTSUP where there
 * are no such names.
 */
int rp_bind_unix(const rp_kernel *kernel, const struct sockaddr_un *address, int length, rp_fd *fd,
                 rp_socket_file *file);

/*
 * Makes a socket that keeps a port which is free on all addresses from being chosen for anybody else, and never
 * listens. Whoever binds with SO_REUSEPORT can have the port.
 */
int rp_bind_reserve_port(const rp_kernel *kernel, rp_fd *fd, int *port);

/* Binds a socket to the first address of its family in a list that can be had: 0, -EADDRNOTAVAIL if there is none. */
int rp_bind_first(const rp_kernel *kernel, rp_fd fd, int family, const struct addrinfo *list);

/* The TCP port a socket is bound to; 0 if it has none. */
int rp_bind_port(const rp_kernel *kernel, rp_fd fd);

#endif
