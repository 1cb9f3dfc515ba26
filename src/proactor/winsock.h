/*
 * winsock.h - the errors of Winsock's calls, as negative errno values.
 */
#ifndef RP_PROACTOR_WINSOCK_H
#define RP_PROACTOR_WINSOCK_H

#include "base/socket.h"

/* Why the last call of this thread, on this socket, has failed. No such handle is -EBADF, not -ENOTSOCK. */
int rp_winsock_error(rp_fd fd);

#endif
