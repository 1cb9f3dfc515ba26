/*
 * resolve_error.h - getaddrinfo() and getnameinfo(): names in UTF-8, and answers as ringport's errors.
 */
#ifndef RP_NET_RESOLVE_ERROR_H
#define RP_NET_RESOLVE_ERROR_H

#include "base/socket.h"
#include "ringport/net.h"

/* getaddrinfo(), which may block: 0, and a list for freeaddrinfo(), or a negative error. Any thread. */
int rp_resolve(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **list);

/* getnameinfo(), which may block: 0 or a negative error. Any thread. */
int rp_resolve_address(const struct sockaddr *address, uint32_t length, int flags, rp_nameinfo *names);

/* 0 or a negative error. On POSIX errno must have been 0 before the call to getaddrinfo(). */
int rp_resolve_error(int code);

#endif
