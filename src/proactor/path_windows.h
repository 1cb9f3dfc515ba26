/*
 * path_windows.h - what a path is to NtCreateFile().
 */
#ifndef RP_PROACTOR_PATH_WINDOWS_H
#define RP_PROACTOR_PATH_WINDOWS_H

#include "base/socket.h"
/* After it: */
#include <winternl.h>

#include "ringport/base.h"

/* How a path ends, and so what it may mean. */
typedef enum rp_path_end {
    RP_PATH_NAME,  /* with a name: anything */
    RP_PATH_SLASH, /* with a slash: a directory of that name */
    RP_PATH_DOTS,  /* with "." or "..": a directory */
} rp_path_end;

typedef struct rp_path {
    HANDLE root;   /* the directory that the name begins at; NULL: the name is a whole one */
    wchar_t *name; /* within memory, unless it has none */
    wchar_t *memory;
    rp_path_end end;
} rp_path;

/*
 * Finds out what a path in UTF-8 means: 0 or an error. In either case rp_path_free() is due.
 * An absolute one is what it is to CreateFile(), whatever the directory, of any length.
 * A relative one begins at `directory`, or at the current directory if that is AT_FDCWD.
 */
int rp_path_find(rp_fd directory, const char *text, rp_path *path);
void rp_path_free(rp_path *path);

/* Where the names of files begin: behind the volume's, or at once. */
wchar_t *rp_path_first_name(const rp_path *path);

/* NtCreateFile() by that name, shared with everybody. *file is not inherited; *created: whether it is new. */
NTSTATUS rp_path_open(const rp_path *path, ACCESS_MASK access, ULONG disposition, ULONG options, ULONG attributes,
                      HANDLE *file, bool *created);

#endif
