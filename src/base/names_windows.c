/*
 * names_windows.c - the return addresses on the stack, and the names of functions at addresses, on Windows.
 *
 * A name is the nearest one below that the module exports. A static function has none there, and most programs export
 * nothing. So the module and the offset in it are printed as well, for addr2line.
 */
#include "base/names.h"

#include <windows.h>

enum { FAR_OFF = 64 * 1024 }; /* an address this far above where a function begins is not in it */

int rp_origin_backtrace(void **addresses, int count)
{
    int found = CaptureStackBackTrace(0, (DWORD)count, addresses, NULL);

    for (int i = 0; i < found; i++)
        if (!addresses[i]) /* a coroutine's outermost frame; what comes after it is not part of the stack */
            return i;
    return found;
}

static char *module_of(const void *address)
{
    const DWORD flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    HMODULE module;

    return GetModuleHandleExW(flags, address, &module) ? (char *)module : NULL;
}

static const IMAGE_EXPORT_DIRECTORY *exports_of(const char *module)
{
    const IMAGE_DOS_HEADER *dos = (const void *)module;
    const IMAGE_NT_HEADERS *headers = (const void *)(module + dos->e_lfanew);
    const IMAGE_DATA_DIRECTORY *directory = &headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_EXPORT];

    return directory->Size > 0 ? (const void *)(module + directory->VirtualAddress) : NULL;
}

/* The name that is exported for the nearest place at or below an address; NULL if there is none near. */
static const char *nearest_export(const char *module, const char *address)
{
    const IMAGE_EXPORT_DIRECTORY *table = exports_of(module);
    DWORD offset = (DWORD)(address - module), nearest = 0;
    const char *name = NULL;

    if (!table)
        return NULL;
    const DWORD *functions = (const void *)(module + table->AddressOfFunctions);
    const DWORD *names = (const void *)(module + table->AddressOfNames);
    const WORD *ordinals = (const void *)(module + table->AddressOfNameOrdinals);
    for (DWORD i = 0; i < table->NumberOfNames; i++) {
        DWORD start = functions[ordinals[i]];

        if (start <= offset && offset - start < FAR_OFF && start >= nearest) {
            nearest = start;
            name = module + names[i];
        }
    }
    return name;
}

/* The module's file, in UTF-8; "" if there is none. A path that is too long is cut. */
static const char *file_of(char *module, char text[3 * MAX_PATH])
{
    wchar_t path[MAX_PATH];

    if (!module || GetModuleFileNameW((HMODULE)(void *)module, path, MAX_PATH) == 0 ||
        WideCharToMultiByte(CP_UTF8, 0, path, -1, text, 3 * MAX_PATH, NULL, NULL) == 0)
        text[0] = '\0';
    return text;
}

void rp_origin_print(FILE *file, void *const *addresses, int depth)
{
    for (int i = 0; i < depth; i++) {
        /* A return address follows the call and may lie in the next function already. */
        char *call = (char *)addresses[i] - 1, *module = module_of(call);
        char text[128], path[3 * MAX_PATH];

        fprintf(file, "    %s", rp_origin_symbol(call, text, sizeof text));
        if (file_of(module, path)[0])
            fprintf(file, " (%s+0x%zx)", path, (size_t)(call - module));
        fputc('\n', file);
    }
}

const char *rp_origin_symbol(void *address, char *text, size_t size)
{
    const char *module = module_of(address);
    const char *name = module ? nearest_export(module, address) : NULL;

    if (name)
        snprintf(text, size, "%s", name);
    else
        snprintf(text, size, "%p", address);
    return text;
}
