/*
 * alpn.c - which protocol is spoken over TLS.
 */
#include "tls/openssl_engine.h"
#include "tls/tls_memory.h"

enum { LONGEST = sizeof((rp_openssl_engine *)0)->protocol - 1 };

static int select_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *length,
                           const unsigned char *offered, unsigned int offered_length, void *arg)
{
    const rp_tls_context *context = arg;
    unsigned char *found;

    if (SSL_select_next_proto(&found, length, context->protocols, (unsigned)context->protocols_length, offered,
                              offered_length) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

static int measure(const char *const *protocols, size_t count, size_t *total)
{
    *total = 0;
    for (size_t i = 0; i < count; i++) {
        size_t length = protocols[i] ? strlen(protocols[i]) : 0;

        if (length == 0 || length > LONGEST)
            return -EINVAL;
        *total += 1 + length;
    }
    return *total <= UINT16_MAX ? 0 : -EINVAL;
}

/* As ALPN writes them, each behind its length. */
static void fill(unsigned char *wire, const char *const *protocols, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(protocols[i]);

        *wire++ = (unsigned char)length;
        memcpy(wire, protocols[i], length);
        wire += length;
    }
}

int rp_tls_context_set_alpn_protocols(rp_tls_context *context, const char *const *protocols, size_t count)
{
    unsigned char *wire;
    size_t length;

    if (!protocols && count > 0)
        return -EINVAL;
    RP_TRY(measure(protocols, count, &length));
    wire = rp_tls_calloc(length + 1);
    if (wire)
        fill(wire, protocols, count);
    /* It returns 0 when it succeeds. */
    if (!wire ||
        (context->role == RP_TLS_CLIENT && SSL_CTX_set_alpn_protos(context->ssl, wire, (unsigned)length) != 0)) {
        rp_tls_free(wire);
        return -ENOMEM;
    }
    rp_tls_free(context->protocols);
    context->protocols = wire;
    context->protocols_length = length;
    if (context->role == RP_TLS_SERVER)
        SSL_CTX_set_alpn_select_cb(context->ssl, count > 0 ? select_protocol : NULL, context);
    return 0;
}

/* It is the connection's own: the context may have others by now. */
const char *rp_tls_alpn(const rp_transport *transport)
{
    rp_openssl_engine *engine = rp_openssl_engine_at(transport);
    const unsigned char *chosen;
    unsigned length;

    if (!engine)
        return NULL;
    SSL_get0_alpn_selected(engine->ssl, &chosen, &length);
    if (length == 0 || length > LONGEST)
        return NULL;
    memcpy(engine->protocol, chosen, length); /* what follows is '\0' */
    return engine->protocol;
}
