/*
 * pem_source.c - files of certificates and keys.
 *
 * A file is read as a whole, and once: it may be a pipe. OpenSSL overwrites the memory when it is freed.
 * On Windows OpenSSL takes a file's name as UTF-8.
 */
#include "tls/pem_source.h"

#include <openssl/crypto.h>

#include "tls/tls_context.h"

enum {
    CHUNK = 4096,
    LONGEST = 64 * 1024 * 1024,
};

static int system_error(void)
{
    return errno > 0 ? -errno : -EIO;
}

static int copy(BIO *from, BIO *to)
{
    char chunk[CHUNK];
    size_t total = 0;
    int length, rc = 0;

    while (rc == 0 && (length = BIO_read(from, chunk, sizeof chunk)) != 0) {
        total += length > 0 ? (size_t)length : 0;
        if (length < 0)
            rc = system_error();
        else if (total > LONGEST)
            rc = -EFBIG;
        else if (BIO_write(to, chunk, length) != length)
            rc = -ENOMEM;
    }
    OPENSSL_cleanse(chunk, sizeof chunk);
    return rc;
}

int rp_tls_read_file(rp_tls_context *context, const char *path, BIO **source)
{
    BIO *file, *memory = BIO_new(BIO_s_mem());
    int rc;

    if (!memory)
        return rp_tls_context_failed(context, -ENOMEM);
    errno = 0;
    file = BIO_new_file(path, "rb");
    rc = file ? copy(file, memory) : system_error();
    BIO_free(file);
    if (rc < 0) {
        BIO_free(memory);
        return rp_tls_context_failed(context, rc);
    }
    BIO_set_mem_eof_return(memory, 0);
    *source = memory;
    return 0;
}

int rp_tls_no_password(char *buffer, int size, int writing, void *arg)
{
    return -1;
}
