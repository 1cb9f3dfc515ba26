/* negotiated.c - what a connection has agreed on with its peer, and how it has failed. */
#include "tls/openssl_engine.h"

int rp_tls_version(const rp_transport *transport)
{
    const rp_openssl_engine *engine = rp_openssl_engine_at(transport);

    return engine ? SSL_version(engine->ssl) : 0;
}

const char *rp_tls_version_name(const rp_transport *transport)
{
    const rp_openssl_engine *engine = rp_openssl_engine_at(transport);

    return engine ? SSL_get_version(engine->ssl) : NULL;
}

const char *rp_tls_cipher(const rp_transport *transport)
{
    const rp_openssl_engine *engine = rp_openssl_engine_at(transport);

    return engine ? SSL_CIPHER_get_name(SSL_get_current_cipher(engine->ssl)) : NULL;
}

int rp_tls_cipher_bits(const rp_transport *transport)
{
    const rp_openssl_engine *engine = rp_openssl_engine_at(transport);

    return engine ? SSL_CIPHER_get_bits(SSL_get_current_cipher(engine->ssl), NULL) : 0;
}

const char *rp_tls_server_name(const rp_transport *transport)
{
    const rp_openssl_engine *engine = rp_openssl_engine_at(transport);

    return engine ? engine->server_name : NULL;
}

bool rp_tls_session_reused(const rp_transport *transport)
{
    const rp_openssl_engine *engine = rp_openssl_engine_at(transport);

    return engine && SSL_session_reused(engine->ssl);
}

int rp_tls_peer_certificate(const rp_transport *transport, const rp_tls_certificate **certificate)
{
    rp_openssl_engine *engine = rp_openssl_engine_at(transport);
    X509 *x509 = engine ? SSL_get0_peer_certificate(engine->ssl) : NULL;

    if (!engine)
        return -ENOTCONN;
    if (x509 && !engine->certificate)
        RP_TRY(rp_openssl_certificate_new(x509, &engine->certificate));
    *certificate = x509 ? &engine->certificate->told : NULL;
    return 0;
}

int rp_tls_alert(const rp_transport *transport)
{
    const rp_openssl_engine *engine = rp_openssl_engine_at(transport);

    return engine && engine->failure.error ? engine->failure.alert : -1;
}

const char *rp_tls_error_text(const rp_transport *transport)
{
    const rp_openssl_engine *engine = rp_openssl_engine_at(transport);

    return engine ? engine->failure.text : NULL;
}
