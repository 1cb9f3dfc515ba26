/*
 * tls_engine.h - engines of TLS for the core's filter, each around an SSLObject of the program's own context.
 *
 * There are two. The direct one lets `_ssl`'s OpenSSL take records from where the filter has received them, write them
 * to where the filter sends them, and read and write plaintext by itself. The other one has the SSLObject move all
 * bytes through two MemoryBIOs. In both the SSLObject does the handshake, and makes the exceptions: they are Python's.
 */
#ifndef RPY_TLS_ENGINE_H
#define RPY_TLS_ENGINE_H

#include "loop.h"
#include "tls/engine.h"
#include "tls_library.h"

typedef struct rpy_tls_engine {
    rp_tls_engine base;
    rpy_loop *loop;
    PyObject *object;   /* what SSLContext.wrap_bio() has returned */
    PyObject *incoming; /* the MemoryBIOs that it was made with */
    PyObject *outgoing;
    PyObject *context; /* what Python is called in */
    PyObject *error;   /* the exception that it has failed with, or NULL */
    size_t patience;   /* how many more records it takes that bring no data */
    bool flooded;      /* there were more */
    SSL *ssl;          /* the SSLObject's own; NULL: it is not used directly */
    BIO *bio;
    void (*freed)(void *owner); /* called at the end */
    void *owner;
} rpy_tls_engine;

/*
 * Makes what both engines have; one of them is made of it by its own function. NULL with an exception.
 * The SSLObject goes on to serve whoever has it.
 */
rpy_tls_engine *rpy_tls_engine_new(rpy_loop *loop, PyObject *object, PyObject *incoming, PyObject *outgoing,
                                   PyObject *context);

/* What an SSLObject's method has raised: -EAGAIN if it wants more, or else an error, and the engine keeps why. */
int rpy_tls_engine_fail(rpy_tls_engine *engine);

/*
 * A record is there: whether it may be taken. OpenSSL would follow as many of those that bring no data, such as updates
 * of keys, as a peer likes to send.
 */
bool rpy_tls_engine_may_take(rpy_tls_engine *engine);

/* A read has brought this much, or not yet any: returns that; or the error, if there were too many records without. */
int64_t rpy_tls_engine_has_read(rpy_tls_engine *engine, int64_t rc);

/* What both engines have: the handshake, by the SSLObject; and nothing to tell, since the exception tells all. */
int rpy_tls_engine_handshake(rp_tls_engine *engine);
int rpy_tls_engine_alert(const rp_tls_engine *engine);
const char *rpy_tls_engine_text(const rp_tls_engine *engine);

/* Lets go of what both have, and of the memory; last of all. */
void rpy_tls_engine_release(rpy_tls_engine *engine);

int rpy_tls_engine_traverse(const rpy_tls_engine *engine, visitproc visit, void *arg);

#endif
