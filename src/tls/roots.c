/*
 * roots.c - which certificates are trusted, and which are revoked.
 */
#include "tls/roots.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "tls/pem_source.h"

/* A client trusts the system's store until it is told whom else to trust. */
static int begin(rp_tls_context *context)
{
    X509_STORE *empty;

    rp_tls_context_begin(context);
    RP_TRY(rp_tls_context_renew(context));
    if (context->system_roots && context->system_is_here) {
        empty = X509_STORE_new();
        if (!empty)
            return rp_tls_context_failed(context, -ENOMEM);
        SSL_CTX_set_cert_store(context->ssl, empty);
    }
    context->system_roots = false;
    return 0;
}

/* Clients that are asked for a certificate are told whose will do. */
static bool add_certificate(rp_tls_context *context, X509 *x509)
{
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(context->ssl), x509) &&
           (context->role == RP_TLS_CLIENT || SSL_CTX_add_client_CA(context->ssl, x509));
}

static int add_all(rp_tls_context *context, STACK_OF(X509_INFO) * all)
{
    int added = 0;

    RP_TRY(begin(context));
    for (int i = 0; i < sk_X509_INFO_num(all); i++) {
        X509_INFO *each = sk_X509_INFO_value(all, i);

        if (each->x509 && !add_certificate(context, each->x509))
            return rp_tls_context_failed(context, -ENOMEM);
        if (each->crl && !X509_STORE_add_crl(SSL_CTX_get_cert_store(context->ssl), each->crl))
            return rp_tls_context_failed(context, -ENOMEM);
        added += each->x509 || each->crl;
    }
    return added;
}

static bool has_any(const STACK_OF(X509_INFO) * all)
{
    for (int i = 0; i < sk_X509_INFO_num(all); i++)
        if (sk_X509_INFO_value(all, i)->x509 || sk_X509_INFO_value(all, i)->crl)
            return true;
    return false;
}

/* Takes the source over. */
static int load_pem(rp_tls_context *context, BIO *source)
{
    STACK_OF(X509_INFO) *all = PEM_X509_INFO_read_bio(source, NULL, rp_tls_no_password, NULL);
    int rc = all && has_any(all) ? add_all(context, all) : rp_tls_context_failed(context, RP_ETLS_FORMAT);

    sk_X509_INFO_pop_free(all, X509_INFO_free);
    BIO_free(source);
    return rc < 0 ? rc : 0;
}

/* One certificate behind the other. */
static STACK_OF(X509) * read_der(const unsigned char *data, size_t length)
{
    STACK_OF(X509) *all = sk_X509_new_null();
    const unsigned char *at = data, *end = data + length;

    while (all && at < end) {
        X509 *x509 = d2i_X509(NULL, &at, end - at);

        if (!x509 || !sk_X509_push(all, x509)) {
            X509_free(x509);
            sk_X509_pop_free(all, X509_free);
            return NULL;
        }
    }
    return all;
}

static int load_der(rp_tls_context *context, const unsigned char *data, size_t length)
{
    STACK_OF(X509) *all = read_der(data, length);
    int rc = all ? begin(context) : rp_tls_context_failed(context, RP_ETLS_FORMAT);

    for (int i = 0; i < sk_X509_num(all) && rc == 0; i++)
        if (!add_certificate(context, sk_X509_value(all, i)))
            rc = rp_tls_context_failed(context, -ENOMEM);
    sk_X509_pop_free(all, X509_free);
    return rc;
}

int rp_tls_context_load_verify_memory(rp_tls_context *context, const void *data, size_t length)
{
    enum { SEQUENCE = 0x30 }; /* what each certificate in DER begins with */
    BIO *source;

    if (!data || length > INT_MAX)
        return -EINVAL;
    rp_tls_context_begin(context);
    if (length > 0 && *(const unsigned char *)data == SEQUENCE)
        return load_der(context, data, length);
    source = BIO_new_mem_buf(data, (int)length);
    return source ? load_pem(context, source) : rp_tls_context_failed(context, -ENOMEM);
}

int rp_tls_context_load_verify_locations(rp_tls_context *context, const char *file, const char *directory)
{
    BIO *source;

    if ((!file && !directory) || (directory && !directory[0]))
        return -EINVAL;
    rp_tls_context_begin(context);
    if (file) {
        RP_TRY(rp_tls_read_file(context, file, &source));
        RP_TRY(load_pem(context, source));
    }
    if (!directory)
        return 0;
    RP_TRY(begin(context));
    if (X509_STORE_load_path(SSL_CTX_get_cert_store(context->ssl), directory))
        return 0;
    return rp_tls_context_failed(context, -ENOMEM);
}

static bool load_system(rp_tls_context *context)
{
#if defined(_WIN32) && OPENSSL_VERSION_NUMBER >= 0x30200000L
    if (!X509_STORE_load_store(SSL_CTX_get_cert_store(context->ssl), "org.openssl.winstore://"))
        return false;
#endif
    return SSL_CTX_set_default_verify_paths(context->ssl);
}

int rp_tls_context_load_default_certs(rp_tls_context *context)
{
    bool there = context->system_roots && context->system_is_here;

    rp_tls_context_begin(context);
    RP_TRY(rp_tls_context_renew(context));
    context->system_roots = false;
    return there || load_system(context) ? 0 : rp_tls_context_failed(context, -ENOMEM);
}

/* Several threads may make their first connections at once. */
int rp_tls_roots_await(rp_tls_context *context)
{
    int rc = 0;

    if (!context->system_roots || context->system_is_here || context->verify_mode == RP_TLS_CERT_NONE)
        return 0;
    if (!CRYPTO_THREAD_write_lock(context->lock))
        return -EIO;
    if (!context->system_is_here)
        rc = load_system(context) ? 0 : -ENOMEM;
    context->system_is_here = rc == 0;
    CRYPTO_THREAD_unlock(context->lock);
    ERR_clear_error();
    return rc;
}
