/*
 * names_posix.c - the return addresses on the stack, and the names of functions at addresses.
 *
 * Names come from the dynamic symbol tables, which hold no static functions: the object and the offset in it are
 * printed as well, for addr2line.
 */
#include "base/names.h"

#include <dlfcn.h>
#include <execinfo.h>

int rp_origin_backtrace(void **addresses, int count)
{
    return backtrace(addresses, count);
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
