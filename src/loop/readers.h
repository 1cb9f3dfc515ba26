/*
 * readers.h - the end of rp_add_reader and rp_add_writer, as the loop's close needs it.
 */
#ifndef RP_LOOP_READERS_H
#define RP_LOOP_READERS_H

#include "loop/loop.h"

/* Before the proactor is closed: no callback runs any more. After it: frees everything. */
void rp_readers_stop(rp_loop *loop);
void rp_readers_close(rp_loop *loop);

#endif
