/*
 * own.c - finds out which methods of a loop are ours.
 */
#include "own.h"

PyObject *rpy_own_name(const rpy_names *names, rpy_own_method which)
{
    switch (which) {
    case RPY_CALL_SOON:
        return names->call_soon;
    case RPY_CREATE_FUTURE:
        return names->create_future;
    case RPY_GET_DEBUG:
        return names->get_debug;
    case RPY_CALL_AT:
        return names->call_at;
    default:
        return names->time;
    }
}

static bool type_has_ours(rpy_loop *self, PyObject *name)
{
    PyObject *theirs = PyObject_GetAttr((PyObject *)Py_TYPE((PyObject *)self), name);
    PyObject *ours = PyObject_GetAttr((PyObject *)self->state->loop_type, name);
    bool same = theirs && theirs == ours;

    PyErr_Clear();
    Py_XDECREF(theirs);
    Py_XDECREF(ours);
    return same;
}

unsigned rpy_own_find_out(rpy_loop *self)
{
    self->own = 0;
    for (unsigned i = 0; i < RPY_METHODS; i++)
        if (!(self->patched & 1u << i) && type_has_ours(self, rpy_own_name(&self->state->names, i)))
            self->own |= 1u << i;
    self->own_version = Py_TYPE((PyObject *)self)->tp_version_tag;
    return self->own;
}
