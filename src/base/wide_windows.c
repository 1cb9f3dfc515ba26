/*
 * wide_windows.c - from UTF-8 to UTF-16.
 */
#include "base/wide_windows.h"

#include <windows.h>

#include "base/error_windows.h"
#include "base/memory.h"
#include "ringport/error.h"

int rp_widen(const char *text, wchar_t **wide)
{
    int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);

    *wide = NULL;
    if (length == 0)
        return rp_error_last();
    *wide = rp_malloc((size_t)length * sizeof **wide);
    if (!*wide)
        return -ENOMEM;
    MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, *wide, length);
    return 0;
}
