/*
 * tls_handshake.c - a TLS transport is made, and shakes hands: then its protocol is told, or its end.
 *
 * As in asyncio, a protocol that has not been told of a connection is not told that it was lost. One that had a
 * connection before, by start_tls(), is told if the handshake has failed, or was given up.
 */
#include "tls_handshake.h"

#include "loop/loop.h"
#include "protocol.h"
#include "tls/filter.h"
#include "tls_direct.h"
#include "tls_memory.h"
#include "tls_transport.h"
#include "transport.h"

/* ---- the end of the handshake ---- */

/* asyncio's tell_waiter: nothing is done with one that was cancelled. */
static void wake(rpy_tls_transport *self, PyObject *exception)
{
    PyObject *waiter = self->waiter, *result = NULL;

    if (!waiter)
        return;
    self->waiter = NULL;
    PyObject *done = PyObject_CallMethodNoArgs(waiter, self->base.loop->state->names.done);
    if (done && PyObject_IsTrue(done) == 0)
        result = exception ? PyObject_CallMethod(waiter, "set_exception", "O", exception)
                           : PyObject_CallMethod(waiter, "set_result", "O", Py_None);
    if (PyErr_Occurred())
        rpy_loop_leave_run(self->base.loop);
    Py_XDECREF(done);
    Py_XDECREF(result);
    Py_DECREF(waiter);
}

static int note(PyObject *extra, const char *name, PyObject *value)
{
    int rc = value ? PyDict_SetItemString(extra, name, value) : -1;

    Py_XDECREF(value);
    return rc;
}

/* What get_extra_info() knows from now on. 0, or -1 with an exception. */
static int note_negotiated(rpy_tls_transport *self)
{
    PyObject *object = self->engine->object, *extra = self->base.extra;

    if (note(extra, "peercert", PyObject_CallMethod(object, "getpeercert", NULL)) < 0 ||
        note(extra, "cipher", PyObject_CallMethod(object, "cipher", NULL)) < 0 ||
        note(extra, "compression", PyObject_CallMethod(object, "compression", NULL)) < 0)
        return -1;
    return note(extra, "ssl_object", Py_NewRef(object));
}

static void log_duration(rpy_tls_transport *self)
{
    double duration = (double)(rp_loop_time(self->base.loop->loop) - self->begun) / 1e6;
    PyObject *result = PyObject_CallMethod(self->base.loop->state->logger, "debug", "sOd",
                                           "%r: SSL handshake took %.1f ms", self, duration);

    if (!result)
        PyErr_WriteUnraisable((PyObject *)self);
    Py_XDECREF(result);
}

/* connection_made may write, close and abort: so the transport runs by then. */
static void begin(rpy_tls_transport *self)
{
    rpy_transport *base = &self->base;

    if (self->begun)
        log_duration(self);
    rpy_protocol_start(base);
    if (self->calls_made && rpy_protocol_connection_made(base) < 0) {
        PyObject *exception = rpy_loop_callback_failed(base->loop);

        if (exception) {
            rpy_connection_fail(base, exception, "Fatal error: protocol.buffer_updated() call failed.");
            wake(self, exception);
        }
        Py_XDECREF(exception);
    }
    if (self->paused)
        rpy_protocol_resume_writing(base);
    wake(self, NULL);
    rpy_connection_keep(base);
}

static const char *describe(const rpy_state *state, PyObject *exception, int error)
{
    if (error == -ETIMEDOUT)
        return "Fatal error on transport";
    return PyErr_GivenExceptionMatches(exception, state->tls_certificate_error)
               ? "SSL handshake failed on verifying the certificate"
               : "SSL handshake failed";
}

/* The protocol of start_tls(): as a callback of its own. */
static void schedule_connection_lost(rpy_transport *self, PyObject *exception)
{
    PyObject *method = PyObject_GetAttr(self->protocol, self->loop->state->names.connection_lost);
    PyObject *context = method ? PyContext_Copy(self->context) : NULL;
    rpy_handle *handle =
        context ? rpy_handle_new(self->loop, self->loop->state->handle_type, method, &exception, 1, context)
                : NULL;

    if (handle)
        rpy_handle_schedule(handle);
    else
        rpy_loop_leave_run(self->loop);
    Py_XDECREF(method);
    Py_XDECREF(context);
    Py_XDECREF((PyObject *)handle);
}

/* There is no transport for whoever waits for one, even if nothing has failed. */
static void wake_without(rpy_tls_transport *self)
{
    PyObject *exception = NULL;

    if (self->waiter)
        exception = PyObject_CallFunction(PyExc_ConnectionAbortedError, "s",
                                          "the connection was closed during the SSL handshake");
    PyErr_Clear();
    wake(self, exception);
    Py_XDECREF(exception);
}

/* `exception` is NULL if whoever has the transport has given it up. */
static void give_up(rpy_tls_transport *self, PyObject *exception, int error)
{
    rpy_transport *base = &self->base;

    if (exception && error != -ECANCELED)
        rpy_connection_report(base, exception, describe(base->loop->state, exception, error));
    if (!self->calls_made && base->protocol)
        schedule_connection_lost(base, exception ? exception : Py_None);
    if (exception)
        wake(self, exception);
    else
        wake_without(self);
    rpy_connection_end(base);
}

static PyObject *reason(rpy_tls_transport *self, int error)
{
    PyObject *exception = self->base.error ? Py_NewRef(self->base.error) : NULL;

    if (!exception && error != -ECANCELED)
        exception = rpy_connection_error(&self->base, error);
    PyErr_Clear();
    return exception;
}

static void handshake_done(void *arg, rp_transport *filter, int error)
{
    rpy_tls_transport *self = arg;
    PyObject *exception;

    Py_INCREF((PyObject *)self);
    if (error == 0 && note_negotiated(self) < 0) {
        error = RP_ETLS_PROTOCOL;
        exception = rpy_take_exception();
        Py_XSETREF(self->engine->error, exception);
        rp_transport_abort(filter);
    }
    exception = error < 0 ? reason(self, error) : NULL;
    self->shaking = false;
    if (error == 0)
        begin(self);
    else
        give_up(self, exception, error);
    Py_XDECREF(exception);
    Py_DECREF((PyObject *)self);
}

/* ---- making one ---- */

/* A factory that has one engine, made already. */
typedef struct prepared {
    rp_tls_factory factory;
    rp_tls_engine *engine;
} prepared;

static int take_engine(rp_tls_factory *factory, bool server, const char *server_name, rp_tls_engine **engine)
{
    prepared *self = rp_container_of(factory, prepared, factory);

    (void)server;
    (void)server_name;
    *engine = self->engine;
    self->engine = NULL;
    return 0;
}

static void keep_factory(rp_tls_factory *factory)
{
    (void)factory;
}

static void forget_engine(void *owner)
{
    ((rpy_tls_transport *)owner)->engine = NULL;
}

/* A server counts the connection by what its program has. */
static void move_to_filter(rp_transport *below, rp_transport *filter)
{
    if (!below->maker)
        return;
    filter->maker = below->maker;
    filter->detached = below->detached;
    rp_list_push(&below->maker_link, &filter->maker_link); /* beside it */
    rp_list_remove(&below->maker_link);
    below->maker = NULL;
    below->detached = NULL;
}

typedef struct arguments {
    rpy_transport *below;
    PyObject *owner, *protocol, *object, *incoming, *outgoing, *waiter, *extra, *handshake_limit, *shutdown_limit;
    int server, calls_made, direct;
    const char *received;
    Py_ssize_t received_length;
} arguments;

/* The direct one, if it is wanted and can be had. */
static rpy_tls_engine *make_engine(const rpy_tls_transport *self, const arguments *a)
{
    const rpy_state *state = self->base.loop->state;
    SSL *ssl = a->direct && state->tls_direct ? rpy_tls_library_find(state, a->object) : NULL;
    rpy_tls_engine *engine =
        rpy_tls_engine_new(self->base.loop, a->object, a->incoming, a->outgoing, self->base.context);

    if (!engine)
        return NULL;
    if (!ssl)
        rpy_tls_memory_init(engine);
    else if (rpy_tls_direct_init(engine, ssl) < 0) {
        rpy_tls_engine_release(engine);
        return NULL;
    }
    return engine;
}

/* The filter is there, but for what comes of it: 0, or -1 with an exception. */
static int make_filter(rpy_tls_transport *self, const arguments *a)
{
    rp_tls_filter_options options = {
        .server = a->server,
        .truncation_ends = true,
        .received = a->received,
        .received_length = (size_t)a->received_length,
        .handshake_timeout = rpy_nanoseconds(PyFloat_AsDouble(a->handshake_limit)),
        .shutdown_timeout = rpy_nanoseconds(PyFloat_AsDouble(a->shutdown_limit)),
    };
    prepared engine = {.factory = {.make = take_engine, .ref = keep_factory, .unref = keep_factory}};

    if (PyErr_Occurred())
        return -1;
    self->engine = make_engine(self, a);
    if (!self->engine)
        return -1;
    self->engine->owner = self;
    self->engine->freed = forget_engine;
    engine.engine = &self->engine->base;
    int rc = rp_tls_filter_new(a->below->core, &engine.factory, &options, handshake_done, self, &self->base.core);
    if (engine.engine)
        engine.engine->type->free(engine.engine);
    if (rc < 0) {
        self->base.core = NULL;
        rpy_set_error(self->base.loop->state, rc);
        return -1;
    }
    rp_transport_ref(self->base.core);
    return 0;
}

static rpy_tls_transport *allocate(rpy_loop *loop, const arguments *a)
{
    PyTypeObject *type = loop->state->tls_transport_type;
    rpy_tls_transport *self = (rpy_tls_transport *)type->tp_alloc(type, 0);

    if (!self)
        return NULL;
    self->base.loop = (rpy_loop *)Py_NewRef((PyObject *)loop);
    self->base.ended = true; /* until there is a filter */
    self->base.fd = a->below->fd;
    self->base.context = PyContext_Copy(a->below->context);
    self->base.extra = Py_NewRef(a->extra);
    self->owner = Py_NewRef(a->owner);
    self->handshake_limit = Py_NewRef(a->handshake_limit);
    self->calls_made = a->calls_made;
    self->paused = a->below->core->writing_paused && a->below->protocol == a->protocol;
    self->begun = loop->debug ? rp_loop_time(loop->loop) : 0;
    return self;
}

/* From here on it ends by handshake_done(). */
static int start(rpy_tls_transport *self, const arguments *a)
{
    rpy_transport *base = &self->base;

    base->ended = false;
    base->below = (rpy_transport *)Py_NewRef((PyObject *)a->below);
    base->tls = &rpy_tls_transport_own;
    a->below->above = base;
    self->shaking = base->unstarted = true;
    move_to_filter(a->below->core, base->core);
    rpy_connection_keep(a->below);
    rpy_connection_keep(base);
    rp_transport_set_write_buffer_limits(base->core, RPY_TLS_HIGH, RPY_TLS_HIGH / 4);
    if (rpy_protocol_set(base, a->protocol) < 0)
        return -1;
    self->waiter = a->waiter == Py_None ? NULL : Py_NewRef(a->waiter);
    return 0;
}

static int check_below(const rpy_loop *loop, PyObject *below)
{
    const rpy_transport *self = (const rpy_transport *)below;

    if (!PyObject_TypeCheck(below, loop->state->transport_type) &&
        !PyObject_TypeCheck(below, loop->state->tls_transport_type)) {
        PyErr_Format(PyExc_TypeError, "transport %R is not supported by start_tls()", below);
        return -1;
    }
    if (self->loop != loop)
        PyErr_SetString(PyExc_ValueError, "the transport belongs to another event loop");
    else if (self->above)
        PyErr_SetString(PyExc_RuntimeError, "the transport has TLS over it already");
    else if (self->ended || rpy_connection_is_closing(self))
        PyErr_SetString(PyExc_ConnectionResetError,
                        "Failed to start TLS: the transport is closed, or about to be");
    else
        return 0;
    return -1;
}

PyObject *rpy_make_tls_transport(PyObject *object, PyObject *args)
{
    rpy_loop *loop = (rpy_loop *)object;
    PyObject *below;
    arguments a;

    if (!PyArg_ParseTuple(args, "OOO(OOO)OO!pp(OO)py#:_make_tls_transport", &below, &a.owner, &a.protocol,
                          &a.object, &a.incoming, &a.outgoing, &a.waiter, &PyDict_Type, &a.extra, &a.server,
                          &a.calls_made, &a.handshake_limit, &a.shutdown_limit, &a.direct, &a.received,
                          &a.received_length))
        return NULL;
    if (rpy_loop_check(loop) < 0 || check_below(loop, below) < 0)
        return NULL;
    a.below = (rpy_transport *)below;
    rpy_tls_transport *self = allocate(loop, &a);
    if (!self || !self->base.context || make_filter(self, &a) < 0) {
        Py_XDECREF((PyObject *)self);
        return NULL;
    }
    if (start(self, &a) < 0) {
        PyObject *exception = rpy_take_exception();

        rpy_connection_force_close(&self->base, NULL);
        Py_DECREF((PyObject *)self);
        rpy_set_exception(exception);
        return NULL;
    }
    return (PyObject *)self;
}
