/*
 * wire.h - what a filter has towards the transport below: ciphertext that has come, and records that are to go.
 *
 * The filters of a loop share their buffers. What is received lies in the shared one for as long as no other filter
 * receives; what is left of it then, most often nothing or a part of a record, is copied to the filter it belongs to.
 * Records are collected until the engine's call is over, and go below in one write. The last record of a write is not
 * even copied: it goes with those before it, from where the engine has it.
 */
#ifndef RP_TLS_WIRE_H
#define RP_TLS_WIRE_H

#include "net/transport.h"
#include "tls/engine.h"

enum { RP_TLS_PLAIN = 16384 }; /* the plaintext of a record, at most */

typedef struct rp_tls_buffers rp_tls_buffers;
typedef struct rp_tls_wire {
    rp_transport *below; /* referred to */
    rp_tls_input input;
    rp_tls_output output;
    rp_tls_buffers *buffers;
    size_t rest;         /* of the plaintext that is being written, if one record can hold it; else 0 */
    unsigned depth;      /* how many filters are below */
    unsigned char *kept; /* where the input lies, or NULL: in the shared buffer */
    int error;           /* why nothing can be written any more */
    bool full;           /* below has paused the writer */
    bool forgotten;      /* there was no memory to keep the input */
} rp_tls_wire;

/* Refers to below. What was received already is copied. -ENOMEM. */
int rp_tls_wire_init(rp_tls_wire *wire, rp_transport *below, unsigned depth, const void *received, size_t length);
void rp_tls_wire_fini(rp_tls_wire *wire);

/* Takes what is there below, about so much, behind the input: bytes, 0 at the end, -EAGAIN or an error. */
int64_t rp_tls_wire_fill(rp_tls_wire *wire, size_t wanted);

/* Sends what the engine has written: whether there was something. An error is kept in `error`. */
bool rp_tls_wire_flush(rp_tls_wire *wire);

/*
 * Room for the plaintext of one record, to be collected from pieces. It is the caller's until it is given back. NULL:
 * somebody else has it.
 */
char *rp_tls_wire_take_plain(rp_tls_wire *wire);
void rp_tls_wire_give_plain(rp_tls_wire *wire);

#endif
