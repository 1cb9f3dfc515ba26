/*
 * loop.c - what the files of the face share of a loop: errors, what goes wrong in callbacks, what is kept alive.
 */
#include "loop.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "loop/turn.h"

/* ---- errors ---- */

static PyObject *new_exception(PyObject *type, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    PyObject *text = PyUnicode_FromFormatV(format, arguments);
    va_end(arguments);
    PyObject *exception = text ? PyObject_CallOneArg(type, text) : NULL;
    Py_XDECREF(text);
    return exception;
}

PyObject *rpy_error_object(rpy_state *state, int64_t error)
{
    int code = (int)error;

    switch (code) {
    case -ENOMEM:
        return PyObject_CallNoArgs(PyExc_MemoryError);
    case RP_ECLOSED:
        return new_exception(PyExc_RuntimeError, "Event loop is closed");
    case RP_ERUNNING:
        return new_exception(PyExc_RuntimeError, "This event loop is already running");
    case RP_EFORK:
        return new_exception(PyExc_RuntimeError,
                             "the event loop belongs to the parent process; it cannot be used in "
                             "a child of fork()");
    case RP_ETHREAD:
        return new_exception(PyExc_RuntimeError,
                             "the kernel is still at work for the thread that ran the event loop "
                             "last: run it there once more");
    default:
        break;
    }
    if (code <= -4000)
        return PyObject_CallFunction(code <= RP_EAI_ADDRFAMILY ? state->gaierror : PyExc_OSError, "is", code,
                                     rp_strerror(code));
    return PyObject_CallFunction(PyExc_OSError, "is", -code, strerror(-code));
}

PyObject *rpy_set_error(rpy_state *state, int64_t error)
{
    PyObject *exception = rpy_error_object(state, error);

    if (exception)
        rpy_set_exception(exception);
    return NULL;
}

int rpy_loop_refuse(rpy_loop *self)
{
    if (self->loop)
        rpy_set_error(self->state, rp_loop_check(self->loop));
    else
        PyErr_SetString(PyExc_RuntimeError, "the loop's __init__() has not been called");
    return -1;
}

int rpy_loop_check_thread(rpy_loop *self)
{
    if (self->thread == 0 || self->thread == PyThread_get_thread_ident())
        return 0;
    PyErr_SetString(PyExc_RuntimeError,
                    "Non-thread-safe operation invoked on an event loop other than the current one");
    return -1;
}

/* ---- what goes wrong in callbacks ---- */

/* The exception that is set leaves the run, as soon as the callback that runs has returned. */
static void leave_run(rpy_loop *self, PyObject *exception)
{
    if (self->failure || self->thread == 0) {
        rpy_set_exception(exception);
        PyErr_WriteUnraisable((PyObject *)self);
        return;
    }
    self->failure = exception;
    rp_turn_interrupt(self->loop);
}

void rpy_loop_leave_run(rpy_loop *self)
{
    leave_run(self, rpy_take_exception());
}

PyObject *rpy_loop_callback_failed(rpy_loop *self)
{
    PyObject *exception = rpy_take_exception();

    if (!PyErr_GivenExceptionMatches(exception, PyExc_SystemExit) &&
        !PyErr_GivenExceptionMatches(exception, PyExc_KeyboardInterrupt))
        return exception;
    leave_run(self, exception);
    return NULL;
}

static int set_item(PyObject *dict, const char *name, PyObject *value)
{
    return value ? PyDict_SetItemString(dict, name, value) : 0;
}

static void report(rpy_loop *self, PyObject *message, PyObject *exception, va_list pairs)
{
    if (!message) /* there was no memory for it */
        PyErr_Clear();
    PyObject *context = PyDict_New(), *result = NULL;
    bool good =
        context && set_item(context, "message", message) == 0 && set_item(context, "exception", exception) == 0;

    for (const char *name; (name = va_arg(pairs, const char *));) {
        PyObject *value = va_arg(pairs, PyObject *);

        good = good && set_item(context, name, value) == 0;
    }
    if (good)
        result = PyObject_CallMethodOneArg((PyObject *)self, self->state->names.call_exception_handler, context);
    Py_XDECREF(context);
    if (result)
        Py_DECREF(result);
    else
        rpy_loop_leave_run(self);
}

void rpy_loop_report(rpy_loop *self, PyObject *message, PyObject *exception, ...)
{
    va_list pairs;

    va_start(pairs, exception);
    report(self, message, exception, pairs);
    va_end(pairs);
}

void rpy_loop_call_exception_handler(rpy_loop *self, const char *text, PyObject *exception, ...)
{
    PyObject *message = PyUnicode_FromString(text);
    va_list pairs;

    if (!message) {
        rpy_loop_leave_run(self);
        return;
    }
    va_start(pairs, exception);
    report(self, message, exception, pairs);
    va_end(pairs);
    Py_DECREF(message);
}

/* ---- debug mode ---- */

PyObject *rpy_source_traceback(rpy_state *state)
{
    PyFrameObject *frame = PyEval_GetFrame();

    if (!frame)
        return PyList_New(0);
    return PyObject_CallMethod(state->format_helpers, "extract_stack", "O", frame);
}

int64_t rpy_loop_begin_timed(const rpy_loop *self)
{
    return rp_loop_time(self->loop);
}

static PyObject *describe(const rpy_state *state, PyObject *what)
{
    if (Py_TYPE(what) == state->handle_type || Py_TYPE(what) == state->timer_handle_type)
        return PyObject_CallOneArg(state->format_handle, what);
    return PyObject_Repr(what);
}

void rpy_loop_end_timed(rpy_loop *self, int64_t begun, PyObject *what)
{
    double duration = (double)(rp_loop_time(self->loop) - begun) / 1e9;

    if (duration < self->slow_callback_duration)
        return;
    PyObject *logger = rpy_import("asyncio.base_events", "logger"); /* which programs replace */
    PyObject *text = logger ? describe(self->state, what) : NULL;
    PyObject *result =
        text ? PyObject_CallMethod(logger, "warning", "sOd", "Executing %s took %.3f seconds", text, duration)
             : NULL;
    Py_XDECREF(logger);
    Py_XDECREF(text);
    Py_XDECREF(result);
    if (!result)
        PyErr_WriteUnraisable(what);
}

/* ---- what the loop keeps alive ---- */

void rpy_loop_keep(rpy_loop *self, rpy_kept *kept, PyObject *object, void (*dropped)(PyObject *object))
{
    assert(!rp_node_linked(&kept->link));
    kept->object = Py_NewRef(object);
    kept->dropped = dropped;
    rp_list_push(&self->kept, &kept->link);
}

void rpy_loop_let_go(rpy_kept *kept)
{
    if (!rp_node_linked(&kept->link))
        return;
    rp_list_remove(&kept->link);
    Py_CLEAR(kept->object);
}

void rpy_loop_drop_kept(rpy_loop *self)
{
    rp_node *node;

    while ((node = rp_list_pop(&self->kept))) {
        rpy_kept *kept = rp_container_of(node, rpy_kept, link);
        PyObject *object = kept->object;

        kept->object = NULL;
        if (kept->dropped)
            kept->dropped(object);
        Py_DECREF(object);
    }
}

/* ---- time ---- */

int64_t rpy_nanoseconds(double seconds)
{
    double nanoseconds = ceil(seconds * 1e9);

    if (!(nanoseconds < 9.2e18)) /* nor a NaN */
        return RP_NEVER;
    return nanoseconds > -9.2e18 ? (int64_t)nanoseconds : INT64_MIN;
}

int64_t rpy_loop_when(const rpy_loop *loop, double time)
{
    int64_t when = rpy_nanoseconds(time - loop->clock_origin);

    if (when == RP_NEVER)
        return when;
    if (__builtin_sub_overflow(when, loop->clock_lead, &when))
        return loop->clock_lead > 0 ? INT64_MIN : RP_NEVER;
    return when;
}

int rpy_loop_init(rpy_state *state)
{
    state->gaierror = rpy_import("socket", "gaierror");
    state->format_helpers = state->gaierror ? PyImport_ImportModule("asyncio.format_helpers") : NULL;
    state->format_handle = state->format_helpers ? rpy_import("asyncio.base_events", "_format_handle") : NULL;
    state->logger = state->format_handle ? rpy_import("asyncio.log", "logger") : NULL;
    return state->logger ? 0 : -1;
}
