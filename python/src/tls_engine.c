/* tls_engine.c - what both engines have in common: the handshake by the SSLObject, its exceptions, and their lives. */
#include "tls_engine.h"

#include "base/list.h"

/* What asyncio.sslproto takes for "not yet". */
static bool wants_more(const rpy_state *state)
{
    return PyErr_ExceptionMatches(state->tls_wants[0]) || PyErr_ExceptionMatches(state->tls_wants[1]);
}

/* What ends a run leaves the connection as it is: it goes on by the next bytes. */
int rpy_tls_engine_fail(rpy_tls_engine *engine)
{
    if (wants_more(engine->loop->state)) {
        PyErr_Clear();
        return -EAGAIN;
    }
    PyObject *exception = rpy_loop_callback_failed(engine->loop);
    if (!exception)
        return -EAGAIN;
    Py_XSETREF(engine->error, exception);
    return RP_ETLS_PROTOCOL;
}

bool rpy_tls_engine_may_take(rpy_tls_engine *engine)
{
    if (engine->patience > 0)
        engine->patience--;
    else
        engine->flooded = true;
    return !engine->flooded;
}

int64_t rpy_tls_engine_has_read(rpy_tls_engine *engine, int64_t rc)
{
    static const int protocol = 1; /* ssl.SSL_ERROR_SSL */

    if (rc >= 0)
        engine->patience = RP_TLS_PATIENCE;
    if (rc != -EAGAIN || !engine->flooded)
        return rc;
    PyObject *arguments = Py_BuildValue("is", protocol, "too many records without data");
    if (arguments)
        PyErr_SetObject(engine->loop->state->tls_error, arguments);
    Py_XDECREF(arguments);
    return rpy_tls_engine_fail(engine);
}

/* Callbacks of the context's are called inside: about a server's name, for one. */
int rpy_tls_engine_handshake(rp_tls_engine *base)
{
    rpy_tls_engine *engine = rp_container_of(base, rpy_tls_engine, base);

    if (engine->error)
        return RP_ETLS_PROTOCOL;
    if (PyContext_Enter(engine->context) < 0)
        return rpy_tls_engine_fail(engine);
    PyObject *result = PyObject_CallMethodNoArgs(engine->object, engine->loop->state->names.do_handshake);
    PyObject *exception = result ? NULL : rpy_take_exception();
    PyContext_Exit(engine->context);
    if (result) {
        Py_DECREF(result);
        engine->patience = RP_TLS_PATIENCE;
        return 0;
    }
    rpy_set_exception(exception);
    return rpy_tls_engine_fail(engine);
}

int rpy_tls_engine_alert(const rp_tls_engine *engine)
{
    (void)engine;
    return -1;
}

const char *rpy_tls_engine_text(const rp_tls_engine *engine)
{
    (void)engine;
    return NULL;
}

/* ---- life ---- */

/* What `ssl` has, when it is first needed: a program without TLS need not import it. */
static int find_exceptions(rpy_state *state)
{
    static const char *const names[2] = {"SSLWantReadError", "SSLSyscallError"};

    for (int i = 0; i < 2; i++)
        if (!state->tls_wants[i] && !(state->tls_wants[i] = rpy_import("ssl", names[i])))
            return -1;
    if (!state->tls_ended && !(state->tls_ended = rpy_import("ssl", "SSLZeroReturnError")))
        return -1;
    if (!state->tls_error && !(state->tls_error = rpy_import("ssl", "SSLError")))
        return -1;
    if (!state->tls_certificate_error && !(state->tls_certificate_error = rpy_import("ssl", "CertificateError")))
        return -1;
    if (!state->tls_one && !(state->tls_one = PyLong_FromLong(1)))
        return -1;
    if (!state->tls_nothing && !(state->tls_nothing = PyBytes_FromStringAndSize(NULL, 0)))
        return -1;
    return 0;
}

rpy_tls_engine *rpy_tls_engine_new(rpy_loop *loop, PyObject *object, PyObject *incoming, PyObject *outgoing,
                                   PyObject *context)
{
    rpy_tls_engine *engine = find_exceptions(loop->state) == 0 ? PyMem_Calloc(1, sizeof *engine) : NULL;

    if (!engine)
        return (rpy_tls_engine *)(PyErr_Occurred() ? NULL : PyErr_NoMemory());
    engine->loop = (rpy_loop *)Py_NewRef((PyObject *)loop);
    engine->object = Py_NewRef(object);
    engine->incoming = Py_NewRef(incoming);
    engine->outgoing = Py_NewRef(outgoing);
    engine->context = Py_NewRef(context);
    engine->patience = SIZE_MAX; /* a handshake has limits of its own */
    return engine;
}

void rpy_tls_engine_release(rpy_tls_engine *engine)
{
    if (engine->freed)
        engine->freed(engine->owner);
    Py_DECREF(engine->object);
    Py_DECREF(engine->incoming);
    Py_DECREF(engine->outgoing);
    Py_DECREF(engine->context);
    Py_XDECREF(engine->error);
    Py_DECREF((PyObject *)engine->loop);
    PyMem_Free(engine);
}

int rpy_tls_engine_traverse(const rpy_tls_engine *engine, visitproc visit, void *arg)
{
    Py_VISIT(engine->object);
    Py_VISIT(engine->incoming);
    Py_VISIT(engine->outgoing);
    Py_VISIT(engine->context);
    Py_VISIT(engine->error);
    Py_VISIT((PyObject *)engine->loop);
    return 0;
}
