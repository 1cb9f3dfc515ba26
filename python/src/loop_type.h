/*
 * loop_type.h - the type _core.Loop.
 */
#ifndef RPY_LOOP_TYPE_H
#define RPY_LOOP_TYPE_H

#include "loop.h"

int rpy_loop_type_init(PyObject *module, rpy_state *state);

#endif
