/*
 * winsock.h - the errors of Winsock's calls, as negative errno values.
 */
#ifndef RP_PROACTOR_WINSOCK_H
#define RP_PROACTOR_WINSOCK_H

#include "base/socket.h"

/* Why the last call of this thread, on this socket, has failed. No such handle is -EBADF, not -ENOTSOCK. */
int rp_winsock_error(rp_fd fd);

/* What an error says of the call itself: 0, nothing, since it is about an earlier datagram; to be tried again. */
int64_t rp_winsock_datagram_error(rp_fd fd, int64_t error);

#endif
