/*
 * transport.h - asyncio.Transport over a transport of the core's.
 *
 * While the connection lasts, the loop keeps the object alive.
 */
#ifndef RPY_TRANSPORT_H
#define RPY_TRANSPORT_H

#include "address.h"
#include "loop.h"
#include "ringport/net.h"

int rpy_transport_init(PyObject *module, rpy_state *state);

/*
 * Makes the transport of a connected stream socket, and starts it: connection_made is called in the next turn, then
 * data is received, and `waiter` gets None as its result.
 *   fd        the core's from then on; it is closed after connection_lost
 *   socket    Python's object for it, which is detached then; NULL: get_extra_info('socket') makes one if it is asked,
 *             and the socket has the options already that a transport sets: non-blocking, TCP_NODELAY
 *   context   what the protocol is called in; NULL: a copy of the current one
 *   waiter    a Future, or NULL
 *   extra     a dict for get_extra_info(), or NULL
 *   ends      or NULL
 * A new reference. NULL with an exception: the descriptor is still the caller's.
 */
PyObject *rpy_transport_new(rpy_loop *loop, rp_fd fd, PyObject *socket, PyObject *protocol, PyObject *context,
                            PyObject *waiter, PyObject *extra, const rpy_ends *ends);

/* The method Loop._make_socket_transport(sock, protocol, waiter=None, *, extra=None, server=None). */
PyObject *rpy_make_socket_transport(PyObject *loop, PyObject *args, PyObject *kwargs);

/* The core's transport, lent; and the object of one that was made here, lent; NULL: it has none. */
rp_transport *rpy_transport_core(PyObject *transport);
PyObject *rpy_transport_object(rp_transport *core);

#endif
