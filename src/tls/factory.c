/*
 * factory.c - makes contexts, as they are before anything is said about them, and the engines of their connections.
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "tls/openssl_engine.h"
#include "tls/roots.h"
#include "tls/server_names.h"
#include "tls/session.h"
#include "tls/tls_memory.h"

/* ---- connections ---- */

/* A server's address as a certificate has it: without the interface of "fe80::1%eth0". */
static ASN1_OCTET_STRING *find_address(const char *name)
{
    char address[64];
    size_t length = strcspn(name, "%");

    if (length >= sizeof address)
        return NULL;
    memcpy(address, name, length);
    address[length] = '\0';
    return name[length] && !strchr(address, ':') ? NULL : a2i_IPADDRESS(address);
}

/* The server is told its name, and has to have a certificate for it. */
static int set_name(rp_openssl_engine *engine, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(engine->ssl);
    ASN1_OCTET_STRING *address = find_address(name);
    bool check = engine->context->check_hostname, set = true;

    ERR_clear_error();
    if (address) {
        if (check)
            set = X509_VERIFY_PARAM_set1_ip(param, ASN1_STRING_get0_data(address),
                                            (size_t)ASN1_STRING_length(address));
        ASN1_OCTET_STRING_free(address);
    } else {
        set =
            SSL_set_tlsext_host_name(engine->ssl, name) && (!check || X509_VERIFY_PARAM_set1_host(param, name, 0));
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    }
    return set ? 0 : -ENOMEM;
}

/* Names that OpenSSL would take for something else: one that begins with a '.' matches every name below it. */
static bool good_name(const char *name)
{
    return name[0] != '.' && strlen(name) <= TLSEXT_MAXLEN_host_name;
}

static int check(rp_tls_factory *factory, bool server, const char *server_name)
{
    const rp_tls_context *context = (rp_tls_context *)factory;
    bool needs_name = context->check_hostname && context->verify_mode != RP_TLS_CERT_NONE;

    if (server != (context->role == RP_TLS_SERVER))
        return -EINVAL;
    if (!server_name || !server_name[0])
        return !server && needs_name ? -EINVAL : 0;
    return good_name(server_name) ? 0 : -EINVAL;
}

static int begin_client(rp_openssl_engine *engine, const char *name)
{
    size_t length = strlen(name);

    if (length == 0)
        return 0;
    /* A certificate has its name without the root's dot. */
    engine->server_name = rp_tls_copy(name, name[length - 1] == '.' ? length - 1 : length);
    if (!engine->server_name)
        return -ENOMEM;
    RP_TRY(set_name(engine, engine->server_name));
    return rp_tls_session_offer(engine);
}

static int make(rp_tls_factory *factory, bool server, const char *server_name, rp_tls_engine **engine)
{
    rp_tls_context *context = (rp_tls_context *)factory;
    rp_openssl_engine *new;
    int rc;

    RP_TRY(check(factory, server, server_name));
    RP_TRY(rp_tls_roots_await(context));
    RP_TRY(rp_openssl_engine_new(context, &new));
    rc = server ? 0 : begin_client(new, server_name ? server_name : "");
    if (rc < 0) {
        ERR_clear_error();
        new->base.type->free(&new->base);
        return rc;
    }
    *engine = &new->base;
    return 0;
}

/* ---- contexts ---- */

static void ref_factory(rp_tls_factory *factory)
{
    rp_tls_context_ref((rp_tls_context *)factory);
}

static void unref_factory(rp_tls_factory *factory)
{
    rp_tls_context_unref((rp_tls_context *)factory);
}

static int set_client_defaults(rp_tls_context *context)
{
    context->check_hostname = true;
    context->system_roots = true;
    return rp_tls_context_set_verify_mode(context, RP_TLS_CERT_REQUIRED);
}

/* Tickets hold what is to be known of a session: none is kept. */
static int set_server_defaults(rp_tls_context *context)
{
    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF);
    rp_tls_server_names_install(context);
    return rp_tls_context_renew(context);
}

/* Whoever looks after another user's programs cannot have them write files. */
static const char *keylog_filename(void)
{
#ifdef __GLIBC__
    return secure_getenv("SSLKEYLOGFILE");
#else
    return getenv("SSLKEYLOGFILE");
#endif
}

static int set_defaults(rp_tls_context *context)
{
    SSL_CTX *ssl = context->ssl;
    const char *keylog = keylog_filename();

    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    if (SSL_CTX_get_security_level(ssl) < 2)
        SSL_CTX_set_security_level(ssl, 2);
    if (SSL_CTX_get_min_proto_version(ssl) < TLS1_2_VERSION)
        RP_TRY(rp_tls_context_set_minimum_version(context, RP_TLS_1_2));
    if (keylog && keylog[0])
        RP_TRY(rp_tls_context_set_keylog_filename(context, keylog));
    return context->role == RP_TLS_CLIENT ? set_client_defaults(context) : set_server_defaults(context);
}

int rp_tls_context_new(int role, rp_tls_context **context)
{
    rp_tls_context *new;
    int rc;

    if (role != RP_TLS_CLIENT && role != RP_TLS_SERVER)
        return -EINVAL;
    new = rp_tls_context_make(role);
    if (!new)
        return -ENOMEM;
    new->factory = (rp_tls_factory){check, make, ref_factory, unref_factory};
    rc = set_defaults(new);
    if (rc < 0) {
        rp_tls_context_unref(new);
        return rc;
    }
    *context = new;
    return 0;
}
