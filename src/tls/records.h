/*
 * records.h - plaintext to records and back, by an engine, over what is below.
 *
 * No function calls anybody but the engine and the transport below. What has come up besides stands in the struct.
 */
#ifndef RP_TLS_RECORDS_H
#define RP_TLS_RECORDS_H

#include "net/transport_read.h"
#include "tls/wire.h"

typedef struct rp_tls_records {
    rp_tls_engine *engine;
    bool hungry;    /* the engine needs more input before it can go on */
    bool starving;  /* it needs input before it can write */
    bool choked;    /* nothing is read: its answers have filled what is below */
    bool ended;     /* nothing comes any more */
    bool truncated; /* and there was no close_notify */
    bool notified;  /* the peer, by close_notify */
    bool failed;    /* the engine: it is not to write any more */
    int error;      /* of the engine's, for whoever has read what came before */
    rp_tls_wire wire;
} rp_tls_records;

/*
 * Goes on with the handshake: 0 when it is done, or an error. -EAGAIN: it waits for input, or is not hungry and was
 * only to leave others their turn.
 */
int rp_tls_records_shake(rp_tls_records *records);

/*
 * Takes plaintext: bytes, 0 at the end of the stream, truncated or not, or an error. -EAGAIN as above, and also when it
 * is choked.
 */
int64_t rp_tls_records_read(rp_tls_records *records, void *buffer, size_t length);

/* Whether there is no plaintext until below tells of input, or of room. */
static inline bool rp_tls_records_must_wait(const rp_tls_records *records)
{
    return !records->ended && !records->error &&
           (records->choked || (records->hungry && rp_transport_must_wait(records->wire.below)));
}

/*
 * Writes plaintext, as much as below has room for: bytes, -EAGAIN or an error. Small pieces share a record.
 * It may be starving then, and is not to be called until rp_tls_records_feed(), or a read, has changed that.
 */
int64_t rp_tls_records_writev(rp_tls_records *records, const struct iovec *vector, int count);

/* There may be input for a write. A reader may have to take what is before it: then there is no use in waiting. */
void rp_tls_records_feed(rp_tls_records *records);
static inline bool rp_tls_records_may_feed(const rp_tls_records *records)
{
    return records->starving && records->wire.input.length <= RP_TLS_RECORD;
}

/* Sends close_notify, once: 0 or an error. */
int rp_tls_records_notify(rp_tls_records *records);

#endif
