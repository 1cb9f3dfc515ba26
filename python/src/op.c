/*
 * op.c - the awaitable of an operation: what tasks see of it, and how it waits.
 *
 * It waits in its descriptor's queue (watch.h), and its task for a Future that it makes then. When the operation has
 * ended it keeps the result itself, and the Future only wakes the task.
 * A socket may be closed while operations wait, and its number be given to another one. So each asks its socket for the
 * number before it tries again; what finds its socket closed fails with EBADF.
 */
#include "op.h"

#include <errno.h>

enum { NEW, WAITING, ENDED, CLOSED };

bool rpy_op_has_waited(const rpy_op *self)
{
    return self->state == WAITING;
}

static void release_view(rpy_op *self)
{
    if (self->has_view)
        PyBuffer_Release(&self->view);
    self->has_view = false;
}

static void leave(rpy_op *self)
{
    rpy_watch_leave(&self->waiter);
    if (self->kind->is_last && self->future)
        rpy_watch_settle(self->loop, self->fd);
}

/* ---- attempts ---- */

rpy_attempt rpy_op_call_failed(void)
{
    if (errno == EAGAIN || errno == EINTR)
        return RPY_WAITS;
    PyErr_SetFromErrno(PyExc_OSError);
    return RPY_FAILED;
}

rpy_attempt rpy_op_by_method(PyObject *returned, PyObject **result)
{
    *result = returned;
    if (returned)
        return RPY_DONE;
    if (!PyErr_ExceptionMatches(PyExc_BlockingIOError) && !PyErr_ExceptionMatches(PyExc_InterruptedError))
        return RPY_FAILED;
    PyErr_Clear();
    return RPY_WAITS;
}

/* ---- waiting ---- */

/* The socket's number, or -1 with an exception if there was one. */
static int ask_number(const rpy_op *self)
{
    PyObject *number = PyObject_CallMethodNoArgs(self->socket, self->loop->state->names.fileno);
    long fd = number ? PyLong_AsLong(number) : -1;

    Py_XDECREF(number);
    return (int)fd;
}

/* Takes the result, or the exception that is set. If its task cannot be woken, the reason leaves the run. */
static void end(rpy_op *self, PyObject *result)
{
    self->result = result;
    if (!result)
        self->exception = rpy_take_exception();
    self->state = ENDED;
    release_view(self);
    PyObject *woken = PyObject_CallMethodOneArg(self->future, self->loop->state->names.set_result, Py_None);
    if (!woken)
        rpy_loop_leave_run(self->loop);
    Py_XDECREF(woken);
}

/* Whether its task waits no more: it was cancelled. If that cannot be found out, the reason is the task's. */
static bool is_abandoned(rpy_op *self)
{
    PyObject *done = PyObject_CallMethodNoArgs(self->future, self->loop->state->names.done);
    bool abandoned = done == Py_True;

    Py_XDECREF(done);
    if (!done)
        end(self, NULL);
    return !done || abandoned;
}

static bool is_closed(rpy_op *self)
{
    if (ask_number(self) == self->fd)
        return false;
    if (!PyErr_Occurred() || !PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyErr_Clear();
        errno = EBADF;
        PyErr_SetFromErrno(PyExc_OSError);
    }
    end(self, NULL);
    return true;
}

static bool gone(PyObject *object)
{
    rpy_op *self = (rpy_op *)object;

    return self->state != WAITING || is_abandoned(self) || is_closed(self);
}

static bool ready(PyObject *object)
{
    rpy_op *self = (rpy_op *)object;
    PyObject *result = NULL;

    if (gone(object))
        return true;
    rpy_attempt attempt = self->kind->attempt(self, &result);
    if (attempt == RPY_WAITS)
        return false;
    if (attempt == RPY_FAILED) {
        PyObject *exception = rpy_loop_callback_failed(self->loop);

        if (!exception)
            return false; /* it has left the run */
        rpy_set_exception(exception);
    }
    end(self, result);
    return true;
}

/* Returns what its task is to wait for, or NULL with an exception. */
static PyObject *begin_waiting(rpy_op *self)
{
    const rpy_names *names = &self->loop->state->names;
    PyObject *number = PyLong_FromLong(self->fd);
    int rc = !number ? -1 : rpy_watch_check_free(self->loop, self->fd, number);

    Py_XDECREF(number);
    if (rc == 0)
        self->future = PyObject_CallMethodNoArgs((PyObject *)self->loop, names->create_future);
    if (!self->future || PyObject_SetAttr(self->future, names->_asyncio_future_blocking, Py_True) < 0)
        return NULL;
    self->waiter.ready = ready;
    self->waiter.gone = gone;
    /* What is to be sent may have gone in part, without finding that there is no more room. */
    PyObject *socket = self->is_plain && self->kind->direction == RPY_READ ? self->socket : NULL;
    if (rpy_watch_wait(self->loop, self->fd, self->kind->direction, &self->waiter, (PyObject *)self, socket) < 0)
        return NULL;
    self->state = WAITING;
    return Py_NewRef(self->future);
}

/* ---- running ---- */

static int check_blocking(rpy_op *self)
{
    PyObject *timeout = PyObject_CallMethodNoArgs(self->socket, self->loop->state->names.gettimeout);
    PyObject *zero = timeout ? PyLong_FromLong(0) : NULL;
    int is_zero = zero ? PyObject_RichCompareBool(timeout, zero, Py_EQ) : -1;

    Py_XDECREF(zero);
    Py_XDECREF(timeout);
    if (is_zero == 0)
        PyErr_SetString(PyExc_ValueError, "the socket must be non-blocking");
    return is_zero > 0 ? 0 : -1;
}

/* Whether socket.socket is as Python has it. It is found out again when the class has changed. */
static bool sockets_are_plain(rpy_state *state)
{
    unsigned version = state->socket_type->tp_version_tag;

    if (version != 0 && version == state->socket_version)
        return state->sockets_are_plain;
    state->sockets_are_plain = true;
    for (int i = 0; i < RPY_SOCKET_METHODS; i++) {
        PyObject *method = PyObject_GetAttr((PyObject *)state->socket_type, state->socket_names[i]);

        if (method != state->socket_methods[i])
            state->sockets_are_plain = false;
        PyErr_Clear();
        Py_XDECREF(method);
    }
    state->socket_version = state->socket_type->tp_version_tag;
    return state->sockets_are_plain;
}

static int check_ssl(rpy_op *self)
{
    PyObject *result = PyObject_CallOneArg(self->loop->state->check_ssl_socket, self->socket);

    Py_XDECREF(result);
    return result ? 0 : -1;
}

static PySendResult start(rpy_op *self, PyObject **result)
{
    rpy_attempt attempt = RPY_WAITS;

    self->state = CLOSED; /* unless it waits */
    if (rpy_loop_check(self->loop) < 0)
        return PYGEN_ERROR;
    self->is_plain =
        Py_TYPE(self->socket) == self->loop->state->socket_type && sockets_are_plain(self->loop->state);
    if (!self->is_plain && check_ssl(self) < 0)
        return PYGEN_ERROR;
    if (self->loop->debug && check_blocking(self) < 0)
        return PYGEN_ERROR;
    self->fd = ask_number(self);
    if (self->fd == -1 && PyErr_Occurred())
        return PYGEN_ERROR;
    if (self->kind->begin && self->kind->begin(self) < 0)
        return PYGEN_ERROR;
    if (!rpy_watch_is_busy(self->loop, self->fd, self->kind->direction))
        attempt = self->kind->attempt(self, result);
    if (attempt == RPY_DONE)
        return PYGEN_RETURN;
    if (attempt == RPY_FAILED)
        return PYGEN_ERROR;
    *result = begin_waiting(self);
    return *result ? PYGEN_NEXT : PYGEN_ERROR;
}

static PySendResult take(rpy_op *self, PyObject **result)
{
    self->state = CLOSED;
    if (self->kind->is_last)
        rpy_watch_settle(self->loop, self->fd);
    *result = self->result;
    self->result = NULL;
    if (*result)
        return PYGEN_RETURN;
    rpy_set_exception(self->exception);
    self->exception = NULL;
    return PYGEN_ERROR;
}

static PySendResult resume(PyObject *object, PyObject *value, PyObject **result)
{
    rpy_op *self = (rpy_op *)object;
    PySendResult sent = PYGEN_ERROR;

    *result = NULL;
    switch (self->state) {
    case NEW:
        if (value != Py_None) {
            PyErr_SetString(PyExc_TypeError, "can't send non-None value to a just-started coroutine");
            return PYGEN_ERROR;
        }
        sent = start(self, result);
        break;
    case ENDED:
        sent = take(self, result);
        break;
    case WAITING:
        PyErr_SetString(PyExc_RuntimeError, "await wasn't used with future");
        break;
    default:
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        break;
    }
    if (self->state == CLOSED)
        release_view(self);
    return sent;
}

/* Whatever it does is of no interest any more. */
static void abandon(rpy_op *self)
{
    leave(self);
    self->state = CLOSED;
    release_view(self);
    Py_CLEAR(self->result);
    Py_CLEAR(self->exception);
}

/* ---- what tasks and programs see ---- */

static PyObject *iternext(PyObject *self)
{
    PyObject *result;

    switch (resume(self, Py_None, &result)) {
    case PYGEN_NEXT:
        return result;
    case PYGEN_RETURN:
        if (PyTuple_Check(result) ||
            PyExceptionInstance_Check(result)) { /* which it would take for its arguments */
            PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, result);

            if (stop)
                rpy_set_exception(stop);
        } else {
            PyErr_SetObject(PyExc_StopIteration, result);
        }
        Py_DECREF(result);
        return NULL;
    default:
        return NULL;
    }
}

static PyObject *method_send(PyObject *self, PyObject *value)
{
    rpy_op *op = (rpy_op *)self;

    if (value != Py_None && op->state == NEW) {
        PyErr_SetString(PyExc_TypeError, "can't send non-None value to a just-started coroutine");
        return NULL;
    }
    return iternext(self);
}

static PyObject *method_throw(PyObject *object, PyObject *args)
{
    rpy_op *self = (rpy_op *)object;
    PyObject *type, *value = NULL, *traceback = NULL, *own = NULL;

    if (!PyArg_ParseTuple(args, "O|OO:throw", &type, &value, &traceback))
        return NULL;
    if (self->state == CLOSED) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        return NULL;
    }
    if (traceback == Py_None)
        traceback = NULL;
    if (traceback && !PyTraceBack_Check(traceback)) {
        PyErr_SetString(PyExc_TypeError, "throw() third argument must be a traceback object");
        return NULL;
    }
    if (PyExceptionInstance_Check(type)) {
        if (value && value != Py_None) {
            PyErr_SetString(PyExc_TypeError, "instance exception may not have a separate value");
            return NULL;
        }
        value = type;
        type = (PyObject *)Py_TYPE(value);
        if (!traceback)
            traceback = own = PyException_GetTraceback(value);
    } else if (!PyExceptionClass_Check(type)) {
        PyErr_SetString(PyExc_TypeError, "exceptions must be classes or instances deriving from BaseException");
        return NULL;
    } else if (value && PyExceptionInstance_Check(value) && PyErr_GivenExceptionMatches(value, type)) {
        type = (PyObject *)Py_TYPE(value); /* else, from 3.12 on, it would be an argument of a new one */
    }
    abandon(self);
    PyErr_Restore(Py_NewRef(type), Py_XNewRef(value),
                  Py_XNewRef(traceback)); /* an instance is made when it is caught */
    Py_XDECREF(own);
    return NULL;
}

static PyObject *method_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    abandon((rpy_op *)self);
    Py_RETURN_NONE;
}

static PyObject *await_(PyObject *self)
{
    return Py_NewRef(self);
}

static PyObject *get_name(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(((rpy_op *)self)->kind->name);
}

static PyObject *get_qualname(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromFormat("Loop.%s", ((rpy_op *)self)->kind->name);
}

static PyObject *get_none(PyObject *self, void *unused)
{
    (void)self;
    (void)unused;
    Py_RETURN_NONE;
}

static PyObject *get_running(PyObject *self, void *unused)
{
    (void)self;
    (void)unused;
    Py_RETURN_FALSE;
}

static PyObject *get_await(PyObject *self, void *unused)
{
    rpy_op *op = (rpy_op *)self;

    (void)unused;
    return Py_NewRef(op->state == WAITING ? op->future : Py_None);
}

static PyObject *repr(PyObject *self)
{
    return PyUnicode_FromFormat("<coroutine object Loop.%s at %p>", ((rpy_op *)self)->kind->name, (void *)self);
}

/* ---- life ---- */

PyObject *rpy_op_new(rpy_loop *loop, const rpy_op_kind *kind, PyObject *socket, PyObject *const *args)
{
    rpy_op *self = (rpy_op *)PyType_GenericAlloc(loop->state->op_type, 0);

    if (!self)
        return NULL;
    self->loop = (rpy_loop *)Py_NewRef((PyObject *)loop);
    self->kind = kind;
    self->socket = Py_NewRef(socket);
    for (int i = 0; i < RPY_OP_ARGS; i++)
        self->args[i] = Py_XNewRef(args[i]);
    return (PyObject *)self;
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    rpy_op *self = (rpy_op *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT((PyObject *)self->loop);
    Py_VISIT(self->socket);
    for (int i = 0; i < RPY_OP_ARGS; i++)
        Py_VISIT(self->args[i]);
    Py_VISIT(self->future);
    Py_VISIT(self->result);
    Py_VISIT(self->exception);
    if (self->has_view)
        Py_VISIT(self->view.obj);
    return 0;
}

/* One that waits is freed with its loop, which drops it first. */
static int clear(PyObject *object)
{
    rpy_op *self = (rpy_op *)object;

    if (self->state != NEW)
        self->state = CLOSED;
    release_view(self);
    Py_CLEAR(self->socket);
    for (int i = 0; i < RPY_OP_ARGS; i++)
        Py_CLEAR(self->args[i]);
    Py_CLEAR(self->future);
    Py_CLEAR(self->result);
    Py_CLEAR(self->exception);
    return 0;
}

static void finalize(PyObject *object)
{
    rpy_op *self = (rpy_op *)object;

    if (self->state != NEW)
        return;
    PyObject *exception = PyErr_Occurred() ? rpy_take_exception() : NULL;
    if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine 'Loop.%s' was never awaited", self->kind->name) < 0)
        PyErr_WriteUnraisable(object);
    if (exception)
        rpy_set_exception(exception);
}

static void dealloc(PyObject *object)
{
    rpy_op *self = (rpy_op *)object;
    PyTypeObject *type = Py_TYPE(object);

    if (self->state == NEW && PyObject_CallFinalizerFromDealloc(object) < 0)
        return;
    PyObject_GC_UnTrack(object);
    if (self->weakrefs)
        PyObject_ClearWeakRefs(object);
    clear(object);
    Py_CLEAR(self->loop);
    type->tp_free(object);
    Py_DECREF((PyObject *)type);
}

static PyMethodDef methods[] = {
    {"send", method_send, METH_O, PyDoc_STR("send(value)\n--\n\nRun it, as a coroutine is run.")},
    {"throw", method_throw, METH_VARARGS,
     PyDoc_STR("throw(type, value=None, traceback=None)\n--\n\nEnd it with an exception, which is raised.")},
    {"close", method_close, METH_NOARGS, PyDoc_STR("close()\n--\n\nEnd it.")},
    {0},
};

static PyGetSetDef getsets[] = {
    {"__name__", get_name, NULL, NULL, NULL},      {"__qualname__", get_qualname, NULL, NULL, NULL},
    {"cr_await", get_await, NULL, NULL, NULL},     {"cr_code", get_none, NULL, NULL, NULL},
    {"cr_frame", get_none, NULL, NULL, NULL},      {"cr_origin", get_none, NULL, NULL, NULL},
    {"cr_running", get_running, NULL, NULL, NULL}, {0},
};

static PyMemberDef members[] = {
    {"done", T_LONGLONG, offsetof(rpy_op, done), READONLY, PyDoc_STR("How many bytes have been sent.")},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(rpy_op, weakrefs), READONLY, NULL},
    {0},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("An operation on a socket, to be awaited: what loop.sock_recv() returns.")},
    {Py_tp_dealloc, dealloc},
    {Py_tp_finalize, finalize},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_repr, repr},
    {Py_tp_iternext, iternext},
    {Py_am_await, await_},
    {Py_am_send, resume},
    {Py_tp_methods, methods},
    {Py_tp_getset, getsets},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "ringport.Operation",
    .basicsize = sizeof(rpy_op),
    .flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

int rpy_op_init(PyObject *module, rpy_state *state)
{
    static const char *const names[RPY_SOCKET_METHODS] = {"fileno", "recv", "recv_into", "send"};

    state->check_ssl_socket = rpy_import("asyncio.base_events", "_check_ssl_socket");
    state->socket_type = state->check_ssl_socket ? (PyTypeObject *)rpy_import("socket", "socket") : NULL;
    for (int i = 0; state->socket_type && i < RPY_SOCKET_METHODS; i++) {
        state->socket_names[i] = PyUnicode_InternFromString(names[i]);
        state->socket_methods[i] = state->socket_names[i]
                                       ? PyObject_GetAttr((PyObject *)state->socket_type, state->socket_names[i])
                                       : NULL;
        if (!state->socket_methods[i])
            return -1;
    }
    PyObject *base = state->socket_type ? rpy_import("_socket", "socket") : NULL;
    state->socket_family = base ? PyObject_GetAttrString(base, "family") : NULL;
    state->socket_kind = base ? PyObject_GetAttrString(base, "type") : NULL;
    Py_XDECREF(base);
    if (!state->socket_family || !state->socket_kind)
        return -1;
    state->op_type = state->socket_type ? rpy_add_type(module, &spec, NULL) : NULL;
    return state->op_type ? 0 : -1;
}
