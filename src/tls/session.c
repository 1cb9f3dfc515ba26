/*
 * session.c - what a client remembers of a connection, and gives to later ones of the same context.
 *
 * The certificate is not verified again when a session is resumed. So a session is for the same server's name, and for
 * the context that has verified it, as long as that demands what it did then.
 * Each connection has a copy of OpenSSL's session: one that ends badly makes its own useless.
 */
#include "tls/session.h"

#include <openssl/err.h>
#include <stdatomic.h>

#include "tls/tls_memory.h"

struct rp_tls_session {
    atomic_size_t references;
    SSL_SESSION *ssl;
    char *server_name; /* NULL: none */
    uint64_t context;  /* its id, when the connection began */
};

rp_tls_session *rp_tls_session_ref(rp_tls_session *session)
{
    atomic_fetch_add_explicit(&session->references, 1, memory_order_relaxed);
    return session;
}

void rp_tls_session_unref(rp_tls_session *session)
{
    if (!session || atomic_fetch_sub_explicit(&session->references, 1, memory_order_acq_rel) > 1)
        return;
    SSL_SESSION_free(session->ssl);
    rp_tls_free(session->server_name);
    rp_tls_free(session);
}

static rp_tls_session *make(const rp_openssl_engine *engine, const SSL_SESSION *ssl)
{
    rp_tls_session *session = rp_tls_calloc(sizeof *session);
    const char *name = engine->server_name;

    if (!session)
        return NULL;
    session->references = 1;
    session->context = engine->context_id;
    session->ssl = SSL_SESSION_dup(ssl);
    session->server_name = name ? rp_tls_copy(name, strlen(name)) : NULL;
    if (session->ssl && (session->server_name || !name))
        return session;
    rp_tls_session_unref(session);
    return NULL;
}

int rp_tls_get_session(const rp_transport *transport, rp_tls_session **session)
{
    const rp_openssl_engine *engine = rp_openssl_engine_at(transport);
    const SSL_SESSION *ssl;

    if (!engine)
        return -ENOTCONN;
    if (engine->context->role != RP_TLS_CLIENT)
        return -EINVAL;
    ssl = SSL_get0_session(engine->ssl);
    if (!ssl || !SSL_SESSION_is_resumable(ssl))
        return -EAGAIN;
    *session = make(engine, ssl);
    ERR_clear_error();
    return *session ? 0 : -ENOMEM;
}

int rp_tls_context_set_session(rp_tls_context *context, rp_tls_session *session)
{
    if (context->role != RP_TLS_CLIENT || (session && session->context != context->id))
        return -EINVAL;
    if (session)
        rp_tls_session_ref(session);
    rp_tls_session_unref(context->session);
    context->session = session;
    return 0;
}

static bool same_name(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

int rp_tls_session_offer(rp_openssl_engine *engine)
{
    const rp_tls_session *session = engine->context->session;
    SSL_SESSION *copy;
    bool set;

    if (!session || session->context != engine->context_id ||
        !same_name(session->server_name, engine->server_name))
        return 0;
    copy = SSL_SESSION_dup(session->ssl);
    set = copy && SSL_set_session(engine->ssl, copy);
    SSL_SESSION_free(copy);
    return set ? 0 : -ENOMEM;
}
