/*
 * buffer.h - the write buffer of a transport: bytes that were written and not yet sent, in order.
 *
 * Bytes that the kernel is sending may not move, so there are two halves: `flight` is being sent and never grows;
 * what is written meanwhile goes to `pending`. When all of `flight` is sent, the halves change places.
 */
#ifndef RP_NET_BUFFER_H
#define RP_NET_BUFFER_H

#include "ringport/base.h"

typedef struct rp_bytes {
    size_t end;   /* 0 if there are none */
    size_t start; /* what lies before has been sent */
    char *data;
    size_t capacity;
} rp_bytes;

/* Zeroed memory is an empty buffer. */
typedef struct rp_buffer {
    rp_bytes flight;
    rp_bytes pending;
    size_t size; /* of both, as far as they have not been sent */
} rp_buffer;

static inline size_t rp_buffer_size(const rp_buffer *buffer)
{
    return buffer->size;
}

/* Makes room for `length` more bytes, so that appending them cannot fail. -ENOMEM. */
int rp_buffer_reserve(rp_buffer *buffer, size_t length);

/* Appends bytes for which there is room. */
void rp_buffer_append(rp_buffer *buffer, const void *data, size_t length);

/* The first bytes to send, at most `limit` of them: they stay where they are until rp_buffer_sent(). 0: empty. */
size_t rp_buffer_front(rp_buffer *buffer, size_t limit, const void **data);

/* `length` bytes of the front have been sent. */
void rp_buffer_sent(rp_buffer *buffer, size_t length);

/* Empties it and gives its memory back. Nothing may be in flight. */
void rp_buffer_fini(rp_buffer *buffer);

#endif
