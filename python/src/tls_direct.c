/*
 * tls_direct.c - the engine that lets `_ssl`'s OpenSSL read and write by itself.
 *
 * It gives the SSL a BIO in place of its MemoryBIOs. The BIO is the SSL's, which may outlive the engine: whoever reads
 * by the SSLObject then is told to wait, and what is written goes nowhere.
 * Plaintext is read and written without Python. If that fails, the SSLObject is asked for the exception: it finds
 * OpenSSL's reasons where they were left.
 */
#include "tls_direct.h"

#include "base/list.h"

static rpy_tls_engine *engine_of(rp_tls_engine *engine)
{
    return rp_container_of(engine, rpy_tls_engine, base);
}

/* ---- the BIO ---- */

/* OpenSSL asks for a record's header first, and then for the rest of it, which in an open connection is longer. */
static int bio_read(BIO *bio, char *data, size_t length, size_t *taken)
{
    rpy_tls_engine *engine = rpy_ssl.BIO_get_data(bio);
    rp_tls_input *input = engine ? engine->base.input : NULL;

    rpy_ssl.BIO_clear_flags(bio, RPY_BIO_FLAGS_ALL);
    if (input && input->length > 0 && length == RP_TLS_HEADER && !rpy_tls_engine_may_take(engine))
        input = NULL;
    *taken = input ? rp_tls_input_take(input, data, length) : 0;
    if (*taken > 0)
        return 1;
    rpy_ssl.BIO_set_flags(bio, RPY_BIO_FLAG_READ | RPY_BIO_FLAG_RETRY);
    return 0;
}

static int bio_write(BIO *bio, const char *data, size_t length, size_t *written)
{
    const rpy_tls_engine *engine = rpy_ssl.BIO_get_data(bio);

    rpy_ssl.BIO_clear_flags(bio, RPY_BIO_FLAGS_ALL);
    if (engine && engine->base.output)
        rp_tls_output_write(engine->base.output, data, length);
    *written = length;
    return 1;
}

/* OpenSSL asks for many things at each message: most often whether the kernel does TLS. */
static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    if (command != RPY_BIO_PENDING)
        return command == RPY_BIO_FLUSH;
    const rpy_tls_engine *engine = rpy_ssl.BIO_get_data(bio);
    return engine && engine->base.input ? (long)engine->base.input->length : 0;
}

static BIO_METHOD *make_method(void)
{
    int index = rpy_ssl.BIO_get_new_index();
    BIO_METHOD *method =
        index == -1 ? NULL : rpy_ssl.BIO_meth_new(index | RPY_BIO_SOURCE_SINK, "ringport transport");

    if (method && rpy_ssl.BIO_meth_set_read_ex(method, bio_read) &&
        rpy_ssl.BIO_meth_set_write_ex(method, bio_write) && rpy_ssl.BIO_meth_set_ctrl(method, bio_ctrl))
        return method;
    rpy_ssl.BIO_meth_free(method);
    return NULL;
}

/* ---- the engine ---- */

/* OpenSSL's reasons are in its queue: the SSLObject, asked for the same again, makes an exception of them. */
static int fail(rpy_tls_engine *engine, int result, const char *method, PyObject *argument)
{
    int reason = rpy_ssl.SSL_get_error(engine->ssl, result);

    if (reason == RPY_SSL_WANT_READ || reason == RPY_SSL_WANT_WRITE)
        return -EAGAIN;
    PyObject *again = PyObject_CallMethod(engine->object, method, "O", argument);
    if (again)
        PyErr_SetString(PyExc_RuntimeError, "OpenSSL has failed, and does not any more");
    Py_XDECREF(again);
    return rpy_tls_engine_fail(engine);
}

/* Errors that somebody else has left there would be taken for this connection's. */
static void begin(void)
{
    if (rpy_ssl.ERR_peek_error())
        rpy_ssl.ERR_clear_error();
}

static int64_t direct_read(rp_tls_engine *base, void *buffer, size_t length)
{
    rpy_tls_engine *engine = engine_of(base);
    size_t taken;

    if (engine->error)
        return RP_ETLS_PROTOCOL;
    begin();
    int result = rpy_ssl.SSL_read_ex(engine->ssl, buffer, length, &taken);
    if (result > 0)
        return rpy_tls_engine_has_read(engine, (int64_t)taken);
    if (rpy_ssl.SSL_get_error(engine->ssl, result) == RPY_SSL_ZERO_RETURN)
        return 0;
    return rpy_tls_engine_has_read(engine, fail(engine, result, "read", engine->loop->state->tls_one));
}

static int64_t direct_write(rp_tls_engine *base, const void *data, size_t length)
{
    rpy_tls_engine *engine = engine_of(base);
    size_t written;

    if (engine->error)
        return RP_ETLS_PROTOCOL;
    begin();
    int result = rpy_ssl.SSL_write_ex(engine->ssl, data, length, &written);
    return result > 0 ? (int64_t)written : fail(engine, result, "write", engine->loop->state->tls_nothing);
}

/* A handshake that has not ended, or has failed, has nothing to be ended. */
static int direct_shutdown(rp_tls_engine *base)
{
    if (engine_of(base)->error)
        return 0;
    begin();
    rpy_ssl.SSL_shutdown(engine_of(base)->ssl);
    rpy_ssl.ERR_clear_error();
    return 0;
}

static size_t direct_pending(const rp_tls_engine *base)
{
    const rpy_tls_engine *engine = rp_container_of(base, const rpy_tls_engine, base);

    return (size_t)rpy_ssl.SSL_pending(engine->ssl);
}

static void direct_free(rp_tls_engine *base)
{
    rpy_tls_engine *engine = engine_of(base);

    rpy_ssl.BIO_set_data(engine->bio, NULL);
    rpy_ssl.BIO_free(engine->bio);
    rpy_tls_engine_release(engine);
}

static const rp_tls_engine_type direct_type = {
    .handshake = rpy_tls_engine_handshake,
    .read = direct_read,
    .write = direct_write,
    .shutdown = direct_shutdown,
    .pending = direct_pending,
    .alert = rpy_tls_engine_alert,
    .text = rpy_tls_engine_text,
    .free = direct_free,
};

/* The SSL frees one reference to its BIO, which both directions share. The MemoryBIOs have references of their own. */
int rpy_tls_direct_init(rpy_tls_engine *engine, SSL *ssl)
{
    if (!rpy_ssl.method)
        rpy_ssl.method = make_method();
    engine->bio = rpy_ssl.method ? rpy_ssl.BIO_new(rpy_ssl.method) : NULL;
    if (!engine->bio) {
        rpy_ssl.ERR_clear_error();
        PyErr_NoMemory();
        return -1;
    }
    rpy_ssl.BIO_set_data(engine->bio, engine);
    rpy_ssl.BIO_set_init(engine->bio, 1);
    rpy_ssl.BIO_up_ref(engine->bio);
    rpy_ssl.SSL_set_bio(ssl, engine->bio, engine->bio);
    rpy_ssl.SSL_ctrl(ssl, RPY_SSL_MODE, RPY_SSL_RELEASE_BUFFERS, NULL);
    engine->ssl = ssl;
    engine->base.type = &direct_type;
    return 0;
}
