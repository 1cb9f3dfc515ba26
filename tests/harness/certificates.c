/* certificates.c - makes keys and certificates by OpenSSL. */
#include "harness/certificates.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/harness.h"

static const int64_t day = INT64_C(24) * 60 * 60;

/* ---- PEM ---- */

static char *text_of(BIO *bio)
{
    char *data;
    long length = BIO_get_mem_data(bio, &data);
    char *text = malloc((size_t)length + 1);

    CHECK(text != NULL);
    memcpy(text, data, (size_t)length);
    text[length] = '\0';
    BIO_free(bio);
    return text;
}

static char *key_text(EVP_PKEY *key, const char *password)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const EVP_CIPHER *cipher = password ? EVP_aes_128_cbc() : NULL;
    int length = password ? (int)strlen(password) : 0;

    CHECK(PEM_write_bio_PKCS8PrivateKey(bio, key, cipher, password, length, NULL, NULL));
    return text_of(bio);
}

/* Behind it stands what the issuer shows, unless that is a root. */
static char *certificate_text(X509 *x509, const test_identity *issuer)
{
    BIO *bio = BIO_new(BIO_s_mem());

    CHECK(PEM_write_bio_X509(bio, x509));
    if (issuer && X509_self_signed(issuer->x509, 0) != 1)
        BIO_puts(bio, issuer->certificate);
    return text_of(bio);
}

/* ---- certificates ---- */

static void add_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    CHECK(extension != NULL);
    CHECK(X509_add_ext(x509, extension, -1));
    X509_EXTENSION_free(extension);
}

static void set_serial(X509 *x509)
{
    static long serial = 0x1000;

    ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial);
}

static void set_times(X509 *x509, const test_issue *issue)
{
    bool usual = issue->from == 0 && issue->until == 0;

    X509_time_adj_ex(X509_getm_notBefore(x509), usual ? -1 : issue->from, 0, NULL);
    X509_time_adj_ex(X509_getm_notAfter(x509), usual ? 30 : issue->until, 0, NULL);
}

static void set_name(X509 *x509, const char *name)
{
    X509_NAME *subject = X509_get_subject_name(x509);

    X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (const unsigned char *)"ringport", -1, -1, 0);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);
}

static X509 *make(const test_issue *issue, EVP_PKEY *key)
{
    X509 *x509 = X509_new();
    X509 *issuer = issue->issuer ? issue->issuer->x509 : x509;

    X509_set_version(x509, X509_VERSION_3);
    set_serial(x509);
    set_times(x509, issue);
    set_name(x509, issue->name);
    X509_set_issuer_name(x509, X509_get_subject_name(issuer));
    X509_set_pubkey(x509, key);
    add_extension(x509, issuer, NID_subject_key_identifier, "hash");
    if (issue->issuer)
        add_extension(x509, issuer, NID_authority_key_identifier, "keyid:always");
    add_extension(x509, issuer, NID_basic_constraints,
                  issue->authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (issue->authority)
        add_extension(x509, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
    if (issue->names)
        add_extension(x509, issuer, NID_subject_alt_name, issue->names);
    CHECK(X509_sign(x509, issue->issuer ? issue->issuer->pkey : key, EVP_sha256()) > 0);
    return x509;
}

/* Of three primes, which takes a quarter of the time to find that two do; the peer does not see it. */
static EVP_PKEY *make_rsa(int bits)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;

    CHECK_INT(EVP_PKEY_keygen_init(context), ==, 1);
    CHECK_INT(EVP_PKEY_CTX_set_rsa_keygen_bits(context, bits), ==, 1);
    CHECK_INT(EVP_PKEY_CTX_set_rsa_keygen_primes(context, 3), ==, 1);
    CHECK_INT(EVP_PKEY_generate(context, &key), ==, 1);
    EVP_PKEY_CTX_free(context);
    return key;
}

test_identity *test_identity_new(const test_issue *issue)
{
    test_identity *identity = calloc(1, sizeof *identity);

    CHECK(identity != NULL);
    identity->pkey = issue->rsa ? make_rsa(issue->rsa) : EVP_EC_gen("P-256");
    CHECK(identity->pkey != NULL);
    identity->x509 = make(issue, identity->pkey);
    identity->certificate = certificate_text(identity->x509, issue->issuer);
    identity->key = key_text(identity->pkey, issue->password);
    return identity;
}

void test_identity_free(test_identity *identity)
{
    if (!identity)
        return;
    X509_free(identity->x509);
    EVP_PKEY_free(identity->pkey);
    free(identity->certificate);
    free(identity->key);
    free(identity);
}

test_identity *test_root_new(void)
{
    return test_identity_new(&(test_issue){.name = "ringport's root", .authority = true});
}

test_identity *test_server_identity_new(const test_identity *root)
{
    return test_identity_new(
        &(test_issue){.name = "localhost", .names = "DNS:localhost,IP:127.0.0.1,IP:::1", .issuer = root});
}

char *test_crl(const test_identity *issuer, const test_identity *revoked)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -day), *later = X509_gmtime_adj(NULL, 30 * day);
    BIO *bio = BIO_new(BIO_s_mem());

    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x509));
    X509_CRL_set1_lastUpdate(crl, now);
    X509_CRL_set1_nextUpdate(crl, later);
    if (revoked) {
        X509_REVOKED *entry = X509_REVOKED_new();

        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->x509));
        X509_REVOKED_set_revocationDate(entry, now);
        CHECK(X509_CRL_add0_revoked(crl, entry));
    }
    CHECK(X509_CRL_sign(crl, issuer->pkey, EVP_sha256()) > 0);
    CHECK(PEM_write_bio_X509_CRL(bio, crl));
    ASN1_TIME_free(now);
    ASN1_TIME_free(later);
    X509_CRL_free(crl);
    return text_of(bio);
}

/* ---- for tests ---- */

void test_write_file(const char *path, const void *data, size_t length)
{
    FILE *file = fopen(path, "wb");

    CHECK(file != NULL);
    CHECK_INT(fwrite(data, 1, length, file), ==, length);
    CHECK_INT(fclose(file), ==, 0);
}

rp_tls_context *test_tls_server(const test_identity *identity)
{
    rp_tls_context *context;

    CHECK_INT(rp_tls_context_new(RP_TLS_SERVER, &context), ==, 0);
    CHECK_INT(rp_tls_context_load_cert_chain_memory(context, identity->certificate, strlen(identity->certificate),
                                                    identity->key, strlen(identity->key), NULL, NULL),
              ==, 0);
    return context;
}

rp_tls_context *test_tls_client(const test_identity *root)
{
    rp_tls_context *context;

    CHECK_INT(rp_tls_context_new(RP_TLS_CLIENT, &context), ==, 0);
    CHECK_INT(rp_tls_context_load_verify_memory(context, root->certificate, strlen(root->certificate)), ==, 0);
    return context;
}
