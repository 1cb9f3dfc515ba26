/*
 * streams.c - feeds asyncio's StreamReader from C: what StreamReader.feed_data() does, in its common case.
 *
 * Whatever is not as asyncio made it has us step aside, and data_received() is called: a class or an instance that was
 * patched, a reader of another class, one that is gone or at its end, a buffer of another type or that cannot grow.
 * From the moment when the buffer has grown, nothing steps aside any more.
 */
#include "streams.h"

#include <string.h>

/* ---- whether it is all asyncio's own ---- */

/* A method of a class is the function that it was when we were loaded, and that is asyncio's. */
static bool has_own(PyTypeObject *type, PyObject *name, PyObject *own)
{
    PyObject *found = PyObject_GetAttr((PyObject *)type, name);
    bool same = found && found == own;

    if (!found)
        PyErr_Clear();
    Py_XDECREF(found);
    return same;
}

static bool look_closely(rpy_state *state)
{
    const rpy_names *names = &state->names;

    state->streams_own = has_own(state->stream_protocol_type, names->data_received, state->stream_data_received) &&
                         has_own(state->stream_protocol_type, names->_stream_reader, state->stream_property) &&
                         has_own(state->stream_reader_type, names->feed_data, state->stream_feed_data) &&
                         has_own(state->stream_reader_type, names->_wakeup_waiter, state->stream_wakeup);
    state->stream_protocol_version = state->stream_protocol_type->tp_version_tag;
    state->stream_reader_version = state->stream_reader_type->tp_version_tag;
    return state->streams_own;
}

/* Each change of a class gives it another version, or none (0). */
static bool classes_are_own(rpy_state *state)
{
    unsigned protocol = state->stream_protocol_type->tp_version_tag;
    unsigned reader = state->stream_reader_type->tp_version_tag;

    return protocol && reader && protocol == state->stream_protocol_version &&
                   reader == state->stream_reader_version
               ? state->streams_own
               : look_closely(state);
}

/* No attribute of the instance stands before the method. */
static bool is_bound(PyObject *object, PyObject *name, PyObject *function)
{
    PyObject *method = PyObject_GetAttr(object, name);
    bool same = method && PyMethod_Check(method) && PyMethod_GET_FUNCTION(method) == function &&
                PyMethod_GET_SELF(method) == object;

    if (!method)
        PyErr_Clear();
    Py_XDECREF(method);
    return same;
}

/*
 * Asking an instance for a method makes a bound one each time. An attribute that has come since it was asked last is
 * one more that the collector is shown of the instance, and counting those costs less. Attributes in a dict, which is
 * where they are once somebody has looked at it, cannot be counted so.
 */
static int count_reference(PyObject *object, void *count)
{
    if (PyDict_CheckExact(object))
        return -1;
    ++*(int *)count;
    return 0;
}

/* 0: they cannot be counted. */
static int count_references(PyObject *object)
{
    int count = 0;

    return Py_TYPE(object)->tp_traverse(object, count_reference, &count) == 0 ? count : 0;
}

static bool protocol_is_own(const rpy_state *state, rpy_stream_seen *seen, PyObject *protocol)
{
    int count = count_references(protocol);

    if (count > 0 && count == seen->protocol_references)
        return true;
    seen->protocol_references = 0;
    if (!is_bound(protocol, state->names.data_received, state->stream_data_received))
        return false;
    seen->protocol_references = count;
    return true;
}

static bool reader_is_own(const rpy_state *state, rpy_stream_seen *seen, PyObject *reader)
{
    int count = count_references(reader);

    if (count > 0 && count == seen->reader_references && reader == seen->reader)
        return true;
    seen->reader_references = 0;
    if (!is_bound(reader, state->names.feed_data, state->stream_feed_data) ||
        !is_bound(reader, state->names._wakeup_waiter, state->stream_wakeup))
        return false;
    seen->reader_references = count;
    seen->reader = reader;
    return true;
}

/* The reader, if it can be fed from here: a new reference, or NULL without an exception. */
static PyObject *reader_of(rpy_state *state, rpy_stream_seen *seen, PyObject *protocol)
{
    const rpy_names *names = &state->names;
    PyObject *weak, *eof, *reader = NULL;

    if (!classes_are_own(state) || !protocol_is_own(state, seen, protocol))
        return NULL;
    weak = PyObject_GetAttr(protocol, names->_stream_reader_wr);
    if (weak && PyWeakref_CheckRefExact(weak))
        reader = rpy_weakref_object(weak);
    Py_XDECREF(weak);
    if (reader && Py_TYPE(reader) == state->stream_reader_type) {
        eof = PyObject_GetAttr(reader, names->_eof);
        Py_XDECREF(eof);
        if (eof == Py_False && reader_is_own(state, seen, reader))
            return reader;
    }
    PyErr_Clear();
    Py_XDECREF(reader);
    return NULL;
}

/* ---- feed_data() ---- */

static bool append(PyObject *buffer, const void *data, size_t length)
{
    Py_ssize_t size = PyByteArray_GET_SIZE(buffer);

    if (PyByteArray_Resize(buffer, size + (Py_ssize_t)length) < 0) {
        PyErr_Clear();
        return false;
    }
    memcpy(PyByteArray_AS_STRING(buffer) + size, data, length);
    return true;
}

/* waiter.set_result(None), unless it was cancelled. Of a future of asyncio's that is asked when it refuses. */
static int set_result(rpy_state *state, PyObject *waiter)
{
    const rpy_names *names = &state->names;
    PyObject *result, *error;
    int cancelled = 0;

    if (Py_TYPE(waiter) != state->future_type) {
        result = PyObject_CallMethodNoArgs(waiter, names->cancelled);
        cancelled = result ? PyObject_IsTrue(result) : -1;
        Py_XDECREF(result);
        if (cancelled != 0)
            return cancelled < 0 ? -1 : 0;
    }
    result = PyObject_CallMethodOneArg(waiter, names->set_result, Py_None);
    if (result) {
        Py_DECREF(result);
        return 0;
    }
    error = rpy_take_exception();
    result = PyObject_CallMethodNoArgs(waiter, names->cancelled);
    cancelled = result ? PyObject_IsTrue(result) : -1;
    Py_XDECREF(result);
    if (cancelled == 0)
        rpy_set_exception(error);
    else
        Py_DECREF(error);
    return cancelled > 0 ? 0 : -1;
}

static int wake_waiter(rpy_state *state, PyObject *reader)
{
    const rpy_names *names = &state->names;
    PyObject *waiter = PyObject_GetAttr(reader, names->_waiter);
    int rc;

    if (!waiter)
        return -1;
    if (waiter == Py_None) {
        Py_DECREF(waiter);
        return 0;
    }
    rc = PyObject_SetAttr(reader, names->_waiter, Py_None);
    if (rc == 0)
        rc = set_result(state, waiter);
    Py_DECREF(waiter);
    return rc;
}

/* size > 2 * reader._limit: 1 or 0, or -1 with an exception. */
static int is_over_limit(rpy_state *state, PyObject *reader, Py_ssize_t size)
{
    PyObject *limit = PyObject_GetAttr(reader, state->names._limit);
    PyObject *twice = NULL, *number = NULL;
    int overflow = 0, over = -1;

    if (limit && PyLong_CheckExact(limit)) {
        long value = PyLong_AsLongAndOverflow(limit, &overflow);

        over = overflow ? overflow < 0 : value < size - value;
    } else if (limit) {
        twice = PyNumber_Add(limit, limit);
        number = twice ? PyLong_FromSsize_t(size) : NULL;
        over = number ? PyObject_RichCompareBool(number, twice, Py_GT) : -1;
    }
    Py_XDECREF(number);
    Py_XDECREF(twice);
    Py_XDECREF(limit);
    return over;
}

/* A transport that cannot pause is forgotten, so that it is not asked each time. */
static int pause_transport(rpy_state *state, PyObject *reader)
{
    const rpy_names *names = &state->names;
    PyObject *paused = PyObject_GetAttr(reader, names->_paused);
    PyObject *transport = paused ? PyObject_GetAttr(reader, names->_transport) : NULL;
    int rc = paused ? PyObject_IsTrue(paused) : -1;

    if (!transport)
        rc = -1;
    if (rc == 0 && transport != Py_None) {
        PyObject *result = PyObject_CallMethodNoArgs(transport, names->pause_reading);

        if (result) {
            Py_DECREF(result);
            rc = PyObject_SetAttr(reader, names->_paused, Py_True);
        } else if (PyErr_ExceptionMatches(PyExc_NotImplementedError)) {
            PyErr_Clear();
            rc = PyObject_SetAttr(reader, names->_transport, Py_None);
        } else {
            rc = -1;
        }
    }
    Py_XDECREF(paused);
    Py_XDECREF(transport);
    return rc < 0 ? -1 : 0;
}

/* 1: fed. 0: nothing was done. -1: it has failed. */
static int feed(rpy_state *state, PyObject *reader, const void *data, size_t length)
{
    PyObject *buffer = PyObject_GetAttr(reader, state->names._buffer);
    int rc;

    if (!buffer || !PyByteArray_CheckExact(buffer) || !append(buffer, data, length)) {
        PyErr_Clear();
        Py_XDECREF(buffer);
        return 0;
    }
    rc = wake_waiter(state, reader);
    if (rc == 0)
        rc = is_over_limit(state, reader, PyByteArray_GET_SIZE(buffer));
    if (rc > 0)
        rc = pause_transport(state, reader);
    Py_DECREF(buffer);
    return rc < 0 ? -1 : 1;
}

PyObject *rpy_stream_feed(rpy_state *state, rpy_stream_seen *seen, PyObject *context, PyObject *protocol,
                          const void *data, size_t length)
{
    PyObject *reader;
    int rc = 0;

    if (PyContext_Enter(context) < 0)
        return NULL;
    reader = reader_of(state, seen, protocol);
    if (reader) {
        rc = feed(state, reader, data, length);
        Py_DECREF(reader);
    }
    if (PyContext_Exit(context) < 0)
        return NULL;
    return rc > 0 ? Py_NewRef(Py_None) : NULL;
}

bool rpy_stream_may_feed(rpy_state *state, PyObject *protocol)
{
    return Py_TYPE(protocol) == state->stream_protocol_type;
}

/* ---- what asyncio has ---- */

/* What a class has by that name, if asyncio wrote it; else None, which equals nothing. */
static PyObject *own_method(PyTypeObject *type, PyObject *name)
{
    PyObject *method = PyObject_GetAttr((PyObject *)type, name);
    PyObject *function =
        method && !PyFunction_Check(method) ? PyObject_GetAttrString(method, "fget") : Py_XNewRef(method);
    PyObject *module = function ? PyObject_GetAttrString(function, "__module__") : NULL;
    bool own =
        module && PyUnicode_Check(module) && PyUnicode_CompareWithASCIIString(module, "asyncio.streams") == 0;

    PyErr_Clear();
    Py_XDECREF(module);
    Py_XDECREF(function);
    if (own)
        return method;
    Py_XDECREF(method);
    return Py_NewRef(Py_None);
}

int rpy_stream_init(rpy_state *state)
{
    const rpy_names *names = &state->names;

    state->stream_protocol_type = (PyTypeObject *)rpy_import("asyncio.streams", "StreamReaderProtocol");
    state->stream_reader_type =
        state->stream_protocol_type ? (PyTypeObject *)rpy_import("asyncio.streams", "StreamReader") : NULL;
    if (!state->stream_reader_type)
        return -1;
    state->future_type = (PyTypeObject *)rpy_import("asyncio.futures", "Future");
    if (!state->future_type)
        return -1;
    state->stream_data_received = own_method(state->stream_protocol_type, names->data_received);
    state->stream_property = own_method(state->stream_protocol_type, names->_stream_reader);
    state->stream_feed_data = own_method(state->stream_reader_type, names->feed_data);
    state->stream_wakeup = own_method(state->stream_reader_type, names->_wakeup_waiter);
    return 0;
}
