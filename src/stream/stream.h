/*
 * stream.h - the inside of rp_stream, for the files that streams are made of.
 *
 * A stream is a protocol whose transport is paused, except while a reader waits. The reader is woken when there is
 * something to take, and takes it itself, into its own buffer. What a call has read too much waits in `ahead`.
 * The memory is freed when its owner has freed the stream, its connection is gone and no call is inside; or else with
 * the loop. In debug mode a stream that was freed is kept until then (stream_freed.c).
 */
#ifndef RP_STREAM_STREAM_H
#define RP_STREAM_STREAM_H

#include <assert.h>

#include "co/task.h"
#include "net/buffer.h"
#include "ringport/stream.h"

/* What each call touches stands first, together. */
struct rp_stream {
    rp_loop *loop;
    rp_transport *transport; /* NULL before the connection is made, and when it is gone */
    rp_co *reader;           /* waits for bytes */
    uint64_t turn;           /* in which the last call did not suspend, and how many there were in it */
    unsigned streak;
    unsigned uses; /* calls that are inside, except the reading one */
    bool released; /* rp_stream_free() was called */
    bool closed;   /* by rp_stream_close() or rp_stream_abort() */
    bool lost;
    bool eof;    /* the end of the stream was seen */
    bool paused; /* writing is, by the transport; for good if it has failed (`error`), or the connection is lost */
    bool reading;   /* a reading call is inside */
    bool kept;      /* it was freed in debug mode: closed, and no call may begin any more */
    bool telling;   /* a use of it is being reported */
    rp_bytes ahead; /* received, and not yet read */
    size_t limit;
    size_t partial;

    int error;       /* that writing failed with, or the connection was lost by; 0: closed in order */
    rp_node writers; /* wait for resume_writing */
    rp_node closers; /* wait for the connection's end */
    rp_resource resource;
    char *name; /* debug mode: the peer's, or NULL */

    void (*connected)(rp_stream *stream); /* a server's: the connection was made */
    rp_client_connected *handler;
    void *handler_arg;
    uint64_t number; /* of the server's connections */
};

extern const rp_protocol rp_stream_protocol;

/* NULL: no memory. */
rp_stream *rp_stream_new(rp_loop *loop);

/* Gives up a stream that got no connection. */
void rp_stream_discard(rp_stream *stream);

/* What a call on a stream that has no connection any more fails with. */
static inline int rp_stream_error(const rp_stream *stream)
{
    return stream->error ? stream->error : -EPIPE;
}

/* Debug mode: remembers the peer's name while there is a connection, as far as there is memory. */
void rp_stream_note_name(rp_stream *stream);

/* Debug mode: from now on each use is reported; the memory stays until the loop closes. */
void rp_stream_keep(rp_stream *stream);

/* Reports the use of a stream that is kept. */
void rp_stream_report_use(const rp_stream *stream, const char *function);

/* Whether it is one that was freed, in which case its use by `function` is reported. */
static inline bool rp_stream_freed(const rp_stream *stream, const char *function)
{
    if (!stream->kept)
        return false;
    rp_stream_report_use(stream, function);
    return true;
}

/* What `function` fails with on a stream that is closed. */
static inline int rp_stream_closed(const rp_stream *stream, const char *function)
{
    return rp_stream_freed(stream, function) ? -EBADF : -EPIPE;
}

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
int rp_stream_take_turn(rp_co *co, rp_stream *stream);

/* Suspends until rp_stream_wake() of the same slot: 0, or -ECANCELED. There must be no cancellation pending. */
int rp_stream_wait(rp_co *co, rp_co **slot, const rp_waiting *waiting, rp_stream *stream);
void rp_stream_wake(rp_co **slot);

/*
 * Suspends until all that wait in this list of the stream's are woken: 0, or -ECANCELED. There must be no cancellation
 * pending.
 */
int rp_stream_wait_in(rp_co *co, rp_node *waiters);

/* Awaits a request made by src/net: its result, or -ECANCELED if it ended by that. The reference stays the caller's. */
int rp_co_await_request(rp_co *co, rp_future *request);

#endif
