/*
 * datagram.c - the type DatagramTransport, an asyncio.DatagramTransport over a datagram transport of the core's.
 *
 * What its methods accept, ignore and refuse is what asyncio's do. Methods of protocols are looked up at each event.
 * What one of them raises is reported, and ends nothing; out of sendto() and the like it goes to the caller.
 *
 * An address that needs more than reading, such as a name, goes to the socket's own sendto(), which has the words for
 * what is wrong with it.
 */
#include "datagram.h"

#include <errno.h>
#include <string.h>

#include "datagram_address.h"
#include "net/datagram_send.h"
#include "protocol.h"
#include "transport.h"
#include "watch.h"

typedef struct rpy_datagram {
    rpy_transport base;
    PyObject *address; /* that the endpoint was made for; or None */
    int family;
    unsigned calls; /* of our methods, that are running: what a protocol raises inside is theirs */
    rpy_datagram_addresses known;
} rpy_datagram;

static rpy_datagram *of(PyObject *object)
{
    return (rpy_datagram *)object;
}

static rp_datagram_transport *core_of(const rpy_datagram *self)
{
    return rp_datagram_of(self->base.core);
}

/* ---- what the protocol is told ---- */

/* protocol.name(first, second), or without the second one. */
static PyObject *call_protocol(const rpy_datagram *self, PyObject *name, PyObject *first, PyObject *second)
{
    PyObject *protocol = self->base.protocol, *args[3] = {protocol, first, second};

    if (!protocol)
        Py_RETURN_NONE;
    Py_INCREF(protocol);
    PyObject *result =
        PyObject_VectorcallMethod(name, args, (second ? 3 : 2) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_DECREF(protocol);
    return result;
}

static PyObject *call_in_context(const rpy_datagram *self, PyObject *name, PyObject *first, PyObject *second)
{
    if (PyContext_Enter(self->base.context) < 0)
        return NULL;
    PyObject *result = call_protocol(self, name, first, second);
    if (PyContext_Exit(self->base.context) < 0)
        Py_CLEAR(result);
    return result;
}

/* As of any callback that fails: it is reported, unless it ends the run. */
static void report_failure(rpy_datagram *self, PyObject *name)
{
    PyObject *exception = rpy_loop_callback_failed(self->base.loop);
    PyObject *message = exception ? PyUnicode_FromFormat("Exception in callback protocol.%U()", name) : NULL;

    if (message)
        rpy_loop_report(self->base.loop, message, exception, "transport", self, "protocol", self->base.protocol,
                        NULL);
    else if (exception)
        rpy_loop_leave_run(self->base.loop);
    Py_XDECREF(message);
    Py_XDECREF(exception);
}

/* The transport stays meanwhile, whatever the protocol lets go of. */
static void tell(rpy_datagram *self, PyObject *name, PyObject *first, PyObject *second)
{
    rpy_loop *loop = self->base.loop;
    int64_t begun = loop->debug ? rpy_loop_begin_timed(loop) : 0;

    Py_INCREF((PyObject *)self);
    PyObject *result = first ? call_in_context(self, name, first, second) : NULL;
    if (result)
        Py_DECREF(result);
    else
        report_failure(self, name);
    if (begun)
        rpy_loop_end_timed(loop, begun, (PyObject *)self);
    Py_DECREF((PyObject *)self);
}

static void datagram_received(void *arg, const void *data, size_t length, const struct sockaddr *address,
                              uint32_t address_length, unsigned flags)
{
    rpy_datagram *self = arg;
    PyObject *bytes = PyBytes_FromStringAndSize(data, (Py_ssize_t)length);
    PyObject *from = bytes ? rpy_datagram_address_object(&self->known, address, address_length) : NULL;

    (void)flags;
    tell(self, self->base.loop->state->names.datagram_received, from ? bytes : NULL, from);
    Py_XDECREF(bytes);
    Py_XDECREF(from);
}

/* Inside a call of ours the first exception is the caller's, and all others are reported. */
static void tell_inside(rpy_datagram *self, PyObject *name, PyObject *argument)
{
    PyObject *earlier = rpy_take_exception();
    PyObject *result = argument ? call_protocol(self, name, argument, NULL) : NULL;

    if (!result && earlier)
        report_failure(self, name);
    Py_XDECREF(result);
    if (earlier)
        rpy_set_exception(earlier);
}

static void error_received(void *arg, int error)
{
    rpy_datagram *self = arg;
    PyObject *name = self->base.loop->state->names.error_received;
    PyObject *earlier = rpy_take_exception();
    PyObject *exception = PyObject_CallFunction(PyExc_OSError, "is", -error, strerror(-error));

    if (earlier) {
        PyErr_Clear();
        rpy_set_exception(earlier);
    }
    if (self->calls > 0)
        tell_inside(self, name, exception);
    else
        tell(self, name, exception, NULL);
    Py_XDECREF(exception);
}

static const rp_datagram_protocol protocol_of_ours = {
    .datagram_received = datagram_received,
    .error_received = error_received,
    .connection_lost = rpy_protocol_lost,
    .pause_writing = rpy_protocol_pause_writing,
    .resume_writing = rpy_protocol_resume_writing,
    .begins_soon = true,
};

static const rp_datagram_protocol nobody = {.begins_soon = true};

rpy_transport *rpy_datagram_object(rp_transport *core)
{
    const rp_datagram_transport *datagram = rp_datagram_of(core);

    return datagram && datagram->protocol == &protocol_of_ours ? datagram->self : NULL;
}

/* ---- sending ---- */

/* The exception that is set is one of sending. OSErrors go to the protocol, and others end the transport. */
static PyObject *sending_failed(rpy_datagram *self)
{
    if (PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt))
        return NULL;
    PyObject *exception = rpy_take_exception(), *result;
    if (PyErr_GivenExceptionMatches(exception, PyExc_OSError)) {
        result = call_protocol(self, self->base.loop->state->names.error_received, exception, NULL);
        Py_XDECREF(result);
    } else {
        rpy_connection_fail(&self->base, exception, "Fatal write error on datagram transport");
        result = Py_None;
    }
    Py_DECREF(exception);
    return result ? Py_NewRef(Py_None) : NULL;
}

static PyObject *send_to(rpy_datagram *self, const Py_buffer *view, const struct sockaddr *address,
                         uint32_t length)
{
    int rc;

    if (self->base.core->lost) { /* asyncio sends until the socket is closed */
        struct iovec piece = {.iov_base = view->buf, .iov_len = (size_t)view->len};
        rp_message message = {.vector = &piece,
                              .count = 1,
                              .address = (struct sockaddr *)(uintptr_t)address,
                              .address_length = length};

        rc = rp_kernel_send_messages(self->base.loop->loop->kernel, self->base.fd, &message, 1);
        if (rc < 0 && rc != -EAGAIN)
            error_received(self, rc);
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    rc = rp_datagram_send(core_of(self), view->buf, (size_t)view->len, address, length);
    if (PyErr_Occurred())
        return NULL;
    return rc < 0 ? rpy_set_error(self->base.loop->state, rc) : Py_NewRef(Py_None);
}

/* The numeric address that a name has; blocking, as the socket's own methods would. NULL with an exception. */
static PyObject *resolve(const rpy_datagram *self, PyObject *address)
{
    PyObject *function = rpy_import("socket", "getaddrinfo"), *host, *port, *found = NULL;

    if (function && PyArg_ParseTuple(address, "OO", &host, &port)) {
        PyObject *infos = PyObject_CallFunction(function, "OOii", host, port, self->family, SOCK_DGRAM);
        PyObject *info = infos ? PySequence_GetItem(infos, 0) : NULL;

        found = info ? PySequence_GetItem(info, 4) : NULL;
        Py_XDECREF(info);
        Py_XDECREF(infos);
    }
    Py_XDECREF(function);
    return found;
}

/*
 * By the socket's own sendto(): anything may be wrong with the address, or it is a name.
 * What was sent before goes first.
 */
static PyObject *send_by_socket(rpy_datagram *self, const Py_buffer *view, PyObject *address)
{
    PyObject *socket, *result = NULL;

    rp_datagram_send_collected(core_of(self));
    if (PyErr_Occurred())
        return NULL;
    socket = rpy_connection_socket(&self->base);
    if (self->base.core->lost || core_of(self)->queue.count == 0) {
        result = socket ? PyObject_CallMethodObjArgs(socket, self->base.loop->state->names.sendto, view->obj,
                                                     address, NULL)
                        : NULL;
        if (result) {
            Py_DECREF(result);
            Py_RETURN_NONE;
        }
        if (!PyErr_ExceptionMatches(PyExc_BlockingIOError) || self->base.core->lost)
            return sending_failed(self);
        PyErr_Clear();
    }
    /* There is no room, or others go first: it goes behind them. */
    PyObject *found = PyTuple_Check(address) ? resolve(self, address) : Py_NewRef(address);
    struct sockaddr_storage room;
    uint32_t length;
    if (found && rpy_address_parse(found, self->family, &room, &length))
        result = send_to(self, view, (struct sockaddr *)&room, length);
    else if (PyErr_Occurred())
        result = sending_failed(self);
    else {
        PyErr_Format(PyExc_TypeError, "an address of the socket's family was expected, not %R", address);
        result = sending_failed(self);
    }
    Py_XDECREF(found);
    return result;
}

/* `address` is None, or what the caller has given. */
static PyObject *send_view(rpy_datagram *self, const Py_buffer *view, PyObject *address)
{
    const struct sockaddr *receiver;
    struct sockaddr_storage room;
    uint32_t length = 0;

    if (core_of(self)->connected)
        return send_to(self, view, NULL, 0);
    receiver = rpy_datagram_address_of(&self->known, address, self->family, &room, &length);
    return receiver ? send_to(self, view, receiver, length) : send_by_socket(self, view, address);
}

/* The endpoint's own address may be repeated. NULL with a ValueError: it is another one. */
static PyObject *check_address(const rpy_datagram *self, PyObject *address)
{
    if (self->address == Py_None || address == self->address)
        return address;
    int same = address == Py_None ? 1 : PyObject_RichCompareBool(address, self->address, Py_EQ);
    if (same == 0)
        PyErr_Format(PyExc_ValueError, "Invalid address: must be None or %S", self->address);
    return same > 0 ? self->address : NULL;
}

static int parse_arguments(PyObject *const *args, Py_ssize_t count, PyObject *names, PyObject **data,
                           PyObject **address)
{
    static const char *const keywords[2] = {"data", "addr"};
    PyObject *given[2] = {NULL, NULL};

    for (Py_ssize_t i = 0; i < count && i < 2; i++)
        given[i] = args[i];
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        int place = PyUnicode_CompareWithASCIIString(name, keywords[0]) == 0   ? 0
                    : PyUnicode_CompareWithASCIIString(name, keywords[1]) == 0 ? 1
                                                                               : 2;

        if (place == 2 || given[place]) {
            PyErr_Format(PyExc_TypeError, "sendto() got an unexpected keyword argument %R", name);
            return -1;
        }
        given[place] = args[count + i];
    }
    if (count > 2 || !given[0]) {
        PyErr_SetString(PyExc_TypeError, "sendto() takes one or two arguments: data, and addr=None");
        return -1;
    }
    *data = given[0];
    *address = given[1] ? given[1] : Py_None;
    return 0;
}

PyDoc_STRVAR(sendto_doc, "sendto(data, addr=None)\n--\n\n"
                         "Send a datagram, which may be empty: to addr, or to whom the endpoint is connected.");

static PyObject *method_sendto(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    rpy_datagram *self = of(object);
    PyObject *data, *address, *result;
    Py_buffer view;

    if (parse_arguments(args, count, names, &data, &address) < 0)
        return NULL;
    if (!PyBytes_Check(data) && !PyByteArray_Check(data) && !PyMemoryView_Check(data))
        return rpy_transport_refuse_type(data, "bytes-like object");
    address = check_address(self, address);
    if (!address)
        return NULL;
    if (self->base.ended || rpy_connection_is_dropped(&self->base) ||
        (self->base.core->lost && self->address != Py_None))
        return rpy_transport_count_lost_write(&self->base);
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    Py_INCREF(object);
    self->calls++;
    result = send_view(self, &view, address);
    self->calls--;
    PyBuffer_Release(&view);
    Py_DECREF(object);
    return result;
}

PyDoc_STRVAR(get_size_doc, "get_write_buffer_size()\n--\n\n"
                           "How many bytes wait to be sent. Each datagram counts some more.");

static PyObject *method_get_size(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyLong_FromSize_t(rp_datagram_get_write_buffer_size(core_of(of(object))));
}

PyDoc_STRVAR(get_limits_doc, "get_write_buffer_limits()\n--\n\nThe limits of the write buffer: (low, high).");
PyDoc_STRVAR(
    set_limits_doc,
    "set_write_buffer_limits(high=None, low=None)\n--\n\n"
    "Set how full the write buffer is when the protocol's pause_writing() and resume_writing() are called.");

/* The queue is the datagrams', which are looked at against the marks again. */
static PyObject *method_set_limits(PyObject *object, PyObject *args, PyObject *kwargs)
{
    const rp_transport *core = of(object)->base.core;
    PyObject *result = rpy_transport_set_limits(object, args, kwargs);

    if (result)
        rp_datagram_set_write_buffer_limits(core_of(of(object)), core->high, core->low);
    if (!PyErr_Occurred())
        return result;
    Py_XDECREF(result);
    return NULL;
}

/* ---- what it tells of itself ---- */

PyDoc_STRVAR(get_protocol_doc, "get_protocol()\n--\n\nThe protocol.");
PyDoc_STRVAR(is_closing_doc, "is_closing()\n--\n\nWhether the transport is closed, or about to be.");
PyDoc_STRVAR(get_extra_info_doc, "get_extra_info(name, default=None)\n--\n\n"
                                 "'socket', 'sockname', 'peername', and what else whoever made it knows.");

/* ---- the end ---- */

/* close() or abort(): what it sends may tell the protocol of errors. */
static PyObject *end_by(rpy_datagram *self, void (*end)(rp_datagram_transport *transport))
{
    if (rpy_loop_check(self->base.loop) < 0 || rpy_transport_note_context(&self->base) < 0)
        return NULL;
    self->base.closing = true;
    Py_INCREF((PyObject *)self);
    self->calls++;
    end(core_of(self));
    self->calls--;
    rpy_connection_keep(&self->base);
    Py_DECREF((PyObject *)self);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(close_doc,
             "close()\n--\n\n"
             "Receive no more, send what waits, and close. The protocol's connection_lost(None) follows.");

static PyObject *method_close(PyObject *object, PyObject *unused)
{
    (void)unused;
    if (rpy_connection_is_closing(&of(object)->base))
        Py_RETURN_NONE;
    return end_by(of(object), rp_datagram_close);
}

PyDoc_STRVAR(abort_doc,
             "abort()\n--\n\n"
             "Close at once: what waits for room is lost. The protocol's connection_lost(None) follows.");

static PyObject *method_abort(PyObject *object, PyObject *unused)
{
    (void)unused;
    if (of(object)->base.core->lost)
        Py_RETURN_NONE;
    return end_by(of(object), rp_datagram_abort);
}

PyDoc_STRVAR(set_protocol_doc, "set_protocol(protocol)\n--\n\nThe next event is told to this protocol.");

static PyObject *method_set_protocol(PyObject *object, PyObject *protocol)
{
    Py_XSETREF(of(object)->base.protocol, Py_NewRef(protocol));
    Py_RETURN_NONE;
}

/* ---- life ---- */

static PyObject *repr(PyObject *object)
{
    rpy_datagram *self = of(object);
    const char *life = self->base.ended ? " closed" : rpy_connection_is_closing(&self->base) ? " closing" : "";
    size_t size = rp_datagram_get_write_buffer_size(core_of(self));

    if (self->base.ended || self->base.loop->loop->closed)
        return PyUnicode_FromFormat("<DatagramTransport%s fd=%d>", life, self->base.fd);
    return PyUnicode_FromFormat("<DatagramTransport%s fd=%d read=%s write=<%s, bufsize=%zu>>", life, self->base.fd,
                                self->base.core->receiving && !rpy_connection_is_closing(&self->base) ? "polling"
                                                                                                      : "idle",
                                size > 0 ? "polling" : "idle", size);
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(of(object)->address);
    return rpy_transport_traverse(object, visit, arg);
}

static void finalize(PyObject *object)
{
    rpy_datagram *self = of(object);
    PyObject *exception = rpy_take_exception();

    if (self->base.core && !self->base.ended) {
        rp_datagram_set_protocol(core_of(self), &nobody, NULL);
        rpy_connection_abandon(&self->base);
    }
    if (exception)
        rpy_set_exception(exception);
}

static void dealloc(PyObject *object)
{
    if (PyObject_CallFinalizerFromDealloc(object) < 0)
        return;
    Py_CLEAR(of(object)->address);
    rpy_datagram_addresses_clear(&of(object)->known);
    rpy_transport_dealloc(object);
}

/* ---- making one ---- */

static rpy_datagram *allocate(rpy_loop *loop, rp_fd fd, PyObject *address, PyObject *extra)
{
    PyTypeObject *type = loop->state->datagram_type;
    rpy_datagram *self = (rpy_datagram *)type->tp_alloc(type, 0);
    rp_datagram_transport *core = NULL;
    int rc;

    if (!self)
        return NULL;
    self->address = Py_NewRef(address);
    self->base.loop = (rpy_loop *)Py_NewRef((PyObject *)loop);
    self->base.context = PyContext_CopyCurrent();
    self->base.extra = extra == Py_None ? PyDict_New() : Py_NewRef(extra);
    rc = self->base.context && self->base.extra ? rp_datagram_transport_new(loop->loop, fd, NULL, &core) : -ENOMEM;
    if (rc == 0) {
        self->base.core = rp_transport_ref(&core->base);
        return self;
    }
    if (rc == -EINVAL)
        PyErr_SetString(PyExc_ValueError, "A datagram socket was expected");
    else if (!PyErr_Occurred())
        rpy_set_error(loop->state, rc);
    self->base.ended = true;
    Py_DECREF((PyObject *)self);
    return NULL;
}

/* Nothing of it is going to happen: the socket is the caller's. The exception that is set stays so. */
static void discard(rpy_datagram *self)
{
    PyObject *exception = rpy_take_exception();

    rpy_connection_forget_socket(&self->base);
    rpy_watch_disown(self->base.loop, self->base.fd, (PyObject *)self);
    self->base.ended = true;
    rp_transport_discard(self->base.core);
    Py_DECREF((PyObject *)self);
    rpy_set_exception(exception);
}

static void note_family(rpy_datagram *self)
{
    struct sockaddr_storage name = {0};
    uint32_t length = sizeof name;

    rp_kernel_name(self->base.loop->loop->kernel, self->base.fd, (struct sockaddr *)&name, &length);
    self->family = name.ss_family;
}

static PyObject *make(rpy_loop *loop, PyObject *socket, PyObject *protocol, PyObject *address, PyObject *waiter,
                      PyObject *extra)
{
    int fd = PyObject_AsFileDescriptor(socket);
    rpy_datagram *self = fd >= 0 && rpy_loop_check(loop) == 0 ? allocate(loop, fd, address, extra) : NULL;
    rpy_handle *made = NULL, *woken = NULL;

    if (!self)
        return NULL;
    self->base.protocol = Py_NewRef(protocol);
    if (rpy_connection_open(&self->base, fd, socket, NULL) == 0)
        made = rpy_transport_handle_for_protocol(&self->base, protocol);
    if (made && waiter != Py_None)
        woken = rpy_transport_handle_for_waiter(loop, waiter);
    /* What was called, or collected, may have closed the loop: so it is asked again. */
    if (made && (woken || waiter == Py_None) && rpy_loop_check(loop) == 0) {
        note_family(self);
        rpy_handle_schedule(made);
        rp_datagram_transport_start(core_of(self), &protocol_of_ours, self);
        if (woken)
            rpy_handle_schedule(woken);
        rpy_connection_keep(&self->base);
    } else {
        discard(self);
        self = NULL;
    }
    Py_XDECREF((PyObject *)made);
    Py_XDECREF((PyObject *)woken);
    return (PyObject *)self;
}

PyObject *rpy_make_datagram_transport(PyObject *loop, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"sock", "protocol", "address", "waiter", "extra", NULL};
    PyObject *socket, *protocol, *address = Py_None, *waiter = Py_None, *extra = Py_None;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|OOO:_make_datagram_transport", keywords, &socket, &protocol,
                                     &address, &waiter, &extra))
        return NULL;
    if (extra != Py_None && !PyDict_Check(extra))
        return PyErr_Format(PyExc_TypeError, "extra must be a dict, not '%.200s'", Py_TYPE(extra)->tp_name);
    return make((rpy_loop *)loop, socket, protocol, address, waiter, extra);
}

/* ---- the type ---- */

#define METHOD(name, flags, function, doc)                                                                        \
    {                                                                                                             \
        name, (PyCFunction)(void (*)(void))function, flags, doc                                                   \
    }

static PyMethodDef methods[] = {
    METHOD("sendto", METH_FASTCALL | METH_KEYWORDS, method_sendto, sendto_doc),
    METHOD("get_write_buffer_size", METH_NOARGS, method_get_size, get_size_doc),
    METHOD("close", METH_NOARGS, method_close, close_doc),
    METHOD("abort", METH_NOARGS, method_abort, abort_doc),
    METHOD("set_protocol", METH_O, method_set_protocol, set_protocol_doc),
    METHOD("get_protocol", METH_NOARGS, rpy_transport_get_protocol, get_protocol_doc),
    METHOD("is_closing", METH_NOARGS, rpy_transport_is_closing, is_closing_doc),
    METHOD("set_write_buffer_limits", METH_VARARGS | METH_KEYWORDS, method_set_limits, set_limits_doc),
    METHOD("get_write_buffer_limits", METH_NOARGS, rpy_transport_get_limits, get_limits_doc),
    METHOD("get_extra_info", METH_VARARGS | METH_KEYWORDS, rpy_transport_get_extra_info, get_extra_info_doc),
    METHOD("_force_close", METH_O, rpy_transport_force_close, NULL),
    METHOD("_fatal_error", METH_VARARGS | METH_KEYWORDS, rpy_transport_fatal_error, NULL),
    METHOD("_call_connection_lost", METH_O, rpy_transport_call_connection_lost, NULL),
    {0},
};

static PyGetSetDef getsets[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"_loop", rpy_transport_show_loop, NULL, NULL, NULL},
    {"_protocol", rpy_transport_show_protocol, NULL, NULL, NULL},
    {"_sock", rpy_transport_show_sock, NULL, NULL, NULL},
    {"_extra", rpy_transport_show_extra, NULL, NULL, NULL},
    {"_closing", rpy_transport_show_closing, NULL, NULL, NULL},
    {"_protocol_paused", rpy_transport_show_protocol_paused, NULL, NULL, NULL},
    {"_conn_lost", rpy_transport_show_conn_lost, NULL, NULL, NULL},
    {"_high_water", rpy_transport_show_mark, NULL, NULL, ""},
    {"_low_water", rpy_transport_show_mark, NULL, NULL, NULL},
    {0},
};

static PyMemberDef members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(rpy_transport, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(rpy_transport, weakrefs), READONLY, NULL},
    {"_address", T_OBJECT, offsetof(rpy_datagram, address), READONLY, NULL},
    {"_sock_fd", T_INT, offsetof(rpy_transport, fd), READONLY, NULL},
    {0},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A socket of datagrams: what asyncio.DatagramTransport promises.")},
    {Py_tp_dealloc, dealloc},
    {Py_tp_finalize, finalize},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, rpy_transport_clear},
    {Py_tp_repr, repr},
    {Py_tp_methods, methods},
    {Py_tp_getset, getsets},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "ringport._core.DatagramTransport",
    .basicsize = sizeof(rpy_datagram),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

/* asyncio's transports of datagrams are of these two, from 3.13 on. The first has slots, in whose place ours stand. */
int rpy_datagram_init(PyObject *module, rpy_state *state)
{
    PyObject *mixin = rpy_import("asyncio.transports", "_FlowControlMixin");
    PyObject *datagram = mixin ? rpy_import("asyncio.transports", "DatagramTransport") : NULL;
    PyObject *bases = datagram ? PyTuple_Pack(2, mixin, datagram) : NULL;

    state->datagram_type = bases ? rpy_add_type(module, &spec, bases) : NULL;
    Py_XDECREF(mixin);
    Py_XDECREF(datagram);
    Py_XDECREF(bases);
    return state->datagram_type ? 0 : -1;
}
