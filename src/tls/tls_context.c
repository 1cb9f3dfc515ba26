/*
 * tls_context.c - contexts: their life, and what they demand of versions, ciphers and peers.
 */
#include "tls/tls_context.h"

#include <openssl/err.h>
#include <openssl/rand.h>

#include "tls/openssl_bio.h"
#include "tls/tls_memory.h"

enum { MOST_TICKETS = 16 };

/* ---- errors ---- */

void rp_tls_context_begin(rp_tls_context *context)
{
    context->text = NULL;
    ERR_clear_error();
}

int rp_tls_context_failed(rp_tls_context *context, int error)
{
    unsigned long code = ERR_peek_error(), each;

    context->text = code ? ERR_reason_error_string(code) : NULL;
#ifndef _WIN32 /* where it is a number of Windows' own */
    if (ERR_GET_LIB(code) == ERR_LIB_SYS && ERR_GET_REASON(code) > 0)
        error = -ERR_GET_REASON(code);
#endif
    while ((each = ERR_get_error()) != 0)
        if (ERR_GET_REASON(each) == ERR_R_MALLOC_FAILURE)
            error = -ENOMEM;
    return error;
}

const char *rp_tls_context_error_text(const rp_tls_context *context)
{
    return context->text ? context->text : "";
}

/* ---- life ---- */

rp_tls_context *rp_tls_context_make(int role)
{
    rp_tls_context *context = rp_tls_calloc(sizeof *context);

    if (!context)
        return NULL;
    context->references = 1;
    context->role = role;
    context->ssl = SSL_CTX_new(role == RP_TLS_CLIENT ? TLS_client_method() : TLS_server_method());
    context->bio_method = rp_openssl_bio_method();
    context->lock = CRYPTO_THREAD_lock_new();
    if (context->ssl && context->bio_method && context->lock && SSL_CTX_set_app_data(context->ssl, context) &&
        RAND_bytes((unsigned char *)&context->id, sizeof context->id) == 1)
        return context;
    rp_tls_context_unref(context);
    return NULL;
}

rp_tls_context *rp_tls_context_ref(rp_tls_context *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

/* Sessions that OpenSSL keeps may still speak of the context: its SSL_CTX goes first. */
void rp_tls_context_unref(rp_tls_context *context)
{
    if (!context || atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) > 1)
        return;
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->bio_method);
    for (size_t i = 0; i < context->names_count; i++) {
        rp_tls_context_unref(context->names[i].context);
        rp_tls_free(context->names[i].name);
    }
    rp_tls_free(context->names);
    rp_tls_free(context->protocols);
    rp_tls_session_unref(context->session);
    BIO_free(context->keylog);
    CRYPTO_THREAD_lock_free(context->lock);
    rp_tls_free(context);
}

/* ---- the peer's certificate ---- */

int rp_tls_context_renew(rp_tls_context *context)
{
    context->id++;
    if (context->role == RP_TLS_CLIENT)
        return 0;
    return SSL_CTX_set_session_id_context(context->ssl, (const unsigned char *)&context->id, sizeof context->id)
               ? 0
               : -ENOMEM;
}

int rp_tls_context_set_verify_mode(rp_tls_context *context, int mode)
{
    static const int modes[] = {
        [RP_TLS_CERT_NONE] = SSL_VERIFY_NONE,
        [RP_TLS_CERT_OPTIONAL] = SSL_VERIFY_PEER,
        [RP_TLS_CERT_REQUIRED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    };

    if (mode < RP_TLS_CERT_NONE || mode > RP_TLS_CERT_REQUIRED)
        return -EINVAL;
    context->verify_mode = mode;
    SSL_CTX_set_verify(context->ssl, modes[mode], NULL);
    return rp_tls_context_renew(context);
}

int rp_tls_context_set_verify_flags(rp_tls_context *context, int flags)
{
    static const struct {
        int ours;
        unsigned long theirs;
    } known[] = {
        {RP_TLS_VERIFY_CRL_LEAF, X509_V_FLAG_CRL_CHECK},
        {RP_TLS_VERIFY_CRL_CHAIN, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL},
        {RP_TLS_VERIFY_STRICT, X509_V_FLAG_X509_STRICT},
        {RP_TLS_VERIFY_PARTIAL_CHAIN, X509_V_FLAG_PARTIAL_CHAIN},
    };
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(context->ssl);
    unsigned long set = 0, all = 0;

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        all |= known[i].theirs;
        if (flags & known[i].ours)
            set |= known[i].theirs;
        flags &= ~known[i].ours;
    }
    if (flags)
        return -EINVAL;
    X509_VERIFY_PARAM_clear_flags(param, all);
    return X509_VERIFY_PARAM_set_flags(param, set) ? rp_tls_context_renew(context) : -EINVAL;
}

int rp_tls_context_set_check_hostname(rp_tls_context *context, bool check)
{
    if (context->role != RP_TLS_CLIENT)
        return -EINVAL;
    context->check_hostname = check;
    return rp_tls_context_renew(context);
}

/* ---- versions and ciphers ---- */

static bool known_version(int version)
{
    return version == 0 || (version >= RP_TLS_1_0 && version <= RP_TLS_1_3);
}

int rp_tls_context_set_minimum_version(rp_tls_context *context, int version)
{
    return known_version(version) && SSL_CTX_set_min_proto_version(context->ssl, version) ? 0 : -EINVAL;
}

int rp_tls_context_set_maximum_version(rp_tls_context *context, int version)
{
    return known_version(version) && SSL_CTX_set_max_proto_version(context->ssl, version) ? 0 : -EINVAL;
}

/* What OpenSSL makes of a list in its own notation. */
static int set_list(rp_tls_context *context, int set(SSL_CTX *ssl, const char *list), const char *list)
{
    if (!list)
        return -EINVAL;
    rp_tls_context_begin(context);
    return set(context->ssl, list) ? 0 : rp_tls_context_failed(context, -EINVAL);
}

static int set_groups(SSL_CTX *ssl, const char *groups)
{
    return (int)SSL_CTX_set1_groups_list(ssl, groups);
}

int rp_tls_context_set_ciphers(rp_tls_context *context, const char *ciphers)
{
    return set_list(context, SSL_CTX_set_cipher_list, ciphers);
}

int rp_tls_context_set_ciphersuites(rp_tls_context *context, const char *ciphersuites)
{
    return set_list(context, SSL_CTX_set_ciphersuites, ciphersuites);
}

int rp_tls_context_set_groups(rp_tls_context *context, const char *groups)
{
    return set_list(context, set_groups, groups);
}

/* ---- tickets ---- */

int rp_tls_context_set_num_tickets(rp_tls_context *context, unsigned count)
{
    if (context->role != RP_TLS_SERVER || count > MOST_TICKETS)
        return -EINVAL;
    if (count > 0)
        SSL_CTX_clear_options(context->ssl, SSL_OP_NO_TICKET);
    else
        SSL_CTX_set_options(context->ssl, SSL_OP_NO_TICKET);
    return SSL_CTX_set_num_tickets(context->ssl, count) ? 0 : -EINVAL;
}
