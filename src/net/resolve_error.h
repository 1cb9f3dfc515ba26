/*
 * resolve_error.h - what getaddrinfo() answers, as ringport's errors.
 */
#ifndef RP_NET_RESOLVE_ERROR_H
#define RP_NET_RESOLVE_ERROR_H

/* 0 or a negative error. On POSIX errno must have been 0 before the call to getaddrinfo(). */
int rp_resolve_error(int code);

#endif
