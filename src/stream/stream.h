/*
 * stream.h - the life of streams, and what calls on them have in common, for the files that streams are made of.
 *
 * The memory is freed when its owner has freed the stream, its connection is gone and no call is inside; or else with
 * the loop. In debug mode a stream that was freed is kept until then (stream_freed.h).
 */
#ifndef RP_STREAM_STREAM_H
#define RP_STREAM_STREAM_H

#include <assert.h>

#include "stream/stream_freed.h"
#include "stream/stream_state.h"

extern const rp_protocol rp_stream_protocol;

/* NULL: no memory. */
rp_stream *rp_stream_new(rp_loop *loop);

/* Gives up a stream that got no connection. */
void rp_stream_discard(rp_stream *stream);

/* Frees a stream that was given up, if nothing needs it any more. */
void rp_stream_free_if_done(rp_stream *stream);

/* Brackets of every call that may suspend and does not read. After rp_stream_leave() the stream may be gone. */
static inline void rp_stream_enter(rp_stream *stream)
{
    stream->uses++;
}

static inline void rp_stream_leave(rp_stream *stream)
{
    assert(stream->uses > 0);
    stream->uses--;
    if (stream->released)
        rp_stream_free_if_done(stream);
}

/* To be called by calls that may end without suspending: every so often it yields, so that others get their turn. */
int rp_stream_give_way(rp_co *co, rp_stream *stream);

/* Suspends until rp_stream_wake() of the same slot: 0, or -ECANCELED. There must be no cancellation pending. */
int rp_stream_wait(rp_co *co, rp_co **slot, const rp_waiting *waiting, rp_stream *stream);
void rp_stream_wake(rp_co **slot);

/*
 * Suspends until all that wait in this list of the stream's are woken: 0, or -ECANCELED. There must be no cancellation
 * pending.
 */
int rp_stream_wait_in(rp_co *co, rp_node *waiters);

#endif
