/*
 * handle.c - Handle and TimerHandle.
 *
 * A handle lies in the core's lists by its own rp_handle: scheduling allocates nothing else. Memory of handles is used
 * again, from a list of free ones.
 * A handle that has run or was cancelled drops callback, arguments, context and loop if somebody holds it still, so
 * that it is part of no cycle. So a Handle, which is made for each callback and seldom held, is no object of the
 * garbage collector's: the Loop traverses what the pending ones refer to. A TimerHandle, which is held to be cancelled,
 * is one.
 */
#include "handle.h"

/* ---- making and freeing ---- */

static void clear_contents(rpy_handle *self)
{
    for (int i = 0; i < self->count; i++)
        Py_CLEAR(self->inlined[i]);
    self->count = 0;
    Py_CLEAR(self->args);
    Py_CLEAR(self->context);
    Py_CLEAR(self->callback);
}

static bool is_timed(const rpy_handle *self)
{
    return self->timed;
}

static rpy_handle *allocate(rpy_state *state, PyTypeObject *type)
{
    bool timed = type == state->timer_handle_type;
    rpy_free_handles *spare = timed ? &state->free_timer_handles : &state->free_handles;
    rpy_handle *self = spare->first;

    if (!self)
        return timed ? PyObject_GC_New(rpy_handle, type) : PyObject_New(rpy_handle, type);
    spare->first = self->core.next;
    spare->count--;
    PyObject_Init((PyObject *)self, type);
    return self;
}

static void free_memory(rpy_handle *self, bool timed)
{
    if (timed)
        PyObject_GC_Del(self);
    else
        PyObject_Free(self);
}

static bool set_args(rpy_handle *self, PyObject *const *args, Py_ssize_t count)
{
    if (count <= RPY_INLINE_ARGS) {
        for (Py_ssize_t i = 0; i < count; i++)
            self->inlined[i] = Py_NewRef(args[i]);
        self->count = (int)count;
        return true;
    }
    self->args = PyTuple_New(count);
    for (Py_ssize_t i = 0; self->args && i < count; i++)
        PyTuple_SET_ITEM(self->args, i, Py_NewRef(args[i]));
    return self->args;
}

static void run(void *arg);

rpy_handle *rpy_handle_new(rpy_loop *loop, PyTypeObject *type, PyObject *callback, PyObject *const *args,
                           Py_ssize_t count, PyObject *context)
{
    rpy_handle *self = allocate(loop->state, type);

    if (!self)
        return NULL;
    self->loop = (rpy_loop *)Py_NewRef((PyObject *)loop);
    self->state = loop->state;
    self->callback = Py_NewRef(callback);
    self->context = NULL;
    self->args = NULL;
    self->count = 0;
    self->cancelled = false;
    self->running = false;
    self->timed = type == loop->state->timer_handle_type;
    self->guarded = false;
    self->source_traceback = NULL;
    self->repr = NULL;
    self->weakrefs = NULL;
    self->when = 0;
    self->core.timer.when = 0;
    rp_handle_prepare(&self->core.handle, loop->loop, run, self);
    self->context = context ? Py_NewRef(context) : PyContext_CopyCurrent();
    if (!self->context || !set_args(self, args, count))
        goto failed;
    if (loop->debug) {
        self->source_traceback = rpy_source_traceback(loop->state);
        if (!self->source_traceback)
            goto failed;
    }
    if (is_timed(self))
        PyObject_GC_Track(self);
    return self;
failed:
    Py_DECREF((PyObject *)self);
    return NULL;
}

static void dealloc(PyObject *object)
{
    rpy_handle *self = (rpy_handle *)object;
    PyTypeObject *type = Py_TYPE(object);
    rpy_loop *loop = self->loop;
    bool timed = is_timed(self);
    rpy_free_handles *spare = timed ? &self->state->free_timer_handles : &self->state->free_handles;

    assert(self->core.handle.state == RP_HANDLE_IDLE); /* the loop owns a reference to what is scheduled */
    if (timed)
        PyObject_GC_UnTrack(object);
    if (self->weakrefs)
        PyObject_ClearWeakRefs(object);
    clear_contents(self);
    Py_CLEAR(self->source_traceback);
    Py_CLEAR(self->repr);
    if (spare->count < RPY_FREE_HANDLES) {
        self->core.next = spare->first;
        spare->first = self;
        spare->count++;
    } else {
        free_memory(self, timed);
    }
    Py_XDECREF((PyObject *)loop);
    Py_DECREF((PyObject *)type); /* the state goes with the last type */
}

void rpy_handle_guard(rpy_handle *self)
{
    self->guarded = self->state->asyncio_threadsafe_handle;
    self->thread = 0;
    self->returned = NULL;
}

static void free_all(rpy_free_handles *spare, bool timed)
{
    while (spare->first) {
        rpy_handle *handle = spare->first;

        spare->first = handle->core.next;
        free_memory(handle, timed);
    }
    spare->count = RPY_FREE_HANDLES; /* no more are kept */
}

void rpy_handles_free(rpy_state *state)
{
    free_all(&state->free_handles, false);
    free_all(&state->free_timer_handles, true);
}

/* ---- running ---- */

static PyObject *args_tuple(const rpy_handle *self)
{
    if (self->args)
        return Py_NewRef(self->args);
    PyObject *tuple = PyTuple_New(self->count);
    for (int i = 0; tuple && i < self->count; i++)
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(self->inlined[i]));
    return tuple;
}

/* callback(*args), and what it refers to stays alive, even if it cancels the handle: that drops nothing meanwhile. */
static PyObject *call(rpy_handle *self)
{
    PyObject *result = NULL;

    if (PyContext_Enter(self->context) < 0)
        return NULL;
    if (self->args) {
        result = PyObject_Call(self->callback, self->args, NULL);
    } else {
        /* One place before the arguments is the callee's to use. */
        PyObject *args[1 + RPY_INLINE_ARGS] = {NULL, self->inlined[0], self->inlined[1]};

        result = PyObject_Vectorcall(self->callback, args + 1,
                                     (size_t)self->count | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    if (PyContext_Exit(self->context) < 0)
        Py_CLEAR(result);
    return result;
}

static PyObject *failure_message(rpy_handle *self)
{
    PyObject *args = args_tuple(self);
    PyObject *source = NULL, *message = NULL;

    if (args)
        source = rpy_format_callback(self->state->format_helpers, self->callback, args, self->loop->debug);
    if (source)
        message = PyUnicode_FromFormat("Exception in callback %U", source);
    Py_XDECREF(source);
    Py_XDECREF(args);
    return message;
}

static void report(rpy_handle *self)
{
    PyObject *exception = rpy_loop_callback_failed(self->loop);

    if (!exception)
        return;
    PyObject *message = failure_message(self);
    if (!message) {
        PyErr_Clear();
        message = PyUnicode_FromString("Exception in callback");
    }
    rpy_loop_report(self->loop, message, exception, "handle", self, "source_traceback", self->source_traceback,
                    NULL);
    Py_XDECREF(message);
    Py_DECREF(exception);
}

static void call_timed(rpy_handle *self)
{
    rpy_loop *loop = self->loop;
    int64_t begun = rpy_loop_begin_timed(loop);
    PyObject *outer = loop->current_handle;

    loop->current_handle = Py_NewRef((PyObject *)self);
    PyObject *result = call(self);
    if (result)
        Py_DECREF(result);
    else
        report(self);
    rpy_loop_end_timed(loop, begun, (PyObject *)self);
    Py_XSETREF(loop->current_handle, outer);
}

/* It may be called in the middle of a call: what it refers to stays until the outer one has returned. */
static void call_now(rpy_handle *self)
{
    bool outer = self->running;

    self->running = true;
    if (self->loop->debug) {
        call_timed(self);
    } else {
        PyObject *result = call(self);

        if (result)
            Py_DECREF(result);
        else
            report(self);
    }
    self->running = outer;
}

/* A guarded handle: waits until no other thread runs it. -1 with an exception: that of a signal, or MemoryError. */
static int await_others(rpy_handle *self)
{
    while (self->guarded && self->thread && self->thread != PyThread_get_thread_ident()) {
        if (!self->returned)
            self->returned = PyObject_CallNoArgs(self->state->event_type);
        PyObject *returned = Py_XNewRef(self->returned);
        PyObject *waited = returned ? PyObject_CallMethod(returned, "wait", NULL) : NULL;

        Py_XDECREF(returned);
        if (!waited)
            return -1;
        Py_DECREF(waited);
    }
    return 0;
}

static void tell_others(rpy_handle *self)
{
    PyObject *returned = self->returned;

    self->returned = NULL;
    if (!returned)
        return;
    PyObject *exception = rpy_take_exception();
    PyObject *told = PyObject_CallMethod(returned, "set", NULL);
    if (!told)
        PyErr_WriteUnraisable(returned);
    Py_XDECREF(told);
    Py_DECREF(returned);
    if (exception)
        rpy_set_exception(exception);
}

static void call_guarded(rpy_handle *self)
{
    unsigned long outer = self->thread;

    self->thread = PyThread_get_thread_ident();
    call_now(self);
    self->thread = outer;
    if (!outer)
        tell_others(self);
}

void rpy_handle_call(rpy_handle *self)
{
    if (self->guarded)
        call_guarded(self);
    else
        call_now(self);
}

/* What the core calls when it gives the handle back: to be run, or because the loop was closed. */
static void run(void *arg)
{
    rpy_handle *self = arg;

    if (self->loop->loop->closed)
        self->cancelled = true;
    else
        rpy_handle_call(self);
    if (Py_REFCNT((PyObject *)self) > 1) {
        clear_contents(self);
        Py_CLEAR(self->loop);
    }
    Py_DECREF((PyObject *)self);
}

void rpy_handle_schedule(rpy_handle *self)
{
    Py_INCREF((PyObject *)self);
    self->core.handle.state = RP_HANDLE_CERTAIN;
    rp_loop_ready(self->loop->loop, &self->core.handle);
}

int rpy_handle_schedule_at(rpy_handle *self, double when)
{
    int rc = rp_call_at(self->loop->loop, &self->core.timer, rpy_loop_when(self->loop, when), run, self);

    if (rc < 0)
        return rc;
    self->when = when;
    self->core.handle.state |= RP_HANDLE_CERTAIN;
    Py_INCREF((PyObject *)self);
    return 0;
}

void rpy_handle_reschedule_all(rpy_loop *loop)
{
    rp_timers *timers = &loop->loop->timers;
    rp_node all, *node;

    rp_list_init(&all);
    rp_timers_take_all(timers, &all);
    while ((node = rp_list_pop(&all))) {
        rp_timer *timer = rp_container_of(node, rp_timer, handle.link);

        if (timer->handle.callback == run)
            timer->when = rpy_loop_when(loop, rp_container_of(timer, rpy_handle, core.timer)->when);
        rp_timers_insert(timers, timer);
    }
}

/* ---- ending without a run ---- */

/* It does not run, and refers to nothing any more. */
static void take_back(rpy_handle *self)
{
    /* A loop at its end gives the handle back by itself; and in a child of fork() its lists are the parent's. */
    rp_loop *core = self->loop ? self->loop->loop : NULL;
    bool taken_back = core && !core->closed && !rp_loop_is_forked(core) && rp_handle_cancel(&self->core.handle);

    if (!self->running)
        clear_contents(self);
    if (!self->running && !rp_handle_scheduled(&self->core.handle))
        Py_CLEAR(self->loop); /* else it is given back with the loop */
    if (taken_back)
        Py_DECREF((PyObject *)self);
}

void rpy_handle_cancel(rpy_handle *self)
{
    if (self->cancelled)
        return;
    self->cancelled = true;
    if (self->loop && self->loop->debug && !self->repr && self->callback) {
        self->repr = PyObject_Repr((PyObject *)self);
        if (!self->repr)
            PyErr_Clear();
    }
    take_back(self);
}

void rpy_handle_discard(rpy_handle *self)
{
    if (self->cancelled)
        return;
    self->cancelled = true;
    take_back(self);
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    rpy_handle *self = (rpy_handle *)object;

    Py_VISIT((PyObject *)Py_TYPE(object));
    Py_VISIT((PyObject *)self->loop);
    Py_VISIT(self->callback);
    Py_VISIT(self->context);
    Py_VISIT(self->args);
    for (int i = 0; i < self->count; i++)
        Py_VISIT(self->inlined[i]);
    Py_VISIT(self->source_traceback);
    return 0;
}

static int clear(PyObject *object)
{
    rpy_handle_discard((rpy_handle *)object);
    return 0;
}

int rpy_handle_traverse_pending(rp_handle *handle, visitproc visit, void *arg)
{
    if (handle->callback != run)
        return 0;
    rpy_handle *self = handle->arg;
    if (is_timed(self))
        Py_VISIT((PyObject *)self);
    else if (Py_REFCNT((PyObject *)self) == 1)
        return traverse((PyObject *)self, visit, arg);
    return 0; /* else somebody holds it, whom the collector does not see: all that it refers to stays */
}

/* ---- what Python sees ---- */

static PyObject *method_cancel(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (await_others((rpy_handle *)self) < 0)
        return NULL;
    rpy_handle_cancel((rpy_handle *)self);
    Py_RETURN_NONE;
}

static PyObject *method_cancelled(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (await_others((rpy_handle *)self) < 0)
        return NULL;
    return PyBool_FromLong(((rpy_handle *)self)->cancelled);
}

static PyObject *or_none(PyObject *object)
{
    return Py_NewRef(object ? object : Py_None);
}

static PyObject *method_get_context(PyObject *self, PyObject *unused)
{
    (void)unused;
    return or_none(((rpy_handle *)self)->context);
}

static PyObject *method_run(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (await_others((rpy_handle *)self) < 0)
        return NULL;
    if (((rpy_handle *)self)->callback)
        rpy_handle_call((rpy_handle *)self);
    Py_RETURN_NONE;
}

static PyObject *method_when(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyFloat_FromDouble(((rpy_handle *)self)->when);
}

/* isinstance() asks for it: a Handle of ours is an asyncio.Handle, though it is made in another way. */
static PyObject *get_class(PyObject *self, void *unused)
{
    const rpy_handle *handle = (rpy_handle *)self;
    const rpy_state *state = handle->state;

    (void)unused;
    if (handle->guarded)
        return Py_NewRef(state->asyncio_threadsafe_handle);
    return Py_NewRef(is_timed(handle) ? state->asyncio_timer_handle : state->asyncio_handle);
}

static PyObject *get_callback(PyObject *self, void *unused)
{
    (void)unused;
    return or_none(((rpy_handle *)self)->callback);
}

static PyObject *get_args(PyObject *self, void *unused)
{
    rpy_handle *handle = (rpy_handle *)self;

    (void)unused;
    return handle->callback ? args_tuple(handle) : Py_NewRef(Py_None);
}

static PyObject *get_scheduled(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(rp_handle_scheduled(&((rpy_handle *)self)->core.handle));
}

static PyObject *repr(PyObject *object)
{
    rpy_handle *self = (rpy_handle *)object;
    rpy_state *state = self->state;

    if (self->repr)
        return Py_NewRef(self->repr);
    PyObject *info = PyObject_CallOneArg(state->handle_repr_info, object);
    if (info && Py_TYPE(object) == state->timer_handle_type) {
        PyObject *when = PyFloat_FromDouble(self->when);
        PyObject *text = when ? PyUnicode_FromFormat("when=%R", when) : NULL;

        Py_XDECREF(when);
        if (!text || PyList_Insert(info, self->cancelled ? 2 : 1, text) < 0)
            Py_CLEAR(info);
        Py_XDECREF(text);
    }
    PyObject *separator = info ? PyUnicode_FromString(" ") : NULL;
    PyObject *joined = separator ? PyUnicode_Join(separator, info) : NULL;
    PyObject *result = joined ? PyUnicode_FromFormat("<%U>", joined) : NULL;
    Py_XDECREF(joined);
    Py_XDECREF(separator);
    Py_XDECREF(info);
    return result;
}

/* What a TimerHandle is ordered by, as asyncio's: its time. */
static Py_hash_t timer_hash(PyObject *self)
{
    PyObject *when = PyFloat_FromDouble(((rpy_handle *)self)->when);
    Py_hash_t hash = when ? PyObject_Hash(when) : -1;

    Py_XDECREF(when);
    return hash;
}

static int same_contents(rpy_handle *left, rpy_handle *right)
{
    if (left->when != right->when || left->cancelled != right->cancelled || !left->callback != !right->callback)
        return 0;
    if (!left->callback)
        return 1;
    int same = PyObject_RichCompareBool(left->callback, right->callback, Py_EQ);
    if (same <= 0)
        return same;
    PyObject *one = args_tuple(left), *other = args_tuple(right);
    same = one && other ? PyObject_RichCompareBool(one, other, Py_EQ) : -1;
    Py_XDECREF(one);
    Py_XDECREF(other);
    return same;
}

static PyObject *timer_compare(PyObject *left, PyObject *right, int op)
{
    if (Py_TYPE(left) != Py_TYPE(right))
        Py_RETURN_NOTIMPLEMENTED;
    double one = ((rpy_handle *)left)->when, other = ((rpy_handle *)right)->when;
    int same = op == Py_LT || op == Py_GT ? 0 : same_contents((rpy_handle *)left, (rpy_handle *)right);
    if (same < 0)
        return NULL;
    switch (op) {
    case Py_LT:
        return PyBool_FromLong(one < other);
    case Py_GT:
        return PyBool_FromLong(one > other);
    case Py_LE:
        return PyBool_FromLong(one < other || same);
    case Py_GE:
        return PyBool_FromLong(one > other || same);
    case Py_EQ:
        return PyBool_FromLong(same);
    default:
        return PyBool_FromLong(!same);
    }
}

/* clang-format off */
#define HANDLE_METHODS                                                                                               \
    {"cancel", method_cancel, METH_NOARGS, PyDoc_STR("The callback is not to run.")},                                \
    {"cancelled", method_cancelled, METH_NOARGS, PyDoc_STR("Whether it was cancelled.")},                            \
    {"get_context", method_get_context, METH_NOARGS, PyDoc_STR("The context that it runs in.")},                     \
    {"_run", method_run, METH_NOARGS, PyDoc_STR("Run the callback now.")}
#define HANDLE_GETSETS                                                                                               \
    {"__class__", get_class, NULL, NULL, NULL},                                                                      \
    {"_callback", get_callback, NULL, NULL, NULL},                                                                   \
    {"_args", get_args, NULL, NULL, NULL}
#define HANDLE_MEMBERS                                                                                               \
    {"_loop", T_OBJECT, offsetof(rpy_handle, loop), READONLY, NULL},                                                 \
    {"_context", T_OBJECT, offsetof(rpy_handle, context), READONLY, NULL},                                           \
    {"_cancelled", T_BOOL, offsetof(rpy_handle, cancelled), READONLY, NULL},                                         \
    {"_source_traceback", T_OBJECT, offsetof(rpy_handle, source_traceback), READONLY, NULL},                         \
    {"_repr", T_OBJECT, offsetof(rpy_handle, repr), READONLY, NULL},                                                 \
    {"__weaklistoffset__", T_PYSSIZET, offsetof(rpy_handle, weakrefs), READONLY, NULL}
/* clang-format on */

static PyMethodDef handle_methods[] = {HANDLE_METHODS, {0}};
static PyGetSetDef handle_getsets[] = {HANDLE_GETSETS, {0}};
static PyMemberDef handle_members[] = {HANDLE_MEMBERS, {0}};

static PyType_Slot handle_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A callback that is to run: what call_soon() returns.")},
    {Py_tp_dealloc, dealloc},
    {Py_tp_repr, repr},
    {Py_tp_methods, handle_methods},
    {Py_tp_getset, handle_getsets},
    {Py_tp_members, handle_members},
    {0, NULL},
};

static PyType_Spec handle_spec = {
    .name = "ringport.Handle",
    .basicsize = sizeof(rpy_handle),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = handle_slots,
};

static PyMethodDef timer_methods[] = {
    HANDLE_METHODS,
    {"when", method_when, METH_NOARGS, PyDoc_STR("The time that it is scheduled for, in seconds of loop.time().")},
    {0},
};
static PyGetSetDef timer_getsets[] = {HANDLE_GETSETS, {"_scheduled", get_scheduled, NULL, NULL, NULL}, {0}};
static PyMemberDef timer_members[] = {
    HANDLE_MEMBERS, {"_when", T_DOUBLE, offsetof(rpy_handle, when), READONLY, NULL}, {0}};

static PyType_Slot timer_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A callback that is to run at a time: what call_later() and call_at() return.")},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_repr, repr},
    {Py_tp_hash, timer_hash},
    {Py_tp_richcompare, timer_compare},
    {Py_tp_methods, timer_methods},
    {Py_tp_getset, timer_getsets},
    {Py_tp_members, timer_members},
    {0, NULL},
};

static PyType_Spec timer_spec = {
    .name = "ringport.TimerHandle",
    .basicsize = sizeof(rpy_handle),
    .flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = timer_slots,
};

int rpy_handle_init(PyObject *module, rpy_state *state)
{
    state->asyncio_handle = rpy_import("asyncio", "Handle");
    state->asyncio_timer_handle = rpy_import("asyncio", "TimerHandle");
    state->event_type = state->asyncio_timer_handle ? rpy_import("threading", "Event") : NULL;
    if (!state->event_type)
        return -1;
    state->asyncio_threadsafe_handle = rpy_import("asyncio.events", "_ThreadSafeHandle");
    if (!state->asyncio_threadsafe_handle) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError))
            return -1;
        PyErr_Clear(); /* before 3.14 */
    }
    state->handle_repr_info =
        state->asyncio_handle ? PyObject_GetAttrString(state->asyncio_handle, "_repr_info") : NULL;
    state->handle_type = rpy_add_type(module, &handle_spec, NULL);
    state->timer_handle_type = rpy_add_type(module, &timer_spec, NULL);
    return state->handle_repr_info && state->handle_type && state->timer_handle_type ? 0 : -1;
}
