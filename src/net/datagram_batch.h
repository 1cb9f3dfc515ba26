/*
 * datagram_batch.h - where datagrams are received, some at a time, and handed out one by one.
 *
 * A loop has one batch, which is hot. Whoever receives takes it, and gives it back when all of it has been handed out.
 * Whoever cannot hand it out for now keeps it, and the next one gets another.
 */
#ifndef RP_NET_DATAGRAM_BATCH_H
#define RP_NET_DATAGRAM_BATCH_H

#include "loop/loop.h"

enum {
    RP_BATCH_MESSAGES = 32,     /* at most, fewer if they have more room */
    RP_BATCH_LARGEST = 1 << 20, /* bytes of room for one */
};

typedef struct rp_datagram_batch rp_datagram_batch;

/* A datagram that was received. Data and address are valid until the batch receives anew. */
typedef struct rp_datagram {
    const void *data;
    size_t length;
    const struct sockaddr *address;
    uint32_t address_length;
    bool truncated;
} rp_datagram;

/* NULL: no memory. */
rp_datagram_batch *rp_datagram_batch_take(rp_loop *loop);
void rp_datagram_batch_give_back(rp_loop *loop, rp_datagram_batch *batch);

/* The same when the loop is at its end. NULL is ignored. */
void rp_datagram_batch_free(rp_datagram_batch *batch);

/*
 * Receives what is there, as far as there is room: 0, -EAGAIN or the error. *full: there may be more. `size` is the
 * room for one, in bytes. `joined`: the kernel was asked to join them.
 */
int rp_datagram_batch_receive(rp_datagram_batch *batch, rp_loop *loop, rp_fd fd, size_t size, bool joined,
                              bool *full);

/* Whether there is something to hand out, and whether that is more than one datagram. */
bool rp_datagram_batch_has_rest(const rp_datagram_batch *batch);
bool rp_datagram_batch_has_several(const rp_datagram_batch *batch);

/* The next one to hand out. There is one. */
rp_datagram rp_datagram_batch_next(rp_datagram_batch *batch);

#endif
