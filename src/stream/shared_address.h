/*
 * shared_address.h - addresses that the servers of all workers of a group listen on.
 */
#ifndef RP_STREAM_SHARED_ADDRESS_H
#define RP_STREAM_SHARED_ADDRESS_H

#include "connect/balancer.h"
#include "ringport/stream.h"

/*
 * In a worker: makes the address of a server that it starts one that all workers can listen on, and says where its
 * connections come from. *port becomes the group's if it was 0 and the place has no balancer. Elsewhere: does nothing.
 * 0 or an error.
 */
int rp_shared_address_take(rp_server_options *options, int *port, rp_place *place);

/* No server came of it: its number is free for the next one. */
void rp_shared_address_give_back(const rp_place *place);

#endif
