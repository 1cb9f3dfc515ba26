/*
 * pipe.c - the types ReadPipeTransport and WritePipeTransport: asyncio's pipe transports over those of the core's.
 *
 * They are SocketTransport's objects without what one way cannot do. The descriptor is that of Python's object for the
 * pipe, which is closed after connection_lost.
 */
#include "pipe.h"

#include "net/pipe_transport.h"
#include "transport.h"

static rpy_transport *of(PyObject *object)
{
    return (rpy_transport *)object;
}

/* ---- writing ---- */

PyDoc_STRVAR(write_doc, "write(data)\n--\n\nWrite bytes: at once, or in the background.");

/* After close() asyncio ignores it, and only counts. */
static PyObject *method_write(PyObject *object, PyObject *data)
{
    if (rpy_connection_is_closing(of(object)) && PyObject_CheckBuffer(data))
        return rpy_transport_count_lost_write(of(object));
    return rpy_transport_write(object, data);
}

PyDoc_STRVAR(writelines_doc, "writelines(list_of_data)\n--\n\nWrite all of these, without joining them.");

static PyObject *method_writelines(PyObject *object, PyObject *lines)
{
    if (rpy_connection_is_closing(of(object)))
        return rpy_transport_count_lost_write(of(object));
    return rpy_transport_writelines(object, lines);
}

PyDoc_STRVAR(can_write_eof_doc, "can_write_eof()\n--\n\nTrue.");

static PyObject *method_can_write_eof(PyObject *object, PyObject *unused)
{
    (void)object;
    (void)unused;
    Py_RETURN_TRUE;
}

PyDoc_STRVAR(write_eof_doc,
             "write_eof()\n--\n\nClose it when all is written: the reader is told in no other way.");

/* ---- what it tells of itself ---- */

PyDoc_STRVAR(get_extra_info_doc, "get_extra_info(name, default=None)\n--\n\n"
                                 "'pipe', and what else whoever made it knows.");

static bool is_waiting(const rpy_transport *self)
{
    const rp_transport *core = self->core;

    if (core->kind->writev)
        return rp_transport_get_write_buffer_size(self->core) > 0;
    return core->receiving && !core->reading_paused && !core->eof_received && !core->closing;
}

static PyObject *repr(PyObject *object)
{
    rpy_transport *self = of(object);
    const char *name = self->core->kind->writev ? "WritePipeTransport" : "ReadPipeTransport";
    const char *life = !self->pipe ? " closed" : rpy_connection_is_closing(self) ? " closing" : "";

    if (!self->pipe)
        return PyUnicode_FromFormat("<%s%s fd=%d closed>", name, life, self->fd);
    if (self->loop->loop->closed)
        return PyUnicode_FromFormat("<%s%s fd=%d open>", name, life, self->fd);
    if (!self->core->kind->writev)
        return PyUnicode_FromFormat("<%s%s fd=%d %s>", name, life, self->fd,
                                    is_waiting(self) ? "polling" : "idle");
    return PyUnicode_FromFormat("<%s%s fd=%d %s bufsize=%zu>", name, life, self->fd,
                                is_waiting(self) ? "polling" : "idle",
                                rp_transport_get_write_buffer_size(self->core));
}

static PyObject *show_pipe(PyObject *object, void *unused)
{
    PyObject *pipe = of(object)->pipe;

    (void)unused;
    return Py_NewRef(pipe ? pipe : Py_None);
}

/* Whoever sets it has closed the pipe: asyncio's tests do so. */
static int forget_pipe(PyObject *object, PyObject *value, void *unused)
{
    (void)unused;
    if (value != Py_None) {
        PyErr_SetString(PyExc_AttributeError, "_pipe can be set to None only");
        return -1;
    }
    Py_CLEAR(of(object)->pipe);
    return 0;
}

/* ---- making one ---- */

/* What is no pipe, asyncio says in these words. */
static PyObject *refuse(const rpy_loop *loop, int error, bool writes)
{
    if (error != -EINVAL)
        return rpy_set_error(loop->state, error);
    PyErr_SetString(PyExc_ValueError, writes ? "Pipe transport is only for pipes, sockets and character devices"
                                             : "Pipe transport is for pipes/sockets only.");
    return NULL;
}

static int descriptor_of(PyObject *pipe)
{
    PyObject *number = PyObject_CallMethod(pipe, "fileno", NULL);
    int fd = number ? PyObject_AsFileDescriptor(number) : -1;

    Py_XDECREF(number);
    return fd;
}

static PyObject *make(PyObject *object, PyObject *args, PyObject *kwargs, bool writes)
{
    static char *keywords[] = {"pipe", "protocol", "waiter", "extra", NULL};
    rpy_loop *loop = (rpy_loop *)object;
    PyObject *pipe, *protocol, *waiter = Py_None, *extra = Py_None;
    rp_transport *core;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, writes ? "OO|OO:_make_write_pipe_transport" : "OO|OO:_make_read_pipe_transport",
            keywords, &pipe, &protocol, &waiter, &extra))
        return NULL;
    if (extra != Py_None && !PyDict_Check(extra))
        return PyErr_Format(PyExc_TypeError, "extra must be a dict, not '%.200s'", Py_TYPE(extra)->tp_name);
    int fd = descriptor_of(pipe);
    if (fd < 0 || rpy_loop_check(loop) < 0)
        return NULL;
    int rc = rp_pipe_transport_new(loop->loop, fd, writes, &core);
    if (rc < 0)
        return refuse(loop, rc, writes);
    return rpy_transport_new_pipe(loop, writes ? loop->state->write_pipe_type : loop->state->read_pipe_type, core,
                                  pipe, protocol, waiter, extra == Py_None ? NULL : extra);
}

PyObject *rpy_make_read_pipe_transport(PyObject *loop, PyObject *args, PyObject *kwargs)
{
    return make(loop, args, kwargs, false);
}

PyObject *rpy_make_write_pipe_transport(PyObject *loop, PyObject *args, PyObject *kwargs)
{
    return make(loop, args, kwargs, true);
}

/* ---- the types ---- */

#define METHOD(name, flags, function, doc)                                                                        \
    {                                                                                                             \
        name, (PyCFunction)(void (*)(void))function, flags, doc                                                   \
    }
#define KEYWORDS (METH_VARARGS | METH_KEYWORDS)

/* Those of both; the ends are told apart by what is added. */
#define COMMON_METHODS                                                                                            \
    METHOD("set_protocol", METH_O, rpy_transport_set_protocol,                                                    \
           "set_protocol(protocol)\n--\n\nThe next event is told to this protocol."),                             \
        METHOD("get_protocol", METH_NOARGS, rpy_transport_get_protocol, "get_protocol()\n--\n\nThe protocol."),   \
        METHOD("is_closing", METH_NOARGS, rpy_transport_is_closing,                                               \
               "is_closing()\n--\n\nWhether the transport is closed, or about to be."),                           \
        METHOD("close", METH_NOARGS, rpy_transport_close,                                                         \
               "close()\n--\n\nClose it when what is buffered is written. connection_lost() follows."),           \
        METHOD("get_extra_info", KEYWORDS, rpy_transport_get_extra_info, get_extra_info_doc),                     \
        METHOD("_close", METH_O, rpy_transport_force_close, NULL),                                                \
        METHOD("_fatal_error", KEYWORDS, rpy_transport_fatal_error, NULL),                                        \
        METHOD("_call_connection_lost", METH_O, rpy_transport_call_connection_lost, NULL), {0},

static PyMethodDef read_methods[] = {
    METHOD("is_reading", METH_NOARGS, rpy_transport_is_reading,
           "is_reading()\n--\n\nWhether what arrives is handed to the protocol."),
    METHOD("pause_reading", METH_NOARGS, rpy_transport_pause_reading,
           "pause_reading()\n--\n\nHand nothing to the protocol any more. The writer has to wait."),
    METHOD("resume_reading", METH_NOARGS, rpy_transport_resume_reading,
           "resume_reading()\n--\n\nHand what arrives to the protocol again."),
    COMMON_METHODS};

static PyMethodDef write_methods[] = {
    METHOD("write", METH_O, method_write, write_doc),
    METHOD("writelines", METH_O, method_writelines, writelines_doc),
    METHOD("write_eof", METH_NOARGS, rpy_transport_close, write_eof_doc),
    METHOD("can_write_eof", METH_NOARGS, method_can_write_eof, can_write_eof_doc),
    METHOD("abort", METH_NOARGS, rpy_transport_abort,
           "abort()\n--\n\nClose at once: what is buffered is lost. connection_lost(None) follows."),
    METHOD("set_write_buffer_limits", KEYWORDS, rpy_transport_set_limits,
           "set_write_buffer_limits(high=None, low=None)\n--\n\n"
           "Set how full the write buffer is when pause_writing() and resume_writing() are called."),
    METHOD("get_write_buffer_limits", METH_NOARGS, rpy_transport_get_limits,
           "get_write_buffer_limits()\n--\n\nThe limits of the write buffer: (low, high)."),
    METHOD("get_write_buffer_size", METH_NOARGS, rpy_transport_get_size,
           "get_write_buffer_size()\n--\n\nHow many bytes wait to be written."),
    COMMON_METHODS};

#define COMMON_GETSETS                                                                                            \
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},                                   \
        {"_loop", rpy_transport_show_loop, NULL, NULL, NULL},                                                     \
        {"_protocol", rpy_transport_show_protocol, NULL, NULL, NULL},                                             \
        {"_pipe", show_pipe, forget_pipe, NULL, NULL}, {"_extra", rpy_transport_show_extra, NULL, NULL, NULL},    \
        {"_closing", rpy_transport_show_closing, NULL, NULL, NULL},

static PyGetSetDef read_getsets[] = {COMMON_GETSETS{"_paused", rpy_transport_show_paused, NULL, NULL, NULL}, {0}};

static PyGetSetDef write_getsets[] = {
    COMMON_GETSETS{"_protocol_paused", rpy_transport_show_protocol_paused, NULL, NULL, NULL},
    {"_conn_lost", rpy_transport_show_conn_lost, NULL, NULL, NULL},
    {"_high_water", rpy_transport_show_mark, NULL, NULL, ""},
    {"_low_water", rpy_transport_show_mark, NULL, NULL, NULL},
    {0},
};

static PyMemberDef members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(rpy_transport, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(rpy_transport, weakrefs), READONLY, NULL},
    {"_fileno", T_INT, offsetof(rpy_transport, fd), READONLY, NULL},
    {0},
};

#define COMMON_SLOTS                                                                                              \
    {Py_tp_dealloc, rpy_transport_dealloc}, {Py_tp_finalize, rpy_transport_finalize},                             \
        {Py_tp_traverse, rpy_transport_traverse}, {Py_tp_clear, rpy_transport_clear}, {Py_tp_repr, repr},         \
        {Py_tp_members, members},

static PyType_Slot read_slots[] = {
    COMMON_SLOTS{Py_tp_doc, (void *)PyDoc_STR("The reading end of a pipe: what asyncio.ReadTransport promises.")},
    {Py_tp_methods, read_methods},
    {Py_tp_getset, read_getsets},
    {0, NULL},
};

static PyType_Slot write_slots[] = {
    COMMON_SLOTS{Py_tp_doc, (void *)PyDoc_STR("The writing end of a pipe: what asyncio.WriteTransport promises.")},
    {Py_tp_methods, write_methods},
    {Py_tp_getset, write_getsets},
    {0, NULL},
};

#define SPEC(type, all)                                                                                           \
    {                                                                                                             \
        .name = "ringport._core." type, .basicsize = sizeof(rpy_transport),                                       \
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, .slots = all,       \
    }

static PyType_Spec read_spec = SPEC("ReadPipeTransport", read_slots);
static PyType_Spec write_spec = SPEC("WritePipeTransport", write_slots);

/* The slots of asyncio's base class come first in each object, and there is room for as many. */
static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec, const char *base_name)
{
    PyObject *base = rpy_import("asyncio.transports", base_name);
    PyTypeObject *type = NULL;

    if (base && ((PyTypeObject *)base)->tp_basicsize > (Py_ssize_t)offsetof(rpy_transport, loop))
        PyErr_SetString(PyExc_ImportError, "ringport does not know the transports of this Python's asyncio");
    else if (base)
        type = rpy_add_type(module, spec, base);
    Py_XDECREF(base);
    return type;
}

int rpy_pipe_init(PyObject *module, rpy_state *state)
{
    state->read_pipe_type = add_type(module, &read_spec, "ReadTransport");
    state->write_pipe_type = state->read_pipe_type ? add_type(module, &write_spec, "_FlowControlMixin") : NULL;
    return state->write_pipe_type ? 0 : -1;
}
