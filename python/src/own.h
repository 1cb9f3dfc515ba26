/*
 * own.h - which methods of a loop are ours: neither a subclass nor the instance has another one in their place.
 *
 * `own` of the loop says which, as long as the type's version tag is the one that it was found out for.
 */
#ifndef RPY_OWN_H
#define RPY_OWN_H

#include "loop.h"

/*
 * The first ones, RPY_BOUND of them, are asked for by a name at each callback or wait, by asyncio's own code. They are
 * bound once: see loop_type.c.
 */
typedef enum rpy_own_method {
    RPY_CALL_SOON,
    RPY_CREATE_FUTURE,
    RPY_GET_DEBUG,
    RPY_CALL_AT,
    RPY_TIME,
    RPY_METHODS,
} rpy_own_method;

PyObject *rpy_own_name(const rpy_names *names, rpy_own_method which);

/* Finds out `own`, and returns it. */
unsigned rpy_own_find_out(rpy_loop *loop);

static inline bool rpy_is_own(rpy_loop *loop, rpy_own_method which)
{
    unsigned version = Py_TYPE((PyObject *)loop)->tp_version_tag;
    unsigned own = version && version == loop->own_version ? loop->own : rpy_own_find_out(loop);

    return own & 1u << which;
}

#endif
