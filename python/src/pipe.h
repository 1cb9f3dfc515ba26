/*
 * pipe.h - asyncio.ReadTransport and asyncio.WriteTransport over transports of pipes of the core's.
 */
#ifndef RPY_PIPE_H
#define RPY_PIPE_H

#include "loop.h"

int rpy_pipe_init(PyObject *module, rpy_state *state);

/*
 * The methods Loop._make_read_pipe_transport(pipe, protocol, waiter=None, extra=None) and _make_write_pipe_transport(),
 * which asyncio's connect_read_pipe(), connect_write_pipe() and subprocesses call.
 */
PyObject *rpy_make_read_pipe_transport(PyObject *loop, PyObject *args, PyObject *kwargs);
PyObject *rpy_make_write_pipe_transport(PyObject *loop, PyObject *args, PyObject *kwargs);

#endif
