/*
 * datagram_address.h - the addresses that a datagram transport has seen, as Python has them and as the system does.
 *
 * Most datagrams come from somebody who has sent before, and most answers go to the very object that came with the
 * question. So neither has to be made, or read, each time.
 */
#ifndef RPY_DATAGRAM_ADDRESS_H
#define RPY_DATAGRAM_ADDRESS_H

#include "address.h"

enum { RPY_KNOWN = 32 };

typedef struct rpy_known_address {
    PyObject *object; /* a tuple of a str and numbers, which never changes; or NULL */
    uint32_t length;
    struct sockaddr_in6 address; /* or an IPv4 one */
} rpy_known_address;

/* Zeroed memory knows nobody. */
typedef struct rpy_datagram_addresses {
    rpy_known_address senders[RPY_KNOWN];   /* by their address */
    rpy_known_address receivers[RPY_KNOWN]; /* by the object's */
    const rpy_known_address *last;          /* of the senders; or NULL */
} rpy_datagram_addresses;

/* A sender's address: a new reference, or NULL with an exception. */
PyObject *rpy_datagram_address_object(rpy_datagram_addresses *known, const struct sockaddr *address,
                                      uint32_t length);

/*
 * A receiver's: valid until the next call; `room` may be used for it. NULL: it cannot be read as it stands, and no
 * exception is set.
 */
const struct sockaddr *rpy_datagram_address_of(rpy_datagram_addresses *known, PyObject *object, int family,
                                               struct sockaddr_storage *room, uint32_t *length);

void rpy_datagram_addresses_clear(rpy_datagram_addresses *known);

#endif
