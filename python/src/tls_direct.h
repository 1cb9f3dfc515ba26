/*
 * tls_direct.h - the engine that lets `_ssl`'s OpenSSL read and write by itself.
 */
#ifndef RPY_TLS_DIRECT_H
#define RPY_TLS_DIRECT_H

#include "tls_engine.h"

/* Makes one of it, by the SSL of its SSLObject. 0, or -1 with an exception. */
int rpy_tls_direct_init(rpy_tls_engine *engine, SSL *ssl);

#endif
