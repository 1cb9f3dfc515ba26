/*
 * origin.c - backtraces as lists of return addresses, which get their names only when a report is written.
 */
#include "base/origin.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"
#include "base/names.h"

enum {
    MAX_DEPTH = 64,
    INNER_FRAMES = 4, /* what may come before the caller: those of base, and a sanitizer's backtrace() */
};

static atomic_int origin_depth = 10;

int rp_origin_get_depth(void)
{
    return atomic_load_explicit(&origin_depth, memory_order_relaxed);
}

int rp_origin_set_depth(int depth)
{
    if (depth < 0 || depth > MAX_DEPTH)
        return -EINVAL;
    return atomic_exchange_explicit(&origin_depth, depth, memory_order_relaxed);
}

__attribute__((noinline)) rp_origin *rp_origin_capture(void)
{
    void *addresses[MAX_DEPTH + INNER_FRAMES];
    void *caller = __builtin_return_address(0);
    int depth = rp_origin_get_depth(), first = 0, count;
    rp_origin *origin;

    if (depth == 0)
        return NULL;
    count = rp_origin_backtrace(addresses, depth + INNER_FRAMES);
    while (first < count && addresses[first] != caller)
        first++;
    if (first == count)
        return NULL;
    count = count - first < depth ? count - first : depth;
    origin = rp_malloc(sizeof *origin + (size_t)count * sizeof origin->addresses[0]);
    if (!origin)
        return NULL;
    origin->depth = count;
    memcpy(origin->addresses, addresses + first, (size_t)count * sizeof addresses[0]);
    return origin;
}
