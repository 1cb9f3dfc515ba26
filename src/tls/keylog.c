/*
 * keylog.c - the keys of connections, for those who debug.
 *
 * A line is written at once, so that the lines of several threads, and of several programs, do not mix.
 */
#include <openssl/err.h>

#include "tls/tls_context.h"

#ifdef _WIN32
static const char append[] = "aN"; /* no child inherits it */
#else
static const char append[] = "ae"; /* the same */
#endif

static void write_line(const SSL *ssl, const char *line)
{
    const rp_tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    if (!CRYPTO_THREAD_write_lock(context->lock))
        return;
    ERR_set_mark(); /* a file that cannot be written is no failure of the handshake */
    if (context->keylog && BIO_printf(context->keylog, "%s\n", line) > 0)
        (void)BIO_flush(context->keylog);
    ERR_pop_to_mark();
    CRYPTO_THREAD_unlock(context->lock);
}

int rp_tls_context_set_keylog_filename(rp_tls_context *context, const char *path)
{
    BIO *file = NULL, *former;

    rp_tls_context_begin(context);
    errno = 0;
    if (path)
        file = BIO_new_file(path, append);
    if (path && !file)
        return rp_tls_context_failed(context, errno > 0 ? -errno : -EIO);
    /* Connections that are there may be about to write. */
    if (!CRYPTO_THREAD_write_lock(context->lock)) {
        BIO_free(file);
        return -EIO;
    }
    former = context->keylog;
    context->keylog = file;
    CRYPTO_THREAD_unlock(context->lock);
    BIO_free(former);
    SSL_CTX_set_keylog_callback(context->ssl, file ? write_line : NULL);
    return 0;
}
