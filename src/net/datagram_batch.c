/*
 * datagram_batch.c - receives many datagrams by one call, and takes apart those that the kernel has joined.
 *
 * The memory is a good deal of address space, of which only what is received into is ever touched.
 */
#include "net/datagram_batch.h"

#include <assert.h>

#include "base/memory.h"
#include "loop/resource.h"

enum {
    APART = 64, /* bytes: else all datagrams would begin in the same lines of the cache */
    ROOM = RP_BATCH_MESSAGES * (64 * 1024 + APART),
};

struct rp_datagram_batch {
    int count;    /* messages that were received */
    int next;     /* the one that is handed out next */
    size_t done;  /* bytes of it that were */
    bool several; /* there was more than one datagram */
    rp_message messages[RP_BATCH_MESSAGES];
    struct iovec vectors[RP_BATCH_MESSAGES];
    struct sockaddr_storage addresses[RP_BATCH_MESSAGES];
    char data[ROOM];
};

/* The tenant of a loop. */
typedef struct keeper {
    rp_resource resource;
    rp_loop *loop;
    rp_datagram_batch *spare; /* NULL: somebody has it */
} keeper;

/* ---- whose it is ---- */

static void reap(rp_resource *resource)
{
    keeper *k = rp_container_of(resource, keeper, resource);

    rp_resource_remove(resource);
    k->loop->slots[RP_SLOT_DATAGRAMS] = NULL;
    rp_datagram_batch_free(k->spare);
    rp_free(k);
}

static const rp_resource_type resource_type = {.at = {[RP_LATE] = reap}};

static keeper *keeper_of(rp_loop *loop)
{
    keeper *k = loop->slots[RP_SLOT_DATAGRAMS];

    if (k)
        return k;
    k = rp_calloc(sizeof *k);
    if (!k)
        return NULL;
    k->loop = loop;
    rp_resource_add(loop, &k->resource, &resource_type);
    loop->slots[RP_SLOT_DATAGRAMS] = k;
    return k;
}

rp_datagram_batch *rp_datagram_batch_take(rp_loop *loop)
{
    keeper *k = keeper_of(loop);
    rp_datagram_batch *batch;

    if (!k)
        return NULL;
    batch = k->spare;
    k->spare = NULL;
    if (!batch)
        batch = rp_malloc(sizeof *batch);
    if (batch)
        batch->count = batch->next = 0;
    return batch;
}

void rp_datagram_batch_give_back(rp_loop *loop, rp_datagram_batch *batch)
{
    keeper *k = loop->slots[RP_SLOT_DATAGRAMS];

    if (k->spare)
        rp_datagram_batch_free(batch);
    else
        k->spare = batch;
}

void rp_datagram_batch_free(rp_datagram_batch *batch)
{
    rp_free(batch);
}

/* ---- receiving ---- */

int rp_datagram_batch_receive(rp_datagram_batch *batch, rp_loop *loop, rp_fd fd, size_t size, bool joined,
                              bool *full)
{
    size_t stride = size + APART;
    int room = ROOM / stride < RP_BATCH_MESSAGES ? (int)(ROOM / stride) : RP_BATCH_MESSAGES, n;

    assert(!rp_datagram_batch_has_rest(batch) && size <= RP_BATCH_LARGEST);
    for (int i = 0; i < room; i++) {
        batch->vectors[i] = (struct iovec){.iov_base = batch->data + (size_t)i * stride, .iov_len = size};
        batch->messages[i] = (rp_message){.vector = &batch->vectors[i],
                                          .count = 1,
                                          .address = (struct sockaddr *)&batch->addresses[i],
                                          .address_length = sizeof batch->addresses[i]};
    }
    n = rp_kernel_receive_messages(loop->kernel, fd, batch->messages, room, joined);
    batch->count = n > 0 ? n : 0;
    batch->next = 0;
    batch->done = 0;
    batch->several = n > 1 || (n == 1 && batch->messages[0].segment > 0);
    *full = n == room;
    return n < 0 ? n : 0;
}

bool rp_datagram_batch_has_rest(const rp_datagram_batch *batch)
{
    return batch->next < batch->count;
}

bool rp_datagram_batch_has_several(const rp_datagram_batch *batch)
{
    return batch->several;
}

rp_datagram rp_datagram_batch_next(rp_datagram_batch *batch)
{
    const rp_message *message = &batch->messages[batch->next];
    size_t left = message->length - batch->done;
    bool cut = message->segment > 0 && left > message->segment;
    rp_datagram datagram = {.data = (const char *)message->vector->iov_base + batch->done,
                            .length = cut ? message->segment : left,
                            .address = message->address,
                            .address_length = message->address_length,
                            .truncated = !cut && message->truncated};

    batch->done += datagram.length;
    if (!cut) {
        batch->next++;
        batch->done = 0;
    }
    return datagram;
}
