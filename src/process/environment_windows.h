/*
 * environment_windows.h - the variables of a child, as Windows wants them.
 */
#ifndef RP_PROCESS_ENVIRONMENT_WINDOWS_H
#define RP_PROCESS_ENVIRONMENT_WINDOWS_H

#include <stddef.h>

/*
 * Makes the block for CreateProcess() of an environment, "NAME=value" each and NULL at its end. *block is the caller's,
 * who frees it by rp_free(); it is NULL if `environment` is: the child has its parent's.
 * Errors:
 *   -EINVAL   an entry has no '=', or no name before it
 *   -EILSEQ   an entry is no UTF-8
 *   -ENOMEM
 */
int rp_environment_make(const char *const *environment, wchar_t **block);

/*
 * The value of a variable in such a block, lent; or in this process's environment if the block is NULL: *memory is it
 * then, and the caller's. *value is NULL if there is none. 0 or -ENOMEM.
 */
int rp_environment_get(const wchar_t *block, const wchar_t *name, const wchar_t **value, wchar_t **memory);

#endif
