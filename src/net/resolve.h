/*
 * resolve.h - the inside of lookups, for the layers above.
 */
#ifndef RP_NET_RESOLVE_H
#define RP_NET_RESOLVE_H

#include "ringport/net.h"

/* rp_loop_getaddrinfo() of a list that is to be taken out. */
int rp_lookup_new(rp_loop *loop, const char *host, const char *service, const struct addrinfo *hints,
                  rp_future **future);

/*
 * Gives the list of such a lookup, which has succeeded, to the caller, for freeaddrinfo(): itself, or a copy if others
 * have asked for it, too. -ENOMEM.
 */
int rp_lookup_take(rp_future *future, struct addrinfo **list);

/* Lets go of a lookup that nobody wants any more, whatever comes of it. *future becomes NULL; it may be so before. */
void rp_lookup_drop(rp_future **future);

#endif
