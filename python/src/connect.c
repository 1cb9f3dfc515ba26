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

PyDoc_STRVAR(connect_doc,
             "connect(loop, host, port, family)\n--\n\n"
             "Begin to connect a new socket to a numeric address.\n\n"
             "Return (descriptor, whether it is connected), or None: the host is no numeric address.");

static PyObject *module_connect(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    rpy_state *state = rpy_module_state(module);
    target t;
    rp_fd fd;

    if (count != 4 || !PyObject_TypeCheck(args[0], state->loop_type)) {
        PyErr_SetString(PyExc_TypeError, "connect() takes a loop, a host, a port and a family");
        return NULL;
    }
    rpy_loop *loop = (rpy_loop *)args[0];
    int rc = parse(&t, args[1], args[2], args[3]);
    if (rc <= 0)
        return rc < 0 ? NULL : Py_NewRef(Py_None);
    if (rpy_loop_check(loop) < 0)
        return NULL;
    const rp_kernel *kernel = loop->loop->kernel;
    const struct sockaddr *address = (const struct sockaddr *)&t.address;
    rc = rp_kernel_open(kernel, address->sa_family, SOCK_STREAM, IPPROTO_TCP, &fd);
    if (rc < 0)
        return rpy_set_error(state, rc);
    rp_kernel_set_number(kernel, fd, IPPROTO_TCP, TCP_NODELAY, 1);
    rc = rp_kernel_connect(kernel, fd, address, t.length);
    bool begun = rc == -EINPROGRESS;
    if (begun)
        rc = rp_kernel_connect(kernel, fd, address, t.length);
    if (rc < 0 && rc != -EINPROGRESS) {
        rp_kernel_close(kernel, fd);
        return begun ? set_failed(&t, rc) : rpy_set_error(state, rc);
    }
    PyObject *result = Py_BuildValue("iO", fd, rc == 0 ? Py_True : Py_False);
    if (!result)
        rp_kernel_close(kernel, fd);
    return result;
}

PyDoc_STRVAR(attach_doc, "attach(loop, descriptor, protocol, waiter)\n--\n\n"
                         "Make the transport of a socket that connect() has connected.");

static PyObject *module_attach(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count != 4 || !PyObject_TypeCheck(args[0], rpy_module_state(module)->loop_type)) {
        PyErr_SetString(PyExc_TypeError, "attach() takes a loop, a descriptor, a protocol and a waiter");
        return NULL;
    }
    int fd = PyObject_AsFileDescriptor(args[1]);
    return fd < 0 ? NULL : rpy_transport_new((rpy_loop *)args[0], fd, NULL, args[2], NULL, args[3], NULL);
}

static PyMethodDef functions[] = {
    {"connect", (PyCFunction)(void (*)(void))module_connect, METH_FASTCALL, connect_doc},
    {"attach", (PyCFunction)(void (*)(void))module_attach, METH_FASTCALL, attach_doc},
    {0},
};

int rpy_connect_init(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
