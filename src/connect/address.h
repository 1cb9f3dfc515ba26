/*
 * address.h - the addresses of Unix sockets.
 */
#ifndef RP_CONNECT_ADDRESS_H
#define RP_CONNECT_ADDRESS_H

#include "base/socket.h"

/*
 * Fills in a Unix address and returns its length: `length` bytes of path, or up to its '\0' if that is 0. A path that
 * begins with '\0' is an abstract name. -EINVAL if it is empty, -ENAMETOOLONG.
 */
int rp_unix_address(struct sockaddr_un *address, const char *path, size_t length);

#endif
