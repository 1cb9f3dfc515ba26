/*
 * own_certificate.c - the certificate that this end shows, with its key and what leads to its root.
 *
 * All is read before anything of it is set: on failure the context has what it had.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <limits.h>

#include "tls/context.h"
#include "tls/pem_source.h"

/* Who is asked for the password of a key. */
typedef struct question {
    rp_tls_password *password; /* NULL: nobody */
    void *arg;
    bool asked;
    int error; /* of the asked */
} question;

typedef struct identity {
    X509 *leaf;
    STACK_OF(X509) * issuers;
    EVP_PKEY *key;
} identity;

static int ask(char *buffer, int size, int writing, void *arg)
{
    question *asking = arg;
    int length;

    asking->asked = true;
    if (!asking->password)
        return -1;
    length = asking->password(asking->arg, buffer, (size_t)size);
    if (length > size)
        length = -EINVAL;
    if (length < 0)
        asking->error = length;
    return length < 0 ? -1 : length;
}

/* Certificates behind the first one lead to the root. That there are no more is no error. */
static int read_certificates(rp_tls_context *context, BIO *source, identity *chain)
{
    X509 *issuer;
    unsigned long why;

    chain->leaf = PEM_read_bio_X509_AUX(source, NULL, rp_tls_no_password, NULL);
    chain->issuers = sk_X509_new_null();
    if (!chain->leaf || !chain->issuers)
        return rp_tls_context_failed(context, chain->leaf ? -ENOMEM : RP_ETLS_FORMAT);
    while ((issuer = PEM_read_bio_X509(source, NULL, rp_tls_no_password, NULL)) != NULL)
        if (!sk_X509_push(chain->issuers, issuer)) {
            X509_free(issuer);
            return rp_tls_context_failed(context, -ENOMEM);
        }
    why = ERR_peek_last_error();
    if (ERR_GET_LIB(why) != ERR_LIB_PEM || ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
        return rp_tls_context_failed(context, RP_ETLS_FORMAT);
    ERR_clear_error();
    return 0;
}

static int read_key(rp_tls_context *context, BIO *source, question *asking, identity *chain)
{
    chain->key = PEM_read_bio_PrivateKey(source, NULL, ask, asking);
    if (chain->key) {
        ERR_clear_error();
        return 0;
    }
    if (asking->error) {
        rp_tls_context_failed(context, 0);
        return asking->error;
    }
    return rp_tls_context_failed(context, asking->asked ? RP_ETLS_PASSWORD : RP_ETLS_FORMAT);
}

static int use(rp_tls_context *context, const identity *chain)
{
    if (SSL_CTX_use_cert_and_key(context->ssl, chain->leaf, chain->key, chain->issuers, 1) == 1)
        return 0;
    switch (ERR_GET_REASON(ERR_peek_last_error())) {
    case SSL_R_EE_KEY_TOO_SMALL:
    case SSL_R_CA_KEY_TOO_SMALL:
    case SSL_R_CA_MD_TOO_WEAK:
        return rp_tls_context_failed(context, RP_ETLS_WEAK);
    default:
        return rp_tls_context_failed(context, RP_ETLS_KEY);
    }
}

/* Takes both sources over, which may be NULL. */
static int load(rp_tls_context *context, BIO *certificate, BIO *key, question *asking)
{
    identity chain = {0};
    int rc = certificate && key ? 0 : -ENOMEM;

    if (rc == 0)
        rc = read_certificates(context, certificate, &chain);
    if (rc == 0)
        rc = read_key(context, key, asking, &chain);
    if (rc == 0)
        rc = use(context, &chain);
    X509_free(chain.leaf);
    sk_X509_pop_free(chain.issuers, X509_free);
    EVP_PKEY_free(chain.key);
    BIO_free(certificate);
    BIO_free(key);
    return rc;
}

int rp_tls_context_load_cert_chain(rp_tls_context *context, const char *certificate, const char *key,
                                   rp_tls_password *password, void *arg)
{
    question asking = {password, arg, false, 0};
    BIO *certificates, *keys;
    int rc;

    if (!certificate)
        return -EINVAL;
    rp_tls_context_begin(context);
    RP_TRY(rp_tls_open_file(context, certificate, &certificates));
    rc = rp_tls_open_file(context, key ? key : certificate, &keys);
    if (rc < 0) {
        BIO_free(certificates);
        return rc;
    }
    return load(context, certificates, keys, &asking);
}

int rp_tls_context_load_cert_chain_memory(rp_tls_context *context, const void *certificate,
                                          size_t certificate_length, const void *key, size_t key_length,
                                          rp_tls_password *password, void *arg)
{
    question asking = {password, arg, false, 0};

    if (!key) {
        key = certificate;
        key_length = certificate_length;
    }
    if (!certificate || certificate_length > INT_MAX || key_length > INT_MAX)
        return -EINVAL;
    rp_tls_context_begin(context);
    return load(context, BIO_new_mem_buf(certificate, (int)certificate_length),
                BIO_new_mem_buf(key, (int)key_length), &asking);
}
