/*
 * tls_memory.h - memory for libringport-tls, which sees what is public of ringport.
 *
 * rp_set_allocator() counts here, too.
 *
 * OpenSSL's own objects come from OpenSSL's allocator.
 */
#ifndef RP_TLS_TLS_MEMORY_H
#define RP_TLS_TLS_MEMORY_H

#include <string.h>

#include "ringport/base.h"

/* NULL: there is no memory. Zeroed. `size` is not 0. */
static inline void *rp_tls_calloc(size_t size)
{
    rp_allocator allocator;
    void *memory;

    rp_get_allocator(&allocator);
    memory = allocator.malloc(size, allocator.data);
    return memory ? memset(memory, 0, size) : NULL;
}

/* NULL is ignored. */
static inline void rp_tls_free(void *memory)
{
    rp_allocator allocator;

    rp_get_allocator(&allocator);
    if (memory)
        allocator.free(memory, allocator.data);
}

/* A copy with a '\0' behind it; NULL: there is no memory. */
static inline char *rp_tls_copy(const char *text, size_t length)
{
    char *copy = rp_tls_calloc(length + 1);

    return copy && length > 0 ? memcpy(copy, text, length) : copy;
}

#endif
