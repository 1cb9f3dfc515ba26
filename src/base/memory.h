/*
 * memory.h - every heap allocation of ringport goes through here, and so through rp_set_allocator().
 */
#ifndef RP_BASE_MEMORY_H
#define RP_BASE_MEMORY_H

#include "ringport/base.h"

/* NULL if there is no memory; the caller returns -ENOMEM then. Any thread. */
void *rp_malloc(size_t size);
void *rp_calloc(size_t size); /* zeroed */
void *rp_realloc(void *memory, size_t size);
void rp_free(void *memory); /* NULL is ignored */

/* Of the processors that we know of. */
enum { RP_CACHE_LINE = 64 };

/* Zeroed memory that begins with a cache line, for what each message touches. It is freed by rp_free_lines() alone. */
void *rp_calloc_lines(size_t size);
void rp_free_lines(void *memory);

#endif
