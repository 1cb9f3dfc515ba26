/*
 * tls_transport.h - asyncio's transport of TLS: one of the core's filters, over the transport of a connection.
 *
 * The two are objects of their own, as in asyncio. The one below has the socket, and what there is to know of it; it is
 * kept by the one above, which has what the core tells, and is closed with it.
 */
#ifndef RPY_TLS_TRANSPORT_H
#define RPY_TLS_TRANSPORT_H

#include "connection.h"
#include "tls_engine.h"

typedef struct rpy_tls_transport {
    rpy_transport base;
    rpy_tls_engine *engine;    /* the filter's; NULL: it is freed */
    PyObject *owner;           /* `_ssl_protocol`: what takes the place of asyncio.sslproto.SSLProtocol */
    PyObject *waiter;          /* or NULL */
    PyObject *handshake_limit; /* as it was given */
    PyObject *read_limits;     /* (high, low), or NULL */
    bool shaking;              /* the handshake has not ended */
    bool calls_made;           /* connection_made is called after it; if not, the protocol had that call before */
    bool paused;               /* the protocol was told so by the transport below, which tells it nothing more */
    int64_t begun;             /* debug mode: when the handshake has begun */
} rpy_tls_transport;

extern const rpy_tls rpy_tls_transport_own;

int rpy_tls_transport_init(PyObject *module, rpy_state *state);

#endif
