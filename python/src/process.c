/*
 * process.c - _core.Process: starts a child process, or takes over one that was started, and tells of its end.
 *
 * What subprocess.Popen takes as arguments, and asyncio's transport, are Python's: ringport/subprocesses.py. The loop
 * keeps the object until the process has ended.
 */
#include "process.h"

#include "loop.h"
#include "process/process.h"

typedef struct rpy_process {
    PyObject_HEAD
    rpy_loop *loop;
    rp_process *process;
    PyObject *exited; /* NULL: it was called */
    rpy_kept kept;
    long long pid;
} rpy_process;

/* ---- its end ---- */

static void dropped(PyObject *object)
{
    Py_CLEAR(((rpy_process *)object)->exited);
}

static void on_exited(rp_process *process, void *arg)
{
    rpy_process *self = arg;
    rpy_loop *loop = self->loop;
    PyObject *exited = self->exited, *result;
    int code;

    self->exited = NULL;
    if (rp_process_returncode(process, &code) == 0)
        result = PyObject_CallFunction(exited, "i", code);
    else
        result = PyObject_CallFunctionObjArgs(exited, Py_None, NULL);
    if (!result)
        rpy_loop_leave_run(loop);
    Py_XDECREF(result);
    Py_DECREF(exited);
    rpy_loop_let_go(&self->kept);
}

/* ---- arguments ---- */

/* Objects of Python as an array of the texts in them, which ends with NULL: the list refers to bytes objects. */
typedef struct texts {
    PyObject *list;
    const char **array;
} texts;

static void texts_free(texts *t)
{
    Py_CLEAR(t->list);
    PyMem_Free(t->array);
    t->array = NULL;
}

static bool texts_from(PyObject *sequence, texts *t)
{
    PyObject *objects = PySequence_Fast(sequence, "a sequence is required");
    Py_ssize_t count = objects ? PySequence_Fast_GET_SIZE(objects) : 0;

    if (!objects)
        return false;
    t->list = PyList_New(count);
    t->array = PyMem_Calloc((size_t)count + 1, sizeof *t->array);
    bool ok = t->list && t->array;
    if (t->list && !t->array)
        PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count && ok; i++) {
        PyObject *bytes = NULL;

        ok = PyUnicode_FSConverter(PySequence_Fast_GET_ITEM(objects, i), &bytes);
        if (!ok)
            break;
        t->array[i] = PyBytes_AS_STRING(bytes);
        PyList_SET_ITEM(t->list, i, bytes);
    }
    Py_DECREF(objects);
    return ok;
}

/* A tuple of numbers, as an array of them, of 4 bytes each. NULL with an exception. */
static uint32_t *numbers_from(PyObject *tuple)
{
    uint32_t *numbers = PyMem_Calloc((size_t)PyTuple_GET_SIZE(tuple) + 1, sizeof *numbers);

    if (!numbers)
        PyErr_NoMemory();
    for (Py_ssize_t i = 0; numbers && i < PyTuple_GET_SIZE(tuple); i++) {
        unsigned long number = PyLong_AsUnsignedLong(PyTuple_GET_ITEM(tuple, i));

        if (!PyErr_Occurred() && number > UINT32_MAX)
            PyErr_SetString(PyExc_OverflowError, "the number is too large");
        if (PyErr_Occurred()) {
            PyMem_Free(numbers);
            return NULL;
        }
        numbers[i] = (uint32_t)number;
    }
    return numbers;
}

/* What subprocess has for it: a descriptor, PIPE, STDOUT, DEVNULL or None. */
static rp_stdio stdio_from(PyObject *object)
{
    static const rp_stdio_kind special[] = {RP_STDIO_PIPE, RP_STDIO_TO_STDOUT, RP_STDIO_NULL};
    long number;

    if (object == Py_None)
        return (rp_stdio){.kind = RP_STDIO_INHERIT};
    number = PyLong_AsLong(object);
    if (number < 0 && number >= -3)
        return (rp_stdio){.kind = special[-number - 1]};
    return (rp_stdio){.kind = RP_STDIO_FD, .fd = (rp_fd)number};
}

/* OSError with the name of the file that it is about, as subprocess raises it. */
static void set_failure(const rpy_loop *loop, int error, rp_spawn_step step, PyObject *program, PyObject *cwd)
{
    static PyObject *const none = Py_None;
    PyObject *name = step == RP_SPAWN_EXECUTE ? program : step == RP_SPAWN_CHDIR ? cwd : none;

    if (error <= -4000 || error == -ENOMEM) {
        rpy_set_error(loop->state, error);
        return;
    }
    errno = -error;
    if (name == Py_None)
        PyErr_SetFromErrno(PyExc_OSError);
    else
        PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, name);
}

/* ---- making one ---- */

static rpy_process *make(rpy_loop *loop, PyObject *exited)
{
    rpy_process *self;

    if (rpy_loop_check(loop) < 0)
        return NULL;
    self = (rpy_process *)PyType_GenericAlloc(loop->state->process_type, 0);
    if (!self)
        return NULL;
    self->loop = (rpy_loop *)Py_NewRef((PyObject *)loop);
    self->exited = Py_NewRef(exited);
    return self;
}

static PyObject *begun(rpy_process *self)
{
    self->pid = rp_process_pid(self->process);
    rpy_loop_keep(self->loop, &self->kept, (PyObject *)self, dropped);
    return (PyObject *)self;
}

/* The arguments of spawn(), besides those that are handed on as they are. */
typedef struct start {
    PyObject *program, *cwd;           /* as they were given */
    PyObject *program_text, *cwd_text; /* bytes */
    texts args, env;
    uint32_t *pass_fds, *groups;
} start;

static void start_free(start *s)
{
    Py_CLEAR(s->program_text);
    Py_CLEAR(s->cwd_text);
    texts_free(&s->args);
    texts_free(&s->env);
    PyMem_Free(s->pass_fds);
    PyMem_Free(s->groups);
}

PyDoc_STRVAR(
    spawn_doc,
    "spawn(loop, exited, program, args, env, cwd, stdio, pass_fds, flags, group, uid, gid, groups, umask)\n"
    "--\n\n"
    "Start a process. exited(returncode) is called when it has ended, with None if nobody knows how.");

static PyObject *module_spawn(PyObject *module, PyObject *positional)
{
    rp_process_options options = {0};
    rp_spawn_step step;
    PyObject *loop, *exited, *args, *env, *stdio[3], *pass_fds, *groups;
    start s = {0};

    if (!PyArg_ParseTuple(positional, "O!OOOOO(OOO)O!ILIIO!I:spawn", rpy_module_state(module)->loop_type, &loop,
                          &exited, &s.program, &args, &env, &s.cwd, &stdio[0], &stdio[1], &stdio[2], &PyTuple_Type,
                          &pass_fds, &options.flags, &options.process_group, &options.uid, &options.gid,
                          &PyTuple_Type, &groups, &options.umask))
        return NULL;
    rpy_process *self = make((rpy_loop *)loop, exited);
    if (!self)
        return NULL;
    if (!PyUnicode_FSConverter(s.program, &s.program_text) || !texts_from(args, &s.args) ||
        (env != Py_None && !texts_from(env, &s.env)) ||
        (s.cwd != Py_None && !PyUnicode_FSConverter(s.cwd, &s.cwd_text)) ||
        !(s.pass_fds = numbers_from(pass_fds)) || !(s.groups = numbers_from(groups)))
        goto failed;
    options.in = stdio_from(stdio[0]);
    options.out = stdio_from(stdio[1]);
    options.err = stdio_from(stdio[2]);
    if (PyErr_Occurred())
        goto failed;
    options.program = PyBytes_AS_STRING(s.program_text);
    options.argv = s.args.array;
    options.env = s.env.array;
    options.cwd = s.cwd_text ? PyBytes_AS_STRING(s.cwd_text) : NULL;
    options.pass_fds = (const rp_fd *)s.pass_fds;
    options.pass_fd_count = (size_t)PyTuple_GET_SIZE(pass_fds);
    options.groups = s.groups;
    options.group_count = (size_t)PyTuple_GET_SIZE(groups);
    int rc = rp_process_start(self->loop->loop, &options, on_exited, self, &self->process, &step);
    if (rc < 0) {
        set_failure(self->loop, rc, step, s.program, s.cwd);
        goto failed;
    }
    start_free(&s);
    return begun(self);

failed:
    start_free(&s);
    Py_DECREF((PyObject *)self);
    return NULL;
}

PyDoc_STRVAR(adopt_doc, "adopt(loop, exited, pid)\n--\n\n"
                        "The same for a process that was started already.");

static PyObject *module_adopt(PyObject *module, PyObject *positional)
{
    PyObject *loop, *exited;
    long long pid;

    if (!PyArg_ParseTuple(positional, "O!OL:adopt", rpy_module_state(module)->loop_type, &loop, &exited, &pid))
        return NULL;
    rpy_process *self = make((rpy_loop *)loop, exited);
    if (!self)
        return NULL;
    int rc = rp_process_adopt(self->loop->loop, pid, on_exited, self, &self->process);
    if (rc < 0) {
        rpy_set_error(self->loop->state, rc);
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    return begun(self);
}

/* ---- methods ---- */

PyDoc_STRVAR(send_signal_doc, "send_signal(signal)\n--\n\nProcessLookupError, if the process has been reaped.");

static PyObject *method_send_signal(PyObject *object, PyObject *number)
{
    rpy_process *self = (rpy_process *)object;
    long signal = PyLong_AsLong(number);

    if (signal == -1 && PyErr_Occurred())
        return NULL;
    int rc = rp_process_send_signal(self->process, signal == (int)signal ? (int)signal : -1);
    if (rc < 0)
        return rpy_set_error(self->loop->state, rc);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(take_pipe_doc, "take_pipe(number)\n--\n\n"
                            "The descriptor of this end of a pipe, which is the caller's from then on; or None.");

static PyObject *method_take_pipe(PyObject *object, PyObject *number)
{
    int which = (int)PyLong_AsLong(number);

    if (PyErr_Occurred())
        return NULL;
    rp_fd fd = rp_process_take_pipe(((rpy_process *)object)->process, which);
    if (fd < 0)
        Py_RETURN_NONE;
    PyObject *descriptor = PyLong_FromLong(fd);
    if (!descriptor)
        rp_spawn_close(fd);
    return descriptor;
}

/* ---- the type ---- */

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    rpy_process *self = (rpy_process *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT((PyObject *)self->loop);
    Py_VISIT(self->exited);
    return 0;
}

/* Of one that the loop keeps nothing is cleared: the loop is garbage as well, and drops it first. */
static int clear(PyObject *object)
{
    rpy_process *self = (rpy_process *)object;

    if (rp_node_linked(&self->kept.link))
        return 0;
    rp_process_unref(self->process);
    self->process = NULL;
    Py_CLEAR(self->loop);
    Py_CLEAR(self->exited);
    return 0;
}

static void dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    clear(object);
    type->tp_free(object);
    Py_DECREF((PyObject *)type);
}

static PyMethodDef methods[] = {
    {"send_signal", method_send_signal, METH_O, send_signal_doc},
    {"take_pipe", method_take_pipe, METH_O, take_pipe_doc},
    {0},
};

static PyMemberDef members[] = {
    {"pid", T_LONGLONG, offsetof(rpy_process, pid), READONLY, PyDoc_STR("The process's number.")},
    {0},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A child process of a loop's.")},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "ringport._core.Process",
    .basicsize = sizeof(rpy_process),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

static PyMethodDef functions[] = {
    {"spawn", module_spawn, METH_VARARGS, spawn_doc},
    {"adopt", module_adopt, METH_VARARGS, adopt_doc},
    {0},
};

int rpy_process_init(PyObject *module, rpy_state *state)
{
    state->process_type = rpy_add_type(module, &spec, NULL);
    return state->process_type ? PyModule_AddFunctions(module, functions) : -1;
}
