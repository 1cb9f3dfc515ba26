/*
 * address.h - the addresses of sockets as Python has them.
 */
#ifndef RPY_ADDRESS_H
#define RPY_ADDRESS_H

#include "base/socket.h"
#include "state.h"

/* What is known already of the names of a connection's two ends. A length of 0: it is asked. */
typedef struct rpy_ends {
    const struct sockaddr *address[2]; /* the socket's, the peer's */
    uint32_t length[2];
} rpy_ends;

/*
 * An address as socket.getsockname() returns it: (host, port), (host, port, flow info, scope), a path, b'' and so on.
 * No address at all (length 0) is None.
 * A new reference, or NULL with an exception.
 */
PyObject *rpy_address_object(const struct sockaddr *address, uint32_t length);

/*
 * The other way round: an address of the family that needs nothing but reading. A host is numeric; a path, or abstract
 * name, is text or bytes. Whether it is one; if not, socket's own methods say what becomes of it. No exception is set.
 */
bool rpy_address_parse(PyObject *object, int family, struct sockaddr_storage *address, uint32_t *length);

#endif
