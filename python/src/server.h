/*
 * server.h - _core.Server: accepts on sockets of Python's, and makes protocols and transports.
 */
#ifndef RPY_SERVER_H
#define RPY_SERVER_H

#include "state.h"

int rpy_server_init(PyObject *module);

#endif
