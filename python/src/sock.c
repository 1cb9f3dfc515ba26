/*
 * sock.c - the operations on sockets, kind by kind: their arguments, and one attempt without waiting.
 *
 * Bytes are received and sent by system calls of our own, which raise no exception where they would block. For what has
 * addresses the socket's own methods are called, when it is ready; and for all of it if the socket is of a class that
 * may have others.
 * A socket that blocks is not left to do so, where that can be helped.
 */
#include "sock.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "sock_connect.h"

/* ---- what the kinds share ---- */

/* Before a method of a socket that may block, or else would raise an exception: whether it is worth calling. */
static bool is_ready(const rpy_op *self)
{
    struct pollfd entry = {.fd = self->fd, .events = self->kind->direction == RPY_READ ? POLLIN : POLLOUT};

    return poll(&entry, 1, 0) != 0;
}

/* A number of bytes, as socket's methods take it. -1 with an exception. */
static int parse_size(rpy_op *self, PyObject *object, const char *method)
{
    Py_ssize_t size = PyNumber_AsSsize_t(object, PyExc_OverflowError);

    if (size == -1 && PyErr_Occurred())
        return -1;
    if (size < 0) {
        PyErr_Format(PyExc_ValueError, "negative buffersize in %s", method);
        return -1;
    }
    self->size = size;
    return 0;
}

/* ---- receiving ---- */

static int begin_recv(rpy_op *self)
{
    return parse_size(self, self->args[0], "recv");
}

static int64_t receive(const rpy_op *self, void *buffer, size_t length, int flags)
{
    ssize_t n;

    do
        n = recv(self->fd, buffer, length, flags | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n;
}

/* More than the loop's buffer holds: bytes of that size are made when something is there. */
static rpy_attempt receive_much(const rpy_op *self, char *hot, PyObject **result)
{
    if (receive(self, hot, 1, MSG_PEEK) < 0)
        return rpy_op_call_failed();
    *result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)self->size);
    if (!*result)
        return RPY_FAILED;
    int64_t n = receive(self, PyBytes_AS_STRING(*result), (size_t)self->size, 0);
    if (n < 0) {
        Py_CLEAR(*result);
        return rpy_op_call_failed();
    }
    return _PyBytes_Resize(result, (Py_ssize_t)n) < 0 ? RPY_FAILED : RPY_DONE;
}

static rpy_attempt attempt_recv(rpy_op *self, PyObject **result)
{
    if (!self->is_plain)
        return rpy_op_by_method(
            PyObject_CallMethodOneArg(self->socket, self->loop->state->names.recv, self->args[0]), result);
    if (self->size == 0) {
        *result = PyBytes_FromStringAndSize(NULL, 0);
        return *result ? RPY_DONE : RPY_FAILED;
    }
    char *hot = rp_loop_receive_buffer(self->loop->loop);
    if (!hot) {
        PyErr_NoMemory();
        return RPY_FAILED;
    }
    if (self->size > RP_LOOP_RECEIVE_BUFFER)
        return receive_much(self, hot, result);
    int64_t n = receive(self, hot, (size_t)self->size, 0);
    if (n < 0)
        return rpy_op_call_failed();
    *result = PyBytes_FromStringAndSize(hot, (Py_ssize_t)n);
    return *result ? RPY_DONE : RPY_FAILED;
}

/* The buffer is held for the attempt only: between two of them the program may resize it. */
static rpy_attempt attempt_recv_into(rpy_op *self, PyObject **result)
{
    Py_buffer view;

    if (!self->is_plain)
        return rpy_op_by_method(
            PyObject_CallMethodOneArg(self->socket, self->loop->state->names.recv_into, self->args[0]), result);
    if (PyObject_GetBuffer(self->args[0], &view, PyBUF_WRITABLE) < 0) {
        if (PyErr_ExceptionMatches(PyExc_BufferError) || PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Clear();
            PyErr_Format(PyExc_TypeError, "recv_into() argument 1 must be read-write bytes-like object, not %.50s",
                         Py_TYPE(self->args[0])->tp_name);
        }
        return RPY_FAILED;
    }
    int64_t n = view.len > 0 ? receive(self, view.buf, (size_t)view.len, 0) : 0;
    int error = errno;
    PyBuffer_Release(&view);
    errno = error;
    if (n < 0)
        return rpy_op_call_failed();
    *result = PyLong_FromLongLong(n);
    return *result ? RPY_DONE : RPY_FAILED;
}

static int begin_recvfrom(rpy_op *self)
{
    return parse_size(self, self->args[0], "recvfrom");
}

static rpy_attempt attempt_recvfrom(rpy_op *self, PyObject **result)
{
    char *hot = self->is_plain ? rp_loop_receive_buffer(self->loop->loop) : NULL;
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    ssize_t n;

    if (hot && self->size <= RP_LOOP_RECEIVE_BUFFER) {
        do
            n = recvfrom(self->fd, hot, (size_t)self->size, MSG_DONTWAIT, (struct sockaddr *)&address, &length);
        while (n < 0 && errno == EINTR);
        if (n < 0)
            return rpy_op_call_failed();
        PyObject *from = rpy_address_object((struct sockaddr *)&address, length);
        *result = from ? Py_BuildValue("(y#N)", hot, (Py_ssize_t)n, from) : NULL;
        return *result ? RPY_DONE : RPY_FAILED;
    }
    if (self->is_plain && !is_ready(self))
        return RPY_WAITS;
    return rpy_op_by_method(
        PyObject_CallMethodOneArg(self->socket, self->loop->state->names.recvfrom, self->args[0]), result);
}

/* No number of bytes, or 0, means the whole buffer. */
static int begin_recvfrom_into(rpy_op *self)
{
    int given = self->args[1] ? PyObject_IsTrue(self->args[1]) : 0;

    if (given != 0)
        return given > 0 ? 0 : -1;
    Py_ssize_t length = PyObject_Length(self->args[0]);
    Py_XSETREF(self->args[1], length < 0 ? NULL : PyLong_FromSsize_t(length));
    return self->args[1] ? 0 : -1;
}

static rpy_attempt attempt_recvfrom_into(rpy_op *self, PyObject **result)
{
    if (self->is_plain && !is_ready(self))
        return RPY_WAITS;
    return rpy_op_by_method(PyObject_CallMethodObjArgs(self->socket, self->loop->state->names.recvfrom_into,
                                                       self->args[0], self->args[1], NULL),
                            result);
}

/* What _socket.socket has, which Python's class makes enumerations of. */
static PyObject *member(const rpy_op *self, PyObject *descriptor)
{
    return Py_TYPE(descriptor)->tp_descr_get(descriptor, self->socket, (PyObject *)Py_TYPE(self->socket));
}

/* The socket of a connection that was accepted; the descriptor is its own, or closed. */
static PyObject *new_socket(const rpy_op *self, int fd)
{
    rpy_state *state = self->loop->state;
    PyObject *family = member(self, state->socket_family);
    PyObject *type = family ? member(self, state->socket_kind) : NULL;
    PyObject *protocol = type ? PyObject_GetAttr(self->socket, state->names.proto) : NULL;
    PyObject *number = protocol ? PyLong_FromLong(fd) : NULL;
    PyObject *made =
        number ? PyObject_CallFunctionObjArgs((PyObject *)state->socket_type, family, type, protocol, number, NULL)
               : NULL;

    Py_XDECREF(family);
    Py_XDECREF(type);
    Py_XDECREF(protocol);
    Py_XDECREF(number);
    if (!made)
        close(fd);
    return made;
}

static PyObject *without_blocking(const rpy_op *self, PyObject *socket)
{
    PyObject *set =
        socket ? PyObject_CallMethodOneArg(socket, self->loop->state->names.setblocking, Py_False) : NULL;

    Py_XDECREF(set);
    if (!set)
        Py_CLEAR(socket);
    return socket;
}

static rpy_attempt accept_by_method(const rpy_op *self, PyObject **result)
{
    PyObject *accepted = PyObject_CallMethodNoArgs(self->socket, self->loop->state->names.accept);
    rpy_attempt attempt = rpy_op_by_method(accepted, result);
    PyObject *connection = attempt == RPY_DONE ? PySequence_GetItem(accepted, 0) : NULL;

    if (attempt != RPY_DONE)
        return attempt;
    connection = without_blocking(self, connection);
    Py_XDECREF(connection);
    if (!connection)
        Py_CLEAR(*result);
    return connection ? RPY_DONE : RPY_FAILED;
}

/* A listening socket that blocks would wait if another process has taken the connection: so it is asked first. */
static rpy_attempt attempt_accept(rpy_op *self, PyObject **result)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;

    if (!self->is_plain)
        return accept_by_method(self, result);
    if (!is_ready(self))
        return RPY_WAITS;
    int fd = accept4(self->fd, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return rpy_op_call_failed();
    PyObject *connection = without_blocking(self, new_socket(self, fd));
    PyObject *from = connection ? rpy_address_object((struct sockaddr *)&address, length) : NULL;
    *result = from ? PyTuple_Pack(2, connection, from) : NULL;
    Py_XDECREF(connection);
    Py_XDECREF(from);
    return *result ? RPY_DONE : RPY_FAILED;
}

/* ---- sending ---- */

static int begin_sendall(rpy_op *self)
{
    if (PyObject_GetBuffer(self->args[0], &self->view, PyBUF_SIMPLE) < 0)
        return -1;
    self->has_view = true;
    self->size = self->view.len;
    return 0;
}

/* What a socket that is not plain takes of the rest. */
static rpy_attempt send_by_method(rpy_op *self, int64_t *n)
{
    PyObject *view = PyMemoryView_FromObject(self->args[0]);
    PyObject *bytes = view ? PyObject_CallMethod(view, "cast", "s", "B") : NULL;
    PyObject *rest = bytes ? PySequence_GetSlice(bytes, (Py_ssize_t)self->done, (Py_ssize_t)self->size) : NULL;
    PyObject *sent = NULL;
    rpy_attempt attempt = RPY_FAILED;

    if (rest)
        attempt =
            rpy_op_by_method(PyObject_CallMethodOneArg(self->socket, self->loop->state->names.send, rest), &sent);
    *n = sent ? PyLong_AsLongLong(sent) : 0;
    if (sent && *n == -1 && PyErr_Occurred())
        attempt = RPY_FAILED;
    Py_XDECREF(sent);
    Py_XDECREF(rest);
    Py_XDECREF(bytes);
    Py_XDECREF(view);
    return attempt;
}

static rpy_attempt send_some(rpy_op *self, int64_t *n)
{
    if (!self->is_plain)
        return send_by_method(self, n);
    do
        *n = send(self->fd, (char *)self->view.buf + self->done, (size_t)(self->size - self->done),
                  MSG_DONTWAIT | MSG_NOSIGNAL);
    while (*n < 0 && errno == EINTR);
    return *n < 0 ? rpy_op_call_failed() : RPY_DONE;
}

/* After a part: the rest when there is room, which may be now, but not before others have had their turn. */
static rpy_attempt go_on_later(rpy_op *self)
{
    if (rpy_op_has_waited(self))
        rpy_watch_again(self->loop, self->fd);
    return RPY_WAITS;
}

static rpy_attempt attempt_sendall(rpy_op *self, PyObject **result)
{
    int64_t n;
    rpy_attempt attempt = send_some(self, &n);

    if (attempt != RPY_DONE)
        return attempt;
    self->done += n;
    if (self->done < self->size)
        return go_on_later(self);
    *result = Py_NewRef(Py_None);
    return RPY_DONE;
}

static rpy_attempt attempt_sendto(rpy_op *self, PyObject **result)
{
    if (self->is_plain) {
        PyObject *flags = PyLong_FromLong(MSG_DONTWAIT);
        PyObject *sent = flags ? PyObject_CallMethodObjArgs(self->socket, self->loop->state->names.sendto,
                                                            self->args[0], flags, self->args[1], NULL)
                               : NULL;

        Py_XDECREF(flags);
        return rpy_op_by_method(sent, result);
    }
    return rpy_op_by_method(PyObject_CallMethodObjArgs(self->socket, self->loop->state->names.sendto,
                                                       self->args[0], self->args[1], NULL),
                            result);
}

/* ---- the methods ---- */

enum { MAX_ARGS = 1 + RPY_OP_ARGS };

typedef struct signature {
    const rpy_op_kind *kind;
    int required; /* arguments, of those named */
    const char *args[MAX_ARGS];
} signature;

static const rpy_op_kind recv_kind = {
    .name = "sock_recv", .direction = RPY_READ, .begin = begin_recv, .attempt = attempt_recv};
static const rpy_op_kind recv_into_kind = {
    .name = "sock_recv_into", .direction = RPY_READ, .attempt = attempt_recv_into};
static const rpy_op_kind recvfrom_kind = {
    .name = "sock_recvfrom", .direction = RPY_READ, .begin = begin_recvfrom, .attempt = attempt_recvfrom};
static const rpy_op_kind recvfrom_into_kind = {.name = "sock_recvfrom_into",
                                               .direction = RPY_READ,
                                               .begin = begin_recvfrom_into,
                                               .attempt = attempt_recvfrom_into};
static const rpy_op_kind sendall_kind = {
    .name = "sock_sendall", .direction = RPY_WRITE, .begin = begin_sendall, .attempt = attempt_sendall};
static const rpy_op_kind sendto_kind = {.name = "sock_sendto", .direction = RPY_WRITE, .attempt = attempt_sendto};
static const rpy_op_kind accept_kind = {.name = "sock_accept", .direction = RPY_READ, .attempt = attempt_accept};
static const signature recv_of = {&recv_kind, 2, {"sock", "n"}};
static const signature recv_into_of = {&recv_into_kind, 2, {"sock", "buf"}};
static const signature recvfrom_of = {&recvfrom_kind, 2, {"sock", "bufsize"}};
static const signature recvfrom_into_of = {&recvfrom_into_kind, 2, {"sock", "buf", "nbytes"}};
static const signature sendall_of = {&sendall_kind, 2, {"sock", "data"}};
static const signature sendto_of = {&sendto_kind, 3, {"sock", "data", "address"}};
static const signature accept_of = {&accept_kind, 1, {"sock"}};
static const signature connect_of = {&rpy_connect_kind, 2, {"sock", "address"}};

/* Where a keyword's value belongs; -1 with an exception. */
static int place_of(const signature *of, PyObject *keyword)
{
    for (int i = 0; i < MAX_ARGS && of->args[i]; i++)
        if (PyUnicode_CompareWithASCIIString(keyword, of->args[i]) == 0)
            return i;
    PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", of->kind->name, keyword);
    return -1;
}

static PyObject *make(PyObject *loop, const signature *of, PyObject *const *args, Py_ssize_t count,
                      PyObject *names)
{
    PyObject *given[MAX_ARGS] = {NULL};
    int known = 0;

    while (known < MAX_ARGS && of->args[known])
        known++;
    if (count > known)
        return PyErr_Format(PyExc_TypeError, "%s() takes %d arguments but %zd were given", of->kind->name, known,
                            count);
    for (Py_ssize_t i = 0; i < count; i++)
        given[i] = args[i];
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        int place = place_of(of, name);

        if (place < 0)
            return NULL;
        if (given[place])
            return PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", of->kind->name,
                                name);
        given[place] = args[count + i];
    }
    for (int i = 0; i < of->required; i++)
        if (!given[i])
            return PyErr_Format(PyExc_TypeError, "%s() missing 1 required positional argument: '%s'",
                                of->kind->name, of->args[i]);
    return rpy_op_new((rpy_loop *)loop, of->kind, given[0], given + 1);
}

PyObject *rpy_sock_recv(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    return make(self, &recv_of, args, count, names);
}

PyObject *rpy_sock_recv_into(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    return make(self, &recv_into_of, args, count, names);
}

PyObject *rpy_sock_recvfrom(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    return make(self, &recvfrom_of, args, count, names);
}

PyObject *rpy_sock_recvfrom_into(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    return make(self, &recvfrom_into_of, args, count, names);
}

PyObject *rpy_sock_sendall(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    return make(self, &sendall_of, args, count, names);
}

PyObject *rpy_sock_sendto(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    return make(self, &sendto_of, args, count, names);
}

PyObject *rpy_sock_accept(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    return make(self, &accept_of, args, count, names);
}

PyObject *rpy_sock_connect_resolved(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    return make(self, &connect_of, args, count, names);
}
