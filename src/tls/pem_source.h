/*
 * pem_source.h - where certificates and keys are read from.
 */
#ifndef RP_TLS_PEM_SOURCE_H
#define RP_TLS_PEM_SOURCE_H

#include <openssl/bio.h>

#include "ringport/tls.h"

/* Reads a file. What that fails with; -EFBIG: no certificates are that long. */
int rp_tls_read_file(rp_tls_context *context, const char *path, BIO **source);

/* For OpenSSL, which would ask on the terminal: there is no password. */
int rp_tls_no_password(char *buffer, int size, int writing, void *arg);

#endif
