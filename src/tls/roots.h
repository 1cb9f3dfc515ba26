/*
 * roots.h - which certificates are trusted.
 */
#ifndef RP_TLS_ROOTS_H
#define RP_TLS_ROOTS_H

#include "tls/tls_context.h"

/* A connection begins: the system's store is loaded, if it is what is trusted. -ENOMEM, -EIO. Any thread. */
int rp_tls_roots_await(rp_tls_context *context);

#endif
