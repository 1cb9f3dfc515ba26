/*
 * resolve.h - the inside of lookups, for the layers above.
 */
#ifndef RP_NET_RESOLVE_H
#define RP_NET_RESOLVE_H

#include "ringport/net.h"

/* Takes the list out of a lookup that has succeeded: it is the caller's, for freeaddrinfo(). */
struct addrinfo *rp_lookup_take(rp_future *future);

#endif
