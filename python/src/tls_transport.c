/*
 * tls_transport.c - the type SSLTransport: what asyncio's TLS transport shows, over a filter of the core's.
 *
 * Its life is that of any transport here, after a handshake. Until that has ended, the protocol hears nothing, what is
 * written waits, and closing ends all.
 */
#include "tls_transport.h"

#include "net/transport_write.h"
#include "protocol.h"
#include "tls/filter.h"
#include "transport.h"

enum { READ_KIBIBYTES = 256 }; /* asyncio's default of a limit */

static rpy_tls_transport *of(PyObject *object)
{
    return (rpy_tls_transport *)object;
}

/* ---- errors ---- */

/* One of the two limits was reached. */
static PyObject *timed_out(const rpy_tls_transport *self)
{
    if (!self->shaking)
        return PyObject_CallFunction(PyExc_TimeoutError, "s", "SSL shutdown timed out");
    PyObject *text = PyUnicode_FromFormat(
        "SSL handshake is taking longer than %S seconds: aborting the connection", self->handshake_limit);
    PyObject *exception = text ? PyObject_CallOneArg(PyExc_ConnectionAbortedError, text) : NULL;
    Py_XDECREF(text);
    return exception;
}

static PyObject *error_of(rpy_transport *base, int error)
{
    const rpy_tls_transport *self = (const rpy_tls_transport *)base;

    if (self->engine && self->engine->error)
        return Py_NewRef(self->engine->error);
    if (error == -ETIMEDOUT && rp_tls_filter_timed_out(base->core))
        return timed_out(self);
    if (error == -ECONNRESET && self->shaking)
        return PyObject_CallNoArgs(PyExc_ConnectionResetError);
    return rpy_error_object(base->loop->state, error);
}

/* The two refer to each other. */
static void ended(rpy_transport *self)
{
    Py_CLEAR(((rpy_tls_transport *)self)->owner);
}

const rpy_tls rpy_tls_transport_own = {.error = error_of, .ended = ended};

/* ---- writing ---- */

PyDoc_STRVAR(write_doc, "write(data)\n--\n\nEncrypt bytes, and send them: at once, or in the background.");

static PyObject *method_write(PyObject *object, PyObject *data)
{
    if (!PyBytes_Check(data) && !PyByteArray_Check(data) && !PyMemoryView_Check(data))
        return PyErr_Format(PyExc_TypeError, "data: expecting a bytes-like instance, got %s",
                            Py_TYPE(data)->tp_name);
    if (rpy_connection_is_closing(&of(object)->base))
        return PyObject_Size(data) == 0 ? Py_NewRef(Py_None) : rpy_transport_count_lost_write(&of(object)->base);
    return rpy_transport_write(object, data);
}

PyDoc_STRVAR(writelines_doc,
             "writelines(list_of_data)\n--\n\nEncrypt all of these, and send them, without joining them.");

static PyObject *method_writelines(PyObject *object, PyObject *lines)
{
    if (rpy_connection_is_closing(&of(object)->base))
        return rpy_transport_count_lost_write(&of(object)->base);
    return rpy_transport_writelines(object, lines);
}

/* Over a socket, asyncio only pauses here. */
static PyObject *set_limits(PyObject *object, PyObject *args, PyObject *kwargs)
{
    PyObject *result = rpy_transport_set_limits(object, args, kwargs);
    rpy_transport *self = &of(object)->base;

    if (result && !self->ended && !self->unstarted)
        rp_transport_resume_at_low(self->core);
    return result;
}

PyDoc_STRVAR(can_write_eof_doc, "can_write_eof()\n--\n\nFalse.");

static PyObject *method_can_write_eof(PyObject *object, PyObject *unused)
{
    (void)object;
    (void)unused;
    Py_RETURN_FALSE;
}

PyDoc_STRVAR(write_eof_doc, "write_eof()\n--\n\nRaise NotImplementedError.");

static PyObject *method_write_eof(PyObject *object, PyObject *unused)
{
    (void)object;
    (void)unused;
    PyErr_SetNone(PyExc_NotImplementedError);
    return NULL;
}

/* ---- reading ---- */

PyDoc_STRVAR(set_read_limits_doc,
             "set_read_buffer_limits(high=None, low=None)\n--\n\n"
             "Set limits that get_read_buffer_limits() tells. No more is read than one record "
             "needs, so that nothing else depends on them.");

/* As asyncio checks them: any numbers will do. */
static PyObject *set_read_limits(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"high", "low", NULL};
    PyObject *high = Py_None, *low = Py_None;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:set_read_buffer_limits", keywords, &high, &low))
        return NULL;
    PyObject *limits =
        PyObject_CallFunction(of(object)->base.loop->state->tls_limits, "OOi", high, low, READ_KIBIBYTES);
    if (!limits)
        return NULL;
    Py_XSETREF(of(object)->read_limits, limits);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(get_read_limits_doc,
             "get_read_buffer_limits()\n--\n\nWhat set_read_buffer_limits() has set: (low, high).");

static PyObject *get_read_limits(PyObject *object, PyObject *unused)
{
    PyObject *limits = of(object)->read_limits;

    (void)unused;
    if (!limits)
        return Py_BuildValue("ii", READ_KIBIBYTES * 1024 / 4, READ_KIBIBYTES * 1024);
    return Py_BuildValue("OO", PyTuple_GET_ITEM(limits, 1), PyTuple_GET_ITEM(limits, 0));
}

PyDoc_STRVAR(get_read_size_doc,
             "get_read_buffer_size()\n--\n\nHow many bytes have arrived, and are no whole record yet.");

static PyObject *get_read_size(PyObject *object, PyObject *unused)
{
    const rpy_tls_engine *engine = of(object)->engine;

    (void)unused;
    return PyLong_FromSize_t(engine && engine->base.input ? engine->base.input->length : 0);
}

/* ---- what it tells of itself ---- */

PyDoc_STRVAR(get_extra_info_doc, "get_extra_info(name, default=None)\n--\n\n"
                                 "'ssl_object', 'sslcontext', 'peercert', 'cipher', 'compression', and what the "
                                 "transport below knows.");

static PyObject *find_extra(rpy_transport *self, PyObject *name, PyObject *missing)
{
    if (!self->below)
        return rpy_connection_extra(self, name, missing);
    PyObject *value = PyDict_GetItemWithError(self->extra, name);
    if (value || PyErr_Occurred())
        return Py_XNewRef(value);
    return find_extra(self->below, name, missing);
}

static PyObject *get_extra_info(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"name", "default", NULL};
    PyObject *name, *missing = Py_None;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:get_extra_info", keywords, &name, &missing))
        return NULL;
    return find_extra(&of(object)->base, name, missing);
}

static PyObject *repr(PyObject *object)
{
    const rpy_transport *self = &of(object)->base;
    const char *life = self->ended ? " closed" : rpy_connection_is_closing(self) ? " closing" : "";

    if (of(object)->shaking)
        life = " shaking hands";
    return PyUnicode_FromFormat("<SSLTransport%s over %R>", life, (PyObject *)self->below);
}

static PyObject *show_owner(PyObject *object, void *unused)
{
    PyObject *owner = of(object)->owner;

    (void)unused;
    return Py_NewRef(owner ? owner : Py_None);
}

/* ---- life ---- */

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    rpy_tls_transport *self = of(object);

    Py_VISIT(self->owner);
    Py_VISIT(self->waiter);
    Py_VISIT(self->handshake_limit);
    Py_VISIT(self->read_limits);
    int rc = self->engine ? rpy_tls_engine_traverse(self->engine, visit, arg) : 0;
    return rc ? rc : rpy_transport_traverse(object, visit, arg);
}

static int clear(PyObject *object)
{
    rpy_tls_transport *self = of(object);

    Py_CLEAR(self->owner);
    Py_CLEAR(self->waiter);
    Py_CLEAR(self->handshake_limit);
    Py_CLEAR(self->read_limits);
    return rpy_transport_clear(object);
}

static void dealloc(PyObject *object)
{
    rpy_tls_transport *self = of(object);

    if (PyObject_CallFinalizerFromDealloc(object) < 0)
        return;
    PyObject_GC_UnTrack(object);
    clear(object);
    if (self->engine)
        self->engine->freed = NULL; /* it is the filter's, which may be there for longer */
    rpy_transport_dealloc(object);
}

/* ---- the type ---- */

#define METHOD(name, flags, function, doc)                                                                        \
    {                                                                                                             \
        name, (PyCFunction)(void (*)(void))function, flags, doc                                                   \
    }
#define KEYWORDS (METH_VARARGS | METH_KEYWORDS)

static PyMethodDef methods[] = {
    METHOD("write", METH_O, method_write, write_doc),
    METHOD("writelines", METH_O, method_writelines, writelines_doc),
    METHOD("write_eof", METH_NOARGS, method_write_eof, write_eof_doc),
    METHOD("can_write_eof", METH_NOARGS, method_can_write_eof, can_write_eof_doc),
    METHOD("set_write_buffer_limits", KEYWORDS, set_limits,
           "set_write_buffer_limits(high=None, low=None)\n--\n\n"
           "Set how full the write buffer is when pause_writing() and resume_writing() are called."),
    METHOD("get_write_buffer_limits", METH_NOARGS, rpy_transport_get_limits,
           "get_write_buffer_limits()\n--\n\nThe limits of the write buffer: (low, high)."),
    METHOD("get_write_buffer_size", METH_NOARGS, rpy_transport_get_size,
           "get_write_buffer_size()\n--\n\nHow many bytes wait to be sent."),
    METHOD("set_read_buffer_limits", KEYWORDS, set_read_limits, set_read_limits_doc),
    METHOD("get_read_buffer_limits", METH_NOARGS, get_read_limits, get_read_limits_doc),
    METHOD("get_read_buffer_size", METH_NOARGS, get_read_size, get_read_size_doc),
    METHOD("is_reading", METH_NOARGS, rpy_transport_is_reading,
           "is_reading()\n--\n\nWhether what arrives is handed to the protocol."),
    METHOD("pause_reading", METH_NOARGS, rpy_transport_pause_reading,
           "pause_reading()\n--\n\nHand nothing to the protocol any more. The peer has to wait."),
    METHOD("resume_reading", METH_NOARGS, rpy_transport_resume_reading,
           "resume_reading()\n--\n\nHand what arrives to the protocol again."),
    METHOD("set_protocol", METH_O, rpy_transport_set_protocol,
           "set_protocol(protocol)\n--\n\nThe next event is told to this protocol."),
    METHOD("get_protocol", METH_NOARGS, rpy_transport_get_protocol, "get_protocol()\n--\n\nThe protocol."),
    METHOD("is_closing", METH_NOARGS, rpy_transport_is_closing,
           "is_closing()\n--\n\nWhether the transport is closed, or about to be."),
    METHOD("close", METH_NOARGS, rpy_transport_close,
           "close()\n--\n\nReceive no more, send what is buffered, end TLS, and close. The protocol's "
           "connection_lost(None) follows."),
    METHOD(
        "abort", METH_NOARGS, rpy_transport_abort,
        "abort()\n--\n\nClose at once: what is buffered is lost. The protocol's connection_lost(None) follows."),
    METHOD("get_extra_info", KEYWORDS, get_extra_info, get_extra_info_doc),
    METHOD("_force_close", METH_O, rpy_transport_force_close, NULL),
    METHOD("_call_connection_lost", METH_O, rpy_transport_call_connection_lost, NULL),
    METHOD("_test__append_write_backlog", METH_O, method_write,
           NULL), /* asyncio's own tests fill the buffer by it */
    {0},
};

static PyGetSetDef getsets[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"_loop", rpy_transport_show_loop, NULL, NULL, NULL},
    {"_ssl_protocol", show_owner, NULL, NULL, NULL},
    {"_closed", rpy_transport_show_closing, NULL, NULL, NULL},
    {"_protocol_paused", rpy_transport_show_protocol_paused, NULL, NULL, NULL},
    {0},
};

static PyMemberDef members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(rpy_transport, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(rpy_transport, weakrefs), READONLY, NULL},
    {0},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A connection by TLS: what asyncio.Transport promises.")},
    {Py_tp_dealloc, dealloc},
    {Py_tp_finalize, rpy_transport_finalize},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_repr, repr},
    {Py_tp_methods, methods},
    {Py_tp_getset, getsets},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "ringport._core.SSLTransport",
    .basicsize = sizeof(rpy_tls_transport),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

static int set_class_attributes(PyObject *type)
{
    PyObject *modes = rpy_import("asyncio.constants", "_SendfileMode");
    PyObject *mode = modes ? PyObject_GetAttrString(modes, "FALLBACK") : NULL;
    int rc = mode ? PyObject_SetAttrString(type, "_sendfile_compatible", mode) : -1;

    Py_XDECREF(mode);
    Py_XDECREF(modes);
    return rc < 0 ? rc : PyObject_SetAttrString(type, "_start_tls_compatible", Py_True);
}

int rpy_tls_transport_init(PyObject *module, rpy_state *state)
{
    PyObject *base = rpy_import("asyncio.transports", "_FlowControlMixin");

    state->tls_limits = base ? rpy_import("asyncio.sslproto", "add_flowcontrol_defaults") : NULL;
    state->tls_transport_type = state->tls_limits ? rpy_add_type(module, &spec, base) : NULL;
    Py_XDECREF(base);
    return state->tls_transport_type ? set_class_attributes((PyObject *)state->tls_transport_type) : -1;
}
