/*
 * sock.c - the operations on sockets, kind by kind: their arguments, and one attempt without waiting.
 *
 * Bytes are received and sent by system calls of our own, which raise no exception where they would block. For what has
 * addresses the socket's own methods are called, when it is ready; and for all of it if the socket is of a class that
 * may have others.
 * A socket that blocks is not left to do so, where that can be helped.
 */
#include "sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"

/* ---- what the kinds share ---- */

static rpy_attempt would_block_or_failed(void)
{
    if (errno == EAGAIN || errno == EINTR)
        return RPY_WAITS;
    PyErr_SetFromErrno(PyExc_OSError);
    return RPY_FAILED;
}

/* What a method of the socket's came to. */
static rpy_attempt by_method(PyObject *returned, PyObject **result)
{
    *result = returned;
    if (returned)
        return RPY_DONE;
    if (!PyErr_ExceptionMatches(PyExc_BlockingIOError) && !PyErr_ExceptionMatches(PyExc_InterruptedError))
        return RPY_FAILED;
    PyErr_Clear();
    return RPY_WAITS;
}

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
        return would_block_or_failed();
    *result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)self->size);
    if (!*result)
        return RPY_FAILED;
    int64_t n = receive(self, PyBytes_AS_STRING(*result), (size_t)self->size, 0);
    if (n < 0) {
        Py_CLEAR(*result);
        return would_block_or_failed();
    }
    return _PyBytes_Resize(result, (Py_ssize_t)n) < 0 ? RPY_FAILED : RPY_DONE;
}

static rpy_attempt attempt_recv(rpy_op *self, PyObject **result)
{
    if (!self->is_plain)
        return by_method(PyObject_CallMethodOneArg(self->socket, self->loop->state->names.recv, self->args[0]),
                         result);
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
        return would_block_or_failed();
    *result = PyBytes_FromStringAndSize(hot, (Py_ssize_t)n);
    return *result ? RPY_DONE : RPY_FAILED;
}

/* The buffer is held for the attempt only: between two of them the program may resize it. */
static rpy_attempt attempt_recv_into(rpy_op *self, PyObject **result)
{
    Py_buffer view;

    if (!self->is_plain)
        return by_method(
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
        return would_block_or_failed();
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
            return would_block_or_failed();
        PyObject *from = rpy_address_object((struct sockaddr *)&address, length);
        *result = from ? Py_BuildValue("(y#N)", hot, (Py_ssize_t)n, from) : NULL;
        return *result ? RPY_DONE : RPY_FAILED;
    }
    if (self->is_plain && !is_ready(self))
        return RPY_WAITS;
    return by_method(PyObject_CallMethodOneArg(self->socket, self->loop->state->names.recvfrom, self->args[0]),
                     result);
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
    return by_method(PyObject_CallMethodObjArgs(self->socket, self->loop->state->names.recvfrom_into,
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
    rpy_attempt attempt = by_method(accepted, result);
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
        return would_block_or_failed();
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
        attempt = by_method(PyObject_CallMethodOneArg(self->socket, self->loop->state->names.send, rest), &sent);
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
    return *n < 0 ? would_block_or_failed() : RPY_DONE;
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
        return by_method(sent, result);
    }
    return by_method(PyObject_CallMethodObjArgs(self->socket, self->loop->state->names.sendto, self->args[0],
                                                self->args[1], NULL),
                     result);
}

/* args[0] is (fileno, offset, count, block). */
static int begin_sendfile(rpy_op *self)
{
    int file;
    long long offset, count, block;

    if (!PyArg_ParseTuple(self->args[0], "iLLL:_sock_sendfile", &file, &offset, &count, &block))
        return -1;
    self->offset = offset;
    self->size = count;
    return 0;
}

static rpy_attempt attempt_sendfile(rpy_op *self, PyObject **result)
{
    long file = PyLong_AsLong(PyTuple_GET_ITEM(self->args[0], 0));
    int64_t block = PyLong_AsLongLong(PyTuple_GET_ITEM(self->args[0], 3));
    off_t offset = self->offset;
    ssize_t n;

    if (self->size >= 0 && self->size - self->done < block)
        block = self->size - self->done;
    do
        n = sendfile(self->fd, (int)file, &offset, (size_t)block);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return would_block_or_failed();
    self->offset = offset;
    self->done += n;
    if (n > 0 && self->done != self->size)
        return go_on_later(self);
    *result = PyLong_FromLongLong(self->done);
    return *result ? RPY_DONE : RPY_FAILED;
}

/* ---- connecting ---- */

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
static rpy_attempt connect_plainly(rpy_op *self, PyObject **result)
{
    if (PySys_Audit("socket.connect", "OO", self->socket, self->args[0]) < 0)
        return RPY_FAILED;
    if (connect(self->fd, (struct sockaddr *)PyBytes_AS_STRING(self->args[1]),
                (socklen_t)PyBytes_GET_SIZE(self->args[1])) == 0) {
        *result = Py_NewRef(Py_None);
        return RPY_DONE;
    }
    if (errno == EINPROGRESS || errno == EALREADY) /* the latter if somebody has begun it before */
        errno = EINTR;
    return would_block_or_failed();
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
    rpy_attempt attempt = by_method(returned, result);
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

/* ---- the methods ---- */

enum { MAX_ARGS = 1 + RPY_OP_ARGS };

typedef struct signature {
    rpy_op_kind kind;
    int required; /* arguments, of those named */
    const char *args[MAX_ARGS];
} signature;

static const signature recv_of = {
    {"sock_recv", RPY_READ, false, false, begin_recv, attempt_recv}, 2, {"sock", "n"}};
static const signature recv_into_of = {
    {"sock_recv_into", RPY_READ, false, false, NULL, attempt_recv_into}, 2, {"sock", "buf"}};
static const signature recvfrom_of = {
    {"sock_recvfrom", RPY_READ, false, false, begin_recvfrom, attempt_recvfrom}, 2, {"sock", "bufsize"}};
static const signature recvfrom_into_of = {
    {"sock_recvfrom_into", RPY_READ, false, false, begin_recvfrom_into, attempt_recvfrom_into},
    2,
    {"sock", "buf", "nbytes"}};
static const signature sendall_of = {
    {"sock_sendall", RPY_WRITE, false, false, begin_sendall, attempt_sendall}, 2, {"sock", "data"}};
static const signature sendto_of = {
    {"sock_sendto", RPY_WRITE, false, false, NULL, attempt_sendto}, 3, {"sock", "data", "address"}};
static const signature accept_of = {{"sock_accept", RPY_READ, false, false, NULL, attempt_accept}, 1, {"sock"}};
static const signature connect_of = {
    {"sock_connect", RPY_WRITE, true, false, NULL, attempt_connect}, 2, {"sock", "address"}};
static const signature sendfile_of = {
    {"sock_sendfile", RPY_WRITE, true, true, begin_sendfile, attempt_sendfile}, 2, {"sock", "file"}};

/* Where a keyword's value belongs; -1 with an exception. */
static int place_of(const signature *of, PyObject *keyword)
{
    for (int i = 0; i < MAX_ARGS && of->args[i]; i++)
        if (PyUnicode_CompareWithASCIIString(keyword, of->args[i]) == 0)
            return i;
    PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", of->kind.name, keyword);
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
        return PyErr_Format(PyExc_TypeError, "%s() takes %d arguments but %zd were given", of->kind.name, known,
                            count);
    for (Py_ssize_t i = 0; i < count; i++)
        given[i] = args[i];
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        int place = place_of(of, name);

        if (place < 0)
            return NULL;
        if (given[place])
            return PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", of->kind.name,
                                name);
        given[place] = args[count + i];
    }
    for (int i = 0; i < of->required; i++)
        if (!given[i])
            return PyErr_Format(PyExc_TypeError, "%s() missing 1 required positional argument: '%s'",
                                of->kind.name, of->args[i]);
    return rpy_op_new((rpy_loop *)loop, &of->kind, given[0], given + 1);
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
            PyObject *operation = rpy_op_new(loop, &connect_of.kind, args[0], given);

            Py_DECREF(given[1]);
            return operation;
        }
    }
    PyObject *method = PyObject_GetAttrString(self, "_sock_connect");
    PyObject *coroutine = method ? PyObject_Vectorcall(method, args, (size_t)count, names) : NULL;
    Py_XDECREF(method);
    return coroutine;
}

PyObject *rpy_sock_sendfile(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    return make(self, &sendfile_of, args, count, names);
}
