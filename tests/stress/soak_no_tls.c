/* soak_no_tls.c - the soak's TLS where there is no OpenSSL. */
#include "stress/soak_tls.h"

soak_tls soak_tls_new(void)
{
    return (soak_tls){0};
}

void soak_tls_free(const soak_tls *tls)
{
    (void)tls;
}

size_t soak_tls_memory(void)
{
    return 0;
}
