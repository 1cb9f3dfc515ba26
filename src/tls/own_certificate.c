/*
 * own_certificate.c - the certificate that this end shows, with its key and what leads to its root.
 *
 * All is read before anything of it is set: on failure the context has what it had.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <limits.h>

#include "tls/tls_context.h"
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
static int read_certificates(rp_tls_context *context, BIO *source, identity *own)
{
    X509 *issuer;
    unsigned long why;

    own->leaf = PEM_read_bio_X509_AUX(source, NULL, rp_tls_no_password, NULL);
    own->issuers = sk_X509_new_null();
    if (!own->leaf || !own->issuers)
        return rp_tls_context_failed(context, own->leaf ? -ENOMEM : RP_ETLS_FORMAT);
    while ((issuer = PEM_read_bio_X509(source, NULL, rp_tls_no_password, NULL)) != NULL)
        if (!sk_X509_push(own->issuers, issuer)) {
            X509_free(issuer);
            return rp_tls_context_failed(context, -ENOMEM);
        }
    why = ERR_peek_last_error();
    if (ERR_GET_LIB(why) != ERR_LIB_PEM || ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
        return rp_tls_context_failed(context, RP_ETLS_FORMAT);
    ERR_clear_error();
    return 0;
}

static int read_key(rp_tls_context *context, BIO *source, question *asking, identity *own)
{
    own->key = PEM_read_bio_PrivateKey(source, NULL, ask, asking);
    if (own->key) {
        ERR_clear_error();
        return 0;
    }
    if (asking->error) {
        rp_tls_context_failed(context, 0);
        return asking->error;
    }
    return rp_tls_context_failed(context, asking->asked ? RP_ETLS_PASSWORD : RP_ETLS_FORMAT);
}

static int use(rp_tls_context *context, const identity *own)
{
    if (SSL_CTX_use_cert_and_key(context->ssl, own->leaf, own->key, own->issuers, 1) == 1)
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
    identity own = {0};
    int rc = certificate && key ? 0 : -ENOMEM;

    if (rc == 0)
        rc = read_certificates(context, certificate, &own);
    if (rc == 0)
        rc = read_key(context, key, asking, &own);
    if (rc == 0)
        rc = use(context, &own);
    X509_free(own.leaf);
    sk_X509_pop_free(own.issuers, X509_free);
    EVP_PKEY_free(own.key);
    BIO_free(certificate);
    BIO_free(key);
    return rc;
}

/* Of what another source has, which stays as long; NULL: there is no memory. */
static BIO *same_as(BIO *source)
{
    char *data;
    long length = BIO_get_mem_data(source, &data);

    return BIO_new_mem_buf(length > 0 ? data : "", (int)length);
}

int rp_tls_context_load_cert_chain(rp_tls_context *context, const char *certificate, const char *key,
                                   rp_tls_password *password, void *arg)
{
    question asking = {password, arg, false, 0};
    BIO *certificates, *keys;
    int rc = 0;

    if (!certificate)
        return -EINVAL;
    rp_tls_context_begin(context);
    RP_TRY(rp_tls_read_file(context, certificate, &certificates));
    if (key)
        rc = rp_tls_read_file(context, key, &keys);
    else
        keys = same_as(certificates);
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
