/*
 * pipe_transport.h - transports of pipes, for faces: how they are made, and what they know of their end.
 */
#ifndef RP_NET_PIPE_TRANSPORT_H
#define RP_NET_PIPE_TRANSPORT_H

#include "net/transport.h"

#ifdef _WIN32
/* Allocates a transport of one end of a named pipe, for both directions, and does nothing else. NULL: no memory. */
rp_transport *rp_pipe_transport_new_duplex(rp_loop *loop, rp_fd fd);
#else
/*
 * Makes a transport of one end of a pipe, and does nothing else: rp_connect_read_pipe() and rp_connect_write_pipe() say
 * what it may be, and the errors.
 */
int rp_pipe_transport_new(rp_loop *loop, rp_fd fd, bool writes, rp_transport **transport);

/* Gives up one that was not started. The descriptor stays the caller's. */
void rp_pipe_transport_discard(rp_transport *transport);

/*
 * Before it starts: the descriptor is on loan. Its owner closes it, after connection_lost, and before that calls
 * rp_proactor_closing().
 */
void rp_pipe_transport_lend(rp_transport *transport);

/* Whether the transport of a writing end was lost because nobody reads, while nothing was left to be written. */
bool rp_pipe_transport_was_unused(const rp_transport *transport);

/* Whether that of a terminal has come to its end because the other side has hung up: read() says -EIO. */
bool rp_pipe_transport_is_hung_up(const rp_transport *transport);
#endif

#endif
