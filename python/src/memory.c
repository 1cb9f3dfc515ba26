/*
 * memory.c - the core's memory comes from Python, whose tracemalloc counts it, and whose debug hooks check it.
 *
 * From the raw domain, which needs no GIL: threads of the core's own allocate too.
 */
#include "memory.h"

#include "compat.h"
#include "ringport/base.h"

static void *raw_malloc(size_t size, void *data)
{
    (void)data;
    return PyMem_RawMalloc(size);
}

static void *raw_realloc(void *memory, size_t size, void *data)
{
    (void)data;
    return PyMem_RawRealloc(memory, size);
}

static void raw_free(void *memory, void *data)
{
    (void)data;
    PyMem_RawFree(memory);
}

void rpy_memory_init(void)
{
    rp_set_allocator(&(rp_allocator){raw_malloc, raw_realloc, raw_free, NULL});
}
