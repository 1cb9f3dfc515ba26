/*
 * socket.h - the system's headers of sockets: what their addresses, options and names are. No calls.
 */
#ifndef RP_BASE_SOCKET_H
#define RP_BASE_SOCKET_H

#include <sys/types.h>

#ifdef _WIN32
#include <winsock2.h>
/* After it: */
#include <ws2tcpip.h>
/* And after these: */
#include <afunix.h>
#include <mswsock.h>
#else
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#endif

#include "ringport/base.h"
#include "ringport/posix.h"

#endif
