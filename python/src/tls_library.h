/*
 * tls_library.h - the OpenSSL that CPython's `_ssl` has loaded, used without its headers.
 *
 * Its functions are looked up in `_ssl`, and what they are called on is in an object of `_ssl`'s: whose layout is none
 * of Python's promises. So all of it is tried out before it is used, once in a process, by a handshake in memory.
 */
#ifndef RPY_TLS_LIBRARY_H
#define RPY_TLS_LIBRARY_H

#include "state.h"

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
typedef struct bio_st BIO;
typedef struct bio_method_st BIO_METHOD;

typedef int (*rpy_bio_write)(BIO *bio, const char *data, size_t length, size_t *written);
typedef int (*rpy_bio_read)(BIO *bio, char *data, size_t length, size_t *taken);
typedef long (*rpy_bio_ctrl)(BIO *bio, int command, long number, void *pointer);

/* X(result, name, arguments) */
#define RPY_TLS_FUNCTIONS(X)                                                                                      \
    X(int, BIO_free, (BIO * bio))                                                                                 \
    X(void *, BIO_get_data, (BIO * bio))                                                                          \
    X(void, BIO_clear_flags, (BIO * bio, int flags))                                                              \
    X(void, BIO_set_flags, (BIO * bio, int flags))                                                                \
    X(int, BIO_get_new_index, (void))                                                                             \
    X(void, BIO_meth_free, (BIO_METHOD * method))                                                                 \
    X(BIO_METHOD *, BIO_meth_new, (int type, const char *name))                                                   \
    X(int, BIO_meth_set_ctrl, (BIO_METHOD * method, rpy_bio_ctrl ctrl))                                           \
    X(int, BIO_meth_set_read_ex, (BIO_METHOD * method, rpy_bio_read read))                                        \
    X(int, BIO_meth_set_write_ex, (BIO_METHOD * method, rpy_bio_write write))                                     \
    X(BIO *, BIO_new, (const BIO_METHOD *method))                                                                 \
    X(void, BIO_set_data, (BIO * bio, void *data))                                                                \
    X(void, BIO_set_init, (BIO * bio, int init))                                                                  \
    X(int, BIO_up_ref, (BIO * bio))                                                                               \
    X(void, ERR_clear_error, (void))                                                                              \
    X(unsigned long, ERR_peek_error, (void))                                                                      \
    X(unsigned long, OpenSSL_version_num, (void))                                                                 \
    X(long, SSL_ctrl, (SSL * ssl, int command, long number, void *pointer))                                       \
    X(void *, SSL_get_ex_data, (const SSL *ssl, int index))                                                       \
    X(int, SSL_get_error, (const SSL *ssl, int result))                                                           \
    X(SSL_CTX *, SSL_get_SSL_CTX, (const SSL *ssl))                                                               \
    X(int, SSL_pending, (const SSL *ssl))                                                                         \
    X(int, SSL_read_ex, (SSL * ssl, void *data, size_t length, size_t *taken))                                    \
    X(void, SSL_set_bio, (SSL * ssl, BIO * read, BIO * write))                                                    \
    X(int, SSL_shutdown, (SSL * ssl))                                                                             \
    X(int, SSL_write_ex, (SSL * ssl, const void *data, size_t length, size_t *written))

/* What OpenSSL has called these since 1.1.1. */
enum {
    RPY_BIO_FLAG_READ = 1,
    RPY_BIO_FLAG_RETRY = 8,
    RPY_BIO_FLAGS_ALL = 15,
    RPY_BIO_SOURCE_SINK = 0x400,
    RPY_BIO_PENDING = 10,
    RPY_BIO_FLUSH = 11,
    RPY_SSL_MODE = 33,
    RPY_SSL_RELEASE_BUFFERS = 0x10,
    RPY_SSL_WANT_READ = 2,
    RPY_SSL_WANT_WRITE = 3,
    RPY_SSL_ZERO_RETURN = 6,
};

#define RPY_DECLARE_FUNCTION(result, name, arguments) result(*name) arguments;

/* There is one in a process: of the one module `_ssl`, for the one module of ours. */
typedef struct rpy_tls_library {
    void *handle;       /* dlopen()'s; NULL: it is not open */
    BIO_METHOD *method; /* of what a direct engine reads from and writes to */
    RPY_TLS_FUNCTIONS(RPY_DECLARE_FUNCTION)
} rpy_tls_library;

extern rpy_tls_library rpy_ssl;

/* Looks all of it up. NULL; or why it is not to be had. No exception is set. */
const char *rpy_tls_library_open(rpy_state *state);

/*
 * The SSL in an object that SSLContext.wrap_bio() has returned. NULL, and no exception: it is not found, or a subclass
 * has other methods than ssl.SSLObject, or the library is not open.
 */
SSL *rpy_tls_library_find(const rpy_state *state, PyObject *object);

#endif
