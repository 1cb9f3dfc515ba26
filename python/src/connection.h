/*
 * connection.h - rpy_transport: Python's transport around one of the core's; what it says of its connection; its end.
 *
 * The loop keeps the object alive while an event can still come: until connection_lost, but for one whose reading is
 * paused, or at its end, with nothing left to send. If nobody refers to such a one, it is closed, as in asyncio.
 */
#ifndef RPY_CONNECTION_H
#define RPY_CONNECTION_H

#include "address.h"
#include "base/socket.h"
#include "loop.h"
#include "net/transport.h"
#include "streams.h"

enum {
    RPY_SHADOWED = 5,
    RPY_TLS_HIGH = 512 * 1024, /* the high-water mark of TLS, as asyncio has it */
};

typedef struct rpy_transport {
    PyObject_HEAD
    PyObject *shadowed[RPY_SHADOWED]; /* slots of asyncio's base class: ours stand in their place */
    rpy_loop *loop;
    rp_transport *core; /* a reference */
    PyObject *protocol; /* NULL: connection_lost was called */
    rpy_stream_seen seen;
    PyObject *context; /* that its methods are called in */
    bool unstarted;    /* it shakes hands, and its core is told nothing of the protocol */
    bool buffered;     /* the protocol is a BufferedProtocol */
    bool streamed;     /* the protocol is a StreamReaderProtocol of asyncio's, and no subclass */
    bool barred;       /* nothing may be written: after write_eof(), or while a file is sent */
    bool eof;          /* write_eof() was called */
    bool closing;      /* close() was called, or abort(), or something has failed */
    bool ended;        /* connection_lost was called */
    unsigned lost_writes;
    PyObject *error;           /* for connection_lost; NULL: the core has it */
    PyObject *closing_context; /* that connection_lost is called in; NULL: a copy of `context` */
    PyObject *empty_waiter;    /* a future: the write buffer is empty */
    PyObject *server;          /* or NULL */
    rpy_kept kept;

    /* TLS stands on another transport: see tls_transport.h. */
    struct rpy_transport *below; /* of TLS: a reference */
    const struct rpy_tls *tls;   /* of one that has `below` */
    struct rpy_transport
        *above; /* what stands on this one: it has all that the core tells, and what is to be told */

    PyObject *extra;  /* a dict */
    PyObject *pipe;   /* Python's object for a pipe, which has the descriptor; NULL: it is closed */
    bool piped;       /* it is a pipe's */
    PyObject *socket; /* Python's object for it; NULL: nobody has asked so far */
    rp_fd fd;
    bool socket_held; /* whoever owns it may close it: nothing happens before the connection has ended */
    struct sockaddr_in6 names[2]; /* the socket's, and the peer's, as they were at first: if they fit */
    uint32_t name_lengths[2];     /* 0: it is in `extra` */

    Py_buffer view; /* of a BufferedProtocol, between get_buffer and buffer_updated */
    PyObject *dict;
    PyObject *weakrefs;
} rpy_transport;

/* What is TLS's own, of a transport that stands on another one. */
typedef struct rpy_tls {
    PyObject *(*error)(rpy_transport *self, int error); /* rpy_connection_error() */
    void (*ended)(rpy_transport *self);                 /* lets go of what refers to the transport */
} rpy_tls;

/* Whether its loop was closed before the connection had ended. */
static inline bool rpy_connection_is_dropped(const rpy_transport *self)
{
    return self->loop->loop->closed && !self->ended;
}

static inline bool rpy_connection_is_closing(const rpy_transport *self)
{
    return self->closing || (self->core->closing && !rpy_connection_is_dropped(self));
}

/* ---- extra info ---- */

int rpy_connection_init(rpy_state *state);

/* Remembers the names of the two ends, and which Python object has the socket (NULL: none). 0, or -1. */
int rpy_connection_open(rpy_transport *self, rp_fd fd, PyObject *socket, const rpy_ends *ends);

/* The same for a pipe, whose core is there. */
int rpy_connection_open_pipe(rpy_transport *self, PyObject *pipe);

/* Lets go of the object for socket or pipe, which is its owner's again. */
void rpy_connection_forget_socket(rpy_transport *self);

/* get_extra_info(): a new reference, or NULL with an exception. */
PyObject *rpy_connection_extra(rpy_transport *self, PyObject *name, PyObject *missing);

/* All of it, lent; and Python's object for the socket, lent. NULL with an exception. */
PyObject *rpy_connection_extras(rpy_transport *self);
PyObject *rpy_connection_socket(rpy_transport *self);

/* ---- life ---- */

/* Keeps the object alive if an event may come, and else does not: after each change. It may be freed by that. */
void rpy_connection_keep(rpy_transport *self);

/* close(): 0, or -1 with an exception. */
int rpy_connection_close(rpy_transport *self);

/* The one that the program deals with: what stands on it, if something does. */
static inline rpy_transport *rpy_connection_top(rpy_transport *self)
{
    while (self->above)
        self = self->above;
    return self;
}

/* _force_close(): connection_lost(exception) follows in the next turn. `exception` may be NULL or None. */
void rpy_connection_force_close(rpy_transport *self, PyObject *exception);

/* _fatal_error(): the same, and an exception that is no OSError is reported. */
void rpy_connection_fail(rpy_transport *self, PyObject *exception, const char *message);

/* A method of the protocol has failed: it ends the run, or the connection. The exception is set, and taken. */
void rpy_connection_callback_failed(rpy_transport *self, const char *message);

/* The same of a pipe, which goes on, as in asyncio: it is only reported. */
void rpy_connection_callback_raised(rpy_transport *self);

/* The write buffer is empty, or never will be: whoever waits for that is told. */
void rpy_connection_tell_empty(rpy_transport *self, PyObject *exception);

/* After connection_lost, or when there is nobody to be told: lets go of all that goes with the connection. */
void rpy_connection_end(rpy_transport *self);

/* Nobody refers to it: warns if it is open, and closes it without telling the protocol. */
void rpy_connection_abandon(rpy_transport *self);

/* A core's error as an exception: of TLS it is the one that was raised. A new reference, or NULL with an exception. */
PyObject *rpy_connection_error(rpy_transport *self, int error);

/* An error that the core reports, in asyncio's words: as that of _fatal_error(), but the core has closed it. */
void rpy_connection_report(rpy_transport *self, PyObject *exception, const char *message);

/* Debug mode: logger.debug("%r ...", self). */
void rpy_connection_log(rpy_transport *self, const char *format);

#endif
