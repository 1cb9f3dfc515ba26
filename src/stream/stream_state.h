/*
 * stream_state.h - what a stream consists of.
 *
 * A stream is a protocol whose transport is paused, except while a reader waits. The reader is woken when there is
 * something to take, and takes it itself, into its own buffer. What a call has read too much waits in `ahead`.
 */
#ifndef RP_STREAM_STREAM_STATE_H
#define RP_STREAM_STREAM_STATE_H

#include "co/task.h"
#include "net/buffer.h"
#include "ringport/stream.h"

/* What each call touches stands first, together. */
struct rp_stream {
    rp_loop *loop;
    rp_transport *transport; /* NULL before the connection is made, while TLS begins, and when it is gone */
    rp_co *reader;           /* waits for bytes */
    uint64_t turn;           /* the loop's, in which a call was last made that need not suspend */
    unsigned streak;         /* how many such calls there were in it */
    unsigned uses;           /* calls that are inside, except the reading one */
    bool released;           /* rp_stream_free() was called */
    bool closed;             /* by rp_stream_close() or rp_stream_abort() */
    bool lost;
    bool eof;            /* the end of the stream was seen */
    bool writing_paused; /* by the transport; for good if it has failed (`error`), or the connection is lost */
    bool reading;        /* a reading call is inside */
    bool kept;           /* it was freed in debug mode: closed, and no call may begin any more */
    bool telling;        /* a use of it is being reported */
    rp_bytes ahead;      /* received, and not yet read */
    size_t limit;
    size_t partial;

    int error;           /* that writing failed with, or the connection was lost by; 0: closed in order */
    rp_node writers;     /* wait for resume_writing */
    rp_node closers;     /* wait for the connection's end */
    rp_future *securing; /* the handshake of TLS that is under way, or NULL */
    rp_resource resource;
    char *name; /* debug mode: the peer's, or NULL */

    void (*connected)(rp_stream *stream); /* a server's: the connection was made */
    rp_client_connected *handler;
    void *handler_arg;
    uint64_t number; /* of the server's connections */
};

/* What a call on a stream that has no transport fails with. */
static inline int rp_stream_error(const rp_stream *stream)
{
    if (stream->securing)
        return -EBUSY;
    return stream->error ? stream->error : -EPIPE;
}

#endif
