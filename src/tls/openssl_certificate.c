/* openssl_certificate.c - reads what a certificate says: whom it is for, who issued it, and when it is valid. */
#include "tls/openssl_certificate.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "tls/tls_memory.h"

/* What was written to a BIO of memory, as a string; NULL: there is no memory. The BIO is empty afterwards. */
static char *take_text(BIO *bio)
{
    char *data;
    long length = BIO_get_mem_data(bio, &data);
    char *text = rp_tls_copy(data, (size_t)length);

    (void)BIO_reset(bio);
    return text;
}

static char *name_text(BIO *bio, const X509_NAME *name)
{
    return X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0 ? take_text(bio) : NULL;
}

/* OpenSSL breaks long ones into lines. */
static char *serial_text(BIO *bio, const X509 *x509)
{
    char *text = i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(x509)) >= 0 ? take_text(bio) : NULL;
    char *end = text;

    for (const char *at = text; at && *at; at++)
        if (*at != '\\' && *at != '\n')
            *end++ = *at;
    if (text)
        *end = '\0';
    return text;
}

/* Seconds since 1970. */
static bool read_time(const ASN1_TIME *time, int64_t *seconds)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days, rest;
    bool read = epoch && ASN1_TIME_diff(&days, &rest, epoch, time);

    ASN1_TIME_free(epoch);
    if (read)
        *seconds = (int64_t)days * 86400 + rest;
    return read;
}

static int read_names(rp_openssl_certificate *certificate, BIO *bio, const X509 *x509)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    int count = names ? sk_GENERAL_NAME_num(names) : 0, rc = 0;

    if (count > 0)
        certificate->names = rp_tls_calloc((size_t)count * sizeof *certificate->names);
    if (count > 0 && !certificate->names)
        rc = -ENOMEM;
    for (int i = 0; i < count && rc == 0; i++) {
        GENERAL_NAME_print(bio, sk_GENERAL_NAME_value(names, i));
        certificate->names[i] = take_text(bio);
        if (certificate->names[i])
            certificate->told.names_count++;
        else
            rc = -ENOMEM;
    }
    certificate->told.names = (const char *const *)certificate->names;
    GENERAL_NAMES_free(names);
    return rc;
}

static int read_all(rp_openssl_certificate *certificate, BIO *bio, X509 *x509)
{
    rp_tls_certificate *told = &certificate->told;
    unsigned char *der = NULL;
    int length = i2d_X509(x509, &der);

    told->der = der;
    told->der_length = length > 0 ? (size_t)length : 0;
    told->subject = name_text(bio, X509_get_subject_name(x509));
    told->issuer = name_text(bio, X509_get_issuer_name(x509));
    told->serial = serial_text(bio, x509);
    if (length <= 0 || !told->subject || !told->issuer || !told->serial)
        return -ENOMEM;
    if (!read_time(X509_get0_notBefore(x509), &told->not_before) ||
        !read_time(X509_get0_notAfter(x509), &told->not_after))
        return -EINVAL;
    if (!X509_digest(x509, EVP_sha256(), told->fingerprint, NULL))
        return -ENOMEM;
    return read_names(certificate, bio, x509);
}

int rp_openssl_certificate_new(X509 *x509, rp_openssl_certificate **certificate)
{
    rp_openssl_certificate *new = rp_tls_calloc(sizeof *new);
    BIO *bio = new ? BIO_new(BIO_s_mem()) : NULL;
    int rc = bio ? read_all(new, bio, x509) : -ENOMEM;

    BIO_free(bio);
    ERR_clear_error();
    if (rc < 0) {
        rp_openssl_certificate_free(new);
        return rc;
    }
    *certificate = new;
    return 0;
}

void rp_openssl_certificate_free(rp_openssl_certificate *certificate)
{
    if (!certificate)
        return;
    for (size_t i = 0; i < certificate->told.names_count; i++)
        rp_tls_free(certificate->names[i]);
    rp_tls_free(certificate->names);
    rp_tls_free((void *)(uintptr_t)certificate->told.subject);
    rp_tls_free((void *)(uintptr_t)certificate->told.issuer);
    rp_tls_free((void *)(uintptr_t)certificate->told.serial);
    OPENSSL_free((void *)(uintptr_t)certificate->told.der);
    rp_tls_free(certificate);
}
