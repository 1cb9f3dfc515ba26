/*
 * records.c - drives an engine: feeds it with what has come, and sends what it writes.
 *
 * An engine is not asked for plaintext when it has said that it needs more input and there is none, and below is not
 * asked for input that it has not told of.
 */
#include "tls/records.h"

enum {
    STEPS = 8,                    /* fills of one call, before others get their turn */
    AT_ONCE = 1024 * 1024,        /* plaintext of one write */
    BY_ENGINE = 8 * RP_TLS_PLAIN, /* and of one call of the engine's: then there is a look at what is below */
};

/* ---- input ---- */

/* More of it: bytes, -EAGAIN or an error. 0: none will come. */
static int64_t fill(rp_tls_records *records, size_t wanted)
{
    int64_t received = rp_tls_wire_fill(&records->wire, wanted);

    if (received > 0)
        records->hungry = false;
    return received;
}

int rp_tls_records_shake(rp_tls_records *records)
{
    rp_tls_engine *engine = records->engine;

    for (int i = 0; i < STEPS; i++) {
        int64_t rc = engine->type->handshake(engine);

        rp_tls_wire_flush(&records->wire);
        records->hungry = rc == -EAGAIN || (records->wire.input.length == 0 && engine->type->pending(engine) == 0);
        if (rc == -EAGAIN)
            rc = fill(records, RP_TLS_RECORD);
        else if (rc == 0)
            return 0;
        if (rc <= 0)
            return rc < 0 ? (int)rc : -ECONNRESET;
    }
    return -EAGAIN;
}

/* Plaintext of the input: how much. What the engine says besides is kept. */
static size_t decrypt(rp_tls_records *records, char *buffer, size_t length)
{
    rp_tls_engine *engine = records->engine;
    size_t total = 0;

    while (total < length && !records->hungry && !records->ended && !records->error) {
        size_t room = length - total;
        int64_t taken = engine->type->read(engine, buffer + total, room);

        if (taken > 0) {
            total += (size_t)taken;
            records->hungry =
                records->wire.input.length == 0 && ((size_t)taken < room || engine->type->pending(engine) == 0);
        } else if (taken == 0) {
            records->ended = true;
        } else if (taken == -EAGAIN) {
            records->hungry = true;
        } else {
            records->failed = true;
            records->error = (int)taken;
        }
    }
    return total;
}

/* A peer that asks for many answers, and takes none, is not read from. */
static void send_answers(rp_tls_records *records)
{
    if (rp_tls_wire_flush(&records->wire))
        records->choked = records->wire.full && !records->wire.error;
}

int64_t rp_tls_records_read(rp_tls_records *records, void *buffer, size_t length)
{
    for (int i = 0; i < STEPS; i++) {
        size_t taken = decrypt(records, buffer, length);
        int64_t received;

        send_answers(records);
        records->starving = false; /* what was in the way may be gone */
        if (taken > 0)
            return (int64_t)taken;
        if (records->error || records->ended)
            return records->error;
        if (records->choked)
            return -EAGAIN;
        received = fill(records, length);
        if (received < 0)
            return received;
        records->ended = records->truncated = received == 0;
    }
    return -EAGAIN;
}

/* ---- output ---- */

/* Makes records of the bytes, as long as below has room: how many, -EAGAIN, or an error before there were any. */
static int64_t encrypt(rp_tls_records *records, const char *data, size_t length)
{
    rp_tls_engine *engine = records->engine;
    rp_tls_wire *wire = &records->wire;
    size_t total = 0;
    int64_t taken = -EAGAIN;

    while (total < length && total < AT_ONCE && !wire->full && !wire->error) {
        size_t part = length - total < BY_ENGINE ? length - total : BY_ENGINE;

        wire->rest = part <= RP_TLS_PLAIN ? part : 0;
        taken = engine->type->write(engine, data + total, part);
        wire->rest = 0;
        if (taken < 0) {
            records->starving = taken == -EAGAIN;
            records->failed = taken != -EAGAIN;
            break;
        }
        total += (size_t)taken;
    }
    return total > 0 ? (int64_t)total : taken;
}

/* What fits into one record, of pieces whose first `skip` bytes are done with. */
static size_t collect(char *plain, const struct iovec *vector, int count, size_t skip)
{
    size_t filled = 0;

    for (int i = 0; i < count && filled < RP_TLS_PLAIN; i++, skip = 0) {
        size_t part = vector[i].iov_len - skip, room = RP_TLS_PLAIN - filled;

        if (part > room)
            part = room;
        if (part > 0)
            memcpy(plain + filled, (const char *)vector[i].iov_base + skip, part);
        filled += part;
    }
    return filled;
}

/* The same as encrypt(), for many pieces. */
static int64_t encrypt_pieces(rp_tls_records *records, const struct iovec *vector, int count)
{
    char *plain = rp_tls_wire_take_plain(&records->wire);
    size_t total = 0, skip = 0, length = 0;
    int64_t taken = 0;

    while (count > 0 && (size_t)taken == length && total < AT_ONCE) {
        const char *data = (const char *)vector->iov_base + skip;

        length = vector->iov_len - skip;
        if (plain && length < RP_TLS_PLAIN && count > 1) {
            length = collect(plain, vector, count, skip);
            data = plain;
        }
        taken = length > 0 ? encrypt(records, data, length) : 0;
        if (taken < 0)
            break;
        total += (size_t)taken;
        for (skip += (size_t)taken; count > 0 && skip >= vector->iov_len; vector++, count--)
            skip -= vector->iov_len;
    }
    if (plain)
        rp_tls_wire_give_plain(&records->wire);
    return total > 0 ? (int64_t)total : taken;
}

int64_t rp_tls_records_writev(rp_tls_records *records, const struct iovec *vector, int count)
{
    int64_t taken =
        count == 1 ? encrypt(records, vector->iov_base, vector->iov_len) : encrypt_pieces(records, vector, count);

    rp_tls_wire_flush(&records->wire);
    return records->wire.error ? records->wire.error : taken;
}

void rp_tls_records_feed(rp_tls_records *records)
{
    int64_t received = rp_tls_records_may_feed(records) ? fill(records, RP_TLS_RECORD) : -EAGAIN;

    if (received == -EAGAIN)
        return;
    if (received <= 0)
        records->wire.error = received < 0 ? (int)received : -EPIPE;
    records->starving = false;
}

/* Whatever the engine says, below tells whether the peer can be told at all. */
int rp_tls_records_notify(rp_tls_records *records)
{
    bool may = !records->notified && !records->failed;
    int rc = may ? records->engine->type->shutdown(records->engine) : 0;

    records->notified = true;
    rp_tls_wire_flush(&records->wire);
    return rc < 0 ? rc : records->wire.error;
}
