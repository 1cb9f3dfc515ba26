/*
 * compat.h - where versions of CPython differ: one guarded line each.
 */
#ifndef RPY_COMPAT_H
#define RPY_COMPAT_H

#include <stdbool.h>

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#if PY_VERSION_HEX < 0x030B0000
#error "ringport needs CPython 3.11 or newer"
#endif

/* The exception that is set, taken; and set again. NULL: none. */
#if PY_VERSION_HEX >= 0x030C0000
static inline PyObject *rpy_take_exception(void)
{
    return PyErr_GetRaisedException();
}

static inline void rpy_set_exception(PyObject *exception)
{
    PyErr_SetRaisedException(exception);
}
#else
static inline PyObject *rpy_take_exception(void)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    if (!type)
        return NULL;
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback)
        PyException_SetTraceback(value, traceback);
    Py_DECREF(type);
    Py_XDECREF(traceback);
    return value;
}

static inline void rpy_set_exception(PyObject *exception)
{
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(exception)), exception, PyException_GetTraceback(exception));
}
#endif

/* What asyncio shows of a callback and its arguments. From 3.13 on it shows these in debug mode only. */
static inline PyObject *rpy_format_callback(PyObject *helpers, PyObject *callback, PyObject *args, bool debug)
{
    PyObject *function = PyObject_GetAttrString(helpers, "_format_callback_source");
    PyObject *positional = function ? PyTuple_Pack(2, callback, args) : NULL;
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *keywords = positional ? Py_BuildValue("{s:O}", "debug", debug ? Py_True : Py_False) : NULL;
    PyObject *shown = keywords ? PyObject_Call(function, positional, keywords) : NULL;

    Py_XDECREF(keywords);
#else
    PyObject *shown = positional ? PyObject_CallObject(function, positional) : NULL;

    (void)debug;
#endif
    Py_XDECREF(positional);
    Py_XDECREF(function);
    return shown;
}

/* What asyncio calls the data that a stream's transport writes. */
#if PY_VERSION_HEX >= 0x030E0000
#define RPY_WRITTEN "bytes, bytearray, or memoryview object"
#else
#define RPY_WRITTEN "bytes-like object"
#endif

/* What a weak reference refers to: a new reference, or NULL. */
static inline PyObject *rpy_weakref_object(PyObject *weak)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *object = NULL;

    PyWeakref_GetRef(weak, &object);
    return object;
#else
    PyObject *object = PyWeakref_GetObject(weak);

    return object && object != Py_None ? Py_NewRef(object) : NULL;
#endif
}

/* Whether an object is what a weak reference is to. */
static inline bool rpy_weakref_is(PyObject *reference, const PyObject *object)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *referent = NULL;

    PyWeakref_GetRef(reference, &referent);
    Py_XDECREF(referent);
    return referent == object;
#else
    return PyWeakref_GetObject(reference) == object;
#endif
}

#endif
