/*
 * datagram.h - asyncio.DatagramTransport over a datagram transport of the core's.
 */
#ifndef RPY_DATAGRAM_H
#define RPY_DATAGRAM_H

#include "connection.h"

/* After rpy_transport_init(). */
int rpy_datagram_init(PyObject *module, rpy_state *state);

/* The method Loop._make_datagram_transport(sock, protocol, address=None, waiter=None, extra=None). */
PyObject *rpy_make_datagram_transport(PyObject *loop, PyObject *args, PyObject *kwargs);

/* Python's transport of one of the core's, lent. NULL: it is none of these. */
rpy_transport *rpy_datagram_object(rp_transport *core);

#endif
