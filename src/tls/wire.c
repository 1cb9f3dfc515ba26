/*
 * wire.c - ciphertext from below and records to below, by buffers that the filters of a loop share.
 *
 * A filter that stands on another one has buffers of a second set, since both are in use at once.
 */
#include "tls/wire.h"

#include <assert.h>

#include "base/memory.h"
#include "loop/resource.h"
#include "net/transport_write.h"

enum {
    ROOM_IN = 128 * 1024 + RP_TLS_RECORD,
    ROOM_OUT = 9 * (RP_TLS_PLAIN + 256), /* records for a write of 128 KiB, and one more */
    SPARE = 1024,                        /* what records take more than their plaintext, of a whole buffer's */
};

struct rp_tls_buffers {
    rp_resource resource;
    rp_tls_buffers *next; /* for filters that stand on one more */
    rp_tls_wire *owner;   /* whose input lies in `in`, or NULL */
    rp_tls_wire *writer;  /* whose records lie in `out`, if there are any */
    size_t filled;        /* of `out` */
    bool plain_taken;
    unsigned char in[ROOM_IN];
    unsigned char out[ROOM_OUT];
    char plain[RP_TLS_PLAIN];
};

/* ---- the loop's buffers ---- */

static void reap(rp_resource *resource)
{
    rp_resource_remove(resource);
    rp_free(rp_container_of(resource, rp_tls_buffers, resource));
}

static const rp_resource_type resource_type = {.at = {[RP_LATE] = reap}};

static rp_tls_buffers *new_buffers(rp_loop *loop)
{
    rp_tls_buffers *buffers = rp_malloc(sizeof *buffers);

    if (!buffers)
        return NULL;
    memset(buffers, 0, offsetof(rp_tls_buffers, in));
    rp_resource_add(loop, &buffers->resource, &resource_type);
    return buffers;
}

/* The first is the loop's tenant. They stay until the loop ends. */
static rp_tls_buffers *buffers_of(rp_loop *loop, unsigned depth)
{
    rp_tls_buffers *buffers = loop->slots[RP_SLOT_TLS];
    unsigned level = 0;

    while (buffers && level < depth && buffers->next) {
        buffers = buffers->next;
        level++;
    }
    while (!buffers || level < depth) {
        rp_tls_buffers *more = new_buffers(loop);

        if (!more)
            return NULL;
        if (buffers) {
            buffers->next = more;
            level++;
        } else {
            loop->slots[RP_SLOT_TLS] = more;
        }
        buffers = more;
    }
    return buffers;
}

/* ---- input ---- */

/* Leaves the shared buffer to others. */
static void keep_input(rp_tls_wire *wire)
{
    rp_tls_input *input = &wire->input;

    wire->buffers->owner = NULL;
    if (input->length == 0)
        return;
    wire->kept = rp_malloc(input->length);
    if (!wire->kept) {
        wire->forgotten = true;
        input->length = 0;
        return;
    }
    memcpy(wire->kept, input->data, input->length);
    input->data = wire->kept;
}

/* Brings the input to the front of the shared buffer. */
static void take_buffer(rp_tls_wire *wire)
{
    rp_tls_buffers *buffers = wire->buffers;
    rp_tls_input *input = &wire->input;

    if (buffers->owner && buffers->owner != wire)
        keep_input(buffers->owner);
    buffers->owner = wire;
    if (input->length > 0 && input->data != buffers->in)
        memmove(buffers->in, input->data, input->length);
    input->data = buffers->in;
    rp_free(wire->kept);
    wire->kept = NULL;
}

int64_t rp_tls_wire_fill(rp_tls_wire *wire, size_t wanted)
{
    rp_tls_input *input = &wire->input;
    int64_t received;
    size_t room;

    if (wire->forgotten)
        return -ENOMEM;
    if (input->length > RP_TLS_RECORD)
        return RP_ETLS_PROTOCOL;
    take_buffer(wire);
    wanted = wanted < RP_TLS_RECORD ? RP_TLS_RECORD : wanted + SPARE;
    room = ROOM_IN - input->length;
    received =
        rp_transport_try_read(wire->below, wire->buffers->in + input->length, wanted < room ? wanted : room);
    if (received > 0)
        input->length += (size_t)received;
    assert(input->length <= ROOM_IN);
    return received;
}

/* ---- output ---- */

/* If that fails, a handler may be told, and have others write: the buffer is theirs. */
static void write_below(rp_tls_wire *wire, const void *data, size_t length)
{
    struct iovec vector[2] = {{wire->buffers->out, wire->buffers->filled}, {(void *)(uintptr_t)data, length}};
    int first = vector[0].iov_len == 0, rc;

    wire->buffers->filled = 0;
    if (wire->error)
        return;
    rc = rp_transport_writev(wire->below, vector + first, (length > 0 ? 2 : 1) - first);
    if (rc < 0 && !wire->error)
        wire->error = rc;
}

bool rp_tls_wire_flush(rp_tls_wire *wire)
{
    if (wire->buffers->filled == 0 || wire->buffers->writer != wire)
        return false;
    write_below(wire, NULL, 0);
    return true;
}

/* An engine's callback may have had another filter write in the meantime. */
static void write_record(rp_tls_output *output, const void *data, size_t length)
{
    rp_tls_wire *wire = rp_container_of(output, rp_tls_wire, output);
    rp_tls_buffers *buffers = wire->buffers;

    if (buffers->filled > 0 && buffers->writer != wire)
        rp_tls_wire_flush(buffers->writer);
    buffers->writer = wire;
    if ((wire->rest > 0 && length >= wire->rest) || length > ROOM_OUT - buffers->filled) {
        write_below(wire, data, length);
        return;
    }
    memcpy(buffers->out + buffers->filled, data, length);
    buffers->filled += length;
    assert(buffers->filled <= ROOM_OUT);
}

char *rp_tls_wire_take_plain(rp_tls_wire *wire)
{
    if (wire->buffers->plain_taken)
        return NULL;
    wire->buffers->plain_taken = true;
    return wire->buffers->plain;
}

void rp_tls_wire_give_plain(rp_tls_wire *wire)
{
    assert(wire->buffers->plain_taken);
    wire->buffers->plain_taken = false;
}

/* ---- its life ---- */

int rp_tls_wire_init(rp_tls_wire *wire, rp_transport *below, unsigned depth, const void *received, size_t length)
{
    *wire = (rp_tls_wire){.output = {.write = write_record}, .depth = depth, .full = below->writing_paused};
    wire->buffers = buffers_of(below->loop, depth);
    if (length > 0)
        wire->kept = rp_malloc(length);
    if (!wire->buffers || (length > 0 && !wire->kept)) {
        rp_free(wire->kept);
        return -ENOMEM;
    }
    if (length > 0)
        memcpy(wire->kept, received, length);
    wire->input = (rp_tls_input){.data = wire->kept, .length = length};
    wire->below = rp_transport_ref(below);
    return 0;
}

void rp_tls_wire_fini(rp_tls_wire *wire)
{
    if (wire->buffers->owner == wire)
        wire->buffers->owner = NULL;
    if (wire->buffers->writer == wire)
        wire->buffers->filled = 0;
    rp_free(wire->kept);
    rp_transport_unref(wire->below);
    wire->below = NULL;
}
