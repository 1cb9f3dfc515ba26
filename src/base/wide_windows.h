/*
 * wide_windows.h - text of the library's callers, UTF-8, as Windows' own calls take it, UTF-16.
 */
#ifndef RP_BASE_WIDE_WINDOWS_H
#define RP_BASE_WIDE_WINDOWS_H

#include <stddef.h>

/*
 * Converts a text that ends with '\0'. *wide is the caller's, who frees it by rp_free(); NULL after an error.
 * 0, -EILSEQ if it is no UTF-8, -ENOMEM.
 */
int rp_widen(const char *text, wchar_t **wide);

#endif
