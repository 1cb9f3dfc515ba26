/*
 * openssl_error.c - OpenSSL's reasons, those of its verification of certificates, and alerts, as ringport's errors.
 */
#include "tls/openssl_error.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>

#include "ringport/error.h"

typedef struct mapping {
    int reason;
    int error;
} mapping;

static const mapping of_verification[] = {
    {X509_V_ERR_OUT_OF_MEM, -ENOMEM},
    {X509_V_ERR_CERT_HAS_EXPIRED, RP_ETLS_EXPIRED},
    {X509_V_ERR_CERT_NOT_YET_VALID, RP_ETLS_NOT_YET_VALID},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, RP_ETLS_SELF_SIGNED},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, RP_ETLS_SELF_SIGNED},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, RP_ETLS_UNTRUSTED},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, RP_ETLS_UNTRUSTED},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, RP_ETLS_UNTRUSTED},
    {X509_V_ERR_CERT_UNTRUSTED, RP_ETLS_UNTRUSTED},
    {X509_V_ERR_CERT_REVOKED, RP_ETLS_REVOKED},
    {X509_V_ERR_HOSTNAME_MISMATCH, RP_ETLS_HOSTNAME},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, RP_ETLS_HOSTNAME},
    {X509_V_ERR_EE_KEY_TOO_SMALL, RP_ETLS_WEAK},
    {X509_V_ERR_CA_KEY_TOO_SMALL, RP_ETLS_WEAK},
    {X509_V_ERR_CA_MD_TOO_WEAK, RP_ETLS_WEAK},
};

static const mapping of_handshake[] = {
    {SSL_R_HTTP_REQUEST, RP_ETLS_PLAIN},
    {SSL_R_HTTPS_PROXY_REQUEST, RP_ETLS_PLAIN},
    {SSL_R_UNSUPPORTED_PROTOCOL, RP_ETLS_VERSION},
    {SSL_R_NO_PROTOCOLS_AVAILABLE, RP_ETLS_VERSION},
    {SSL_R_VERSION_TOO_LOW, RP_ETLS_VERSION},
    {SSL_R_VERSION_TOO_HIGH, RP_ETLS_VERSION},
    {SSL_R_WRONG_SSL_VERSION, RP_ETLS_VERSION},
    {SSL_R_INAPPROPRIATE_FALLBACK, RP_ETLS_VERSION},
    {SSL_R_NO_SHARED_CIPHER, RP_ETLS_CIPHER},
    {SSL_R_NO_CIPHERS_AVAILABLE, RP_ETLS_CIPHER},
    {SSL_R_NO_SHARED_GROUPS, RP_ETLS_CIPHER},
    {SSL_R_NO_SUITABLE_GROUPS, RP_ETLS_CIPHER},
    {SSL_R_NO_SUITABLE_KEY_SHARE, RP_ETLS_CIPHER},
    {SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, RP_ETLS_CIPHER},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, RP_ETLS_CIPHER},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, RP_ETLS_NO_CERTIFICATE},
    {SSL_R_EE_KEY_TOO_SMALL, RP_ETLS_WEAK},
    {SSL_R_CA_KEY_TOO_SMALL, RP_ETLS_WEAK},
    {SSL_R_CA_MD_TOO_WEAK, RP_ETLS_WEAK},
    {SSL_R_DH_KEY_TOO_SMALL, RP_ETLS_WEAK},
};

/* Alerts that leave no doubt. The rest are RP_ETLS_ALERT: which, is told apart. */
static const mapping of_alerts[] = {
    {SSL_AD_PROTOCOL_VERSION, RP_ETLS_VERSION},
    {SSL_AD_INSUFFICIENT_SECURITY, RP_ETLS_CIPHER},
};

#define FIND(table, reason, otherwise) find(table, sizeof(table) / sizeof(table)[0], reason, otherwise)

static int find(const mapping *table, size_t count, long reason, int otherwise)
{
    for (size_t i = 0; i < count; i++)
        if (table[i].reason == reason)
            return table[i].error;
    return otherwise;
}

static int error_of(const SSL *ssl, int reason, int alert)
{
    int error = FIND(of_handshake, reason, RP_ETLS_PROTOCOL);

    if (alert >= 0)
        return FIND(of_alerts, alert, RP_ETLS_ALERT);
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return FIND(of_verification, SSL_get_verify_result(ssl), RP_ETLS_VERIFY);
    /* A server without a certificate finds no cipher that would need none. */
    if (error == RP_ETLS_CIPHER && SSL_is_server(ssl) && !SSL_get_certificate(ssl))
        return RP_ETLS_NO_CERTIFICATE;
    return error;
}

/* The first error is the reason, and the others are its consequences; but for memory, which fails somewhere below. */
rp_openssl_error rp_openssl_error_take(const SSL *ssl)
{
    unsigned long code = ERR_peek_error(), each;
    int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
    int alert = reason >= SSL_AD_REASON_OFFSET ? reason - SSL_AD_REASON_OFFSET : -1;
    rp_openssl_error taken = {error_of(ssl, reason, alert), alert, code ? ERR_reason_error_string(code) : NULL};

    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        taken.text = X509_verify_cert_error_string(SSL_get_verify_result(ssl));
    while ((each = ERR_get_error()) != 0)
        if (ERR_GET_REASON(each) == ERR_R_MALLOC_FAILURE)
            taken.error = -ENOMEM;
    return taken;
}
