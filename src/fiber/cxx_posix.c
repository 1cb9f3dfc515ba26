/*
 * cxx_posix.c - finding the C++ runtime of the process: the one that was linked, or else one that was loaded since.
 *
 * Most libraries are loaded with RTLD_LOCAL, and what they bring along is in no scope but their own. So the runtime is
 * then looked for by its name, and kept. A runtime that a library contains and does not export cannot be found.
 */
#include "fiber/cxx.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>

#include "base/thread.h"

typedef void *get_globals(void);

extern get_globals __cxa_get_globals __attribute__((weak));

/* A static program has none of these functions, and nothing that they could find. */
#pragma weak dlopen
#pragma weak dlsym
#pragma weak dl_iterate_phdr

/*
 * The loader has a lock that fork() does not know: a child in whose parent another thread held it waits for ever. So no
 * fork comes between the loader and this library. It is not held for dlopen(), under whose own lock constructors run.
 */
static rp_mutex loader = RP_MUTEX_INIT;

__attribute__((constructor)) static void guard_loader(void)
{
    rp_mutex_hold_in_forks(&loader);
}

static get_globals *_Atomic found;
static atomic_ullong loads; /* how many libraries the process had loaded when the runtime was last looked for */

static bool is_runtime(const char *path)
{
    static const char *const names[] = {"libstdc++.so", "libc++abi.so", "libc++.so"};
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static int count_loads(struct dl_phdr_info *info, size_t size, void *count)
{
    (void)size;
    *(unsigned long long *)count = info->dlpi_adds;
    return 1;
}

static int look_at(struct dl_phdr_info *info, size_t size, void *path)
{
    (void)size;
    if (!info->dlpi_name || !is_runtime(info->dlpi_name) || strlen(info->dlpi_name) >= PATH_MAX)
        return 0;
    memcpy(path, info->dlpi_name, strlen(info->dlpi_name) + 1);
    return 1;
}

typedef int visit_library(struct dl_phdr_info *info, size_t size, void *arg);

static int visit_libraries(visit_library *visit, void *arg)
{
    rp_mutex_lock(&loader);
    int rc = dl_iterate_phdr(visit, arg);
    rp_mutex_unlock(&loader);
    return rc;
}

static get_globals *find_loaded(void)
{
    char path[PATH_MAX];

    if (visit_libraries(look_at, path) == 0)
        return NULL;
    void *library = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
    return library ? (get_globals *)(uintptr_t)dlsym(library, "__cxa_get_globals") : NULL;
}

bool rp_cxx_look(void)
{
    unsigned long long now = 0;

    if (atomic_load_explicit(&found, memory_order_relaxed))
        return true;
    get_globals *get = __cxa_get_globals;
    if (!get) {
        if (!dlopen || !dlsym || !dl_iterate_phdr)
            return false;
        visit_libraries(count_loads, &now);
        if (atomic_load_explicit(&loads, memory_order_acquire) == now)
            return atomic_load_explicit(&found, memory_order_relaxed);
        get = find_loaded();
    }
    if (get) /* another thread may have looked earlier and stored later, or the other way round */
        atomic_store_explicit(&found, get, memory_order_relaxed);
    atomic_store_explicit(&loads, now, memory_order_release);
    return get;
}

rp_cxx_state *rp_cxx_thread_state(void)
{
    return rp_cxx_look() ? atomic_load_explicit(&found, memory_order_relaxed)() : NULL;
}
