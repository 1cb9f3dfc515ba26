/*
 * cxx_windows.c - finding the C++ runtime of the process: the one that is linked, or else that of a DLL.
 *
 * A program or DLL that contains a runtime of its own (-static-libstdc++) exports nothing of it: it is found only if
 * this library is linked into the same module.
 */
#include "fiber/cxx.h"

#include <stdatomic.h>
#include <windows.h>

typedef void *get_globals(void);

/* A weak reference: gcc for Windows would make it a strong one. NULL if the module has no runtime linked in. */
__asm__(".section .rdata,\"dr\"\n"
        ".weak __cxa_get_globals\n"
        ".p2align 3\n"
        "rp_cxx_linked: .quad __cxa_get_globals\n"
        ".text\n");
extern get_globals *const rp_cxx_linked;

static get_globals *_Atomic found;

bool rp_cxx_look(void)
{
    static const char *const names[] = {"libstdc++-6.dll", "libc++.dll"};
    get_globals *get = atomic_load_explicit(&found, memory_order_relaxed);

    if (get)
        return true;
    get = rp_cxx_linked;
    for (size_t i = 0; !get && i < sizeof names / sizeof names[0]; i++) {
        HMODULE module = NULL;

        if (GetModuleHandleExA(0, names[i], &module)) /* counted: it must stay */
            get = (get_globals *)(uintptr_t)GetProcAddress(module, "__cxa_get_globals");
    }
    atomic_store_explicit(&found, get, memory_order_relaxed);
    return get;
}

rp_cxx_state *rp_cxx_thread_state(void)
{
    return rp_cxx_look() ? atomic_load_explicit(&found, memory_order_relaxed)() : NULL;
}
