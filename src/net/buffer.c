/*
 * buffer.c - the two halves of a write buffer, and when they change places.
 */
#include <string.h>

#include "base/memory.h"
#include "net/buffer.h"
#include "ringport/error.h"

enum {
    SMALLEST = 4096,
    KEPT = 64 * 1024, /* a half that has been sent keeps up to this much memory for the next time */
};

int rp_buffer_reserve(rp_buffer *buffer, size_t length)
{
    rp_bytes *pending = &buffer->pending;
    size_t capacity = pending->capacity ? pending->capacity : SMALLEST;
    char *data;

    if (length > SIZE_MAX / 2 - pending->end)
        return -ENOMEM;
    if (pending->end + length <= pending->capacity)
        return 0;
    while (capacity < pending->end + length)
        capacity *= 2;
    data = rp_realloc(pending->data, capacity);
    if (!data)
        return -ENOMEM;
    pending->data = data;
    pending->capacity = capacity;
    return 0;
}

void rp_buffer_append(rp_buffer *buffer, const void *data, size_t length)
{
    if (length)
        memcpy(buffer->pending.data + buffer->pending.end, data, length);
    buffer->pending.end += length;
    buffer->size += length;
}

size_t rp_buffer_front(rp_buffer *buffer, size_t limit, const void **data)
{
    rp_bytes *flight = &buffer->flight;
    size_t length;

    if (flight->start == flight->end) {
        rp_bytes empty = *flight;

        *flight = buffer->pending;
        buffer->pending = empty;
    }
    length = flight->end - flight->start;
    *data = flight->data + flight->start;
    return length < limit ? length : limit;
}

void rp_buffer_sent(rp_buffer *buffer, size_t length)
{
    rp_bytes *flight = &buffer->flight;

    flight->start += length;
    buffer->size -= length;
    if (flight->start < flight->end)
        return;
    flight->start = flight->end = 0;
    if (flight->capacity > KEPT) {
        rp_free(flight->data);
        *flight = (rp_bytes){0};
    }
}

void rp_buffer_fini(rp_buffer *buffer)
{
    rp_free(buffer->flight.data);
    rp_free(buffer->pending.data);
    *buffer = (rp_buffer){0};
}
