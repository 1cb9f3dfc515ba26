/*
 * sendfile.h - sending files: one that a transport sends, and the blocks of one that a socket of the program's sends.
 */
#ifndef RPY_SENDFILE_H
#define RPY_SENDFILE_H

#include "loop.h"
#include "ringport/net.h"

int rpy_sendfile_init(PyObject *module, rpy_state *state);

/* transport._sendfile(fileno, offset, count): what is being sent, or NULL with an exception. */
PyObject *rpy_sendfile_begin(rpy_loop *loop, rp_transport *transport, PyObject *args);

/* loop._read_blocks(fileno, offset, count) */
PyObject *rpy_sendfile_read_blocks(PyObject *loop, PyObject *args);

#endif
