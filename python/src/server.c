/*
 * server.c - _core.Server: from an accepted connection to its protocol and transport.
 *
 * The sockets are Python's: they are lent to listeners of the core's, and taken back by _stop(). The rest of a server
 * is Python's, too, in ringport/server.py. As long as it accepts, or has connections, the loop keeps it.
 * What is accepted after _stop() is closed: by then whoever waits for the server's end may have been told.
 */
#include "server.h"

#include <string.h>

#include "connect/listen.h"
#include "loop.h"
#include "net/transport.h"
#include "transport.h"

/* What accepted sockets have as their own name, as the listening one has it. A length of 0: theirs are others. */
typedef struct rpy_own_name {
    struct sockaddr_in6 address;
    uint32_t length;
} rpy_own_name;

typedef struct rpy_server {
    PyObject_HEAD
    rpy_loop *loop;    /* NULL: it has never accepted */
    PyObject *factory; /* of protocols; NULL: it does not accept */
    PyObject *context; /* which each connection has a copy of */
    rpy_kept kept;
    rp_node connections; /* the core's transports, by their maker_link */
    Py_ssize_t connection_count;
    rp_listener *listeners; /* freed when the last one is closed */
    rpy_own_name *names;    /* of their sockets, likewise */
    Py_ssize_t listener_count;
    Py_ssize_t open_listeners;
    bool nodelay; /* accepted sockets do not have TCP_NODELAY already */
} rpy_server;

/* ---- the end ---- */

/* The server may be freed by this. */
static void settle(rpy_server *self)
{
    if (self->open_listeners == 0) {
        PyMem_Free(self->listeners);
        PyMem_Free(self->names);
        self->listeners = NULL;
        self->names = NULL;
        self->listener_count = 0;
    }
    if (self->open_listeners == 0 && self->connection_count == 0)
        rpy_loop_let_go(&self->kept);
}

static void on_closed(rp_listener *listener)
{
    rpy_server *self = listener->owner;

    assert(self->open_listeners > 0);
    self->open_listeners--;
    settle(self);
}

/* The loop is closed, and the transports have left the list. */
static void dropped(PyObject *object)
{
    rpy_server *self = (rpy_server *)object;

    assert(rp_list_empty(&self->connections));
    self->connection_count = self->open_listeners = 0;
    Py_CLEAR(self->factory);
    settle(self);
}

/* A connection has ended: if it was a closed server's last one, those who wait for the end are told. */
static void detach(rp_transport *transport)
{
    rpy_server *self = transport->maker;
    PyObject *object = Py_NewRef((PyObject *)self);

    assert(self->connection_count > 0);
    rp_list_remove(&transport->maker_link);
    self->connection_count--;
    if (self->connection_count == 0 && !self->factory) {
        PyObject *result = PyObject_CallMethodNoArgs(object, self->loop->state->names._wakeup);

        if (!result)
            rpy_loop_leave_run(self->loop);
        Py_XDECREF(result);
    }
    settle(self);
    Py_DECREF(object);
}

/* ---- accepting ---- */

static PyObject *make_protocol(PyObject *factory, PyObject *context)
{
    if (PyContext_Enter(context) < 0)
        return NULL;
    PyObject *protocol = PyObject_CallNoArgs(factory);
    PyObject *exception = protocol ? NULL : rpy_take_exception();
    PyContext_Exit(context);
    if (exception)
        rpy_set_exception(exception);
    return protocol;
}

static PyObject *make_transport(rpy_server *self, const rpy_own_name *name, rp_fd fd, PyObject *context,
                                PyObject **protocol)
{
    rpy_own_name own = *name; /* the factory may close the server */
    rpy_ends ends = {{(struct sockaddr *)&own.address, NULL}, {own.length, 0}};
    PyObject *factory = Py_NewRef(self->factory); /* it may close the server */

    *protocol = make_protocol(factory, context);
    Py_DECREF(factory);
    if (!*protocol)
        return NULL;
    return rpy_transport_new(self->loop, fd, NULL, *protocol, context, NULL, NULL, &ends);
}

static void report_failure(rpy_loop *loop, PyObject *protocol)
{
    PyObject *exception = rpy_loop_callback_failed(loop);

    if (exception)
        rpy_loop_call_exception_handler(loop, "Error on transport creation for incoming connection", exception,
                                        "protocol", protocol, NULL);
    Py_XDECREF(exception);
}

static void adopt(rpy_server *self, rp_transport *transport)
{
    transport->maker = self;
    transport->detached = detach;
    rp_list_push(&self->connections, &transport->maker_link);
    self->connection_count++;
}

static void serve(rpy_server *self, const rpy_own_name *name, rp_fd fd)
{
    rpy_loop *loop = self->loop;
    PyObject *context = PyContext_Copy(self->context), *protocol = NULL;
    PyObject *transport = context ? make_transport(self, name, fd, context, &protocol) : NULL;

    if (transport) {
        if (self->nodelay)
            rp_kernel_set_number(loop->loop->kernel, fd, IPPROTO_TCP, TCP_NODELAY, 1);
        adopt(self, rpy_transport_core(transport));
    } else {
        if (!rp_loop_is_forked(loop->loop)) /* else the factory has forked: the connection is the parent's */
            rp_kernel_close(loop->loop->kernel, fd);
        report_failure(loop, protocol);
    }
    Py_XDECREF(transport);
    Py_XDECREF(protocol);
    Py_XDECREF(context);
}

static void on_accepted(rp_listener *listener, rp_fd fd)
{
    rpy_server *self = listener->owner;

    if (!self->factory) {
        rp_kernel_close(listener->loop->kernel, fd);
        return;
    }
    int64_t begun = self->loop->debug ? rpy_loop_begin_timed(self->loop) : 0;
    PyObject *object = Py_NewRef((PyObject *)self);
    serve(self, &self->names[listener - self->listeners], fd);
    if (self->loop->debug)
        rpy_loop_end_timed(self->loop, begun, object);
    Py_DECREF(object);
}

/* Python knows the socket, and has the words. */
static void on_failed(rp_listener *listener, int error)
{
    rpy_server *self = listener->owner;
    PyObject *object = Py_NewRef((PyObject *)self);
    PyObject *exception = rpy_error_object(self->loop->state, error);
    PyObject *result = exception ? PyObject_CallMethod(object, "_accept_failed", "nO",
                                                       (Py_ssize_t)(listener - self->listeners), exception)
                                 : NULL;

    if (!result)
        PyErr_WriteUnraisable(object);
    Py_XDECREF(result);
    Py_XDECREF(exception);
    Py_DECREF(object);
}

static const rp_listener_type listener_type = {
    .accepted = on_accepted,
    .closed = on_closed,
    .failed = on_failed,
    .lends = true,
};

/* ---- methods ---- */

/* One that is bound to all addresses, or transparent, accepts connections to others than its own. */
static void note_own_name(const rp_kernel *kernel, rp_fd fd, rpy_own_name *name)
{
    struct sockaddr_storage address = {0};
    uint32_t length = sizeof address;
    const struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
    const struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
    bool single = false;

    if (rp_kernel_name(kernel, fd, (struct sockaddr *)&address, &length) < 0)
        return;
    if (address.ss_family == AF_INET)
        single =
            v4->sin_addr.s_addr != INADDR_ANY && rp_kernel_get_number(kernel, fd, IPPROTO_IP, IP_TRANSPARENT) == 0;
    else if (address.ss_family == AF_INET6)
        single = !IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr) &&
                 rp_kernel_get_number(kernel, fd, IPPROTO_IPV6, IPV6_TRANSPARENT) == 0;
    if (!single)
        return;
    memcpy(&name->address, &address, length);
    name->length = length;
}

static int take_descriptors(rpy_server *self, rpy_loop *loop, PyObject *descriptors)
{
    Py_ssize_t count = PyList_GET_SIZE(descriptors);

    self->listeners = PyMem_Calloc((size_t)count, sizeof *self->listeners);
    self->names = PyMem_Calloc((size_t)count, sizeof *self->names);
    if (!self->listeners || !self->names) {
        settle(self);
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        int fd = PyObject_AsFileDescriptor(PyList_GET_ITEM(descriptors, i));

        if (fd < 0) {
            settle(self);
            return -1;
        }
        note_own_name(loop->loop->kernel, fd, &self->names[i]);
        rp_listener_init(&self->listeners[i], loop->loop, fd, &listener_type, self);
    }
    self->listener_count = self->open_listeners = count;
    return 0;
}

PyDoc_STRVAR(serve_doc, "_serve(loop, descriptors, factory, nodelay)\n--\n\n"
                        "Accept on sockets that listen, and make a protocol by the factory for each connection.\n"
                        "Other processes may accept on them too if self._shared is true.");

static PyObject *method_serve(PyObject *object, PyTypeObject *type, PyObject *const *args, Py_ssize_t count,
                              PyObject *names)
{
    const rpy_state *state = PyType_GetModuleState(type);
    rpy_server *self = (rpy_server *)object;

    if (count != 4 || names || !PyObject_TypeCheck(args[0], state->loop_type) || !PyList_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "_serve() takes a loop, a list of descriptors, a factory and a bool");
        return NULL;
    }
    rpy_loop *loop = (rpy_loop *)args[0];
    if (rpy_loop_check(loop) < 0)
        return NULL;
    if (self->loop) {
        PyErr_SetString(PyExc_RuntimeError, "the server has begun already");
        return NULL;
    }
    PyObject *given = PyObject_GetAttr(object, state->names._shared);
    int shared = given ? PyObject_IsTrue(given) : -1;
    Py_XDECREF(given);
    if (shared < 0)
        return NULL;
    self->context = PyContext_CopyCurrent();
    if (!self->context || take_descriptors(self, loop, args[1]) < 0)
        return NULL;
    self->loop = (rpy_loop *)Py_NewRef((PyObject *)loop);
    self->factory = Py_NewRef(args[2]);
    self->nodelay = args[3] == Py_True;
    rpy_loop_keep(loop, &self->kept, object, dropped);
    for (Py_ssize_t i = 0; i < self->listener_count; i++) {
        self->listeners[i].shared = shared > 0;
        rp_listener_start(&self->listeners[i]);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(stop_doc,
             "_stop()\n--\n\n"
             "Accept no more. Whoever owns the sockets closes them: then connecting to them is refused.");

static PyObject *method_stop(PyObject *object, PyObject *unused)
{
    rpy_server *self = (rpy_server *)object;

    (void)unused;
    if (!self->factory)
        Py_RETURN_NONE;
    Py_CLEAR(self->factory);
    self->open_listeners++; /* their memory stays until the last one has been asked */
    for (Py_ssize_t i = 0; i < self->listener_count; i++)
        rp_listener_close(&self->listeners[i]);
    self->open_listeners--;
    settle(self);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(transports_doc,
             "_transports()\n--\n\n"
             "The transports of the connections that have not ended: a list. One that nobody referred to "
             "any more is being closed, and left out.");

static PyObject *method_transports(PyObject *object, PyObject *unused)
{
    rpy_server *self = (rpy_server *)object;
    PyObject *list = PyList_New(0);

    (void)unused;
    if (!list)
        return NULL;
    for (rp_node *node = self->connections.next; node != &self->connections; node = node->next) {
        PyObject *transport = rpy_transport_object(rp_container_of(node, rp_transport, maker_link));

        if (transport && PyList_Append(list, transport) < 0) {
            Py_DECREF(list);
            return NULL;
        }
    }
    return list;
}

PyDoc_STRVAR(connections_doc, "_connections()\n--\n\nHow many connections have not ended.");

static PyObject *method_connections(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromSsize_t(((rpy_server *)self)->connection_count);
}

/* ---- the type ---- */

static PyObject *new (PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    rpy_server *self = (rpy_server *)PyType_GenericAlloc(type, 0);

    (void)args;
    (void)kwargs;
    if (self)
        rp_list_init(&self->connections);
    return (PyObject *)self;
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    rpy_server *self = (rpy_server *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT((PyObject *)self->loop);
    Py_VISIT(self->factory);
    Py_VISIT(self->context);
    return 0;
}

/* Of one that the loop keeps nothing is cleared: the loop is garbage as well, and drops it first. */
static int clear(PyObject *object)
{
    rpy_server *self = (rpy_server *)object;

    if (rp_node_linked(&self->kept.link))
        return 0;
    Py_CLEAR(self->loop);
    Py_CLEAR(self->factory);
    Py_CLEAR(self->context);
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
    {"_serve", (PyCFunction)(void (*)(void))method_serve, METH_METHOD | METH_FASTCALL | METH_KEYWORDS, serve_doc},
    {"_stop", method_stop, METH_NOARGS, stop_doc},
    {"_connections", method_connections, METH_NOARGS, connections_doc},
    {"_transports", method_transports, METH_NOARGS, transports_doc},
    {0},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("What ringport.Server has in C: accepting.")},
    {Py_tp_new, new},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "ringport._core.Server",
    .basicsize = sizeof(rpy_server),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

int rpy_server_init(PyObject *module)
{
    PyTypeObject *type = rpy_add_type(module, &spec, NULL);

    Py_XDECREF((PyObject *)type);
    return type ? 0 : -1;
}
