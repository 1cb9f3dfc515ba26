/*
 * readers.c - add_reader() and its like: what the program names its descriptors by, and what is refused.
 *
 * What is said of bad descriptors is what asyncio's loops and their selectors say.
 */
#include "readers.h"

#include <limits.h>

#include "handle.h"
#include "watch.h"

/* What selectors make of a file: its number, perhaps a negative one; or -2 with an exception. */
static int number_of(PyObject *file)
{
    PyObject *number = NULL;

    if (PyLong_Check(file)) {
        number = Py_NewRef(file);
    } else {
        PyObject *method = PyObject_GetAttrString(file, "fileno");
        PyObject *result = method ? PyObject_CallNoArgs(method) : NULL;

        number = result ? PyNumber_Long(result) : NULL;
        Py_XDECREF(method);
        Py_XDECREF(result);
        if (!number && (PyErr_ExceptionMatches(PyExc_AttributeError) || PyErr_ExceptionMatches(PyExc_TypeError) ||
                        PyErr_ExceptionMatches(PyExc_ValueError))) {
            PyErr_Clear();
            PyErr_Format(PyExc_ValueError, "Invalid file object: %R", file);
        }
    }
    int overflow = 0;
    long value = number ? PyLong_AsLongAndOverflow(number, &overflow) : -2;
    Py_XDECREF(number);
    if (overflow > 0 || value > INT_MAX) {
        PyErr_SetString(PyExc_OverflowError, "Python int too large to convert to C int");
        return -2;
    }
    if (value < 0 || overflow < 0)
        return PyErr_Occurred() ? -2 : -1;
    return (int)value;
}

/* The number of a file that is to be watched, or is. -1 with an exception. */
static int checked_number_of(rpy_loop *loop, PyObject *file, bool may_be_closed, bool own)
{
    int fd = number_of(file);

    if (fd == -2)
        return -1;
    if (!own && rpy_watch_check_free(loop, fd, file) < 0)
        return -1;
    if (fd < 0 && may_be_closed && !PyLong_Check(file)) {
        int known = rpy_watch_find_file(loop, file);

        if (known >= 0)
            return known;
    }
    if (fd < 0)
        PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %i", fd);
    return fd;
}

PyObject *rpy_ensure_fd_no_transport(PyObject *loop, PyObject *file)
{
    int fd = number_of(file);

    if (fd == -2 || rpy_watch_check_free((rpy_loop *)loop, fd, file) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *add(PyObject *object, int direction, bool own, PyObject *const *args, Py_ssize_t count)
{
    rpy_loop *loop = (rpy_loop *)object;

    if (count < 2)
        return PyErr_Format(PyExc_TypeError, "%s() takes a descriptor and a callback",
                            direction == RPY_READ ? "add_reader" : "add_writer");
    int fd = rpy_loop_check(loop) < 0 ? -1 : checked_number_of(loop, args[0], false, own);
    rpy_handle *handle =
        fd < 0 ? NULL : rpy_handle_new(loop, loop->state->handle_type, args[1], args + 2, count - 2, NULL);
    if (handle && rpy_watch_set_handle(loop, fd, direction, handle, PyLong_Check(args[0]) ? NULL : args[0]) < 0)
        Py_CLEAR(handle);
    return (PyObject *)handle;
}

static PyObject *take(PyObject *object, int direction, bool own, PyObject *file)
{
    rpy_loop *loop = (rpy_loop *)object;

    if (!loop->loop && rpy_loop_check(loop) < 0)
        return NULL;
    if (!own && loop->loop->closed)
        Py_RETURN_FALSE;
    int fd = checked_number_of(loop, file, true, own);
    if (fd < 0 && PyErr_ExceptionMatches(PyExc_OverflowError)) {
        PyErr_Clear();
        Py_RETURN_FALSE;
    }
    if (fd < 0)
        return NULL;
    if (loop->loop->closed)
        Py_RETURN_FALSE;
    if (rpy_loop_check(loop) < 0)
        return NULL;
    return PyBool_FromLong(rpy_watch_drop_handle(loop, fd, direction));
}

static PyObject *none(PyObject *result)
{
    if (!result)
        return NULL;
    Py_DECREF(result);
    Py_RETURN_NONE;
}

PyObject *rpy_add_reader(PyObject *loop, PyObject *const *args, Py_ssize_t count)
{
    return none(add(loop, RPY_READ, false, args, count));
}

PyObject *rpy_add_writer(PyObject *loop, PyObject *const *args, Py_ssize_t count)
{
    return none(add(loop, RPY_WRITE, false, args, count));
}

PyObject *rpy_remove_reader(PyObject *loop, PyObject *file)
{
    return take(loop, RPY_READ, false, file);
}

PyObject *rpy_remove_writer(PyObject *loop, PyObject *file)
{
    return take(loop, RPY_WRITE, false, file);
}

PyObject *rpy_add_own_reader(PyObject *loop, PyObject *const *args, Py_ssize_t count)
{
    return add(loop, RPY_READ, true, args, count);
}

PyObject *rpy_add_own_writer(PyObject *loop, PyObject *const *args, Py_ssize_t count)
{
    return add(loop, RPY_WRITE, true, args, count);
}

PyObject *rpy_remove_own_reader(PyObject *loop, PyObject *file)
{
    return take(loop, RPY_READ, true, file);
}

PyObject *rpy_remove_own_writer(PyObject *loop, PyObject *file)
{
    return take(loop, RPY_WRITE, true, file);
}
