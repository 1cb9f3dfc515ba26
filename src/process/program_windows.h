/*
 * program_windows.h - which file a program's name means.
 */
#ifndef RP_PROCESS_PROGRAM_WINDOWS_H
#define RP_PROCESS_PROGRAM_WINDOWS_H

#include <stdbool.h>
#include <wchar.h>

/*
 * Looks a program up. *path is the caller's, who frees it by rp_free().
 * A name with a directory is looked for there, from `cwd` on if it is relative. Any other name is looked for in `cwd`
 * and in the directories of PATH. `cwd` NULL: this process's own. PATH and PATHEXT are the child's: `block` is as
 * rp_environment_make() makes it.
 * Errors:
 *   -ENOENT   there is no such file
 *   -ENOMEM
 */
int rp_program_find(const wchar_t *name, const wchar_t *cwd, const wchar_t *block, wchar_t **path);

/* Whether cmd.exe runs it: .bat, .cmd. */
bool rp_program_is_batch(const wchar_t *path);

#endif
