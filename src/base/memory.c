/*
 * memory.c - the heap, behind three functions that a program may replace.
 *
 * A size of 0 counts as 1. So NULL means "no memory", whatever the allocator, and never "nothing was asked for".
 */
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void *libc_malloc(size_t size, void *data)
{
    (void)data;
    return malloc(size);
}

static void *libc_realloc(void *memory, size_t size, void *data)
{
    (void)data;
    return realloc(memory, size);
}

static void libc_free(void *memory, void *data)
{
    (void)data;
    free(memory);
}

#define LIBC_FUNCTIONS libc_malloc, libc_realloc, libc_free

static rp_allocator allocator = {LIBC_FUNCTIONS, NULL};

int rp_set_allocator(const rp_allocator *replacement)
{
    static const rp_allocator libc_allocator = {LIBC_FUNCTIONS, NULL};

    if (!replacement)
        replacement = &libc_allocator;
    if (!replacement->malloc || !replacement->realloc || !replacement->free)
        return -EINVAL;
    allocator = *replacement;
    return 0;
}

void rp_get_allocator(rp_allocator *copy)
{
    *copy = allocator;
}

void *rp_malloc(size_t size)
{
    return allocator.malloc(size ? size : 1, allocator.data);
}

void *rp_calloc(size_t size)
{
    void *memory = rp_malloc(size);

    if (memory)
        memset(memory, 0, size);
    return memory;
}

void *rp_realloc(void *memory, size_t size)
{
    return memory ? allocator.realloc(memory, size ? size : 1, allocator.data) : rp_malloc(size);
}

void rp_free(void *memory)
{
    if (memory)
        allocator.free(memory, allocator.data);
}

/* What was allocated stands right before what was asked for. */
void *rp_calloc_lines(size_t size)
{
    void *memory = rp_calloc(size + sizeof(void *) + RP_CACHE_LINE - 1);
    uintptr_t first = (uintptr_t)memory + sizeof(void *) + RP_CACHE_LINE - 1;
    void **lines;

    if (!memory)
        return NULL;
    lines = (void **)(first - first % RP_CACHE_LINE);
    lines[-1] = memory;
    return lines;
}

void rp_free_lines(void *memory)
{
    if (memory)
        rp_free(((void **)memory)[-1]);
}
