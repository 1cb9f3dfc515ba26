/*
 * pipe_transport.h - what a transport of a pipe knows, for faces.
 */
#ifndef RP_NET_PIPE_TRANSPORT_H
#define RP_NET_PIPE_TRANSPORT_H

#include "net/transport.h"

/* Whether the transport of a writing end was lost because nobody reads, while nothing was left to be written. */
bool rp_pipe_transport_was_unused(const rp_transport *transport);

#endif
