/*
 * connect.c - connecting to numeric addresses, as far as that takes no time: most often all of it, within a machine.
 *
 * There is no Python object for the socket then, unless somebody asks the transport for it.
 */
#include "connect.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>

#include "loop.h"
#include "transport.h"

/* ---- addresses ---- */

typedef struct target {
    struct sockaddr_in6 address; /* or an IPv4 one */
    uint32_t length;
    PyObject *host; /* as they were given */
    long port;
} target;

/* Whether `host` is an address of the family, or of any if that is AF_UNSPEC. */
static bool parse_host(target *t, const char *host, int family)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&t->address;

    t->address = (struct sockaddr_in6){0};
    if (family != AF_INET6 && inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)t->port);
        t->length = sizeof *v4;
        return true;
    }
    if (family != AF_INET && inet_pton(AF_INET6, host, &t->address.sin6_addr) == 1) {
        t->address.sin6_family = AF_INET6;
        t->address.sin6_port = htons((uint16_t)t->port);
        t->length = sizeof t->address;
        return true;
    }
    return false;
}

/* 1: it is a numeric address; 0: it is something else; -1 with an exception. */
static int parse(target *t, PyObject *host, PyObject *port, PyObject *family)
{
    const char *text;
    long number;

    if (!PyUnicode_CheckExact(host) || !PyLong_CheckExact(port))
        return 0;
    number = PyLong_AsLong(family);
    if (PyErr_Occurred())
        return -1;
    t->host = host;
    t->port = PyLong_AsLong(port);
    if (PyErr_Occurred() || t->port < 0 || t->port > 65535) {
        PyErr_Clear(); /* whoever resolves it has the words */
        return 0;
    }
    text = PyUnicode_AsUTF8(host);
    if (!text) {
        PyErr_Clear();
        return 0;
    }
    if (number != AF_UNSPEC && number != AF_INET && number != AF_INET6)
        return 0;
    return parse_host(t, text, (int)number);
}

/* What asyncio says of an attempt that has begun, and failed. */
static PyObject *set_failed(const target *t, int error)
{
    bool v6 = t->address.sin6_family == AF_INET6;
    PyObject *address =
        v6 ? Py_BuildValue("(Olii)", t->host, t->port, 0, 0) : Py_BuildValue("(Ol)", t->host, t->port);
    PyObject *text = address ? PyUnicode_FromFormat("Connect call failed %R", address) : NULL;
    PyObject *exception = text ? PyObject_CallFunction(PyExc_OSError, "iO", -error, text) : NULL;

    Py_XDECREF(address);
    Py_XDECREF(text);
    if (exception)
        rpy_set_exception(exception);
    return NULL;
}

/* ---- connecting ---- */

/* A socket that is connected, or -EINPROGRESS and one that is being; an error is raised, and false returned. */
static bool begin(const rpy_loop *loop, const target *t, rp_fd *fd, int *rc)
{
    const rp_kernel *kernel = loop->loop->kernel;
    const struct sockaddr *address = (const struct sockaddr *)&t->address;

    *rc = rp_kernel_open(kernel, address->sa_family, SOCK_STREAM, IPPROTO_TCP, fd);
    if (*rc < 0)
        return rpy_set_error(loop->state, *rc);
    rp_kernel_set_number(kernel, *fd, IPPROTO_TCP, TCP_NODELAY, 1);
    *rc = rp_kernel_connect(kernel, *fd, address, t->length);
    bool begun = *rc == -EINPROGRESS;
    if (begun)
        *rc = rp_kernel_connect(kernel, *fd, address, t->length);
    if (*rc == 0 || *rc == -EINPROGRESS)
        return true;
    rp_kernel_close(kernel, *fd);
    if (begun)
        set_failed(t, *rc);
    else
        rpy_set_error(loop->state, *rc);
    return false;
}

/* (transport, protocol, waiter) */
static PyObject *attach(rpy_loop *loop, PyObject *factory, rp_fd fd, const target *t)
{
    rpy_ends ends = {{NULL, (const struct sockaddr *)&t->address}, {0, t->length}};
    PyObject *protocol = PyObject_CallNoArgs(factory), *result = NULL;
    PyObject *waiter =
        protocol ? PyObject_CallMethodNoArgs((PyObject *)loop, loop->state->names.create_future) : NULL;
    PyObject *transport = waiter ? rpy_transport_new(loop, fd, NULL, protocol, NULL, waiter, NULL, &ends) : NULL;

    if (transport)
        result = PyTuple_Pack(3, transport, protocol, waiter);
    else if (!rp_loop_is_forked(loop->loop)) /* else the connection is the parent's */
        rp_kernel_close(loop->loop->kernel, fd);
    Py_XDECREF(protocol);
    Py_XDECREF(waiter);
    Py_XDECREF(transport);
    return result;
}

PyDoc_STRVAR(connect_doc,
             "connect(loop, factory, host, port, family)\n--\n\n"
             "Begin to connect to a numeric address.\n\n"
             "Return (transport, protocol, waiter) if that has taken no time, or else the descriptor of a "
             "socket; or None: the host is no numeric address.");

static PyObject *module_connect(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    target t;
    rp_fd fd;
    int rc;

    if (count != 5 || !PyObject_TypeCheck(args[0], rpy_module_state(module)->loop_type)) {
        PyErr_SetString(PyExc_TypeError, "connect() takes a loop, a factory, a host, a port and a family");
        return NULL;
    }
    rpy_loop *loop = (rpy_loop *)args[0];
    rc = parse(&t, args[2], args[3], args[4]);
    if (rc <= 0)
        return rc < 0 ? NULL : Py_NewRef(Py_None);
    if (PySys_Audit("socket.connect", "O(Ol)", Py_None, t.host, t.port) < 0)
        return NULL;
    if (rpy_loop_check(loop) < 0 || !begin(loop, &t, &fd, &rc))
        return NULL;
    return rc == 0 ? attach(loop, args[1], fd, &t) : PyLong_FromLong(fd);
}

static PyMethodDef functions[] = {
    {"connect", (PyCFunction)(void (*)(void))module_connect, METH_FASTCALL, connect_doc},
    {0},
};

int rpy_connect_init(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
