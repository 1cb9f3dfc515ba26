/*
 * process.h - _core.Process: a child process of a loop's, as far as it is no matter of transports.
 */
#ifndef RPY_PROCESS_H
#define RPY_PROCESS_H

#include "state.h"

int rpy_process_init(PyObject *module, rpy_state *state);

#endif
