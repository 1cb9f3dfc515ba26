/*
 * stream_open.h - awaiting what src/connect makes for a stream.
 */
#ifndef RP_STREAM_STREAM_OPEN_H
#define RP_STREAM_STREAM_OPEN_H

#include "ringport/stream.h"

/* Awaits a request of src/connect: its result, or -ECANCELED if it ended by that. The reference stays the caller's. */
int rp_stream_await_request(rp_co *co, rp_future *request);

#endif
