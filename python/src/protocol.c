/*
 * protocol.c - what the core tells of a connection, as calls of a Python protocol.
 *
 * Methods are looked up at each event, as whoever replaces them expects, and called in the transport's context. The
 * transport stays alive meanwhile, whatever they let go of.
 * What a method raises ends the connection. SystemExit and KeyboardInterrupt end the run, and leave the connection.
 */
#include "protocol.h"

#include "handle.h"
#include "net/pipe_transport.h"
#include "streams.h"
#include "tls/filter.h"

/* ---- around a call ---- */

/* The transport stays until leave(). In debug mode this begins to take the time. */
static inline int64_t enter(rpy_transport *self)
{
    Py_INCREF((PyObject *)self);
    return self->loop->debug ? rpy_loop_begin_timed(self->loop) : 0;
}

/* A slow call is told by the protocol's method. */
static void end_timed(rpy_transport *self, PyObject *name, int64_t begun)
{
    PyObject *method = self->protocol ? PyObject_GetAttr(self->protocol, name) : NULL;

    PyErr_Clear();
    rpy_loop_end_timed(self->loop, begun, method ? method : (PyObject *)self);
    Py_XDECREF(method);
}

static inline void leave(rpy_transport *self, PyObject *name, int64_t begun)
{
    if (begun)
        end_timed(self, name, begun);
    Py_DECREF((PyObject *)self);
}

/*
 * protocol.name(argument), or without an argument. A new reference, or NULL with an exception. The protocol stays until
 * its method has returned, even if that has another one take its place.
 */
static PyObject *call_method(const rpy_transport *self, PyObject *name, PyObject *argument)
{
    PyObject *protocol = self->protocol, *args[2] = {protocol, argument};

    if (!protocol) /* it has ended, or the collector has taken it */
        Py_RETURN_NONE;
    Py_INCREF(protocol);
    PyObject *result =
        PyObject_VectorcallMethod(name, args, (argument ? 2 : 1) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_DECREF(protocol);
    return result;
}

static PyObject *call_in_context(const rpy_transport *self, PyObject *name, PyObject *argument)
{
    if (PyContext_Enter(self->context) < 0)
        return NULL;
    PyObject *result = call_method(self, name, argument);
    if (PyContext_Exit(self->context) < 0)
        Py_CLEAR(result);
    return result;
}

/* What the exception handler is told of a method that has failed: TLS has words of its own. */
static const char *say(const rpy_transport *self, const char *message)
{
    return self->below ? "Fatal error on SSL protocol" : message;
}

/* ---- receiving ---- */

static PyObject *call_data_received(rpy_transport *self, const void *data, size_t length)
{
    PyObject *bytes = PyBytes_FromStringAndSize(data, (Py_ssize_t)length);
    PyObject *result = bytes ? call_in_context(self, self->loop->state->names.data_received, bytes) : NULL;

    Py_XDECREF(bytes);
    return result;
}

static void data_received(void *arg, const void *data, size_t length)
{
    rpy_transport *self = arg;
    int64_t begun = enter(self);
    PyObject *result = NULL;

    if (self->streamed)
        result = rpy_stream_feed(self->loop->state, &self->seen, self->context, self->protocol, data, length);
    if (!result && !PyErr_Occurred())
        result = call_data_received(self, data, length);
    if (result)
        Py_DECREF(result);
    else if (self->piped)
        rpy_connection_callback_raised(self);
    else
        rpy_connection_callback_failed(self, say(self, "Fatal error: protocol.data_received() call failed."));
    leave(self, self->loop->state->names.data_received, begun);
}

/* Its length as len() has it; -1 with an exception if there is none, or it is 0. */
static int check_length(PyObject *buffer)
{
    Py_ssize_t length = PyObject_Size(buffer);

    if (length == 0)
        PyErr_SetString(PyExc_RuntimeError, "get_buffer() returned an empty buffer");
    return length > 0 ? 0 : -1;
}

static int export_buffer(rpy_transport *self, PyObject *buffer)
{
    if (PyObject_GetBuffer(buffer, &self->view, PyBUF_WRITABLE) == 0)
        return 0;
    if (PyErr_ExceptionMatches(PyExc_BufferError) || PyErr_ExceptionMatches(PyExc_TypeError))
        PyErr_Format(PyExc_TypeError, "get_buffer() must return a read-write bytes-like object, not %.100s",
                     Py_TYPE(buffer)->tp_name);
    return -1;
}

/* While the buffer is exported it has a reference to the transport, which outlives what the protocol lets go of. */
static void get_buffer(void *arg, size_t hint, void **data, size_t *length)
{
    rpy_transport *self = arg;
    int64_t begun = enter(self);
    PyObject *buffer = call_in_context(self, self->loop->state->names.get_buffer, self->loop->state->minus_one);

    (void)hint;
    if (!buffer || check_length(buffer) < 0) {
        rpy_connection_callback_failed(self, say(self, "Fatal error: protocol.get_buffer() call failed."));
    } else if (export_buffer(self, buffer) < 0) {
        rpy_connection_callback_failed(self, say(self, "Fatal read error on socket transport"));
    } else {
        *data = self->view.buf;
        *length = (size_t)self->view.len;
        Py_INCREF((PyObject *)self);
    }
    Py_XDECREF(buffer);
    leave(self, self->loop->state->names.get_buffer, begun);
}

static void buffer_unused(void *arg)
{
    rpy_transport *self = arg;

    PyBuffer_Release(&self->view);
    Py_DECREF((PyObject *)self);
}

static void buffer_updated(void *arg, size_t length)
{
    rpy_transport *self = arg;
    int64_t begun = enter(self);

    buffer_unused(self);
    PyObject *count = PyLong_FromSize_t(length);
    PyObject *result = count ? call_in_context(self, self->loop->state->names.buffer_updated, count) : NULL;
    Py_XDECREF(count);
    if (result)
        Py_DECREF(result);
    else
        rpy_connection_callback_failed(self, say(self, "Fatal error: protocol.buffer_updated() call failed."));
    leave(self, self->loop->state->names.buffer_updated, begun);
}

/* Of a pipe: there is nothing to keep open. A terminal's end is an error to asyncio, which the protocol is told. */
static void end_pipe(rpy_transport *self)
{
    PyObject *result;

    if (rp_pipe_transport_is_hung_up(self->core)) {
        PyObject *error = rpy_error_object(self->loop->state, -EIO);

        PyErr_Clear();
        rpy_connection_force_close(self, error);
        Py_XDECREF(error);
        return;
    }
    self->closing = true;
    rpy_connection_keep(self);
    result = call_in_context(self, self->loop->state->names.eof_received, NULL);
    if (!result)
        rpy_connection_callback_raised(self);
    Py_XDECREF(result);
}

/* TLS ends as a whole, whatever the protocol says of it. */
static void end_tls(rpy_transport *self, int open)
{
    if (open > 0) {
        PyObject *result = PyObject_CallMethod(self->loop->state->logger, "warning", "s",
                                               "returning true from eof_received() has no effect when using ssl");

        if (!result)
            PyErr_WriteUnraisable((PyObject *)self);
        Py_XDECREF(result);
    }
    if (rpy_connection_close(self) < 0)
        rpy_connection_callback_failed(self, say(self, ""));
}

/* After an interrupt the end is told again, in the next run. */
static bool eof_received(void *arg)
{
    rpy_transport *self = arg;
    int64_t begun = enter(self);

    if (self->piped) {
        if (self->loop->debug)
            rpy_connection_log(self, "%r was closed by peer");
        end_pipe(self);
        leave(self, self->loop->state->names.eof_received, begun);
        return false;
    }
    if (self->loop->debug)
        rpy_connection_log(self, "%r received EOF");
    PyObject *result = call_in_context(self, self->loop->state->names.eof_received, NULL);
    int open = result ? PyObject_IsTrue(result) : -1;
    Py_XDECREF(result);
    if (open < 0) {
        rpy_connection_callback_failed(self, self->below ? "Error calling eof_received()"
                                                         : "Fatal error: protocol.eof_received() call failed.");
        self->core->eof_received = self->core->lost;
    } else if (self->below) {
        end_tls(self, open);
    } else if (open == 0 && rpy_connection_close(self) < 0) {
        rpy_connection_callback_failed(self, "Fatal read error on socket transport");
    }
    rpy_connection_keep(self);
    leave(self, self->loop->state->names.eof_received, begun);
    return true;
}

/* ---- writing ---- */

static void report_flow_control(rpy_transport *self, const char *message, PyObject *exception)
{
    rpy_loop_call_exception_handler(self->loop, message, exception, "transport", self, "protocol", self->protocol,
                                    NULL);
}

/* Inside a call of write(), or the like, in whatever context that is in; what ends a run is raised there. */
void rpy_protocol_pause_writing(void *arg)
{
    rpy_transport *self = arg;
    PyObject *result = call_method(self, self->loop->state->names.pause_writing, NULL);
    PyObject *exception;

    if (result) {
        Py_DECREF(result);
        return;
    }
    if (PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt))
        return;
    exception = rpy_take_exception();
    report_flow_control(self, "protocol.pause_writing() failed", exception);
    Py_DECREF(exception);
}

void rpy_protocol_resume_writing(void *arg)
{
    rpy_transport *self = arg;
    int64_t begun = enter(self);
    PyObject *result = call_in_context(self, self->loop->state->names.resume_writing, NULL);
    PyObject *exception = result ? NULL : rpy_loop_callback_failed(self->loop);

    Py_XDECREF(result);
    if (exception) {
        report_flow_control(self, "protocol.resume_writing() failed", exception);
        Py_DECREF(exception);
    }
    leave(self, self->loop->state->names.resume_writing, begun);
}

static void drained(void *arg)
{
    rpy_transport *self = arg;

    Py_INCREF((PyObject *)self);
    rpy_connection_tell_empty(self, NULL);
    if (self->closing && !self->below) /* the core itself closes TLS */
        rp_transport_lose(self->core, 0);
    rpy_connection_keep(self);
    Py_DECREF((PyObject *)self);
}

/* ---- the end ---- */

PyObject *rpy_protocol_connection_lost(rpy_transport *self, PyObject *exception)
{
    PyObject *result = call_method(self, self->loop->state->names.connection_lost, exception);
    PyObject *error = result ? NULL : rpy_take_exception();

    Py_XDECREF(result);
    rpy_connection_end(self);
    if (!error)
        Py_RETURN_NONE;
    rpy_set_exception(error);
    return NULL;
}

/* As a handle, whose report names the method. Without memory for one it is called all the same. */
static void call_connection_lost(rpy_transport *self, PyObject *exception)
{
    PyObject *method = PyObject_GetAttr((PyObject *)self, self->loop->state->names._call_connection_lost);
    PyObject *context = self->closing_context ? Py_NewRef(self->closing_context) : PyContext_Copy(self->context);
    rpy_handle *handle = method && context ? rpy_handle_new(self->loop, self->loop->state->handle_type, method,
                                                            &exception, 1, context)
                                           : NULL;

    Py_XDECREF(method);
    Py_XDECREF(context);
    if (handle) {
        rpy_handle_call(handle);
        rpy_handle_cancel(handle);
        Py_DECREF((PyObject *)handle);
        return;
    }
    PyErr_Clear();
    PyObject *result = rpy_protocol_connection_lost(self, exception);
    if (!result)
        rpy_connection_callback_failed(self, "Exception in callback connection_lost()");
    Py_XDECREF(result);
}

/* That nobody reads a pipe is no error to asyncio, if nothing was to be written. */
static PyObject *reason(rpy_transport *self, int error)
{
    bool told = error < 0 && !(self->piped && rp_pipe_transport_was_unused(self->core));
    PyObject *exception = told && !self->error ? rpy_connection_error(self, error) : NULL;

    if (exception)
        self->error = exception;
    PyErr_Clear();
    return self->error ? self->error : Py_None;
}

void rpy_protocol_lost(void *arg, int error)
{
    rpy_transport *self = arg;

    Py_INCREF((PyObject *)self);
    self->closing = true;
    call_connection_lost(self, reason(self, error));
    rpy_connection_end(self);
    Py_DECREF((PyObject *)self);
}

/* ---- the tables ---- */

static const rp_protocol data_protocol = {
    .data_received = data_received,
    .eof_received = eof_received,
    .connection_lost = rpy_protocol_lost,
    .pause_writing = rpy_protocol_pause_writing,
    .resume_writing = rpy_protocol_resume_writing,
    .drained = drained,
    .begins_soon = true,
    .receives = 1,
};

static const rp_protocol buffered_protocol = {
    .get_buffer = get_buffer,
    .buffer_updated = buffer_updated,
    .buffer_unused = buffer_unused,
    .eof_received = eof_received,
    .connection_lost = rpy_protocol_lost,
    .pause_writing = rpy_protocol_pause_writing,
    .resume_writing = rpy_protocol_resume_writing,
    .drained = drained,
    .begins_soon = true,
    .receives = 1,
};

static const rp_protocol *table_of(const rpy_transport *self)
{
    return self->buffered ? &buffered_protocol : &data_protocol;
}

int rpy_protocol_set(rpy_transport *self, PyObject *protocol)
{
    rpy_state *state = self->loop->state;
    int buffered = PyObject_IsInstance(protocol, state->buffered_protocol);

    if (buffered < 0)
        return -1;
    PyObject *former = self->protocol;
    self->protocol = Py_NewRef(protocol);
    self->buffered = buffered;
    self->seen = (rpy_stream_seen){0};
    self->streamed = !buffered && rpy_stream_may_feed(state, protocol);
    if (!self->ended && !self->above && !self->unstarted)
        rp_transport_set_protocol(self->core, table_of(self), self);
    Py_XDECREF(former); /* last: its end may set another one */
    return 0;
}

void rpy_protocol_start(rpy_transport *self)
{
    self->unstarted = false;
    rp_transport_start(self->core, table_of(self), self);
}

int rpy_protocol_connection_made(rpy_transport *self)
{
    PyObject *result = call_in_context(self, self->loop->state->names.connection_made, (PyObject *)self);

    Py_XDECREF(result);
    return result ? 0 : -1;
}

rpy_transport *rpy_protocol_transport(const rp_transport *core)
{
    void *self;
    const rp_protocol *protocol = rp_transport_get_protocol(core, &self);

    return protocol == &data_protocol || protocol == &buffered_protocol ? self : rp_tls_filter_arg(core);
}

int rpy_protocol_init(rpy_state *state)
{
    state->minus_one = PyLong_FromLong(-1);
    state->buffered_protocol = state->minus_one ? rpy_import("asyncio.protocols", "BufferedProtocol") : NULL;
    return state->buffered_protocol ? 0 : -1;
}
