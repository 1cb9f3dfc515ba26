/*
 * tls_handshake.h - the making of a TLS transport, whose handshake begins with it.
 */
#ifndef RPY_TLS_HANDSHAKE_H
#define RPY_TLS_HANDSHAKE_H

#include "loop.h"

/*
 * The method Loop._make_tls_transport(below, owner, protocol, objects, waiter, extra, server, calls_made, limits,
 * direct, received): a SSLTransport.
 *   below       a transport of ours
 *   owner       what takes the place of asyncio.sslproto.SSLProtocol
 *   objects     an SSLObject, and the MemoryBIOs that it was made with: incoming, outgoing
 *   waiter      a Future that is told how the handshake has ended, or None
 *   extra       a dict for get_extra_info()
 *   calls_made  whether connection_made is called after the handshake
 *   limits      seconds for the handshake, and for the end
 *   direct      whether OpenSSL is to be used directly, if it can be
 *   received    bytes that were taken from below already, and are the first of the handshake
 */
PyObject *rpy_make_tls_transport(PyObject *loop, PyObject *args);

#endif
