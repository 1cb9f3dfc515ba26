/*
 * protocol.h - what the core tells of a connection, as calls of a Python protocol.
 */
#ifndef RPY_PROTOCOL_H
#define RPY_PROTOCOL_H

#include "connection.h"
#include "loop/exception.h"

int rpy_protocol_init(rpy_state *state);

/* Sets the protocol whose methods are called from now on. 0, or -1 with an exception. */
int rpy_protocol_set(rpy_transport *self, PyObject *protocol);

/* Its transport starts: connection_made was scheduled just before, or is called next. */
void rpy_protocol_start(rpy_transport *self);

/* Calls connection_made now. 0, or -1 with an exception. */
int rpy_protocol_connection_made(rpy_transport *self);

/* protocol.connection_lost(exception), and the end of the connection. None, or NULL with an exception. */
PyObject *rpy_protocol_connection_lost(rpy_transport *self, PyObject *exception);

/* What the core's protocols of all kinds call; the first argument is an rpy_transport. */
void rpy_protocol_pause_writing(void *transport);
void rpy_protocol_resume_writing(void *transport);
void rpy_protocol_lost(void *transport, int error);

/* Python's transport of one of the core's, lent. NULL: it has none. */
rpy_transport *rpy_protocol_transport(const rp_transport *core);

#endif
