/*
 * transport.c - the type SocketTransport, an asyncio.Transport over a transport of the core's.
 *
 * What its methods accept, ignore and refuse is what asyncio's do.
 */
#include "transport.h"

#include <string.h>

#include "handle.h"
#include "net/pipe_transport.h"
#include "net/socket_transport.h"
#include "net/transport_read.h"
#include "protocol.h"
#include "sendfile.h"
#include "streams.h"
#include "watch.h"

static rpy_transport *of(PyObject *object)
{
    return (rpy_transport *)object;
}

/* ---- writing ---- */

enum { LOST_WRITES_LOGGED = 5 }; /* as asyncio counts them, the close among them */

static const char *lost_write_text(const rpy_transport *self)
{
    if (self->below)
        return "SSL connection is closed";
    return self->piped ? "pipe closed by peer or os.write(pipe, data) raised exception."
                       : "socket.send() raised exception.";
}

/* The connection is lost. */
PyObject *rpy_transport_count_lost_write(rpy_transport *self)
{
    if (rpy_connection_is_dropped(self))
        return rpy_set_error(self->loop->state, RP_ECLOSED);
    if (++self->lost_writes >= LOST_WRITES_LOGGED) {
        PyObject *result = PyObject_CallMethod(self->loop->state->logger, "warning", "s", lost_write_text(self));

        if (!result)
            return NULL;
        Py_DECREF(result);
    }
    Py_RETURN_NONE;
}

/* Something has failed, or must wait in the buffer. */
static PyObject *end_write(rpy_transport *self, int rc)
{
    if (PyErr_Occurred()) /* pause_writing() has raised what ends the run */
        return NULL;
    if (rc < 0 && !self->core->lost)
        return rpy_set_error(self->loop->state, rc);
    rpy_connection_keep(self);
    Py_RETURN_NONE;
}

static PyObject *refuse(rpy_transport *self, const char *name)
{
    if (self->eof)
        return PyErr_Format(PyExc_RuntimeError, "Cannot call %s() after write_eof()", name);
    return PyErr_Format(PyExc_RuntimeError, "unable to %s; sendfile is in progress", name);
}

PyObject *rpy_transport_refuse_type(PyObject *data, const char *wanted)
{
    PyObject *name = PyType_GetName(Py_TYPE(data));

    if (name)
        PyErr_Format(PyExc_TypeError, "data argument must be a %s, not %R", wanted, name);
    Py_XDECREF(name);
    return NULL;
}

static inline PyObject *write_bytes(rpy_transport *self, const void *data, Py_ssize_t length)
{
    int rc;

    if (length == 0)
        Py_RETURN_NONE;
    if (self->core->lost)
        return rpy_transport_count_lost_write(self);
    rc = rp_transport_write(self->core, data, (size_t)length);
    if (rc < 0 || rp_buffer_size(&self->core->buffer) > 0)
        return end_write(self, rc);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(write_doc, "write(data)\n--\n\nSend bytes: at once, or in the background.");

PyObject *rpy_transport_write(PyObject *object, PyObject *data)
{
    rpy_transport *self = of(object);
    PyObject *result;
    Py_buffer view;

    if (PyBytes_CheckExact(data) && !self->barred)
        return write_bytes(self, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data));
    if (!PyBytes_Check(data) && !PyByteArray_Check(data) && !PyMemoryView_Check(data))
        return rpy_transport_refuse_type(data, RPY_WRITTEN);
    if (self->barred)
        return refuse(self, "write");
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    result = write_bytes(self, view.buf, view.len);
    PyBuffer_Release(&view);
    return result;
}

enum { PIECES = 64 };

/* The pieces of a writelines(), some of them here and all of them there if they are many. */
typedef struct pieces {
    Py_ssize_t count; /* exported so far */
    Py_buffer *views;
    struct iovec *vector;
    Py_buffer few_views[PIECES];
    struct iovec few[PIECES];
} pieces;

static void release_pieces(pieces *p)
{
    while (p->count > 0)
        PyBuffer_Release(&p->views[--p->count]);
    if (p->views != p->few_views)
        PyMem_Free(p->views);
    if (p->vector != p->few)
        PyMem_Free(p->vector);
}

static int export_pieces(pieces *p, PyObject *list)
{
    Py_ssize_t length = PySequence_Fast_GET_SIZE(list);

    p->count = 0;
    p->views = length <= PIECES ? p->few_views : PyMem_New(Py_buffer, length);
    p->vector = length <= PIECES ? p->few : PyMem_New(struct iovec, length);
    if (length > INT_MAX || !p->views || !p->vector) {
        PyErr_NoMemory();
        return -1;
    }
    for (; p->count < length && p->count < PySequence_Fast_GET_SIZE(list); p->count++) {
        Py_buffer *view = &p->views[p->count];

        if (PyObject_GetBuffer(PySequence_Fast_GET_ITEM(list, p->count), view, PyBUF_SIMPLE) < 0)
            return -1;
        p->vector[p->count] = (struct iovec){.iov_base = view->buf, .iov_len = (size_t)view->len};
    }
    return 0;
}

PyDoc_STRVAR(writelines_doc,
             "writelines(list_of_data)\n--\n\nSend all of these, in one go and without joining them.");

PyObject *rpy_transport_writelines(PyObject *object, PyObject *lines)
{
    rpy_transport *self = of(object);
    PyObject *list, *result = NULL;
    pieces p;

    if (self->barred)
        return refuse(self, "writelines");
    list = PySequence_Fast(lines, "writelines() argument must be an iterable of bytes-like objects");
    if (!list)
        return NULL;
    if (PySequence_Fast_GET_SIZE(list) == 0) {
        result = Py_NewRef(Py_None);
    } else if (export_pieces(&p, list) == 0) {
        result = self->core->lost ? rpy_transport_count_lost_write(self)
                                  : end_write(self, rp_transport_writev(self->core, p.vector, (int)p.count));
        release_pieces(&p);
    } else {
        release_pieces(&p);
    }
    Py_DECREF(list);
    return result;
}

PyDoc_STRVAR(write_eof_doc, "write_eof()\n--\n\nEnd the stream after what was written. Reading goes on.");

static PyObject *method_write_eof(PyObject *object, PyObject *unused)
{
    rpy_transport *self = of(object);

    (void)unused;
    if (rpy_connection_is_closing(self) || self->eof)
        Py_RETURN_NONE;
    int rc = rp_transport_write_eof(self->core);
    if (rc < 0)
        return rpy_set_error(self->loop->state, rc);
    self->eof = self->barred = true;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(can_write_eof_doc, "can_write_eof()\n--\n\nTrue.");

static PyObject *method_can_write_eof(PyObject *object, PyObject *unused)
{
    (void)object;
    (void)unused;
    Py_RETURN_TRUE;
}

/* ---- flow control ---- */

/* None or missing is -1. A number that is too large is the largest one. */
static int parse_mark(PyObject *object, Py_ssize_t *mark)
{
    PyObject *number;

    *mark = -1;
    if (!object || object == Py_None)
        return 0;
    if (PyFloat_Check(object) && PyFloat_AS_DOUBLE(object) >= (double)PY_SSIZE_T_MAX) {
        *mark = PY_SSIZE_T_MAX;
        return 0;
    }
    number = PyFloat_Check(object) ? PyNumber_Long(object) : PyNumber_Index(object);
    if (!number)
        return -1;
    *mark = PyNumber_AsSsize_t(number, NULL); /* it is clipped */
    Py_DECREF(number);
    return *mark == -1 && PyErr_Occurred() ? -1 : 0;
}

PyDoc_STRVAR(
    set_limits_doc,
    "set_write_buffer_limits(high=None, low=None)\n--\n\n"
    "Set how full the write buffer is when the protocol's pause_writing() and resume_writing() are called.");

PyObject *rpy_transport_set_limits(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"high", "low", NULL};
    rpy_transport *self = of(object);
    PyObject *high_object = NULL, *low_object = NULL;
    Py_ssize_t high, low;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:set_write_buffer_limits", keywords, &high_object,
                                     &low_object) ||
        parse_mark(high_object, &high) < 0 || parse_mark(low_object, &low) < 0)
        return NULL;
    bool given_high = high_object && high_object != Py_None, given_low = low_object && low_object != Py_None;
    if (!given_high)
        high = !given_low                 ? (self->below ? RPY_TLS_HIGH : RP_TRANSPORT_HIGH)
               : low > PY_SSIZE_T_MAX / 4 ? PY_SSIZE_T_MAX
                                          : 4 * low;
    if (!given_low)
        low = high >= 0 ? high / 4 : -1;
    if (!(high >= low && low >= 0))
        return PyErr_Format(PyExc_ValueError, "high (%zd) must be >= low (%zd) must be >= 0", high, low);
    rp_transport_set_write_buffer_limits(self->core, (size_t)high, (size_t)low);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(get_limits_doc, "get_write_buffer_limits()\n--\n\nThe limits of the write buffer: (low, high).");

PyObject *rpy_transport_get_limits(PyObject *object, PyObject *unused)
{
    (void)unused;
    return Py_BuildValue("nn", (Py_ssize_t)of(object)->core->low, (Py_ssize_t)of(object)->core->high);
}

PyDoc_STRVAR(get_size_doc, "get_write_buffer_size()\n--\n\nHow many bytes wait to be sent.");

PyObject *rpy_transport_get_size(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyLong_FromSize_t(rp_transport_get_write_buffer_size(of(object)->core));
}

/* ---- reading ---- */

static bool reads(const rpy_transport *self)
{
    return !self->core->reading_paused && !rpy_connection_is_closing(self);
}

PyDoc_STRVAR(is_reading_doc, "is_reading()\n--\n\nWhether what arrives is handed to the protocol.");

PyObject *rpy_transport_is_reading(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(reads(rpy_connection_top(of(object))));
}

PyDoc_STRVAR(pause_reading_doc,
             "pause_reading()\n--\n\nHand nothing to the protocol any more. The peer has to wait.");

PyObject *rpy_transport_pause_reading(PyObject *object, PyObject *unused)
{
    rpy_transport *self = rpy_connection_top(of(object));

    (void)unused;
    if (!reads(self))
        Py_RETURN_NONE;
    rp_transport_pause_reading(self->core);
    rpy_connection_keep(self);
    if (self->loop->debug)
        rpy_connection_log(self, "%r pauses reading");
    Py_RETURN_NONE;
}

PyDoc_STRVAR(resume_reading_doc, "resume_reading()\n--\n\nHand what arrives to the protocol again.");

PyObject *rpy_transport_resume_reading(PyObject *object, PyObject *unused)
{
    rpy_transport *self = rpy_connection_top(of(object));

    (void)unused;
    if (rpy_connection_is_closing(self) || !self->core->reading_paused)
        Py_RETURN_NONE;
    if (rpy_loop_check(self->loop) < 0)
        return NULL;
    rp_transport_resume_reading(self->core);
    rp_transport_pull_next_turn(self->core); /* this one may have taken an event already */
    rpy_connection_keep(self);
    if (self->loop->debug)
        rpy_connection_log(self, "%r resumes reading");
    Py_RETURN_NONE;
}

/* ---- the protocol ---- */

PyDoc_STRVAR(set_protocol_doc, "set_protocol(protocol)\n--\n\nThe next event is told to this protocol.");

PyObject *rpy_transport_set_protocol(PyObject *object, PyObject *protocol)
{
    if (rpy_protocol_set(of(object), protocol) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *or_none(PyObject *object)
{
    return Py_NewRef(object ? object : Py_None);
}

PyDoc_STRVAR(get_protocol_doc, "rpy_transport_show_protocol()\n--\n\nThe protocol.");

PyObject *rpy_transport_get_protocol(PyObject *object, PyObject *unused)
{
    (void)unused;
    return or_none(of(object)->protocol);
}

/* ---- the end ---- */

PyDoc_STRVAR(is_closing_doc, "is_closing()\n--\n\nWhether the transport is closed, or about to be.");

PyObject *rpy_transport_is_closing(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(rpy_connection_is_closing(of(object)));
}

/* connection_lost is called in the context of whoever closes. */
int rpy_transport_note_context(rpy_transport *self)
{
    if (!self->closing_context && !rpy_connection_is_closing(self))
        self->closing_context = PyContext_CopyCurrent();
    return PyErr_Occurred() ? -1 : 0;
}

PyDoc_STRVAR(close_doc, "close()\n--\n\n"
                        "Receive no more, send what is buffered, and close. The protocol's connection_lost(None) "
                        "follows.");

PyObject *rpy_transport_close(PyObject *object, PyObject *unused)
{
    (void)unused;
    if (rpy_transport_note_context(of(object)) < 0 || rpy_connection_close(of(object)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *force_close(rpy_transport *self, PyObject *exception)
{
    if (!self->core->lost && (rpy_loop_check(self->loop) < 0 || rpy_transport_note_context(self) < 0))
        return NULL;
    rpy_connection_force_close(self, exception);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(abort_doc, "abort()\n--\n\n"
                        "Close at once: what is buffered is lost. The protocol's connection_lost(None) follows.");

PyObject *rpy_transport_abort(PyObject *object, PyObject *unused)
{
    (void)unused;
    return force_close(of(object), NULL);
}

PyObject *rpy_transport_force_close(PyObject *object, PyObject *exception)
{
    return force_close(of(object), exception);
}

PyObject *rpy_transport_fatal_error(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"exc", "message", NULL};
    const char *message = "Fatal error on transport";
    PyObject *exception;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|s:_fatal_error", keywords, &exception, &message))
        return NULL;
    rpy_connection_report(of(object), exception, message);
    return force_close(of(object), exception);
}

/* What asyncio schedules when a connection is lost. */
PyObject *rpy_transport_call_connection_lost(PyObject *object, PyObject *exception)
{
    if (!of(object)->core->lost)
        return force_close(of(object), exception);
    return rpy_protocol_connection_lost(of(object), exception);
}

/* ---- sending a file ---- */

static PyObject *method_make_empty_waiter(PyObject *object, PyObject *unused)
{
    rpy_transport *self = of(object);

    (void)unused;
    if (self->empty_waiter)
        return PyErr_Format(PyExc_RuntimeError, "Empty waiter is already set");
    self->empty_waiter = PyObject_CallMethodNoArgs((PyObject *)self->loop, self->loop->state->names.create_future);
    if (!self->empty_waiter)
        return NULL;
    self->barred = true;
    if (rp_transport_get_write_buffer_size(self->core) == 0)
        rpy_connection_tell_empty(self, NULL);
    return Py_NewRef(self->empty_waiter);
}

static PyObject *method_sendfile(PyObject *object, PyObject *args)
{
    return rpy_sendfile_begin(of(object)->loop, of(object)->core, args);
}

static PyObject *method_reset_empty_waiter(PyObject *object, PyObject *unused)
{
    rpy_transport *self = of(object);

    (void)unused;
    Py_CLEAR(self->empty_waiter);
    self->barred = self->eof;
    Py_RETURN_NONE;
}

/* ---- what it tells of itself ---- */

PyDoc_STRVAR(get_extra_info_doc, "get_extra_info(name, default=None)\n--\n\n"
                                 "'socket', 'sockname', 'peername', and what else whoever made it knows.");

PyObject *rpy_transport_get_extra_info(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"name", "default", NULL};
    PyObject *name, *missing = Py_None;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:get_extra_info", keywords, &name, &missing))
        return NULL;
    return rpy_connection_extra(of(object), name, missing);
}

static PyObject *repr(PyObject *object)
{
    rpy_transport *self = of(object);
    const char *life = self->ended ? " closed" : rpy_connection_is_closing(self) ? " closing" : "";
    size_t size = rp_transport_get_write_buffer_size(self->core);
    bool polling = reads(self) && !self->core->eof_received && self->core->receiving;

    if (self->ended || self->loop->loop->closed)
        return PyUnicode_FromFormat("<SocketTransport%s fd=%d>", life, self->fd);
    return PyUnicode_FromFormat("<SocketTransport%s fd=%d read=%s write=<%s, bufsize=%zu>>", life, self->fd,
                                polling ? "polling" : "idle", size > 0 ? "polling" : "idle", size);
}

PyObject *rpy_transport_show_loop(PyObject *object, void *unused)
{
    (void)unused;
    return or_none(of(object)->ended ? NULL : (PyObject *)of(object)->loop);
}

PyObject *rpy_transport_show_protocol(PyObject *object, void *unused)
{
    (void)unused;
    return or_none(of(object)->protocol);
}

PyObject *rpy_transport_show_sock(PyObject *object, void *unused)
{
    (void)unused;
    return of(object)->ended ? Py_NewRef(Py_None) : Py_XNewRef(rpy_connection_socket(of(object)));
}

PyObject *rpy_transport_show_extra(PyObject *object, void *unused)
{
    (void)unused;
    return Py_XNewRef(rpy_connection_extras(of(object)));
}

PyObject *rpy_transport_show_closing(PyObject *object, void *unused)
{
    (void)unused;
    return PyBool_FromLong(rpy_connection_is_closing(of(object)));
}

PyObject *rpy_transport_show_paused(PyObject *object, void *unused)
{
    (void)unused;
    return PyBool_FromLong(of(object)->core->reading_paused);
}

PyObject *rpy_transport_show_protocol_paused(PyObject *object, void *unused)
{
    (void)unused;
    return PyBool_FromLong(of(object)->core->writing_paused);
}

PyObject *rpy_transport_show_conn_lost(PyObject *object, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLong(of(object)->core->lost ? of(object)->lost_writes + 1UL : 0);
}

PyObject *rpy_transport_show_mark(PyObject *object, void *high)
{
    return PyLong_FromSize_t(high ? of(object)->core->high : of(object)->core->low);
}

/* ---- life ---- */

int rpy_transport_traverse(PyObject *object, visitproc visit, void *arg)
{
    rpy_transport *self = of(object);

    Py_VISIT((PyObject *)Py_TYPE(object));
    Py_VISIT((PyObject *)self->loop);
    Py_VISIT(self->protocol);
    Py_VISIT(self->context);
    Py_VISIT(self->error);
    Py_VISIT(self->closing_context);
    Py_VISIT(self->empty_waiter);
    Py_VISIT(self->server);
    Py_VISIT(self->extra);
    Py_VISIT(self->socket);
    Py_VISIT(self->pipe);
    Py_VISIT((PyObject *)self->below);
    Py_VISIT(self->view.obj);
    Py_VISIT(self->dict);
    return 0;
}

/* The loop stays: the core's transport may still be in it. */
int rpy_transport_clear(PyObject *object)
{
    rpy_transport *self = of(object);

    Py_CLEAR(self->protocol);
    self->streamed = false;
    Py_CLEAR(self->error);
    Py_CLEAR(self->closing_context);
    Py_CLEAR(self->empty_waiter);
    Py_CLEAR(self->server);
    Py_CLEAR(self->extra);
    Py_CLEAR(self->socket);
    Py_CLEAR(self->pipe);
    Py_CLEAR(self->dict);
    return 0;
}

void rpy_transport_finalize(PyObject *object)
{
    PyObject *exception = rpy_take_exception();

    rpy_connection_abandon(of(object));
    if (exception)
        rpy_set_exception(exception);
}

void rpy_transport_dealloc(PyObject *object)
{
    rpy_transport *self = of(object);
    PyTypeObject *type = Py_TYPE(object);
    rp_transport *core = self->core;
    PyObject *loop = (PyObject *)self->loop;

    if (PyObject_CallFinalizerFromDealloc(object) < 0)
        return;
    PyObject_GC_UnTrack(object);
    if (self->weakrefs)
        PyObject_ClearWeakRefs(object);
    rpy_transport_clear(object);
    Py_CLEAR(self->context);
    if (self->below)
        self->below->above = NULL;
    Py_XDECREF((PyObject *)self->below);
    rp_transport_unref(core);
    Py_XDECREF(loop);
    type->tp_free(object);
    Py_DECREF((PyObject *)type);
}

/* ---- making one ---- */

/* A waiter's handle does nothing if the waiter was cancelled. */
rpy_handle *rpy_transport_handle_for_waiter(rpy_loop *loop, PyObject *waiter)
{
    PyObject *args[] = {waiter, Py_None};

    return rpy_handle_new(loop, loop->state->handle_type, loop->state->set_result, args, 2, NULL);
}

rpy_handle *rpy_transport_handle_for_protocol(rpy_transport *self, PyObject *protocol)
{
    PyObject *transport = (PyObject *)self;
    PyObject *method = PyObject_GetAttr(protocol, self->loop->state->names.connection_made);
    PyObject *context = method ? PyContext_Copy(self->context) : NULL;
    rpy_handle *handle =
        context ? rpy_handle_new(self->loop, self->loop->state->handle_type, method, &transport, 1, context)
                : NULL;

    Py_XDECREF(method);
    Py_XDECREF(context);
    return handle;
}

static void discard_core(rp_transport *core, bool piped)
{
    if (core)
        (piped ? rp_pipe_transport_discard : rp_transport_discard)(core);
}

/* Takes the core's transport, which may be NULL: then there was no memory. */
static rpy_transport *allocate(rpy_loop *loop, PyTypeObject *type, rp_transport *core, PyObject *context,
                               PyObject *extra)
{
    rpy_transport *self = (rpy_transport *)type->tp_alloc(type, 0);

    if (!self) {
        discard_core(core, type != loop->state->transport_type);
        return NULL;
    }
    self->piped = type != loop->state->transport_type;
    self->loop = (rpy_loop *)Py_NewRef((PyObject *)loop);
    self->context = context ? Py_NewRef(context) : PyContext_CopyCurrent();
    self->extra = extra ? Py_NewRef(extra) : PyDict_New();
    if (core)
        self->core = rp_transport_ref(core);
    else
        PyErr_NoMemory();
    if (core && self->context && self->extra)
        return self;
    self->ended = true;
    discard_core(core, self->piped);
    Py_DECREF((PyObject *)self);
    return NULL;
}

static int join_server(rpy_transport *self, PyObject *server)
{
    PyObject *result;

    if (!server || server == Py_None)
        return 0;
    result = PyObject_CallMethodOneArg(server, self->loop->state->names._attach, (PyObject *)self);
    if (!result)
        return -1;
    Py_DECREF(result);
    self->server = Py_NewRef(server);
    return 0;
}

/* Nothing of it is going to happen: the descriptor is the caller's. The exception that is set stays so. */
static void discard(rpy_transport *self)
{
    PyObject *exception = rpy_take_exception();

    rpy_connection_forget_socket(self);
    if (!self->piped)
        rpy_watch_disown(self->loop, self->fd, (PyObject *)self);
    self->ended = true;
    discard_core(self->core, self->piped);
    Py_DECREF((PyObject *)self);
    rpy_set_exception(exception);
}

static void start(rpy_transport *self, rpy_handle *made, rpy_handle *waiter)
{
    const rp_kernel *kernel = self->loop->loop->kernel;

    if (self->name_lengths[0] > 0)
        rp_socket_transport_set_family(self->core, self->names[0].sin6_family);
    if (self->socket) {
        rp_kernel_set_nonblocking(kernel, self->fd);
        rp_kernel_set_number(kernel, self->fd, IPPROTO_TCP, TCP_NODELAY,
                             1); /* a Unix socket refuses, and needs none */
    }
    rpy_handle_schedule(made);
    rpy_protocol_start(self);
    if (waiter)
        rpy_handle_schedule(waiter);
    rpy_connection_keep(self);
}

/* What it stands on is known: sets it going, or gives it up. */
static PyObject *begin(rpy_transport *self, PyObject *protocol, PyObject *waiter, PyObject *server)
{
    rpy_handle *made =
        rpy_protocol_set(self, protocol) == 0 ? rpy_transport_handle_for_protocol(self, protocol) : NULL;
    bool waited = waiter && waiter != Py_None;
    rpy_handle *woken = made && waited ? rpy_transport_handle_for_waiter(self->loop, waiter) : NULL;

    /* What was called, or collected, may have closed the loop: so it is asked again. */
    if (made && (woken || !waited) && rpy_loop_check(self->loop) == 0 && join_server(self, server) == 0) {
        start(self, made, woken);
    } else {
        discard(self);
        self = NULL;
    }
    Py_XDECREF((PyObject *)made);
    Py_XDECREF((PyObject *)woken);
    return (PyObject *)self;
}

static PyObject *make(rpy_loop *loop, rp_fd fd, PyObject *socket, PyObject *protocol, PyObject *context,
                      PyObject *waiter, PyObject *extra, PyObject *server, const rpy_ends *ends)
{
    rpy_transport *self;

    if (rpy_loop_check(loop) < 0)
        return NULL;
    self = allocate(loop, loop->state->transport_type, rp_socket_transport_new(loop->loop, fd), context, extra);
    if (!self)
        return NULL;
    if (rpy_connection_open(self, fd, socket, ends) == 0)
        return begin(self, protocol, waiter, server);
    discard(self);
    return NULL;
}

PyObject *rpy_transport_new(rpy_loop *loop, rp_fd fd, PyObject *socket, PyObject *protocol, PyObject *context,
                            PyObject *waiter, PyObject *extra, const rpy_ends *ends)
{
    return make(loop, fd, socket, protocol, context, waiter, extra, NULL, ends);
}

PyObject *rpy_transport_new_pipe(rpy_loop *loop, PyTypeObject *type, rp_transport *core, PyObject *pipe,
                                 PyObject *protocol, PyObject *waiter, PyObject *extra)
{
    rpy_transport *self = allocate(loop, type, core, NULL, extra);

    if (!self)
        return NULL;
    if (rpy_connection_open_pipe(self, pipe) == 0)
        return begin(self, protocol, waiter, NULL);
    discard(self);
    return NULL;
}

PyObject *rpy_make_socket_transport(PyObject *loop, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"sock", "protocol", "waiter", "extra", "server", NULL};
    PyObject *socket, *protocol, *waiter = Py_None, *extra = Py_None, *server = Py_None;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O$OO:_make_socket_transport", keywords, &socket, &protocol,
                                     &waiter, &extra, &server))
        return NULL;
    if (extra != Py_None && !PyDict_Check(extra))
        return PyErr_Format(PyExc_TypeError, "extra must be a dict, not '%.200s'", Py_TYPE(extra)->tp_name);
    int fd = PyObject_AsFileDescriptor(socket);
    if (fd < 0)
        return NULL;
    return make((rpy_loop *)loop, fd, socket, protocol, NULL, waiter, extra == Py_None ? NULL : extra, server,
                NULL);
}

rp_transport *rpy_transport_core(PyObject *transport)
{
    return of(transport)->core;
}

PyObject *rpy_transport_object(rp_transport *core)
{
    return (PyObject *)rpy_protocol_transport(core);
}

/* ---- the type ---- */

#define METHOD(name, flags, function, doc)                                                                        \
    {                                                                                                             \
        name, (PyCFunction)(void (*)(void))function, flags, doc                                                   \
    }
#define KEYWORDS (METH_VARARGS | METH_KEYWORDS)

static PyMethodDef methods[] = {
    METHOD("write", METH_O, rpy_transport_write, write_doc),
    METHOD("writelines", METH_O, rpy_transport_writelines, writelines_doc),
    METHOD("write_eof", METH_NOARGS, method_write_eof, write_eof_doc),
    METHOD("can_write_eof", METH_NOARGS, method_can_write_eof, can_write_eof_doc),
    METHOD("set_write_buffer_limits", KEYWORDS, rpy_transport_set_limits, set_limits_doc),
    METHOD("get_write_buffer_limits", METH_NOARGS, rpy_transport_get_limits, get_limits_doc),
    METHOD("get_write_buffer_size", METH_NOARGS, rpy_transport_get_size, get_size_doc),
    METHOD("is_reading", METH_NOARGS, rpy_transport_is_reading, is_reading_doc),
    METHOD("pause_reading", METH_NOARGS, rpy_transport_pause_reading, pause_reading_doc),
    METHOD("resume_reading", METH_NOARGS, rpy_transport_resume_reading, resume_reading_doc),
    METHOD("set_protocol", METH_O, rpy_transport_set_protocol, set_protocol_doc),
    METHOD("get_protocol", METH_NOARGS, rpy_transport_get_protocol, get_protocol_doc),
    METHOD("is_closing", METH_NOARGS, rpy_transport_is_closing, is_closing_doc),
    METHOD("close", METH_NOARGS, rpy_transport_close, close_doc),
    METHOD("abort", METH_NOARGS, rpy_transport_abort, abort_doc),
    METHOD("get_extra_info", KEYWORDS, rpy_transport_get_extra_info, get_extra_info_doc),
    METHOD("_force_close", METH_O, rpy_transport_force_close, NULL),
    METHOD("_fatal_error", KEYWORDS, rpy_transport_fatal_error, NULL),
    METHOD("_call_connection_lost", METH_O, rpy_transport_call_connection_lost, NULL),
    METHOD("_make_empty_waiter", METH_NOARGS, method_make_empty_waiter, NULL),
    METHOD("_sendfile", METH_VARARGS, method_sendfile, NULL),
    METHOD("_reset_empty_waiter", METH_NOARGS, method_reset_empty_waiter, NULL),
    {0},
};

static PyGetSetDef getsets[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"_loop", rpy_transport_show_loop, NULL, NULL, NULL},
    {"_protocol", rpy_transport_show_protocol, NULL, NULL, NULL},
    {"_sock", rpy_transport_show_sock, NULL, NULL, NULL},
    {"_extra", rpy_transport_show_extra, NULL, NULL, NULL},
    {"_closing", rpy_transport_show_closing, NULL, NULL, NULL},
    {"_paused", rpy_transport_show_paused, NULL, NULL, NULL},
    {"_protocol_paused", rpy_transport_show_protocol_paused, NULL, NULL, NULL},
    {"_conn_lost", rpy_transport_show_conn_lost, NULL, NULL, NULL},
    {"_high_water", rpy_transport_show_mark, NULL, NULL, ""},
    {"_low_water", rpy_transport_show_mark, NULL, NULL, NULL},
    {0},
};

static PyMemberDef members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(rpy_transport, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(rpy_transport, weakrefs), READONLY, NULL},
    {"_eof", T_BOOL, offsetof(rpy_transport, eof), READONLY, NULL},
    {"_sock_fd", T_INT, offsetof(rpy_transport, fd), READONLY, NULL},
    {"_server", T_OBJECT, offsetof(rpy_transport, server), READONLY, NULL},
    {"_empty_waiter", T_OBJECT, offsetof(rpy_transport, empty_waiter), READONLY, NULL},
    {0},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A connection: what asyncio.Transport promises.")},
    {Py_tp_dealloc, rpy_transport_dealloc},
    {Py_tp_finalize, rpy_transport_finalize},
    {Py_tp_traverse, rpy_transport_traverse},
    {Py_tp_clear, rpy_transport_clear},
    {Py_tp_repr, repr},
    {Py_tp_methods, methods},
    {Py_tp_getset, getsets},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "ringport._core.SocketTransport",
    .basicsize = sizeof(rpy_transport),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

/* The slots of asyncio's base class come first in each object; sendfile() wants just that class. */
static PyObject *base_type(void)
{
    PyObject *base = rpy_import("asyncio.transports", "_FlowControlMixin");

    if (base && ((PyTypeObject *)base)->tp_basicsize != offsetof(rpy_transport, loop)) {
        PyErr_SetString(PyExc_ImportError, "ringport does not know the transports of this Python's asyncio");
        Py_CLEAR(base);
    }
    return base;
}

static int set_class_attributes(PyObject *type)
{
    PyObject *modes = rpy_import("asyncio.constants", "_SendfileMode");
    PyObject *mode = modes ? PyObject_GetAttrString(modes, "TRY_NATIVE") : NULL;
    int rc = mode ? PyObject_SetAttrString(type, "_sendfile_compatible", mode) : -1;

    Py_XDECREF(mode);
    Py_XDECREF(modes);
    return rc < 0 ? rc : PyObject_SetAttrString(type, "_start_tls_compatible", Py_True);
}

int rpy_transport_init(PyObject *module, rpy_state *state)
{
    PyObject *base = base_type();

    if (!base || rpy_protocol_init(state) < 0 || rpy_stream_init(state) < 0 || rpy_connection_init(state) < 0) {
        Py_XDECREF(base);
        return -1;
    }
    state->set_result = rpy_import("asyncio.futures", "_set_result_unless_cancelled");
    state->transport_type = state->set_result ? rpy_add_type(module, &spec, base) : NULL;
    Py_DECREF(base);
    return state->transport_type ? set_class_attributes((PyObject *)state->transport_type) : -1;
}
