/*
 * socket.h - the platform's sockets: its headers, and the few calls that differ from one platform to the other.
 *
 * Each error is a negative errno value, on Windows too. What receives or sends here never blocks.
 */
#ifndef RP_BASE_SOCKET_H
#define RP_BASE_SOCKET_H

#include <sys/types.h>

#ifdef _WIN32
#include <winsock2.h>
/* After it: */
#include <ws2tcpip.h>
/* And after these: */
#include <afunix.h>
#include <mswsock.h>
#else
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#endif

#include "ringport/base.h"
#include "ringport/posix.h"

/* Whether an accepted socket can be relied on to have the options of the one that listens. */
#ifdef _WIN32
enum { RP_SOCKET_INHERITS = 0 };
#else
enum { RP_SOCKET_INHERITS = 1 };
#endif

/* Whether the kernel spreads connections over several sockets that listen at one address (rp_socket_reuse_port()). */
#ifdef _WIN32
enum { RP_SOCKET_SHARES = 0 };
#else
enum { RP_SOCKET_SHARES = 1 };
#endif

/* The error of the socket call that failed last in this thread, as a negative errno value. */
int rp_socket_error(void);

/* Winsock wants to be started before the first call of it: 0 or an error. Cheap, any thread. 0 on POSIX. */
int rp_socket_start(void);

/* socket(): non-blocking and not inherited; able to do overlapped operations on Windows. */
int rp_socket_open(int family, int type, int protocol, rp_fd *fd);

/* -1 is let pass. And the same for what is no socket: to Windows they differ. */
void rp_socket_close(rp_fd fd);
void rp_file_close(rp_fd fd);

/* For sockets that were not opened here. On Windows what follows would block without it. */
int rp_socket_set_nonblocking(rp_fd fd);

/* recv(): bytes, 0 at the end of the stream, -EAGAIN if nothing is there, or the error. */
int64_t rp_socket_recv(rp_fd fd, void *buffer, size_t length);

/* send() and its gathering form: bytes, perhaps fewer than asked for, -EAGAIN if none fit, or the error. No SIGPIPE. */
int64_t rp_socket_send(rp_fd fd, const void *buffer, size_t length);
int64_t rp_socket_sendv(rp_fd fd, const struct iovec *vector, int count);

/* shutdown(SHUT_WR). */
int rp_socket_shutdown_write(rp_fd fd);

/*
 * Whether a connection has ended in both directions, most often by a reset; nothing is consumed by asking. Always false
 * on Windows, where recv() goes on telling of a reset.
 */
bool rp_socket_has_ended(rp_fd fd);

/* getsockname() and getpeername(): `length` is the room, then what was needed. */
int rp_socket_name(rp_fd fd, struct sockaddr *address, uint32_t *length);
int rp_socket_peer(rp_fd fd, struct sockaddr *address, uint32_t *length);

/* SOCK_STREAM and so on, or an error: -EBADF, -ENOTSOCK. */
int rp_socket_type(rp_fd fd);

/* Whether a socket listens: 1, 0 or an error. */
int rp_socket_listens(rp_fd fd);

/* setsockopt() of an option that is a number. */
int rp_socket_set(rp_fd fd, int level, int option, int value);

/*
 * For a socket that is to listen, before it is bound: its address can be bound again as soon as it is closed, and by
 * nobody before. That is SO_REUSEADDR on POSIX; on Windows this would let anybody in, and SO_EXCLUSIVEADDRUSE is it.
 */
int rp_socket_reuse_address(rp_fd fd);

/* Lets several sockets listen at one address, and spreads connections over them: SO_REUSEPORT. -ENOTSUP on Windows. */
int rp_socket_reuse_port(rp_fd fd);

#endif
