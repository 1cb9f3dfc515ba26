/*
 * loop_type.c - _core.Loop: what each callback needs of asyncio's event loop. The rest is Python's: ringport/loop.py.
 *
 * Methods of ours call each other directly only where neither a subclass nor the instance has another one in their
 * place: see own.h.
 */
#include "loop_type.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "datagram.h"
#include "handle.h"
#include "own.h"
#include "pipe.h"
#include "proactor/proactor.h"
#include "readers.h"
#include "report.h"
#include "sendfile.h"
#include "tls_handshake.h"
#include "tls_trial.h"
#include "transport.h"
#include "sock.h"
#include "turn.h"

/* ---- methods that others may replace ---- */

static PyObject *getattro(PyObject *object, PyObject *name)
{
    rpy_loop *self = (rpy_loop *)object;
    const rpy_names *names = &self->state->names;
    rpy_own_method which = name == names->call_soon       ? RPY_CALL_SOON
                           : name == names->create_future ? RPY_CREATE_FUTURE
                           : name == names->get_debug     ? RPY_GET_DEBUG
                                                          : RPY_METHODS;

    if (which == RPY_METHODS || !rpy_is_own(self, which))
        return PyObject_GenericGetAttr(object, name);
    if (!self->bound[which]) {
        PyObject *bound = PyObject_GenericGetAttr(object, name);

        if (!bound || !self->loop || self->loop->closed) /* which keeps nothing that refers to it */
            return bound;
        self->bound[which] = bound;
    }
    return Py_NewRef(self->bound[which]);
}

static void forget_bound(rpy_loop *self)
{
    for (int i = 0; i < RPY_BOUND; i++)
        Py_CLEAR(self->bound[i]);
}

static int setattro(PyObject *object, PyObject *name, PyObject *value)
{
    rpy_loop *self = (rpy_loop *)object;
    int rc = PyObject_GenericSetAttr(object, name, value);
    unsigned which = 0;

    if (rc < 0 || !PyUnicode_Check(name))
        return rc;
    for (unsigned i = 0; i < RPY_METHODS; i++)
        if (PyUnicode_Compare(name, rpy_own_name(&self->state->names, i)) == 0)
            which = 1u << i;
    self->patched = value ? self->patched | which : self->patched & ~which;
    self->own_version = 0;
    return 0;
}

/* ---- callbacks ---- */

/* The keyword `context` of the call; NULL: it was not given. false with an exception if there is another one. */
static bool parse_context(rpy_loop *self, const char *function, PyObject *const *keywords, PyObject *names,
                          PyObject **context)
{
    if (names == self->state->context_names) {
        *context = keywords[0] == Py_None ? NULL : keywords[0];
        return true;
    }
    *context = NULL;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);

        if (name != self->state->names.context && PyUnicode_Compare(name, self->state->names.context) != 0) {
            PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", function, name);
            return false;
        }
        *context = keywords[i] == Py_None ? NULL : keywords[i];
    }
    if (PyTuple_GET_SIZE(names) == 1 && PyTuple_GET_ITEM(names, 0) != self->state->names.context)
        Py_XSETREF(self->state->context_names, Py_NewRef(names));
    return true;
}

/* Debug mode's checks; outside of it asyncio finds out when the callback is to run. */
static bool check_callback(rpy_loop *self, PyObject *callback, const char *function, bool this_thread)
{
    if (this_thread && rpy_loop_check_thread(self) < 0)
        return false;
    PyObject *result = PyObject_CallMethod((PyObject *)self, "_check_callback", "Os", callback, function);
    Py_XDECREF(result);
    return result;
}

/*
 * The loop is asked last, as well: what was before may run Python code, and other threads meanwhile. Any of these may
 * close the loop.
 */
static rpy_handle *handle_of_call(rpy_loop *self, PyTypeObject *type, const char *function, bool this_thread,
                                  Py_ssize_t before, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *context = NULL;

    assert(count > before);
    if (names && !parse_context(self, function, args + count, names, &context))
        return NULL;
    if (self->debug && (rpy_loop_check(self) < 0 || !check_callback(self, args[before], function, this_thread)))
        return NULL;
    rpy_handle *handle = rpy_handle_new(self, type, args[before], args + before + 1, count - before - 1, context);
    if (handle && rpy_loop_check(self) < 0)
        Py_CLEAR(handle);
    return handle;
}

typedef PyObject *fastcall(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names);

/* A call that gives the callback, or what stands before it (`first`, or NULL), by name: again, in order. */
static PyObject *call_by_names(PyObject *self, fastcall *function, const char *name, const char *first,
                               PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    const char *parameters[] = {first ? first : "callback", "callback"};
    Py_ssize_t needed = first ? 2 : 1;
    PyObject *values[3] = {NULL}; /* and the context */
    PyObject *context_name = NULL, *result = NULL;

    for (Py_ssize_t i = 0; i < count; i++)
        values[i] = args[i];
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *given = PyTuple_GET_ITEM(names, i);
        Py_ssize_t which = count;

        while (which < needed && PyUnicode_CompareWithASCIIString(given, parameters[which]) != 0)
            which++;
        if (which == needed && PyUnicode_CompareWithASCIIString(given, "context") != 0)
            return PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", name, given);
        values[which] = args[count + i];
    }
    for (Py_ssize_t i = 0; i < needed; i++)
        if (!values[i])
            return PyErr_Format(PyExc_TypeError, "%s() missing 1 required positional argument: '%s'", name,
                                parameters[i]);
    if (!values[needed])
        return function(self, values, needed, NULL);
    context_name = PyTuple_Pack(1, ((rpy_loop *)self)->state->names.context);
    if (context_name)
        result = function(self, values, needed, context_name);
    Py_XDECREF(context_name);
    return result;
}

PyDoc_STRVAR(call_soon_doc, "call_soon(callback, *args, context=None)\n--\n\n"
                            "Run callback(*args) in the next turn. Return a Handle.");

static PyObject *call_soon(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    rpy_loop *self = (rpy_loop *)object;

    if (count < 1)
        return call_by_names(object, call_soon, "call_soon", NULL, args, count, names);
    rpy_handle *handle = handle_of_call(self, self->state->handle_type, "call_soon", true, 0, args, count, names);
    if (handle)
        rpy_handle_schedule(handle);
    return (PyObject *)handle;
}

PyDoc_STRVAR(call_soon_threadsafe_doc, "call_soon_threadsafe(callback, *args, context=None)\n--\n\n"
                                       "Like call_soon(), from any thread: the loop is woken.");

/* The list of ready handles is under the GIL: the loop's thread gives that up only while it waits (see turn.h). */
static PyObject *call_soon_threadsafe(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    rpy_loop *self = (rpy_loop *)object;

    if (count < 1)
        return call_by_names(object, call_soon_threadsafe, "call_soon_threadsafe", NULL, args, count, names);
    rpy_handle *handle =
        handle_of_call(self, self->state->handle_type, "call_soon_threadsafe", false, 0, args, count, names);
    if (handle) {
        rpy_handle_guard(handle);
        rpy_handle_schedule(handle);
        rp_proactor_wake(self->loop->proactor);
    }
    return (PyObject *)handle;
}

static double time_now(rpy_loop *self)
{
    return self->loop ? (double)rp_loop_time(self->loop) / 1e9 : 0;
}

static PyObject *schedule_at(rpy_loop *self, const char *function, double when, PyObject *const *args,
                             Py_ssize_t count, PyObject *names)
{
    rpy_handle *handle =
        handle_of_call(self, self->state->timer_handle_type, function, true, 1, args, count, names);

    if (!handle)
        return NULL;
    int rc = rpy_handle_schedule_at(handle, when);
    if (rc < 0) {
        Py_DECREF((PyObject *)handle);
        return rpy_set_error(self->state, rc);
    }
    return (PyObject *)handle;
}

static bool is_none(PyObject *object, const char *text)
{
    if (object != Py_None)
        return false;
    PyErr_SetString(PyExc_TypeError, text);
    return true;
}

PyDoc_STRVAR(call_at_doc, "call_at(when, callback, *args, context=None)\n--\n\n"
                          "Run callback(*args) at a time of loop.time(). Return a TimerHandle.");

static PyObject *call_at(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (count < 2)
        return call_by_names(object, call_at, "call_at", "when", args, count, names);
    if (is_none(args[0], "when cannot be None"))
        return NULL;
    double when = PyFloat_AsDouble(args[0]);
    if (when == -1 && PyErr_Occurred())
        return NULL;
    return schedule_at((rpy_loop *)object, "call_at", when, args, count, names);
}

/* call_later() where time() or call_at() is not ours. */
static PyObject *call_later_by_theirs(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Py_ssize_t all = count + (names ? PyTuple_GET_SIZE(names) : 0);
    PyObject *now = PyObject_CallMethodNoArgs(self, ((rpy_loop *)self)->state->names.time);
    PyObject *when = now ? PyNumber_Add(now, args[0]) : NULL;
    PyObject **copy = when ? PyMem_Malloc(sizeof(PyObject *) * (size_t)(all + 1)) : NULL;
    PyObject *result = NULL;

    if (copy) {
        copy[0] = self;
        memcpy(copy + 1, args, sizeof(PyObject *) * (size_t)all);
        copy[1] = when;
        result =
            PyObject_VectorcallMethod(((rpy_loop *)self)->state->names.call_at, copy, (size_t)count + 1, names);
    } else if (when) {
        PyErr_NoMemory();
    }
    PyMem_Free(copy);
    Py_XDECREF(when);
    Py_XDECREF(now);
    return result;
}

PyDoc_STRVAR(call_later_doc, "call_later(delay, callback, *args, context=None)\n--\n\n"
                             "Run callback(*args) after so many seconds. Return a TimerHandle.");

static PyObject *call_later(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    rpy_loop *self = (rpy_loop *)object;

    if (count < 2)
        return call_by_names(object, call_later, "call_later", "delay", args, count, names);
    if (is_none(args[0], "delay must not be None"))
        return NULL;
    if (!rpy_is_own(self, RPY_CALL_AT) || !rpy_is_own(self, RPY_TIME))
        return call_later_by_theirs(object, args, count, names);
    double delay = PyFloat_AsDouble(args[0]);
    if (delay == -1 && PyErr_Occurred())
        return NULL;
    return schedule_at(self, "call_later", time_now(self) + delay, args, count, names);
}

PyDoc_STRVAR(time_doc, "time()\n--\n\nThe loop's clock, in seconds: time.monotonic().");

static PyObject *method_time(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyFloat_FromDouble(time_now((rpy_loop *)self));
}

/* ---- futures and tasks ---- */

static PyObject *create_future_of_closed(rpy_loop *self, PyObject *type)
{
    if (!self->loop && rpy_loop_check(self) < 0)
        return NULL;
    PyObject *kwargs = Py_BuildValue("{s:O}", "loop", self);
    PyObject *future = kwargs ? PyObject_Call(type, self->state->no_args, kwargs) : NULL;
    Py_XDECREF(kwargs);
    return future;
}

PyDoc_STRVAR(create_future_doc, "create_future()\n--\n\nA new asyncio.Future of this loop.");

static PyObject *create_future(PyObject *object, PyObject *unused)
{
    rpy_loop *self = (rpy_loop *)object;
    PyObject *type = PyDict_GetItemWithError(self->state->futures, self->state->names.Future);

    (void)unused;
    if (!type)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_AttributeError, "asyncio.futures has no Future");
    if (!self->loop_kwargs)
        return create_future_of_closed(self, type);
    return PyObject_Call(type, self->state->no_args, self->loop_kwargs);
}

PyDoc_STRVAR(create_task_doc, "create_task(coro, *, name=None, context=None, **kwargs)\n--\n\n"
                              "Schedule a coroutine. Return its asyncio.Task, or what the task factory makes.");

static PyObject *create_task(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    rpy_loop *self = (rpy_loop *)object;

    if (names || self->task_factory || count != 1) {
        PyObject *general = PyObject_GetAttrString(object, "_create_task");
        PyObject *task = general ? PyObject_Vectorcall(general, args, (size_t)count, names) : NULL;

        Py_XDECREF(general);
        return task;
    }
    if (rpy_loop_check(self) < 0)
        return NULL;
    PyObject *type = PyDict_GetItemWithError(self->state->tasks, self->state->names.Task);
    if (!type)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_AttributeError, "asyncio.tasks has no Task");
    PyObject *tuple = PyTuple_Pack(1, args[0]);
    PyObject *task = tuple ? PyObject_Call(type, tuple, self->loop_kwargs) : NULL;
    Py_XDECREF(tuple);
    return task;
}

PyDoc_STRVAR(set_task_factory_doc,
             "set_task_factory(factory)\n--\n\n"
             "factory(loop, coro) makes the tasks of create_task(). None: asyncio.Task does.");

static PyObject *set_task_factory(PyObject *object, PyObject *factory)
{
    rpy_loop *self = (rpy_loop *)object;

    if (factory != Py_None && !PyCallable_Check(factory)) {
        PyErr_SetString(PyExc_TypeError, "task factory must be a callable or None");
        return NULL;
    }
    Py_XSETREF(self->task_factory, factory == Py_None ? NULL : Py_NewRef(factory));
    Py_RETURN_NONE;
}

PyDoc_STRVAR(get_task_factory_doc, "get_task_factory()\n--\n\nThe task factory, or None.");

static PyObject *get_task_factory(PyObject *object, PyObject *unused)
{
    PyObject *factory = ((rpy_loop *)object)->task_factory;

    (void)unused;
    return Py_NewRef(factory ? factory : Py_None);
}

static int set_factory_attribute(PyObject *object, PyObject *value, void *unused)
{
    PyObject *result = set_task_factory(object, value ? value : Py_None);

    (void)unused;
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static PyObject *get_factory_attribute(PyObject *object, void *unused)
{
    (void)unused;
    return get_task_factory(object, NULL);
}

/* ---- running and closing ---- */

PyDoc_STRVAR(run_doc, "_run()\n--\n\nRun turns until stop(). Raise what has left a callback.");

static PyObject *method_run(PyObject *self, PyObject *unused)
{
    (void)unused;
    return rpy_loop_run((rpy_loop *)self);
}

PyDoc_STRVAR(stop_doc, "stop()\n--\n\nEnd the run after the present turn; or the next run after one turn.");

static PyObject *stop(PyObject *self, PyObject *unused)
{
    rp_loop *loop = ((rpy_loop *)self)->loop;

    (void)unused;
    if (loop)
        rp_loop_stop(loop);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(is_running_doc, "is_running()\n--\n\nWhether the loop runs, in any thread.");

static PyObject *is_running(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(((rpy_loop *)self)->thread != 0);
}

PyDoc_STRVAR(is_closed_doc, "is_closed()\n--\n\nWhether the loop was closed.");

static PyObject *is_closed(PyObject *self, PyObject *unused)
{
    rp_loop *loop = ((rpy_loop *)self)->loop;

    (void)unused;
    return PyBool_FromLong(!loop || rp_loop_is_closed(loop));
}

PyDoc_STRVAR(check_closed_doc, "_check_closed()\n--\n\nRaise RuntimeError if the loop cannot be used any more.");

static PyObject *check_closed(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (rpy_loop_check((rpy_loop *)self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(get_debug_doc, "get_debug()\n--\n\nWhether the loop is in debug mode.");

static PyObject *get_debug(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(((rpy_loop *)self)->debug);
}

static PyObject *get_debug_attribute(PyObject *self, void *unused)
{
    (void)unused;
    return get_debug(self, NULL);
}

/* As asyncio has it: anything that is true. */
static int set_debug_attribute(PyObject *self, PyObject *value, void *unused)
{
    int debug = value ? PyObject_IsTrue(value) : 0;

    (void)unused;
    if (debug >= 0)
        ((rpy_loop *)self)->debug = (char)debug;
    return debug < 0 ? -1 : 0;
}

static PyObject *get_thread(PyObject *self, void *unused)
{
    unsigned long thread = ((rpy_loop *)self)->thread;

    (void)unused;
    return thread ? PyLong_FromUnsignedLong(thread) : Py_NewRef(Py_None);
}

/* BaseEventLoop.__init__() sets it to None. */
static int set_thread(PyObject *self, PyObject *value, void *unused)
{
    (void)self;
    (void)unused;
    if (value == Py_None)
        return 0;
    PyErr_SetString(PyExc_AttributeError, "_thread_id cannot be set: it says which thread runs the loop");
    return -1;
}

PyDoc_STRVAR(close_doc, "_close()\n--\n\nClose the core's loop. Nothing is called back any more.");

static PyObject *method_close(PyObject *object, PyObject *unused)
{
    rpy_loop *self = (rpy_loop *)object;
    int rc = self->loop ? rp_loop_close(self->loop) : 0;

    (void)unused;
    if (rc < 0)
        return rpy_set_error(self->state, rc);
    rpy_loop_drop_kept(self);
    forget_bound(self);
    Py_CLEAR(self->loop_kwargs);
    Py_RETURN_NONE;
}

/* ---- statistics ---- */

/* false with an exception: there is no loop yet. */
static bool get_stats(PyObject *self, rp_loop_stats *stats)
{
    rp_loop *loop = ((rpy_loop *)self)->loop;

    if (loop)
        rp_loop_get_stats(loop, stats);
    else
        rpy_loop_check((rpy_loop *)self);
    return loop;
}

PyDoc_STRVAR(stats_doc, "stats()\n--\n\n"
                        "What the loop has done since it was made, and what it has to do: a dict of numbers.");

static PyObject *stats(PyObject *self, PyObject *unused)
{
    rp_loop_stats s;

    (void)unused;
    if (!get_stats(self, &s))
        return NULL;
    return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:d,s:z,s:z}", "turns", s.turns,
                         "callbacks", s.callbacks, "completions", s.completions, "kernel_entries",
                         s.kernel_entries, "wakeups", s.wakeups, "busy_polls", s.busy_polls, "busy_polls_found",
                         s.busy_polls_found, "timers_scheduled", s.timers_scheduled, "timers_cancelled",
                         s.timers_cancelled, "timers_pending", s.timers_pending, "operations_in_flight",
                         s.operations_in_flight, "longest_turn", (double)s.longest_turn / 1e9, "backend",
                         s.backend, "fallback_reason", s.fallback_reason);
}

static PyObject *get_backend(PyObject *self, void *unused)
{
    rp_loop_stats s;

    (void)unused;
    return get_stats(self, &s) ? PyUnicode_FromString(s.backend) : NULL;
}

static PyObject *get_fallback_reason(PyObject *self, void *unused)
{
    rp_loop_stats s;

    (void)unused;
    if (!get_stats(self, &s))
        return NULL;
    return s.fallback_reason ? PyUnicode_FromString(s.fallback_reason) : Py_NewRef(Py_None);
}

/* ---- life ---- */

static void dealloc(PyObject *object);

/* Of a type of ours, or a subclass of it, which Python frees in a way of its own. */
static PyObject *module_of(PyTypeObject *type)
{
    while (type->tp_dealloc != dealloc)
        type = type->tp_base;
    return PyType_GetModule(type);
}

static PyObject *new (PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *module = module_of(type);
    rpy_loop *self = module ? (rpy_loop *)PyType_GenericAlloc(type, 0) : NULL;

    (void)args;
    (void)kwargs;
    if (!self)
        return NULL;
    self->module = Py_NewRef(module);
    self->state = rpy_module_state(module);
    self->slow_callback_duration = 0.1;
    rp_list_init(&self->kept);
    return (PyObject *)self;
}

static void set_open_error(rpy_loop *self, int error, const char *backend)
{
    const char *name = backend ? backend : getenv("RINGPORT_PROACTOR");
    const char *source = backend ? "" : "RINGPORT_PROACTOR: ";

    if (name && error == -EINVAL)
        PyErr_Format(PyExc_ValueError, "%sthere is no backend '%s'", source, name);
    else if (name && error == -ENOTSUP)
        PyErr_Format(PyExc_ValueError, "%sthis build of ringport has no backend '%s'", source, name);
    else
        rpy_set_error(self->state, error);
}

static int init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"backend", "busy_poll", NULL};
    rpy_loop *self = (rpy_loop *)object;
    const char *backend = NULL;
    double busy_poll = 0;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$zd:Loop", keywords, &backend, &busy_poll))
        return -1;
    if (self->loop) {
        PyErr_SetString(PyExc_RuntimeError, "the loop was made already");
        return -1;
    }
    if (!(busy_poll >= 0)) {
        PyErr_SetString(PyExc_ValueError, "busy_poll must not be negative");
        return -1;
    }
    if (!self->loop_kwargs) /* unless an earlier attempt has failed */
        self->loop_kwargs = Py_BuildValue("{s:O}", "loop", object);
    if (!self->loop_kwargs)
        return -1;
    int rc = rp_loop_new(&(rp_loop_options){.backend = backend,
                                            .no_debug = true,
                                            .proactor_options = {.busy_poll = rpy_nanoseconds(busy_poll)}},
                         &self->loop);
    if (rc < 0) {
        set_open_error(self, rc, backend);
        return -1;
    }
    rpy_report_install(self);
    return 0;
}

static int traverse_list(const rp_node *list, visitproc visit, void *arg)
{
    for (const rp_node *node = list->next; node != list; node = node->next) {
        int rc = rpy_handle_traverse_pending(rp_container_of(node, rp_handle, link), visit, arg);

        if (rc)
            return rc;
    }
    return 0;
}

static int traverse_timers(const rp_timers *timers, visitproc visit, void *arg)
{
    int rc = traverse_list(&timers->overdue, visit, arg);

    for (int level = 0; rc == 0 && level < RP_TIMERS_LEVELS; level++)
        for (uint64_t used = timers->used[level]; rc == 0 && used; used &= used - 1)
            rc = traverse_list(&timers->slots[level][__builtin_ctzll(used)].timers, visit, arg);
    return rc;
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    rpy_loop *self = (rpy_loop *)object;
    int rc = 0;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->module);
    for (int i = 0; i < RPY_BOUND; i++)
        Py_VISIT(self->bound[i]);
    Py_VISIT(self->failure);
    Py_VISIT(self->task_factory);
    Py_VISIT(self->current_handle);
    Py_VISIT(self->loop_kwargs);
    for (rp_node *node = self->kept.next; node != &self->kept; node = node->next)
        Py_VISIT(rp_container_of(node, rpy_kept, link)->object);
    if (self->loop && !self->loop->closed)
        rc = traverse_list(&self->loop->ready, visit, arg);
    if (rc == 0 && self->loop && !self->loop->closed)
        rc = traverse_list(&self->loop->batch, visit, arg);
    if (rc == 0 && self->loop && !self->loop->closed)
        rc = traverse_list(&self->loop->due, visit, arg);
    if (rc == 0 && self->loop && !self->loop->closed)
        rc = traverse_timers(&self->loop->timers, visit, arg);
    return rc;
}

static int clear(PyObject *object)
{
    rpy_loop *self = (rpy_loop *)object;

    if (self->loop && self->thread == 0) {
        rp_loop_close(self->loop);
        rpy_loop_drop_kept(self);
    }
    forget_bound(self);
    Py_CLEAR(self->failure);
    Py_CLEAR(self->task_factory);
    Py_CLEAR(self->current_handle);
    Py_CLEAR(self->loop_kwargs);
    return 0;
}

static void dealloc(PyObject *object)
{
    rpy_loop *self = (rpy_loop *)object;
    PyTypeObject *type = Py_TYPE(object);

    assert(self->thread == 0); /* the frame that runs the loop refers to it */
    PyObject_GC_UnTrack(object);
    clear(object);
    rp_loop_free(self->loop);
    PyObject *module = self->module;
    type->tp_free(object);
    Py_DECREF((PyObject *)type);
    Py_DECREF(module);
}

#define FASTCALL(name)                                                                                            \
    {                                                                                                             \
#name, (PyCFunction)(void (*)(void))name, METH_FASTCALL | METH_KEYWORDS, name##_doc                       \
    }
#define NOARGS(name, function)                                                                                    \
    {                                                                                                             \
#name, function, METH_NOARGS, function##_doc                                                              \
    }

#define method_time_doc time_doc
#define method_run_doc run_doc
#define method_close_doc close_doc

static PyMethodDef methods[] = {
    FASTCALL(call_soon),
    FASTCALL(call_soon_threadsafe),
    FASTCALL(call_at),
    FASTCALL(call_later),
    FASTCALL(create_task),
    NOARGS(time, method_time),
    NOARGS(create_future, create_future),
    {"_make_socket_transport", (PyCFunction)(void (*)(void))rpy_make_socket_transport,
     METH_VARARGS | METH_KEYWORDS, NULL},
    {"_make_datagram_transport", (PyCFunction)(void (*)(void))rpy_make_datagram_transport,
     METH_VARARGS | METH_KEYWORDS, NULL},
    {"_make_tls_transport", rpy_make_tls_transport, METH_VARARGS,
     PyDoc_STR("_make_tls_transport(below, owner, protocol, objects, waiter, extra, server, calls_made, limits, "
               "direct, received)\n--\n\nPut TLS over a transport, and begin the handshake.")},
    {"_try_tls", rpy_try_tls, METH_VARARGS,
     PyDoc_STR("_try_tls(client, server)\n--\n\n"
               "Why TLS cannot go by the OpenSSL of _ssl, or None: tried out with two SSLObjects.")},
    {"_make_read_pipe_transport", (PyCFunction)(void (*)(void))rpy_make_read_pipe_transport,
     METH_VARARGS | METH_KEYWORDS, NULL},
    {"_make_write_pipe_transport", (PyCFunction)(void (*)(void))rpy_make_write_pipe_transport,
     METH_VARARGS | METH_KEYWORDS, NULL},
    {"set_task_factory", set_task_factory, METH_O, set_task_factory_doc},
    NOARGS(get_task_factory, get_task_factory),
    NOARGS(_run, method_run),
    NOARGS(stop, stop),
    NOARGS(is_running, is_running),
    NOARGS(is_closed, is_closed),
    NOARGS(_check_closed, check_closed),
    NOARGS(get_debug, get_debug),
    NOARGS(_close, method_close),
    NOARGS(stats, stats),
    RPY_READER_METHODS,
    RPY_SOCK_METHODS,
    {"_read_blocks", rpy_sendfile_read_blocks, METH_VARARGS,
     PyDoc_STR("_read_blocks(fileno, offset, count)\n--\n\nRead a file ahead; a count of -1 means all of it.")},
    {0},
};

static PyGetSetDef getsets[] = {
    {"backend", get_backend, NULL, PyDoc_STR("What the loop runs on: 'io_uring' or 'epoll'."), NULL},
    {"fallback_reason", get_fallback_reason, NULL, PyDoc_STR("Why a better backend was passed over, or None."),
     NULL},
    {"_debug", get_debug_attribute, set_debug_attribute, NULL, NULL},
    {"_task_factory", get_factory_attribute, set_factory_attribute, NULL, NULL},
    {"_thread_id", get_thread, set_thread, PyDoc_STR("The thread that runs the loop, or None."), NULL},
    {0},
};

static PyMemberDef members[] = {
    {"slow_callback_duration", T_DOUBLE, offsetof(rpy_loop, slow_callback_duration), 0,
     PyDoc_STR("Debug mode: callbacks that run for so many seconds are reported.")},
    {"_current_handle", T_OBJECT, offsetof(rpy_loop, current_handle), 0, NULL},
    {0},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("What ringport.Loop has in C: callbacks, time, turns.")},
    {Py_tp_new, new},
    {Py_tp_init, init},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_getattro, getattro},
    {Py_tp_setattro, setattro},
    {Py_tp_methods, methods},
    {Py_tp_getset, getsets},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "ringport._core.Loop",
    .basicsize = sizeof(rpy_loop),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

int rpy_loop_type_init(PyObject *module, rpy_state *state)
{
    state->tasks = rpy_import("asyncio.tasks", "__dict__");
    state->futures = state->tasks ? rpy_import("asyncio.futures", "__dict__") : NULL;
    state->no_args = state->futures ? PyTuple_New(0) : NULL;
    state->loop_type = state->no_args ? rpy_add_type(module, &spec, NULL) : NULL;
    return state->loop_type ? 0 : -1;
}
