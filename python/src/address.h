/*
 * address.h - the addresses of sockets as Python has them.
 */
#ifndef RPY_ADDRESS_H
#define RPY_ADDRESS_H

#include "base/socket.h"
#include "state.h"

/*
 * An address as socket.getsockname() returns it: (host, port), (host, port, flow info, scope), a path, b'' and so on.
 * No address at all (length 0) is None.
 * A new reference, or NULL with an exception.
 */
PyObject *rpy_address_object(const struct sockaddr *address, uint32_t length);

#endif
