/*
 * soak_tls.h - the soak's TLS: contexts with a certificate of their own. Without OpenSSL there are none.
 */
#ifndef RP_TESTS_SOAK_TLS_H
#define RP_TESTS_SOAK_TLS_H

#include <ringport.h>

/* All NULL without OpenSSL. */
typedef struct soak_tls {
    rp_tls_context *server;
    rp_tls_context *clients[2]; /* of TLS 1.2, and of 1.3; for the server "localhost" or 127.0.0.1 */
} soak_tls;

/* To be called before anything else uses OpenSSL. Whoever cannot make contexts ends the process. */
soak_tls soak_tls_new(void);
void soak_tls_free(const soak_tls *tls);

/* Bytes that OpenSSL has allocated now. */
size_t soak_tls_memory(void);

#endif
