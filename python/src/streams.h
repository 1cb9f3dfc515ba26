/*
 * streams.h - a short cut from a transport to asyncio's StreamReader.
 */
#ifndef RPY_STREAMS_H
#define RPY_STREAMS_H

#include <stdbool.h>

#include "state.h"

int rpy_stream_init(rpy_state *state);

/* How a protocol and its reader were when no attribute of theirs stood before a method. Zeroed, it is unknown. */
typedef struct rpy_stream_seen {
    const PyObject *reader; /* only compared */
    int protocol_references;
    int reader_references;
} rpy_stream_seen;

/* Whether rpy_stream_feed() is to be tried with this protocol: it is a StreamReaderProtocol, and no subclass. */
bool rpy_stream_may_feed(rpy_state *state, PyObject *protocol);

/*
 * protocol.data_received(data) for a protocol whose reader gets the data as asyncio's code would give it, in `context`.
 * None; NULL with an exception; or NULL without one: nothing was done, and data_received() is to be called.
 */
PyObject *rpy_stream_feed(rpy_state *state, rpy_stream_seen *seen, PyObject *context, PyObject *protocol,
                          const void *data, size_t length);

#endif
