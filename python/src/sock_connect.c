/*
 * sock_connect.c - sock_connect(): one attempt, and then what has become of it.
 *
 * A numeric address of IPv4 is connected to by a system call of our own. On the loopback the connection is there when
 * that has returned, though it says that it is in progress.
 */
#include "sock_connect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

/* socket.connect(), which must not wait: a socket that may is made one that may not for as long as the call takes. */
static PyObject *call_connect(const rpy_op *self)
{
    const rpy_names *names = &self->loop->state->names;
    PyObject *timeout = PyObject_CallMethodNoArgs(self->socket, names->gettimeout);
    int waits = !timeout ? -1 : timeout == Py_None ? 1 : PyObject_IsTrue(timeout);
    PyObject *returned = NULL;

    if (waits == 0) {
        returned = PyObject_CallMethodOneArg(self->socket, names->connect, self->args[0]);
    } else if (waits > 0) {
        PyObject *set = PyObject_CallMethodOneArg(self->socket, names->setblocking, Py_False);

        if (set)
            returned = PyObject_CallMethodOneArg(self->socket, names->connect, self->args[0]);
        Py_XDECREF(set);
        PyObject *exception = returned || !set ? NULL : rpy_take_exception();
        PyObject *restored = set ? PyObject_CallMethodOneArg(self->socket, names->settimeout, timeout) : NULL;
        if (set && !restored)
            Py_CLEAR(returned);
        if (exception && restored)
            rpy_set_exception(exception);
        else
            Py_XDECREF(exception);
        Py_XDECREF(restored);
    }
    Py_XDECREF(timeout);
    return returned;
}

/* A Unix socket whose peer's queue is full: nothing tells when it is not. */
static bool is_refused_for_now(void)
{
    PyObject *exception = rpy_take_exception();
    PyObject *number = PyObject_GetAttrString(exception, "errno");
    bool refused = number && PyLong_Check(number) && PyLong_AsLong(number) == EAGAIN;

    PyErr_Clear();
    Py_XDECREF(number);
    rpy_set_exception(exception);
    return refused;
}

/* args[1] is the address as the kernel has it, if it is one that needs no resolving. */
static int call_connect_plainly(const rpy_op *self)
{
    return connect(self->fd, (struct sockaddr *)PyBytes_AS_STRING(self->args[1]),
                   (socklen_t)PyBytes_GET_SIZE(self->args[1]));
}

static rpy_attempt connect_plainly(rpy_op *self, PyObject **result)
{
    if (PySys_Audit("socket.connect", "OO", self->socket, self->args[0]) < 0)
        return RPY_FAILED;
    int rc = call_connect_plainly(self);
    if (rc < 0 && errno == ECONNABORTED) /* once, if an earlier attempt has failed and its error was taken */
        rc = call_connect_plainly(self);
    if (rc == 0) {
        *result = Py_NewRef(Py_None);
        return RPY_DONE;
    }
    if (errno == EINPROGRESS || errno == EALREADY) /* the latter if somebody has begun it before */
        errno = EINTR;
    return rpy_op_call_failed();
}

static bool blocks(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && !(flags & O_NONBLOCK);
}

static rpy_attempt begin_connecting(rpy_op *self, PyObject **result)
{
    if (self->args[1] && !blocks(self->fd)) {
        rpy_attempt attempt = connect_plainly(self, result);

        self->done = attempt == RPY_WAITS;
        return attempt;
    }
    PyObject *returned = call_connect(self);

    if (!returned && PyErr_ExceptionMatches(PyExc_BlockingIOError) && is_refused_for_now())
        return RPY_FAILED;
    rpy_attempt attempt = rpy_op_by_method(returned, result);
    self->done = attempt == RPY_WAITS;
    return attempt;
}

static rpy_attempt attempt_connect(rpy_op *self, PyObject **result)
{
    int error = 0;
    socklen_t length = sizeof error;
    struct sockaddr_storage peer;

    if (!self->done) {
        rpy_attempt attempt = begin_connecting(self, result);

        if (attempt != RPY_WAITS)
            return attempt;
    } /* on the loopback it has come about by now */
    if (getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return RPY_FAILED;
    }
    if (error != 0) {
        PyObject *text = PyUnicode_FromFormat("Connect call failed %S", self->args[0]);
        PyObject *exception = text ? PyObject_CallFunction(PyExc_OSError, "iO", error, text) : NULL;

        Py_XDECREF(text);
        if (exception)
            rpy_set_exception(exception);
        return RPY_FAILED;
    }
    length = sizeof peer;
    if (getpeername(self->fd, (struct sockaddr *)&peer, &length) < 0 && errno == ENOTCONN)
        return RPY_WAITS;
    *result = Py_NewRef(Py_None);
    return RPY_DONE;
}

const rpy_op_kind rpy_connect_kind = {
    .name = "sock_connect", .direction = RPY_WRITE, .is_last = true, .attempt = attempt_connect};

/* (host, port) with a number for the host, as bytes; NULL: it is something else. No exception is set. */
static PyObject *ipv4_address(PyObject *address)
{
    struct sockaddr_in in = {.sin_family = AF_INET};

    if (!PyTuple_Check(address) || PyTuple_GET_SIZE(address) != 2)
        return NULL;
    PyObject *host = PyTuple_GET_ITEM(address, 0), *port = PyTuple_GET_ITEM(address, 1);
    if (!PyUnicode_CheckExact(host) || !PyUnicode_IS_COMPACT_ASCII(host) || !PyLong_CheckExact(port))
        return NULL;
    int overflow;
    long number = PyLong_AsLongAndOverflow(port, &overflow);
    if (number < 0 || number > 65535 || inet_pton(AF_INET, PyUnicode_AsUTF8(host), &in.sin_addr) != 1)
        return NULL;
    in.sin_port = htons((uint16_t)number);
    PyObject *bytes = PyBytes_FromStringAndSize((char *)&in, sizeof in);
    PyErr_Clear();
    return bytes;
}

/* Whether it is a socket of IPv4. */
static bool is_ipv4(rpy_loop *loop, PyObject *socket)
{
    PyObject *number = PyObject_CallMethodNoArgs(socket, loop->state->names.fileno);
    int domain = 0, fd = number ? (int)PyLong_AsLong(number) : -1;
    socklen_t length = sizeof domain;

    PyErr_Clear();
    Py_XDECREF(number);
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_INET;
}

PyObject *rpy_sock_connect(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    rpy_loop *loop = (rpy_loop *)self;

    if (count == 2 && !names && Py_TYPE(args[0]) == loop->state->socket_type && is_ipv4(loop, args[0])) {
        PyObject *given[RPY_OP_ARGS] = {args[1], ipv4_address(args[1])};

        if (given[1]) {
            PyObject *operation = rpy_op_new(loop, &rpy_connect_kind, args[0], given);

            Py_DECREF(given[1]);
            return operation;
        }
    }
    PyObject *method = PyObject_GetAttrString(self, "_sock_connect");
    PyObject *coroutine = method ? PyObject_Vectorcall(method, args, (size_t)count, names) : NULL;
    Py_XDECREF(method);
    return coroutine;
}
