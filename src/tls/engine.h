/*
 * engine.h - an engine turns plaintext into the records of TLS, and records into plaintext; it knows no transport.
 *
 * The filter (filter.c) drives an engine, and knows no cryptography. Whoever wants TLS hands in a factory of engines:
 * a context of libringport-tls begins with one, and Python's has its own.
 *
 * An engine is called on its loop's thread. It does not suspend, and it calls nobody but its input and its output. If
 * it calls code of a user's after all, such as a callback about a server's name, that code may close or abort the
 * transport: the engine is freed later, never inside one of its functions.
 *
 * Errors are negative: RP_ETLS_*, -ENOMEM and the like. An engine that has failed may be asked again, and fails again.
 */
#ifndef RP_TLS_ENGINE_H
#define RP_TLS_ENGINE_H

#include <string.h>

#include "ringport/base.h"
#include "ringport/error.h"

enum {
    RP_TLS_HEADER = 5, /* of a record: its type, a version, and the length of what follows */

    /* The longest record, with its header: of TLS 1.2, whose records may grow more than those of 1.3. */
    RP_TLS_RECORD = RP_TLS_HEADER + 16384 + 2048,

    /* If none of so many records in a row brings data, the connection ends: updates of keys can be sent for ever. */
    RP_TLS_PATIENCE = 65,
};

/*
 * Ciphertext that was received, from the front on. The engine takes what it can use; what it leaves is there again when
 * more has come. It leaves no more than an incomplete record: more than RP_TLS_RECORD bytes that it cannot use are an
 * error of the peer's. `data` may lie elsewhere at the next call.
 */
typedef struct rp_tls_input {
    const unsigned char *data;
    size_t length;
} rp_tls_input;

/* Takes up to so many bytes from the front: how many. */
static inline size_t rp_tls_input_take(rp_tls_input *input, void *to, size_t most)
{
    size_t length = input->length < most ? input->length : most;

    if (length > 0)
        memcpy(to, input->data, length);
    input->data += length;
    input->length -= length;
    return length;
}

/* Where records go. All bytes are taken, and copied. What fails below the filter is the filter's business. */
typedef struct rp_tls_output rp_tls_output;
struct rp_tls_output {
    void (*write)(rp_tls_output *output, const void *data, size_t length);
};

static inline void rp_tls_output_write(rp_tls_output *output, const void *data, size_t length)
{
    (output->write)(output, data, length); /* write() itself may be a macro */
}

typedef struct rp_tls_engine rp_tls_engine;
typedef struct rp_tls_engine_type {
    /* Goes on with the handshake: 0 when it is done, -EAGAIN if it wants more input, or an error. */
    int (*handshake)(rp_tls_engine *engine);

    /*
     * Takes plaintext, whose room is at least a byte: bytes, 0 when close_notify has come, -EAGAIN if it wants more
     * input, or an error. It takes fewer bytes than there is room for only if no more are pending.
     * It may write, too: an alert, or the answer to a key update.
     * The end of the stream below is not told to an engine. Without close_notify it is RP_ETLS_TRUNCATED.
     */
    int64_t (*read)(rp_tls_engine *engine, void *buffer, size_t length);

    /*
     * Makes records of so many bytes, at least one, or of the first of them: bytes, or an error. -EAGAIN: it wants
     * more input before it takes any. Then it is asked again with the same bytes, which may lie elsewhere and be
     * followed by more; or never again.
     */
    int64_t (*write)(rp_tls_engine *engine, const void *data, size_t length);

    /* Sends close_notify, once: 0, or an error. Nothing is written from then on. Reading goes on. */
    int (*shutdown)(rp_tls_engine *engine);

    /* How many bytes of plaintext `read` can take without more input. */
    size_t (*pending)(const rp_tls_engine *engine);

    /* What the last error was: the number of the alert that has come, or -1; and a text, or NULL. The text is lent. */
    int (*alert)(const rp_tls_engine *engine);
    const char *(*text)(const rp_tls_engine *engine);

    void (*free)(rp_tls_engine *engine);
} rp_tls_engine_type;

/* An engine's own struct begins with it. */
struct rp_tls_engine {
    const rp_tls_engine_type *type;
    rp_tls_input *input; /* these two are set before its first call */
    rp_tls_output *output;
};

/* What makes engines. Whoever keeps one for longer than a call refers to it. */
typedef struct rp_tls_factory rp_tls_factory;
struct rp_tls_factory {
    /*
     * Whether it makes engines of this side, for this name: 0, or the error of `make`. So a program is told of its
     * mistake before there is a connection. NULL: it makes all that it is asked for.
     */
    int (*check)(rp_tls_factory *factory, bool server, const char *server_name);

    /*
     * Makes the engine of one connection: 0 or an error. `server_name` is whom a client wants to talk to, by name or by
     * address: it is sent to the server, unless it is an address, and the certificate has to be for it. NULL or "":
     * neither. The engine keeps no pointer to it.
     */
    int (*make)(rp_tls_factory *factory, bool server, const char *server_name, rp_tls_engine **engine);
    void (*ref)(rp_tls_factory *factory);
    void (*unref)(rp_tls_factory *factory);
};

#endif
