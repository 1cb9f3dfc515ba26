/*
 * capi_probe.c - an extension module for test_capi.py: what C does with a loop of Python's by ringport/python.h.
 */
#include <pthread.h>
#include <ringport/python.h>

/* ---- callbacks of C that call a Python function ---- */

static void call_function(void *function)
{
    PyObject *result = PyObject_CallNoArgs(function);

    if (!result)
        PyErr_WriteUnraisable(function);
    Py_XDECREF(result);
    Py_DECREF((PyObject *)function);
}

static PyObject *none_or_error(int rc, PyObject *function)
{
    if (rc < 0) {
        Py_DECREF(function);
        return rp_python_set_error(rc);
    }
    Py_RETURN_NONE;
}

/* call_soon(function): of the core, on the loop that runs here. */
static PyObject *call_soon(PyObject *module, PyObject *function)
{
    rp_loop *loop = rp_python_running_loop();

    (void)module;
    return loop ? none_or_error(rp_call_soon(loop, NULL, call_function, Py_NewRef(function)), function) : NULL;
}

/* call_later(loop, seconds, function): of the core; the loop need not run. */
static PyObject *call_later(PyObject *module, PyObject *args)
{
    PyObject *object, *function;
    double seconds;

    (void)module;
    if (!PyArg_ParseTuple(args, "OdO", &object, &seconds, &function))
        return NULL;
    rp_loop *loop = rp_python_loop(object);
    if (!loop)
        return NULL;
    int64_t delay = (int64_t)(seconds * 1e9);
    return none_or_error(rp_call_later(loop, NULL, delay, call_function, Py_NewRef(function)), function);
}

/* ---- a thread that Python knows nothing of ---- */

typedef struct post {
    rp_loop *loop;
    PyObject *function;
} post;

static void *post_call(void *arg)
{
    post *self = arg;

    rp_call_soon_threadsafe(self->loop, NULL, call_function, self->function);
    PyMem_RawFree(self);
    return NULL;
}

/* call_from_thread(function): a thread without the GIL has the running loop call it. */
static PyObject *call_from_thread(PyObject *module, PyObject *function)
{
    rp_loop *loop = rp_python_running_loop();
    post *self = loop ? PyMem_RawMalloc(sizeof *self) : NULL;
    pthread_t thread;

    (void)module;
    if (!self)
        return loop ? PyErr_NoMemory() : NULL;
    *self = (post){loop, Py_NewRef(function)};
    if (pthread_create(&thread, NULL, post_call, self) != 0) {
        Py_DECREF(function);
        PyMem_RawFree(self);
        return PyErr_NoMemory();
    }
    pthread_detach(thread);
    Py_RETURN_NONE;
}

/* ---- a client: its protocol hands a Python function what it received until the end ---- */

typedef struct client {
    PyObject *function;
    PyObject *message;
    PyObject *received;
    rp_transport *transport;
} client;

static void connected(void *arg, rp_transport *transport)
{
    client *self = arg;

    self->transport = transport;
    rp_transport_write(transport, PyBytes_AS_STRING(self->message), (size_t)PyBytes_GET_SIZE(self->message));
    rp_transport_write_eof(transport);
}

static void received(void *arg, const void *data, size_t length)
{
    client *self = arg;

    PyBytes_ConcatAndDel(&self->received, PyBytes_FromStringAndSize(data, (Py_ssize_t)length));
}

static void lost(void *arg, int error)
{
    client *self = arg;
    PyObject *result = PyObject_CallFunction(self->function, "Oi", self->received, error);

    if (!result)
        PyErr_WriteUnraisable(self->function);
    Py_XDECREF(result);
    Py_DECREF(self->function);
    Py_DECREF(self->message);
    Py_XDECREF(self->received);
    PyMem_Free(self);
}

static int make_client(void *arg, const rp_protocol **protocol, void **self)
{
    static const rp_protocol client_protocol = {
        .connection_made = connected, .data_received = received, .connection_lost = lost};

    *protocol = &client_protocol;
    *self = arg;
    return 0;
}

/* exchange(port, message, function): function(what was received, error) is called when the connection has ended. */
static PyObject *exchange(PyObject *module, PyObject *args)
{
    PyObject *message, *function;
    rp_future *future;
    int port;

    (void)module;
    if (!PyArg_ParseTuple(args, "iO!O", &port, &PyBytes_Type, &message, &function))
        return NULL;
    rp_loop *loop = rp_python_running_loop();
    client *self = loop ? PyMem_Calloc(1, sizeof *self) : NULL;
    if (!self)
        return loop ? PyErr_NoMemory() : NULL;
    *self = (client){Py_NewRef(function), Py_NewRef(message), PyBytes_FromString(""), NULL};
    int rc = rp_create_connection(loop, make_client, self, "127.0.0.1", port, NULL, &future);
    if (rc < 0)
        return rp_python_set_error(rc);
    rp_future_unref(future);
    Py_RETURN_NONE;
}

/* ---- the rest ---- */

/* backend(loop): the name that the core has for it. */
static PyObject *backend(PyObject *module, PyObject *object)
{
    rp_loop *loop = rp_python_loop(object);

    (void)module;
    return loop ? PyUnicode_FromString(rp_loop_backend_name(loop)) : NULL;
}

/* fail(error): raises what an error of the core's is in Python. */
static PyObject *fail(PyObject *module, PyObject *error)
{
    (void)module;
    return rp_python_set_error(PyLong_AsLong(error));
}

static PyMethodDef methods[] = {
    {"call_soon", call_soon, METH_O, NULL},
    {"call_later", call_later, METH_VARARGS, NULL},
    {"call_from_thread", call_from_thread, METH_O, NULL},
    {"exchange", exchange, METH_VARARGS, NULL},
    {"backend", backend, METH_O, NULL},
    {"fail", fail, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static int make_module(PyObject *module)
{
    (void)module;
    return rp_python_import();
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)make_module},
    {0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "capi_probe",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit_capi_probe(void);

PyMODINIT_FUNC PyInit_capi_probe(void)
{
    return PyModuleDef_Init(&definition);
}
