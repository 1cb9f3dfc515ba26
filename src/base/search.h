/*
 * search.h - finding bytes in bytes: memmem(), which Windows lacks.
 */
#ifndef RP_BASE_SEARCH_H
#define RP_BASE_SEARCH_H

#include <stddef.h>
#include <string.h>

/* Where `wanted` begins in `data`, or NULL. `wanted_length` must not be 0. */
static inline const void *rp_search(const void *data, size_t length, const void *wanted, size_t wanted_length)
{
#ifndef _WIN32
    return memmem(data, length, wanted, wanted_length);
#else
    const char *start = data, *found;

    while (length >= wanted_length) {
        found = memchr(start, *(const char *)wanted, length - wanted_length + 1);
        if (!found || memcmp(found, wanted, wanted_length) == 0)
            return found;
        length -= (size_t)(found + 1 - start);
        start = found + 1;
    }
    return NULL;
#endif
}

#endif
