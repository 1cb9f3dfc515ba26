/* kinds.h - kinds of transports besides those that the library has, in connected pairs. */
#ifndef RP_TESTS_KINDS_H
#define RP_TESTS_KINDS_H

#include "ringport.h"

/* Starts both ends of a new connection: with one protocol, and each with a `self` of its own. */
typedef void starter(rp_loop *loop, const rp_protocol *protocol, void *const selves[2]);

/* In memory, with room for a few bytes each way. */
void start_memory(rp_loop *loop, const rp_protocol *protocol, void *const selves[2]);

/* Two filters that turn each byte over, on what `below` starts. */
void start_filters(rp_loop *loop, starter *below, const rp_protocol *protocol, void *const selves[2]);

#endif
