/*
 * datagram_queue.h - datagrams that wait to be sent, in order, one behind the other in one piece of memory.
 *
 * Nothing in it is the kernel's: sending copies. So it may be moved at any time.
 */
#ifndef RP_NET_DATAGRAM_QUEUE_H
#define RP_NET_DATAGRAM_QUEUE_H

#include "proactor/kernel.h"

/* Zeroed memory is an empty queue. */
typedef struct rp_datagram_queue {
    char *data;
    size_t start;
    size_t end;
    size_t capacity;
    size_t count;
    size_t bytes; /* of the datagrams themselves */
} rp_datagram_queue;

enum { RP_DATAGRAM_PIECES = 256 };

/* What is sent by one call: the first datagrams of a queue, valid until that changes. */
typedef struct rp_datagram_front {
    rp_message messages[RP_MESSAGES_MAX];
    int datagrams[RP_MESSAGES_MAX]; /* how many go as each message */
    struct iovec pieces[RP_DATAGRAM_PIECES];
    int count; /* of messages */
} rp_datagram_front;

/* Copies a datagram to its end. -ENOMEM. */
int rp_datagram_queue_add(rp_datagram_queue *queue, const void *data, size_t length,
                          const struct sockaddr *address, uint32_t address_length);

/*
 * The datagrams that come next. `joined`: neighbours that go to one address and have one size, the last one at most
 * that, become a message in segments; but the first `alone` datagrams do not.
 */
void rp_datagram_queue_front(const rp_datagram_queue *queue, bool joined, size_t alone, rp_datagram_front *front);

/* Takes the first ones out. */
void rp_datagram_queue_drop(rp_datagram_queue *queue, size_t count);

/* Empties it and gives its memory back. */
void rp_datagram_queue_fini(rp_datagram_queue *queue);

#endif
