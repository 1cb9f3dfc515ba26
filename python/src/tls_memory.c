/*
 * tls_memory.c - the engine that has an SSLObject move all bytes through its MemoryBIOs.
 *
 * It needs no more of it than its methods, as asyncio does.
 */
#include "tls_memory.h"

#include <limits.h>

#include "base/list.h"

enum {
    FIRST_TYPE = 20,
    LAST_TYPE = 24,
    FED = INT_MIN, /* no error, and no number of bytes: there is something new to be read */
};

static rpy_tls_engine *engine_of(rp_tls_engine *engine)
{
    return rp_container_of(engine, rpy_tls_engine, base);
}

/*
 * The length of the next record; 0: it is not whole. What is no record is one as a whole: the SSLObject has the words
 * for it.
 */
static size_t next_record(const rp_tls_input *input)
{
    const unsigned char *header = input->data;
    size_t length;

    if (input->length < RP_TLS_HEADER)
        return 0;
    length = RP_TLS_HEADER + ((size_t)header[3] << 8 | header[4]);
    if (header[0] < FIRST_TYPE || header[0] > LAST_TYPE || length > RP_TLS_RECORD)
        return input->length;
    return length <= input->length ? length : 0;
}

/*
 * One record: by what is left the filter sees whether there is more.
 * 1; 0: there is no whole one, or one too many; -1 with an exception.
 */
static int feed(rpy_tls_engine *engine)
{
    rp_tls_input *input = engine->base.input;
    size_t length = next_record(input);

    if (length == 0 || !rpy_tls_engine_may_take(engine))
        return 0;
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)input->data, (Py_ssize_t)length);
    PyObject *result = bytes ? PyObject_CallMethod(engine->incoming, "write", "O", bytes) : NULL;
    Py_XDECREF(bytes);
    Py_XDECREF(result);
    if (!result)
        return -1;
    input->data += length;
    input->length -= length;
    return 1;
}

/* Hands on what the SSLObject has written. The exception that is set stays so. */
static void drain(rpy_tls_engine *engine)
{
    PyObject *exception = rpy_take_exception();
    PyObject *bytes = PyObject_CallMethod(engine->outgoing, "read", NULL);

    if (bytes && PyBytes_Check(bytes) && PyBytes_GET_SIZE(bytes) > 0)
        rp_tls_output_write(engine->base.output, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
    Py_XDECREF(bytes);
    if (exception) {
        PyErr_Clear();
        rpy_set_exception(exception);
    }
}

static int shake(rpy_tls_engine *engine)
{
    int rc = rpy_tls_engine_handshake(&engine->base);

    drain(engine);
    return PyErr_Occurred() ? rpy_tls_engine_fail(engine) : rc;
}

/* While it wants more, it gets a record, if there is one. */
static int64_t feed_and(rpy_tls_engine *engine, int64_t rc)
{
    if (rc != -EAGAIN)
        return rc;
    int fed = feed(engine);

    return fed < 0 ? rpy_tls_engine_fail(engine) : fed > 0 ? FED : -EAGAIN;
}

static int memory_handshake(rp_tls_engine *base)
{
    rpy_tls_engine *engine = engine_of(base);
    int64_t rc;

    if (engine->error)
        return RP_ETLS_PROTOCOL;
    do
        rc = feed_and(engine, shake(engine));
    while (rc == FED);
    return (int)rc;
}

/* The memory is somebody else's after the call, even if the view is kept. The exception that is set stays so. */
static void release_view(PyObject *view)
{
    PyObject *exception = rpy_take_exception();
    PyObject *result = view ? PyObject_CallMethod(view, "release", NULL) : NULL;

    PyErr_Clear();
    Py_XDECREF(result);
    Py_XDECREF(view);
    if (exception)
        rpy_set_exception(exception);
}

/* A method's result, which is a count. */
static int64_t count(rpy_tls_engine *engine, PyObject *result)
{
    Py_ssize_t number = result ? PyLong_AsSsize_t(result) : -1;

    Py_XDECREF(result);
    drain(engine);
    return PyErr_Occurred() ? rpy_tls_engine_fail(engine) : number;
}

static int64_t take(rpy_tls_engine *engine, void *buffer, size_t length)
{
    PyObject *view = PyMemoryView_FromMemory(buffer, (Py_ssize_t)length, PyBUF_WRITE);
    PyObject *result = view ? PyObject_CallMethod(engine->object, "read", "nO", (Py_ssize_t)length, view) : NULL;

    if (!result && view && PyErr_ExceptionMatches(engine->loop->state->tls_ended)) {
        PyErr_Clear();
        result = PyLong_FromLong(0);
    }
    release_view(view);
    return count(engine, result);
}

static int64_t memory_read(rp_tls_engine *base, void *buffer, size_t length)
{
    rpy_tls_engine *engine = engine_of(base);
    int64_t rc;

    if (engine->error)
        return RP_ETLS_PROTOCOL;
    do
        rc = feed_and(engine, take(engine, buffer, length));
    while (rc == FED);
    return rpy_tls_engine_has_read(engine, rc);
}

static int64_t memory_write(rp_tls_engine *base, const void *data, size_t length)
{
    rpy_tls_engine *engine = engine_of(base);
    PyObject *view, *result;

    if (engine->error)
        return RP_ETLS_PROTOCOL;
    view = PyMemoryView_FromMemory((char *)(uintptr_t)data, (Py_ssize_t)length, PyBUF_READ);
    result = view ? PyObject_CallMethod(engine->object, "write", "O", view) : NULL;
    release_view(view);
    return count(engine, result);
}

/* It says that it waits for the peer's close_notify: the filter does that. */
static int memory_shutdown(rp_tls_engine *base)
{
    rpy_tls_engine *engine = engine_of(base);
    PyObject *result;

    if (engine->error)
        return 0;
    result = PyObject_CallMethod(engine->object, "unwrap", NULL);
    Py_XDECREF(result);
    PyErr_Clear();
    drain(engine);
    PyErr_Clear();
    return 0;
}

static size_t memory_pending(const rp_tls_engine *base)
{
    const rpy_tls_engine *engine = rp_container_of(base, const rpy_tls_engine, base);
    PyObject *result = PyObject_CallMethod(engine->object, "pending", NULL);
    Py_ssize_t length = result ? PyLong_AsSsize_t(result) : 0;

    Py_XDECREF(result);
    PyErr_Clear();
    return length > 0 ? (size_t)length : 0;
}

static void memory_free(rp_tls_engine *base)
{
    rpy_tls_engine_release(engine_of(base));
}

static const rp_tls_engine_type memory_type = {
    .handshake = memory_handshake,
    .read = memory_read,
    .write = memory_write,
    .shutdown = memory_shutdown,
    .pending = memory_pending,
    .alert = rpy_tls_engine_alert,
    .text = rpy_tls_engine_text,
    .free = memory_free,
};

void rpy_tls_memory_init(rpy_tls_engine *engine)
{
    engine->base.type = &memory_type;
}
