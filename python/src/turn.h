/*
 * turn.h - how Python runs a loop: turns in asyncio's order.
 */
#ifndef RPY_TURN_H
#define RPY_TURN_H

#include "loop.h"

/* _core.Loop._run(): runs until stop(). None, or NULL with the exception that left a callback. */
PyObject *rpy_loop_run(rpy_loop *self);

#endif
