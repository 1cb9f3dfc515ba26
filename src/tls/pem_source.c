/* pem_source.c - files of certificates and keys. On Windows OpenSSL takes their names as UTF-8. */
#include "tls/pem_source.h"

#include "tls/context.h"

int rp_tls_open_file(rp_tls_context *context, const char *path, BIO **source)
{
    errno = 0;
    *source = BIO_new_file(path, "rb");
    if (*source)
        return 0;
    return rp_tls_context_failed(context, errno > 0 ? -errno : -EIO);
}

int rp_tls_no_password(char *buffer, int size, int writing, void *arg)
{
    return -1;
}
