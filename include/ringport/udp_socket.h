/*
 * udp_socket.h - what a socket of UDP can be told: multicast groups, how far packets go, broadcast, many at once.
 *
 * Each function is about a descriptor, whoever has it: a program, a datagram transport, or a task.
 * Each is for IPv4 and IPv6, as the socket or the address is.
 * None of them suspends or blocks. All may be called from any thread.
 *
 * An interface is named by a string:
 *   NULL or ""          the one that the system chooses
 *   "eth0"              its name; on Windows "ethernet_32769" and the like
 *   "2"                 its number
 *   "192.0.2.1"         one of its addresses, for IPv4
 *   "fe80::1%eth0"      one of its addresses with the interface's name or number, for IPv6
 *
 * Every function that sets something returns 0, or one of these errors and those of setsockopt():
 *   -EBADF, -ENOTSOCK   it is no socket
 *   -EINVAL             a string is none of the above, a number is out of range
 *   -ENODEV             there is no such interface
 *   -EAFNOSUPPORT       the socket is neither of IPv4 nor of IPv6
 */
#ifndef RINGPORT_UDP_SOCKET_H
#define RINGPORT_UDP_SOCKET_H

#include "base.h"
#include "posix.h"

#ifdef __cplusplus
extern "C" {
#endif

struct msghdr;

/* The port that a socket is bound to; 0: it has none, or is no socket. Never fails otherwise. */
RP_API int rp_udp_port(rp_fd fd);

/* ---- multicast ---- */

/*
 * Joins a multicast group on an interface: what is sent to the group and the socket's port is received.
 * `group` is "239.1.2.3" or "ff15::1".
 * `source` is the address of the only sender to be heard, or NULL: all are. Join once for each of several.
 * `interface_name` says where to listen; "ff02::1%eth0" in `group` names it, too.
 * Errors:
 *   -EADDRINUSE   the socket is in the group already
 *   -EINVAL       no group, or a source of another family
 *   those of all functions, see above
 */
RP_API int rp_udp_join(rp_fd fd, const char *group, const char *source, const char *interface_name);

/*
 * Leaves a group again; the arguments are those of rp_udp_join(). Closing the socket leaves all.
 * Errors:
 *   -EADDRNOTAVAIL   the socket is not in that group
 *   those of all functions, see above
 */
RP_API int rp_udp_leave(rp_fd fd, const char *group, const char *source, const char *interface_name);

/*
 * Says from which interface the socket sends to groups. NULL: the system chooses by its routes.
 * Errors: those of all functions, see above.
 */
RP_API int rp_udp_set_multicast_interface(rp_fd fd, const char *interface_name);

/*
 * Says how far what is sent to groups goes: by how many routers, plus one.
 * It is 1 at first. 0 stays on this machine; 255 is the most.
 * Errors: those of all functions, see above.
 */
RP_API int rp_udp_set_multicast_ttl(rp_fd fd, int ttl);

/*
 * Says whether what is sent to groups is also received on this machine. At first it is.
 * On POSIX the sender's socket decides, on Windows the receiver's.
 * Errors: those of all functions, see above.
 */
RP_API int rp_udp_set_multicast_loop(rp_fd fd, bool loop);

/* ---- single peers, and all ---- */

/*
 * Says how far what is sent to single addresses goes: by how many routers, plus one; from 1 to 255.
 * Errors: those of all functions, see above.
 */
RP_API int rp_udp_set_ttl(rp_fd fd, int ttl);

/*
 * Says whether the socket may send to broadcast addresses; without it that fails with -EACCES.
 * Errors: those of all functions, see above.
 */
RP_API int rp_udp_set_broadcast(rp_fd fd, bool on);

/* ---- many datagrams of one size as one ---- */

/*
 * GSO: has the kernel cut each buffer that is sent into datagrams of `segment` bytes, of which the last may be shorter.
 * 0 ends that. One buffer is at most 64 datagrams and 64 KiB.
 * A single send can ask for it, too: rp_mmsg.segment (io.h).
 * Errors:
 *   -EINVAL    `segment` is not within 0 to 65535
 *   -ENOTSUP   the system has no such thing: Linux has it since 4.18, Windows 10 since version 2004
 *   those of all functions, see above
 */
RP_API int rp_udp_set_gso(rp_fd fd, int segment);

/*
 * GRO: lets the kernel put datagrams of one size and sender together, as one buffer.
 * A receive tells the size by a control message: see rp_udp_segment(), and rp_mmsg.segment (io.h).
 * Buffers shall have 64 KiB: what does not fit is lost.
 * Errors:
 *   -ENOTSUP   the system has no such thing: Linux has it since 5.0; on Windows no receive would tell the size
 *   those of all functions, see above
 */
RP_API int rp_udp_set_gro(rp_fd fd, bool on);

/* Room for the control message of GRO or GSO, in bytes: for msg_control, aligned like a size_t. */
enum { RP_UDP_SEGMENT_ROOM = 32 };

/*
 * What a received message says of GRO: the size of each datagram in it, of which the last may be shorter.
 * 0: it is one datagram.
 * The message was received with at least RP_UDP_SEGMENT_ROOM bytes of msg_control.
 */
RP_API int rp_udp_segment(const struct msghdr *message);

/*
 * Has one message be sent by GSO, in datagrams of `segment` bytes; 0: as it is.
 * `room` becomes its msg_control: RP_UDP_SEGMENT_ROOM bytes, aligned like a size_t.
 * It must stay valid until the message is sent.
 * Errors:
 *   -EINVAL    `segment` is not within 0 to 65535
 *   -ENOTSUP   the system has no such thing
 */
RP_API int rp_udp_put_segment(struct msghdr *message, void *room, int segment);

#ifdef __cplusplus
}
#endif

#endif
