/*
 * connect.h - connecting to numeric addresses, as far as that takes no time.
 */
#ifndef RPY_CONNECT_H
#define RPY_CONNECT_H

#include "state.h"

int rpy_connect_init(PyObject *module);

#endif
