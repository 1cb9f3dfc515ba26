/*
 * udp.h - sockets of datagrams for coroutines: opening them.
 *
 * io.h receives and sends:
 *
 *     rp_udp_open(co, &fd, &(rp_datagram_options){.local_host = "127.0.0.1", .local_port = 9999});
 *     n = rp_recvmmsg(co, fd, messages, 64);
 *     rp_sendmmsg(co, fd, messages, n);
 *     rp_close(co, fd);
 *
 * One at a time: rp_recvfrom() and rp_sendto(). Groups of multicast: rp_udp_join() (udp_socket.h).
 * By callbacks, asyncio's way: datagram.h.
 */
#ifndef RINGPORT_UDP_H
#define RINGPORT_UDP_H

#include "datagram.h"
#include "io.h"
#include "udp_socket.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Opens a socket for datagrams, binds and connects it as the options say.
 * Names are looked up, and it suspends meanwhile; addresses and numbers take no time.
 * *fd is the caller's, non-blocking and close-on-exec; on failure it has not changed.
 * The options are those of rp_create_datagram_endpoint(), where not this says otherwise:
 *   `gro`            what the kernel has put together comes as one, and rp_mmsg.segment tells the size
 *   `gso`            is only asked for: -ENOTSUP where there is none; rp_mmsg.segment is how to use it
 *   `receive_size`   has no meaning here
 * Errors:
 *   -EINVAL        `options` is NULL, a port is out of bounds, or nothing says which family
 *   -EADDRINUSE    another socket has the port
 *   -ENOTSUP       the system has no `reuse_port`, `gro` or `gso`
 *   -ECANCELED     the task was cancelled: no socket is left
 *   RP_ENOTASK     `co` is NULL, or does not run here (co.h)
 *   RP_ECLOSED     the loop is closed
 *   RP_EFORK       this is a child of fork(), and the loop is its parent's
 *   those of rp_getaddrinfo(), socket(), bind() and connect()
 * Mirrors loop.create_datagram_endpoint(), without transport and protocol.
 */
RP_API int rp_udp_open(rp_co *co, rp_fd *fd, const rp_datagram_options *options);

#ifdef __cplusplus
}
#endif

#endif
