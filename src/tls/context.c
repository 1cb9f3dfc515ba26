/*
 * context.c - contexts: their life, and what is demanded of versions, ciphers and peers.
 */
#include "tls/context.h"

#include <openssl/err.h>
#include <stdio.h>

#include "tls/tls_memory.h"

/* ---- errors ---- */

void rp_tls_context_begin(rp_tls_context *context)
{
    context->text[0] = '\0';
    ERR_clear_error();
}

int rp_tls_context_failed(rp_tls_context *context, int error)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    snprintf(context->text, sizeof context->text, "%s", reason ? reason : "");
    ERR_clear_error();
    return ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE ? -ENOMEM : error;
}

const char *rp_tls_context_error_text(const rp_tls_context *context)
{
    return context->text;
}

/* ---- life ---- */

static void ref_factory(rp_tls_factory *factory)
{
    rp_tls_context_ref((rp_tls_context *)factory);
}

static void unref_factory(rp_tls_factory *factory)
{
    rp_tls_context_unref((rp_tls_context *)factory);
}

/* The engine follows: until then no connection comes to be. */
static int make(rp_tls_factory *factory, bool server, const char *server_name, rp_tls_engine **engine)
{
    return -ENOSYS;
}

/* What a context has before anything is said about it. */
static int set_defaults(rp_tls_context *context)
{
    SSL_CTX *ssl = context->ssl;

    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    if (!SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION))
        return -EINVAL;
    return 0;
}

int rp_tls_context_new(int role, rp_tls_context **context)
{
    rp_tls_context *new;
    int rc;

    if (role != RP_TLS_CLIENT && role != RP_TLS_SERVER)
        return -EINVAL;
    new = rp_tls_calloc(sizeof *new);
    if (!new)
        return -ENOMEM;
    new->factory = (rp_tls_factory){make, ref_factory, unref_factory};
    new->references = 1;
    new->role = role;
    new->ssl = SSL_CTX_new(role == RP_TLS_CLIENT ? TLS_client_method() : TLS_server_method());
    rc = new->ssl ? set_defaults(new) : -ENOMEM;
    if (rc < 0) {
        rp_tls_context_unref(new);
        return rc;
    }
    *context = new;
    return 0;
}

rp_tls_context *rp_tls_context_ref(rp_tls_context *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void rp_tls_context_unref(rp_tls_context *context)
{
    if (!context || atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) > 1)
        return;
    SSL_CTX_free(context->ssl);
    rp_tls_free(context);
}
