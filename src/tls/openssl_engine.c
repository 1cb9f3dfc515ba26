/*
 * openssl_engine.c - the engine by OpenSSL.
 *
 * OpenSSL's queue of errors is empty before each call, so that what is in it afterwards is the call's. SSL_get_error()
 * is the first to be called after one that did not succeed. OpenSSL is not asked again when it has failed.
 */
#include "tls/openssl_engine.h"

#include <openssl/err.h>

#include "base/list.h"
#include "tls/filter.h"
#include "tls/tls_memory.h"

/* ---- errors ---- */

/* Emptying the queue costs more than looking into it. */
static void begin(void)
{
    if (ERR_peek_error())
        ERR_clear_error();
}

static int fail(rp_openssl_engine *engine, rp_openssl_error failure)
{
    engine->failure = failure;
    return failure.error;
}

/* What a call that did not succeed means: -EAGAIN, 0 at the end, or an error. */
static int explain(rp_openssl_engine *engine, int result)
{
    int why = SSL_get_error(engine->ssl, result);
    rp_openssl_error failure;

    if (why == SSL_ERROR_WANT_READ)
        return -EAGAIN;
    if (why == SSL_ERROR_ZERO_RETURN)
        return 0;
    failure = rp_openssl_error_take(engine->ssl);
    if (engine->refused)
        failure.error = engine->refused;
    else if (engine->wire.plain && failure.error != -ENOMEM)
        failure.error = RP_ETLS_PLAIN;
    return fail(engine, failure);
}

/* ---- the engine ---- */

/* OpenSSL makes its large buffers when it is first asked: a client that says nothing is not to cost them. */
static int engine_handshake(rp_tls_engine *base)
{
    rp_openssl_engine *engine = rp_openssl_engine_of(base);
    int result;

    if (engine->failure.error)
        return engine->failure.error;
    if (engine->waiting && rp_openssl_wire_whole(&engine->wire) == 0)
        return -EAGAIN;
    begin();
    result = SSL_do_handshake(engine->ssl);
    if (result == 1) {
        engine->wire.patience = RP_TLS_PATIENCE;
        return 0;
    }
    result = explain(engine, result);
    engine->waiting = result == -EAGAIN;
    return result ? result : fail(engine, (rp_openssl_error){RP_ETLS_ALERT, SSL_AD_CLOSE_NOTIFY, NULL});
}

/* OpenSSL would follow as many key updates as a peer likes to send. */
static int64_t read_nothing(rp_openssl_engine *engine, int result)
{
    result = explain(engine, result);
    if (result == -EAGAIN && engine->wire.patience == 0)
        return fail(engine, (rp_openssl_error){RP_ETLS_PROTOCOL, -1, "too many records without data"});
    return result;
}

static int64_t engine_read(rp_tls_engine *base, void *buffer, size_t length)
{
    rp_openssl_engine *engine = rp_openssl_engine_of(base);
    size_t taken;
    int result;

    if (engine->failure.error)
        return engine->failure.error;
    /* To have OpenSSL find out that it has nothing to do costs more. */
    if (rp_openssl_wire_whole(&engine->wire) == 0 && SSL_pending(engine->ssl) == 0)
        return SSL_get_shutdown(engine->ssl) & SSL_RECEIVED_SHUTDOWN ? 0 : -EAGAIN;
    begin();
    result = SSL_read_ex(engine->ssl, buffer, length, &taken);
    if (result <= 0)
        return read_nothing(engine, result);
    engine->wire.patience = RP_TLS_PATIENCE;
    return (int64_t)taken;
}

static int64_t engine_write(rp_tls_engine *base, const void *data, size_t length)
{
    rp_openssl_engine *engine = rp_openssl_engine_of(base);
    size_t written;
    int result;

    if (engine->failure.error)
        return engine->failure.error;
    begin();
    result = SSL_write_ex(engine->ssl, data, length, &written);
    if (result > 0)
        return (int64_t)written;
    if (SSL_get_shutdown(engine->ssl) & SSL_SENT_SHUTDOWN)
        return -EPIPE; /* and reading goes on */
    return explain(engine, result);
}

/* A handshake that has not been done has nothing to be ended. */
static int engine_shutdown(rp_tls_engine *base)
{
    rp_openssl_engine *engine = rp_openssl_engine_of(base);
    int result;

    if (engine->failure.error)
        return engine->failure.error;
    if (!SSL_is_init_finished(engine->ssl) || (SSL_get_shutdown(engine->ssl) & SSL_SENT_SHUTDOWN))
        return 0;
    begin();
    result = SSL_shutdown(engine->ssl);
    return result >= 0 ? 0 : explain(engine, result);
}

static size_t engine_pending(const rp_tls_engine *base)
{
    return (size_t)SSL_pending(rp_container_of(base, const rp_openssl_engine, base)->ssl);
}

static int engine_alert(const rp_tls_engine *base)
{
    const rp_openssl_engine *engine = rp_container_of(base, const rp_openssl_engine, base);

    return engine->failure.error ? engine->failure.alert : -1;
}

static const char *engine_text(const rp_tls_engine *base)
{
    return rp_container_of(base, const rp_openssl_engine, base)->failure.text;
}

static void engine_free(rp_tls_engine *base)
{
    rp_openssl_engine *engine = rp_openssl_engine_of(base);

    rp_openssl_certificate_free(engine->certificate);
    SSL_free(engine->ssl);
    rp_tls_free(engine->server_name);
    rp_tls_context_unref(engine->chosen);
    rp_tls_context_unref(engine->context);
    rp_tls_free(engine);
}

static const rp_tls_engine_type engine_type = {
    .handshake = engine_handshake,
    .read = engine_read,
    .write = engine_write,
    .shutdown = engine_shutdown,
    .pending = engine_pending,
    .alert = engine_alert,
    .text = engine_text,
    .free = engine_free,
};

rp_openssl_engine *rp_openssl_engine_of(rp_tls_engine *engine)
{
    if (!engine || engine->type != &engine_type)
        return NULL;
    return rp_container_of(engine, rp_openssl_engine, base);
}

rp_openssl_engine *rp_openssl_engine_at(const rp_transport *transport)
{
    return transport ? rp_openssl_engine_of(rp_tls_filter_engine(transport)) : NULL;
}

int rp_openssl_engine_new(rp_tls_context *context, rp_openssl_engine **engine)
{
    rp_openssl_engine *new = rp_tls_calloc(sizeof *new);
    BIO *bio;

    if (!new)
        return -ENOMEM;
    new->base.type = &engine_type;
    new->context = rp_tls_context_ref(context);
    new->context_id = context->id;
    new->ssl = SSL_new(context->ssl);
    new->wire.engine = &new->base;
    new->wire.patience = SIZE_MAX;
    new->waiting = context->role == RP_TLS_SERVER;
    bio = new->ssl ? rp_openssl_bio_new(context->bio_method, &new->wire) : NULL;
    if (!bio || !SSL_set_app_data(new->ssl, new)) {
        BIO_free(bio);
        engine_free(&new->base);
        ERR_clear_error();
        return -ENOMEM;
    }
    SSL_set_bio(new->ssl, bio, bio);
    if (context->role == RP_TLS_SERVER)
        SSL_set_accept_state(new->ssl);
    else
        SSL_set_connect_state(new->ssl);
    *engine = new;
    return 0;
}
