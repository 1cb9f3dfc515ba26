/*
 * connection.c - what a transport says of its connection, who keeps it alive, and how it ends.
 *
 * The core has the descriptor. A Python object for the socket is given up (detached) before the core closes it.
 */
#include "connection.h"

#include <string.h>

#include "address.h"
#include "loop/handle.h"
#include "net/pipe_transport.h"
#include "proactor/proactor.h"
#include "watch.h"

/* ---- extra info ---- */

static const char *const name_keys[2] = {"sockname", "peername"};

static int note_name(rpy_transport *self, int which, const rpy_ends *ends)
{
    if (ends && ends->length[which] > 0) {
        memcpy(&self->names[which], ends->address[which], ends->length[which]);
        self->name_lengths[which] = ends->length[which];
        return 0;
    }
    struct sockaddr_storage address = {0};
    uint32_t length = sizeof address;
    const rp_kernel *kernel = self->loop->loop->kernel;
    int rc =
        (which == 0 ? rp_kernel_name : rp_kernel_peer)(kernel, self->fd, (struct sockaddr *)&address, &length);

    if (rc == 0 && length > 0 && length <= sizeof self->names[which]) {
        memcpy(&self->names[which], &address, length);
        self->name_lengths[which] = length;
        return 0;
    }
    PyObject *object = rpy_address_object((struct sockaddr *)&address, rc == 0 ? length : 0);
    rc = object ? PyDict_SetItemString(self->extra, name_keys[which], object) : -1;
    Py_XDECREF(object);
    return rc;
}

/*
 * By one more reader of the socket's, as makefile() counts them, its owner's close() waits. No memory is needed for
 * it: names are interned, and small numbers are there.
 */
static int count_reader(const rpy_names *names, PyObject *socket, int difference)
{
    PyObject *count = PyObject_GetAttr(socket, names->_io_refs);
    PyObject *change = count ? PyLong_FromLong(difference) : NULL;
    PyObject *changed = change ? PyNumber_Add(count, change) : NULL;
    int rc = changed ? PyObject_SetAttr(socket, names->_io_refs, changed) : -1;

    Py_XDECREF(count);
    Py_XDECREF(change);
    Py_XDECREF(changed);
    return rc;
}

int rpy_connection_open(rpy_transport *self, rp_fd fd, PyObject *socket, const rpy_ends *ends)
{
    int known = PyMapping_HasKeyString(self->extra, "peername");

    self->fd = fd;
    if (socket && rpy_watch_check_free(self->loop, fd, socket) < 0)
        return -1;
    if (rpy_watch_own(self->loop, fd, (PyObject *)self) < 0 || note_name(self, 0, ends) < 0 ||
        (!known && note_name(self, 1, ends) < 0))
        return -1;
    if (!socket)
        return 0;
    int held = PyObject_IsInstance(socket, self->loop->state->socket_class);
    if (held < 0 || (held && count_reader(&self->loop->state->names, socket, 1) < 0))
        return -1;
    self->socket_held = held;
    self->socket = Py_NewRef(socket);
    return 0;
}

int rpy_connection_open_pipe(rpy_transport *self, PyObject *pipe)
{
    self->fd = rp_transport_fd(self->core);
    self->pipe = Py_NewRef(pipe);
    rp_pipe_transport_lend(self->core);
    return PyDict_SetItemString(self->extra, "pipe", pipe);
}

static void release_socket(rpy_transport *self)
{
    if (self->socket_held && count_reader(&self->loop->state->names, self->socket, -1) < 0)
        PyErr_WriteUnraisable(self->socket);
    self->socket_held = false;
}

void rpy_connection_forget_socket(rpy_transport *self)
{
    release_socket(self);
    Py_CLEAR(self->socket);
    Py_CLEAR(self->pipe);
}

/* As socket.detach() does, but without memory for a frame, too: else it would close a number that is another's. */
static bool detach(const rpy_state *state, PyObject *socket)
{
    PyObject *result = PyObject_CallOneArg(state->socket_detach, socket);

    if (!result && PyErr_ExceptionMatches(PyExc_MemoryError)) { /* for the number, which is not its any more */
        PyErr_Clear();
        result = Py_NewRef(Py_None);
    }
    Py_XDECREF(result);
    return result && PyObject_SetAttr(socket, state->names._closed, Py_True) == 0;
}

/* What it closes is the core's: so it is detached. */
static void close_socket_object(rpy_transport *self)
{
    PyObject *socket = self->socket;
    PyObject *result;

    if (!socket)
        return;
    release_socket(self);
    int ours = PyObject_IsInstance(socket, self->loop->state->socket_class);
    if (ours > 0 && detach(self->loop->state, socket))
        return;
    result = ours == 0 ? PyObject_CallMethodNoArgs(socket, self->loop->state->names.detach) : NULL;
    if (!result)
        PyErr_WriteUnraisable(socket);
    Py_XDECREF(result);
}

static void close_pipe_object(rpy_transport *self)
{
    PyObject *pipe = self->pipe;

    if (!pipe)
        return;
    self->pipe = NULL;
    if (self->core->loop->proactor)
        rp_proactor_closing(self->core->loop->proactor, self->fd);
    PyObject *result = PyObject_CallMethod(pipe, "close", NULL);
    if (!result)
        PyErr_WriteUnraisable(pipe);
    Py_XDECREF(result);
    Py_DECREF(pipe);
}

/* It does not block, and says so. */
static PyObject *make_socket(rpy_transport *self)
{
    PyObject *type = self->loop->state->socket_class;
    PyObject *socket, *result;

    if (self->ended || rpy_connection_is_dropped(self))
        return PyObject_CallMethod(type, "__new__", "O", type); /* a closed one */
    socket = PyObject_CallFunction(type, "iiii", -1, -1, -1, self->fd);
    result = socket ? PyObject_CallMethodOneArg(socket, self->loop->state->names.setblocking, Py_False) : NULL;
    if (socket && !result) {
        PyObject *error = rpy_take_exception();

        if (!detach(self->loop->state, socket))
            PyErr_Clear();
        Py_CLEAR(socket);
        rpy_set_exception(error);
    }
    Py_XDECREF(result);
    return socket;
}

PyObject *rpy_connection_socket(rpy_transport *self)
{
    if (!self->socket)
        self->socket = make_socket(self);
    return self->socket;
}

/* What is asked for by `name` comes into `extra`, if it is one of ours. */
static int make_extra(rpy_transport *self, PyObject *name)
{
    PyObject *object = NULL;

    if (self->piped)
        return 0;
    if (PyUnicode_CompareWithASCIIString(name, "socket") == 0) {
        PyObject *socket = rpy_connection_socket(self);

        object = socket ? PyObject_CallOneArg(self->loop->state->transport_socket, socket) : NULL;
        if (!object)
            return -1;
    }
    for (int i = 0; i < 2 && !object; i++)
        if (self->name_lengths[i] > 0 && PyUnicode_CompareWithASCIIString(name, name_keys[i]) == 0) {
            object = rpy_address_object((struct sockaddr *)&self->names[i], self->name_lengths[i]);
            if (!object)
                return -1;
        }
    int rc = object ? PyDict_SetItem(self->extra, name, object) : 0;
    Py_XDECREF(object);
    return rc;
}

PyObject *rpy_connection_extra(rpy_transport *self, PyObject *name, PyObject *missing)
{
    PyObject *value = PyDict_GetItemWithError(self->extra, name);

    if (!value && !PyErr_Occurred() && PyUnicode_Check(name)) {
        if (make_extra(self, name) < 0)
            return NULL;
        value = PyDict_GetItemWithError(self->extra, name);
    }
    if (!value && PyErr_Occurred())
        return NULL;
    return Py_NewRef(value ? value : missing);
}

PyObject *rpy_connection_extras(rpy_transport *self)
{
    const char *const names[] = {"socket", "sockname", "peername"};

    for (int i = 0; i < 3; i++) {
        PyObject *name = PyUnicode_FromString(names[i]);
        int there = name ? PyDict_Contains(self->extra, name) : -1;

        if (there == 0)
            there = make_extra(self, name);
        Py_XDECREF(name);
        if (there < 0)
            return NULL;
    }
    return self->extra;
}

/* ---- who keeps it alive ---- */

/* Its core is closed, and with it the descriptor. */
static void dropped(PyObject *object)
{
    for (rpy_transport *self = (rpy_transport *)object; self; self = self->below)
        close_socket_object(self);
}

static bool expects_events(const rpy_transport *self)
{
    const rp_transport *core = self->core;

    if (self->ended || self->loop->loop->closed || self->above)
        return false;
    return self->closing || self->unstarted || core->closing || rp_buffer_size(&core->buffer) > 0 ||
           !(core->reading_paused || core->eof_received);
}

void rpy_connection_keep(rpy_transport *self)
{
    bool wanted = expects_events(self);

    if (wanted == rp_node_linked(&self->kept.link))
        return;
    if (wanted)
        rpy_loop_keep(self->loop, &self->kept, (PyObject *)self, dropped);
    else
        rpy_loop_let_go(&self->kept);
}

/* ---- the end ---- */

void rpy_connection_log(rpy_transport *self, const char *format)
{
    PyObject *result = PyObject_CallMethod(self->loop->state->logger, "debug", "sO", format, self);

    if (!result)
        PyErr_WriteUnraisable((PyObject *)self);
    Py_XDECREF(result);
}

/* And what it stands on: the socket is closed in the next turn, as whoever stops the loop after that one expects. */
static void lose(rpy_transport *self)
{
    self->closing = true;
    for (rpy_transport *each = self; each; each = each->below)
        rp_transport_lose(each->core, 0);
    rpy_connection_keep(self);
}

/* The core knows what is to be sent: of TLS, its end as well. */
static int close_gently(rpy_transport *self)
{
    self->closing = true;
    rp_transport_close(self->core);
    rpy_connection_keep(self);
    return 0;
}

int rpy_connection_close(rpy_transport *self)
{
    if (rpy_connection_is_closing(self))
        return 0;
    if (rpy_loop_check(self->loop) < 0)
        return -1;
    if (self->above || (self->below && !self->unstarted))
        return close_gently(self);
    if (rp_buffer_size(&self->core->buffer) == 0 || self->unstarted) {
        lose(self);
        return 0;
    }
    self->closing = true;
    rp_transport_pause_reading(self->core);
    rpy_connection_keep(self);
    return 0;
}

void rpy_connection_force_close(rpy_transport *self, PyObject *exception)
{
    self = rpy_connection_top(self);
    if (self->core->lost)
        return;
    if (exception && exception != Py_None)
        Py_XSETREF(self->error, Py_NewRef(exception));
    lose(self);
}

PyObject *rpy_connection_error(rpy_transport *self, int error)
{
    return self->tls ? self->tls->error(self, error) : rpy_error_object(self->loop->state, error);
}

static void log_error(rpy_transport *self, PyObject *exception, const char *message)
{
    PyObject *method = PyObject_GetAttrString(self->loop->state->logger, "debug");
    PyObject *args = method ? Py_BuildValue("sOs", "%r: %s", self, message) : NULL;
    PyObject *kwargs = args ? Py_BuildValue("{s:O}", "exc_info", exception) : NULL;
    PyObject *result = kwargs ? PyObject_Call(method, args, kwargs) : NULL;

    if (!result)
        PyErr_WriteUnraisable((PyObject *)self);
    Py_XDECREF(method);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    Py_XDECREF(result);
}

/* asyncio tells the handler of any error of a pipe that it reads, but one: a terminal's end. */
static bool is_for_handler(const rpy_transport *self, PyObject *exception)
{
    if (!self->piped || self->core->kind->writev)
        return false;
    PyObject *number = PyObject_GetAttrString(exception, "errno");
    bool ended = number && PyLong_Check(number) && PyLong_AsLong(number) == EIO;
    PyErr_Clear();
    Py_XDECREF(number);
    return !ended;
}

void rpy_connection_report(rpy_transport *self, PyObject *exception, const char *message)
{
    if (!PyErr_GivenExceptionMatches(exception, PyExc_OSError) || is_for_handler(self, exception))
        rpy_loop_call_exception_handler(self->loop, message, exception, "transport", self, "protocol",
                                        self->protocol, NULL);
    else if (self->loop->debug)
        log_error(self, exception, message);
}

void rpy_connection_fail(rpy_transport *self, PyObject *exception, const char *message)
{
    rpy_connection_report(self, exception, message);
    rpy_connection_force_close(self, exception);
}

void rpy_connection_callback_failed(rpy_transport *self, const char *message)
{
    PyObject *exception = rpy_loop_callback_failed(self->loop);

    if (!exception)
        return;
    rpy_connection_fail(self, exception, message);
    Py_DECREF(exception);
}

void rpy_connection_callback_raised(rpy_transport *self)
{
    PyObject *exception = rpy_loop_callback_failed(self->loop);

    if (!exception)
        return;
    rpy_loop_call_exception_handler(self->loop, "Exception in callback of a pipe's protocol", exception,
                                    "transport", self, "protocol", self->protocol, NULL);
    Py_DECREF(exception);
}

void rpy_connection_tell_empty(rpy_transport *self, PyObject *exception)
{
    PyObject *waiter = self->empty_waiter;
    PyObject *done = waiter ? PyObject_CallMethodNoArgs(waiter, self->loop->state->names.done) : NULL;
    PyObject *result = NULL;

    if (!waiter)
        return;
    if (done && !Py_IsTrue(done))
        result = exception ? PyObject_CallMethod(waiter, "set_exception", "O", exception)
                           : PyObject_CallMethodOneArg(waiter, self->loop->state->names.set_result, Py_None);
    if (PyErr_Occurred())
        rpy_loop_leave_run(self->loop);
    Py_XDECREF(done);
    Py_XDECREF(result);
}

static void leave_server(rpy_transport *self)
{
    PyObject *server = self->server;

    if (!server)
        return;
    self->server = NULL;
    PyObject *result = PyObject_CallMethodOneArg(server, self->loop->state->names._detach, (PyObject *)self);
    if (!result)
        rpy_loop_leave_run(self->loop);
    Py_XDECREF(result);
    Py_DECREF(server);
}

/* A file was being sent, and cannot be any more. */
static void end_empty_waiter(rpy_transport *self)
{
    PyObject *error;

    if (!self->empty_waiter)
        return;
    error = self->error ? Py_NewRef(self->error)
                        : PyObject_CallFunction(PyExc_ConnectionError, "s", "Connection is closed by peer");
    if (error)
        rpy_connection_tell_empty(self, error);
    else
        rpy_loop_leave_run(self->loop);
    Py_XDECREF(error);
}

static const rp_protocol nobody = {.receives = 1};

/* From here on nothing is told of the connection: the object may go before the core's transport. */
void rpy_connection_end(rpy_transport *self)
{
    if (self->ended)
        return;
    self->ended = true;
    if (!self->above && !self->unstarted)
        rp_transport_set_protocol(self->core, &nobody, NULL);
    close_pipe_object(self);
    close_socket_object(self);
    if (!self->piped)
        rpy_watch_disown(self->loop, self->fd, (PyObject *)self);
    Py_CLEAR(self->protocol);
    self->streamed = false;
    leave_server(self);
    end_empty_waiter(self);
    Py_CLEAR(self->error); /* its traceback may refer to us: a cycle that only the collector would end */
    if (self->below) {
        self->tls->ended(self);
        rpy_connection_end(self->below);
    }
    rpy_connection_keep(self);
}

void rpy_connection_abandon(rpy_transport *self)
{
    rp_transport *core = self->core;

    if (!core || self->ended)
        return;
    if (rp_loop_is_forked(core->loop)) { /* the connection is the parent's */
        if (!self->piped)
            rpy_watch_disown(self->loop, self->fd, (PyObject *)self);
        return;
    }
    if ((!self->piped || self->pipe) &&
        PyErr_ResourceWarning((PyObject *)self, 1, "unclosed transport %R", self) < 0)
        PyErr_WriteUnraisable((PyObject *)self);
    rp_transport_lose(core, 0);
    Py_CLEAR(self->empty_waiter); /* whoever waits for it is garbage, too */
    rpy_connection_end(self);
}

int rpy_connection_init(rpy_state *state)
{
    PyObject *base = rpy_import("_socket", "socket");

    state->socket_detach = base ? PyObject_GetAttrString(base, "detach") : NULL;
    Py_XDECREF(base);
    state->socket_class = state->socket_detach ? rpy_import("socket", "socket") : NULL;
    state->transport_socket = state->socket_class ? rpy_import("asyncio.trsock", "TransportSocket") : NULL;
    return state->transport_socket ? 0 : -1;
}
