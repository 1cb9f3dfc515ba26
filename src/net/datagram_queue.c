/*
 * datagram_queue.c - datagrams that wait to be sent, in order, one behind the other in one piece of memory.
 *
 * Each has a header, then its address, then its bytes, all of them aligned.
 */
#include "net/datagram_queue.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"

enum {
    ALIGNMENT = 8,
    FIRST = 4096,                      /* bytes of memory at first */
    KEPT = 256 * 1024,                 /* and when it is empty, at most */
    SEGMENTS = 64,                     /* that Linux cuts a message into at most */
    JOINED = 65535 - 8 /* UDP */ - 40, /* bytes that a message in segments may have */
};

typedef struct record {
    uint32_t length;
    uint32_t address_length;
} record;

static size_t aligned(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t size_of(const record *r)
{
    return sizeof *r + aligned(r->address_length) + aligned(r->length);
}

static struct sockaddr *address_of(const record *r)
{
    return (struct sockaddr *)(uintptr_t)(r + 1);
}

static char *bytes_of(const record *r)
{
    return (char *)(uintptr_t)(r + 1) + aligned(r->address_length);
}

/* ---- adding ---- */

static int make_room(rp_datagram_queue *queue, size_t size)
{
    size_t used = queue->end - queue->start, capacity = queue->capacity;
    char *data;

    if (queue->capacity - queue->end >= size)
        return 0;
    if (queue->start > 0) {
        memmove(queue->data, queue->data + queue->start, used);
        queue->start = 0;
        queue->end = used;
        if (queue->capacity - used >= size)
            return 0;
    }
    for (capacity = capacity ? capacity : FIRST; capacity - used < size; capacity *= 2)
        if (capacity > SIZE_MAX / 2)
            return -ENOMEM;
    data = rp_realloc(queue->data, capacity);
    if (!data)
        return -ENOMEM;
    queue->data = data;
    queue->capacity = capacity;
    return 0;
}

int rp_datagram_queue_add(rp_datagram_queue *queue, const void *data, size_t length,
                          const struct sockaddr *address, uint32_t address_length)
{
    record head = {.length = (uint32_t)length, .address_length = address_length};
    record *r;

    assert(length <= UINT32_MAX);
    RP_TRY(make_room(queue, size_of(&head)));
    r = (record *)(queue->data + queue->end);
    *r = head;
    if (address_length > 0)
        memcpy(address_of(r), address, address_length);
    if (length > 0)
        memcpy(bytes_of(r), data, length);
    queue->end += size_of(r);
    queue->count++;
    queue->bytes += length;
    return 0;
}

/* ---- sending ---- */

static const record *record_at(const rp_datagram_queue *queue, size_t place)
{
    return place < queue->end ? (const record *)(queue->data + place) : NULL;
}

static bool same_address(const record *a, const record *b)
{
    return a->address_length == b->address_length && memcmp(address_of(a), address_of(b), a->address_length) == 0;
}

/* How many datagrams from `first` on can go as one message. */
static int count_joined(const rp_datagram_queue *queue, size_t place, int room)
{
    const record *first = record_at(queue, place), *r;
    size_t total = first->length;
    int count = 1;

    if (first->length == 0)
        return 1;
    while (count < room && count < SEGMENTS && (r = record_at(queue, place += size_of(record_at(queue, place))))) {
        total += r->length;
        if (r->length == 0 || r->length > first->length || total > JOINED || !same_address(r, first))
            break;
        count++;
        if (r->length < first->length)
            break;
    }
    return count;
}

void rp_datagram_queue_front(const rp_datagram_queue *queue, bool joined, size_t alone, rp_datagram_front *front)
{
    size_t place = queue->start;
    const record *r;
    int used = 0;

    front->count = 0;
    while (front->count < RP_MESSAGES_MAX && used < RP_DATAGRAM_PIECES && (r = record_at(queue, place))) {
        int n = joined && alone == 0 ? count_joined(queue, place, RP_DATAGRAM_PIECES - used) : 1;

        front->datagrams[front->count] = n;
        front->messages[front->count++] = (rp_message){.vector = &front->pieces[used],
                                                       .count = n,
                                                       .address = address_of(r),
                                                       .address_length = r->address_length,
                                                       .segment = n > 1 ? r->length : 0};
        for (alone -= alone > 0; n > 0; n--, used++) {
            r = record_at(queue, place);
            front->pieces[used] = (struct iovec){.iov_base = bytes_of(r), .iov_len = r->length};
            place += size_of(r);
        }
    }
}

void rp_datagram_queue_drop(rp_datagram_queue *queue, size_t count)
{
    for (assert(count <= queue->count); count > 0; count--) {
        const record *r = record_at(queue, queue->start);

        queue->bytes -= r->length;
        queue->start += size_of(r);
        queue->count--;
    }
    if (queue->count > 0)
        return;
    queue->start = queue->end = 0;
    if (queue->capacity > KEPT)
        rp_datagram_queue_fini(queue);
}

void rp_datagram_queue_fini(rp_datagram_queue *queue)
{
    rp_free(queue->data);
    *queue = (rp_datagram_queue){0};
}
