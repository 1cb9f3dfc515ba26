/*
 * echo_protocol.c - an extension module for Python: an echo protocol in C, on the loop that runs Python's.
 *
 * It includes headers alone, and links nothing:
 *
 *     include=$(python3 -c 'import ringport; print(ringport.get_include())')
 *     cc -O2 -shared -fPIC $(python3-config --includes) -I"$include" echo_protocol.c \
 *         -o echo_protocol$(python3-config --extension-suffix)
 *
 * mixed_server.py uses it.
 */
#include <ringport/python.h>

/* ---- the protocol: as in a program in C. Its state is the transport alone. ---- */

static void echo(void *self, const void *data, size_t length)
{
    rp_transport_write(self, data, length);
}

/* More is to be sent than the peer takes: read nothing more until that is over. */
static void pause_echo(void *self)
{
    rp_transport_pause_reading(self);
}

static void resume_echo(void *self)
{
    rp_transport_resume_reading(self);
}

static const rp_protocol echo_protocol = {
    .data_received = echo, .pause_writing = pause_echo, .resume_writing = resume_echo};

static void begin(void *self, rp_transport *transport)
{
    (void)self;
    rp_transport_set_protocol(transport, &echo_protocol, transport);
}

static int make_protocol(void *arg, const rp_protocol **protocol, void **self)
{
    static const rp_protocol beginning = {.connection_made = begin};

    (void)arg;
    *protocol = &beginning;
    *self = NULL;
    return 0;
}

/* ---- what Python sees of it ---- */

typedef struct server {
    PyObject_HEAD
    rp_server *server;
} server;

static PyObject *serve(PyObject *module, PyObject *fd)
{
    PyTypeObject *type = *(PyTypeObject **)PyModule_GetState(module);
    rp_loop *loop = rp_python_running_loop();
    int number = loop ? PyObject_AsFileDescriptor(fd) : -1;
    server *self = number < 0 ? NULL : PyObject_New(server, type);

    if (!self)
        return NULL;
    int rc = rp_create_server_fd(loop, make_protocol, NULL, number, NULL, &self->server);
    if (rc < 0) {
        self->server = NULL;
        Py_DECREF(self);
        return rp_python_set_error(rc);
    }
    rp_server_ref(self->server); /* its memory is to outlive the loop, if need be */
    return (PyObject *)self;
}

static PyObject *server_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    rp_server_close(((server *)self)->server);
    Py_RETURN_NONE;
}

static PyObject *server_connections(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromSize_t(rp_server_connections(((server *)self)->server));
}

static void server_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    rp_server *core = ((server *)self)->server;

    if (core) {
        rp_server_free(core);
        rp_server_unref(core);
    }
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyMethodDef server_methods[] = {
    {"close", server_close, METH_NOARGS, "Accept no more connections."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef server_getsets[] = {
    {"connections", server_connections, NULL, "How many connections there are.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot server_slots[] = {
    {Py_tp_doc, (void *)"An echo server in C. It ends with the last reference to it."},
    {Py_tp_dealloc, (void *)server_dealloc},
    {Py_tp_methods, server_methods},
    {Py_tp_getset, server_getsets},
    {0, NULL},
};

static PyType_Spec server_spec = {
    .name = "echo_protocol.Server",
    .basicsize = sizeof(server),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = server_slots,
};

static int make_module(PyObject *module)
{
    PyTypeObject **type = PyModule_GetState(module);

    if (rp_python_import() < 0)
        return -1;
    *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &server_spec, NULL);
    return *type ? PyModule_AddType(module, *type) : -1;
}

static void free_module(void *module)
{
    PyTypeObject **type = PyModule_GetState(module);

    Py_CLEAR(*type);
}

static PyMethodDef methods[] = {
    {"serve", serve, METH_O,
     "serve(fd)\n--\n\nServe echo on a listening socket, on the loop that runs. The socket is the server's."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)make_module},
    {0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "echo_protocol",
    .m_doc = "An echo protocol in C.",
    .m_size = sizeof(PyTypeObject *),
    .m_methods = methods,
    .m_slots = slots,
    .m_free = free_module,
};

PyMODINIT_FUNC PyInit_echo_protocol(void);

PyMODINIT_FUNC PyInit_echo_protocol(void)
{
    return PyModuleDef_Init(&definition);
}
