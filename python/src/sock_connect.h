/*
 * sock_connect.h - sock_connect(), and the operation that it is.
 */
#ifndef RPY_SOCK_CONNECT_H
#define RPY_SOCK_CONNECT_H

#include "op.h"

/* To an address that needs no resolving: args[0]; args[1] is what the kernel has for it, as bytes, or NULL. */
extern const rpy_op_kind rpy_connect_kind;

/* The method of the Loop. */
PyObject *rpy_sock_connect(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names);

#endif
