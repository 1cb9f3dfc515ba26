/*
 * sendfile.c - the types FileSending and FileBlocks: files on their way, as sockets.py sees them.
 *
 * Each has one Future at a time for whoever waits. The core calls back until a sending has ended, and the blocks are
 * closed and no read is under way: for so long the loop keeps the object alive.
 */
#include "sendfile.h"

#include "loop/blocks.h"

/* What the two have in common. */
typedef struct base {
    PyObject_HEAD
    rpy_loop *loop;
    PyObject *future; /* of whoever waits, or NULL */
    rpy_kept kept;
} base;

typedef struct file_sending {
    base base;
    rp_future *core; /* a reference */
    rp_done_callback done;
    bool ended;
} file_sending;

typedef struct file_blocks {
    base base;
    rp_blocks blocks;
    Py_ssize_t exports; /* of the front */
    bool closed;        /* close() was called */
    bool over;          /* the core has let go: only exports keep the memory */
} file_blocks;

/* ---- waiting ---- */

/* A Future that is done by tell(): a new reference, or NULL with an exception. */
static PyObject *wait_for(base *self)
{
    Py_XSETREF(self->future,
               PyObject_CallMethodNoArgs((PyObject *)self->loop, self->loop->state->names.create_future));
    return Py_XNewRef(self->future);
}

static void tell(base *self)
{
    const rpy_names *names = &self->loop->state->names;
    PyObject *future = self->future;
    PyObject *done = future ? PyObject_CallMethodNoArgs(future, names->done) : NULL;
    PyObject *told =
        done == Py_False ? PyObject_CallMethodOneArg(future, names->set_result, Py_None) : Py_XNewRef(done);

    self->future = NULL;
    if (future && !told)
        rpy_loop_leave_run(self->loop);
    Py_XDECREF(done);
    Py_XDECREF(told);
    Py_XDECREF(future);
}

/* ---- sending by a transport ---- */

static file_sending *sending_of(PyObject *object)
{
    return (file_sending *)object;
}

static void on_sent(rp_future *future, void *arg)
{
    file_sending *self = arg;

    rp_future_result(future); /* an error counts as read: result() has it */
    self->ended = true;
    tell(&self->base);
    rpy_loop_let_go(&self->base.kept);
}

/* Nobody will learn how it ends. */
static void sending_dropped(PyObject *object)
{
    file_sending *self = sending_of(object);

    rp_future_remove_done_callback(&self->done);
    rp_future_cancel(self->core);
    self->ended = true;
}

PyObject *rpy_sendfile_begin(rpy_loop *loop, rp_transport *transport, PyObject *args)
{
    long long offset, count;
    file_sending *self;
    int file, rc;

    if (!PyArg_ParseTuple(args, "iLL:_sendfile", &file, &offset, &count))
        return NULL;
    self = (file_sending *)PyType_GenericAlloc(loop->state->sending_type, 0);
    if (!self)
        return NULL;
    self->base.loop = (rpy_loop *)Py_NewRef((PyObject *)loop);
    rc = rp_transport_sendfile(transport, file, offset, count, 0, &self->core);
    if (rc == 0)
        rc = rp_future_add_done_callback(self->core, &self->done, on_sent, self);
    if (rc < 0) {
        self->ended = true;
        Py_DECREF((PyObject *)self);
        return rpy_set_error(loop->state, rc);
    }
    rpy_loop_keep(loop, &self->base.kept, (PyObject *)self, sending_dropped);
    return (PyObject *)self;
}

PyDoc_STRVAR(sending_wait_doc, "wait()\n--\n\nA Future that is done when the sending has ended; None: it has.");

static PyObject *sending_wait(PyObject *object, PyObject *unused)
{
    file_sending *self = sending_of(object);

    (void)unused;
    return self->ended ? Py_NewRef(Py_None) : wait_for(&self->base);
}

PyDoc_STRVAR(sending_cancel_doc, "cancel()\n--\n\nEnd it where it is.");

static PyObject *sending_cancel(PyObject *object, PyObject *unused)
{
    (void)unused;
    if (!sending_of(object)->ended)
        rp_future_cancel(sending_of(object)->core);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(sending_result_doc, "result()\n--\n\nOf one that has ended: how many bytes were sent, or its error.");

static PyObject *sending_result(PyObject *object, PyObject *unused)
{
    file_sending *self = sending_of(object);
    int rc = rp_future_result(self->core);

    (void)unused;
    if (rc < 0)
        return rpy_set_error(self->base.loop->state, rc);
    return PyLong_FromLongLong(rp_sendfile_sent(self->core));
}

static PyObject *sending_sent(PyObject *object, void *unused)
{
    (void)unused;
    return PyLong_FromLongLong(rp_sendfile_sent(sending_of(object)->core));
}

/* ---- blocks ---- */

static file_blocks *blocks_of(PyObject *object)
{
    return (file_blocks *)object;
}

static void free_if_over(file_blocks *self)
{
    if (self->over && self->exports == 0)
        rp_blocks_fini(&self->blocks);
}

static void end_blocks(file_blocks *self)
{
    self->over = true;
    free_if_over(self);
    rpy_loop_let_go(&self->base.kept);
}

static void on_read(void *arg)
{
    file_blocks *self = arg;

    tell(&self->base);
    if (self->closed)
        end_blocks(self);
}

/* The loop has given the memory back. */
static void blocks_dropped(PyObject *object)
{
    blocks_of(object)->closed = blocks_of(object)->over = true;
}

PyObject *rpy_sendfile_read_blocks(PyObject *object, PyObject *args)
{
    rpy_loop *loop = (rpy_loop *)object;
    long long offset, count;
    file_blocks *self;
    int file, rc;

    if (!PyArg_ParseTuple(args, "iLL:_read_blocks", &file, &offset, &count) || rpy_loop_check(loop) < 0)
        return NULL;
    self = (file_blocks *)PyType_GenericAlloc(loop->state->blocks_type, 0);
    if (!self)
        return NULL;
    self->base.loop = (rpy_loop *)Py_NewRef(object);
    rc = rp_blocks_init(&self->blocks, loop->loop, file, offset, count, on_read, self);
    if (rc < 0) {
        Py_DECREF((PyObject *)self);
        return rpy_set_error(loop->state, rc);
    }
    rpy_loop_keep(loop, &self->base.kept, (PyObject *)self, blocks_dropped);
    return (PyObject *)self;
}

static int refuse_closed(const file_blocks *self)
{
    if (!self->closed)
        return 0;
    PyErr_SetString(PyExc_ValueError, "the blocks are closed");
    return -1;
}

PyDoc_STRVAR(blocks_wait_doc,
             "wait()\n--\n\nA Future that is done when there is a block, or the end; None: there is.");

static PyObject *blocks_wait(PyObject *object, PyObject *unused)
{
    file_blocks *self = blocks_of(object);
    const void *data;

    (void)unused;
    if (refuse_closed(self) < 0)
        return NULL;
    if (rp_blocks_front(&self->blocks, &data) == -EINPROGRESS)
        return wait_for(&self->base);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(blocks_front_doc,
             "front()\n--\n\nThe bytes that come next, as a memoryview; None: there are no more.");

static PyObject *blocks_front(PyObject *object, PyObject *unused)
{
    file_blocks *self = blocks_of(object);
    const void *data;
    int64_t length;

    (void)unused;
    if (refuse_closed(self) < 0)
        return NULL;
    length = rp_blocks_front(&self->blocks, &data);
    if (length < 0)
        return rpy_set_error(self->base.loop->state, length);
    return length > 0 ? PyMemoryView_FromObject(object) : Py_NewRef(Py_None);
}

static int get_front(PyObject *object, Py_buffer *view, int flags)
{
    file_blocks *self = blocks_of(object);
    const void *data = NULL;
    int64_t length = self->closed ? 0 : rp_blocks_front(&self->blocks, &data);

    if (PyBuffer_FillInfo(view, object, (void *)(uintptr_t)data, length > 0 ? (Py_ssize_t)length : 0, 1, flags) <
        0)
        return -1;
    self->exports++;
    return 0;
}

static void release_front(PyObject *object, Py_buffer *view)
{
    (void)view;
    blocks_of(object)->exports--;
    free_if_over(blocks_of(object));
}

PyDoc_STRVAR(blocks_take_doc, "take(count)\n--\n\nSo many bytes of the front are done with.");

static PyObject *blocks_take(PyObject *object, PyObject *count)
{
    file_blocks *self = blocks_of(object);
    Py_ssize_t length = PyLong_AsSsize_t(count);
    const void *data;

    if ((length == -1 && PyErr_Occurred()) || refuse_closed(self) < 0)
        return NULL;
    if (length < 0 || length > rp_blocks_front(&self->blocks, &data)) {
        PyErr_SetString(PyExc_ValueError, "there are not so many bytes");
        return NULL;
    }
    if (length > 0)
        rp_blocks_take(&self->blocks, (size_t)length);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(blocks_close_doc,
             "close()\n--\n\nRead no more. A Future that is done when nothing is read any more; None: "
             "nothing is.");

static PyObject *blocks_close(PyObject *object, PyObject *unused)
{
    file_blocks *self = blocks_of(object);

    (void)unused;
    if (!self->closed) {
        self->closed = true;
        if (rp_blocks_stop(&self->blocks))
            end_blocks(self);
    }
    return self->over ? Py_NewRef(Py_None) : wait_for(&self->base);
}

/* ---- the types ---- */

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    base *self = (base *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT((PyObject *)self->loop);
    Py_VISIT(self->future);
    return 0;
}

static int clear(PyObject *object)
{
    Py_CLEAR(((base *)object)->future);
    return 0;
}

static void dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    clear(object);
    if (type == ((base *)object)->loop->state->sending_type)
        rp_future_unref(sending_of(object)->core);
    Py_CLEAR(((base *)object)->loop);
    type->tp_free(object);
    Py_DECREF((PyObject *)type);
}

static PyMethodDef sending_methods[] = {
    {"wait", sending_wait, METH_NOARGS, sending_wait_doc},
    {"cancel", sending_cancel, METH_NOARGS, sending_cancel_doc},
    {"result", sending_result, METH_NOARGS, sending_result_doc},
    {0},
};

static PyGetSetDef sending_getsets[] = {
    {"sent", sending_sent, NULL, PyDoc_STR("How many bytes have been sent."), NULL},
    {0},
};

static PyType_Slot sending_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A file that a transport sends.")},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_methods, sending_methods},
    {Py_tp_getset, sending_getsets},
    {0, NULL},
};

static PyMethodDef blocks_methods[] = {
    {"wait", blocks_wait, METH_NOARGS, blocks_wait_doc},
    {"front", blocks_front, METH_NOARGS, blocks_front_doc},
    {"take", blocks_take, METH_O, blocks_take_doc},
    {"close", blocks_close, METH_NOARGS, blocks_close_doc},
    {0},
};

static PyType_Slot blocks_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A file that is read block by block, ahead of whoever sends it.")},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_methods, blocks_methods},
    {Py_bf_getbuffer, get_front},
    {Py_bf_releasebuffer, release_front},
    {0, NULL},
};

enum {
    FLAGS = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_GC
};

static PyType_Spec sending_spec = {.name = "ringport._core.FileSending",
                                   .basicsize = sizeof(file_sending),
                                   .flags = FLAGS,
                                   .slots = sending_slots};
static PyType_Spec blocks_spec = {
    .name = "ringport._core.FileBlocks", .basicsize = sizeof(file_blocks), .flags = FLAGS, .slots = blocks_slots};

int rpy_sendfile_init(PyObject *module, rpy_state *state)
{
    state->sending_type = rpy_add_type(module, &sending_spec, NULL);
    state->blocks_type = state->sending_type ? rpy_add_type(module, &blocks_spec, NULL) : NULL;
    return state->blocks_type ? 0 : -1;
}
