/*
 * tls_trial.c - a handshake between two direct engines, over two pipes in memory.
 *
 * It relies on nothing that it tries out: what does not fit together is found before it is used (tls_library.c), and
 * what does not behave ends the trial.
 */
#include "tls_trial.h"

#include <string.h>

#include "base/list.h"
#include "tls_direct.h"

enum { ROUNDS = 8, PIPE = 32 * 1024 };

static const char greeting[] = "the quick brown fox";

/* One end, and what it has written and the other one has not taken. */
typedef struct end {
    rp_tls_output output;
    rp_tls_input input;
    rpy_tls_engine *engine;
    size_t length;
    bool full;
    unsigned char data[PIPE];
} end;

static void write_to_pipe(rp_tls_output *output, const void *data, size_t length)
{
    end *self = rp_container_of(output, end, output);

    if (length > PIPE - self->length) {
        self->full = true;
        return;
    }
    memcpy(self->data + self->length, data, length);
    self->length += length;
}

/* Around a call of one end's engine: it has what the other one has written. */
static void begin(end *self, const end *peer)
{
    self->input = (rp_tls_input){.data = peer->data, .length = peer->length};
}

static void finish(end *self, end *peer)
{
    memmove(peer->data, self->input.data, self->input.length);
    peer->length = self->input.length;
}

static int shake(end *self, end *peer)
{
    begin(self, peer);
    int rc = self->engine->base.type->handshake(&self->engine->base);
    finish(self, peer);
    return rc;
}

static int64_t take(end *self, end *peer, char *buffer, size_t length)
{
    begin(self, peer);
    int64_t taken = self->engine->base.type->read(&self->engine->base, buffer, length);
    finish(self, peer);
    return taken;
}

static const char *shake_hands(end *client, end *server)
{
    int ours = -EAGAIN, theirs = -EAGAIN;

    for (int i = 0; i < ROUNDS && (ours == -EAGAIN || theirs == -EAGAIN); i++) {
        if (ours == -EAGAIN)
            ours = shake(client, server);
        if (theirs == -EAGAIN)
            theirs = shake(server, client);
        if (i == 0 && (client->length == 0 && server->length == 0))
            return "OpenSSL does not write to our BIO";
    }
    return ours == 0 && theirs == 0 ? NULL : "a handshake in memory has failed";
}

static const char *greet(end *self, end *peer)
{
    const rp_tls_engine_type *type = self->engine->base.type;
    char buffer[sizeof greeting + 1];

    if (type->write(&self->engine->base, greeting, sizeof greeting) != sizeof greeting)
        return "OpenSSL does not write";
    if (self->length <= sizeof greeting || memcmp(self->data, greeting, sizeof greeting) == 0)
        return "OpenSSL does not write records";
    if (take(peer, self, buffer, 1) != 1 || type->pending(&peer->engine->base) != sizeof greeting - 1 ||
        take(peer, self, buffer + 1, sizeof buffer - 1) != sizeof greeting - 1 ||
        memcmp(buffer, greeting, sizeof greeting) != 0 || take(peer, self, buffer, 1) != -EAGAIN)
        return "OpenSSL does not read what it has written";
    return NULL;
}

static const char *end_stream(end *self, end *peer)
{
    char buffer[1];

    self->engine->base.type->shutdown(&self->engine->base);
    return take(peer, self, buffer, 1) == 0 ? NULL : "OpenSSL does not end what it has written";
}

static const char *talk(end *client, end *server)
{
    const char *failure = shake_hands(client, server);

    if (!failure)
        failure = greet(client, server);
    if (!failure)
        failure = greet(server, client);
    if (!failure)
        failure = end_stream(client, server);
    return failure || (!client->full && !server->full) ? failure : "OpenSSL writes without end";
}

/* The MemoryBIOs are not used: anything is as good. NULL, perhaps with an exception: it is open. */
static const char *open_end(end *self, rpy_loop *loop, PyObject *object, PyObject *context)
{
    SSL *ssl = rpy_tls_library_find(loop->state, object);
    rpy_tls_engine *engine = ssl ? rpy_tls_engine_new(loop, object, Py_None, Py_None, context) : NULL;

    if (!ssl)
        return "the SSL in an SSLObject of _ssl's is not found";
    if (!engine)
        return NULL;
    if (rpy_tls_direct_init(engine, ssl) < 0) {
        rpy_tls_engine_release(engine);
        return NULL;
    }
    self->engine = engine;
    self->output.write = write_to_pipe;
    self->engine->base.input = &self->input;
    self->engine->base.output = &self->output;
    return NULL;
}

static void close_end(end *self)
{
    if (self->engine)
        self->engine->base.type->free(&self->engine->base);
}

static const char *try_out(rpy_loop *loop, PyObject *const objects[2], PyObject *context)
{
    end *ends = PyMem_Calloc(2, sizeof *ends);
    const char *failure = NULL;

    if (!ends) {
        PyErr_NoMemory();
        return NULL;
    }
    for (int i = 0; i < 2 && !failure && !PyErr_Occurred(); i++)
        failure = open_end(&ends[i], loop, objects[i], context);
    if (ends[0].engine && ends[1].engine)
        failure = talk(&ends[0], &ends[1]);
    close_end(&ends[0]);
    close_end(&ends[1]);
    PyMem_Free(ends);
    return failure;
}

PyObject *rpy_try_tls(PyObject *object, PyObject *args)
{
    rpy_loop *loop = (rpy_loop *)object;
    PyObject *objects[2];

    if (!PyArg_ParseTuple(args, "OO:_try_tls", &objects[0], &objects[1]))
        return NULL;
    const char *failure = rpy_tls_library_open(loop->state);
    PyObject *context = failure ? NULL : PyContext_CopyCurrent();
    if (context)
        failure = try_out(loop, objects, context);
    Py_XDECREF(context);
    if (PyErr_Occurred())
        return NULL;
    if (!failure)
        loop->state->tls_direct = true;
    return failure ? PyUnicode_FromString(failure) : Py_NewRef(Py_None);
}
