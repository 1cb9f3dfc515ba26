/*
 * workers.h - what the servers of a worker group share: see workers.c.
 */
#ifndef RP_STREAM_WORKERS_H
#define RP_STREAM_WORKERS_H

#include "net/balancer.h"
#include "ringport/stream.h"

/*
 * In a worker: makes the address of a server that it starts one that all workers can listen on, and says where its
 * connections come from. *port becomes the group's if it was 0 and the place has no balancer. Elsewhere: does nothing.
 * 0 or an error.
 */
int rp_workers_share_address(rp_server_options *options, int *port, rp_place *place);

/* No server came of it: its number is free for the next one. */
void rp_workers_unshare_address(const rp_place *place);

#endif
