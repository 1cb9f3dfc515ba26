/*
 * origin.c - backtraces as lists of return addresses; they get their names only when a report is written.
 *
 * Names come from the dynamic symbol tables, which hold no static functions: the object and the offset in it are
 * printed as well, for addr2line.
 */
#include "base/origin.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"

enum {
    MAX_DEPTH = 64,
    INNER_FRAMES = 3, /* what may come before the caller: this file's own, and a sanitizer's backtrace() */
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
    count = backtrace(addresses, depth + INNER_FRAMES);
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

void rp_origin_print(FILE *file, void *const *addresses, int depth)
{
    for (int i = 0; i < depth; i++) {
        /* A return address follows the call and may lie in the next function already. */
        char *call = (char *)addresses[i] - 1;
        char text[128];
        Dl_info info;

        fprintf(file, "    %s", rp_origin_symbol(call, text, sizeof text));
        if (dladdr(call, &info) && info.dli_fname)
            fprintf(file, " (%s+0x%zx)", info.dli_fname, (size_t)(call - (char *)info.dli_fbase));
        fputc('\n', file);
    }
}

const char *rp_origin_symbol(void *address, char *text, size_t size)
{
    Dl_info info;

    if (dladdr(address, &info) && info.dli_sname)
        snprintf(text, size, "%s", info.dli_sname);
    else
        snprintf(text, size, "%p", address);
    return text;
}
