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

/*
 * glibc gives memory back at a free() that leaves 128 KiB unused at the end of the heap, and then takes it again, with
 * a fault for each page; until something larger has been freed: twice as much is kept from then on. asyncio's receives
 * of 256 KiB see to that. Ours need no such memory, and the buffers of streams would go back and forth with each large
 * message. Whoever has set glibc's thresholds has them as they are.
 */
static void teach_allocator(void)
{
    PyMem_RawFree(PyMem_RawMalloc((size_t)4 << 20));
}

void rpy_memory_init(void)
{
    teach_allocator();
    rp_set_allocator(&(rp_allocator){raw_malloc, raw_realloc, raw_free, NULL});
}
