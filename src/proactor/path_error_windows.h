/*
 * path_error_windows.h - what Linux calls it that a path cannot be opened.
 */
#ifndef RP_PROACTOR_PATH_ERROR_WINDOWS_H
#define RP_PROACTOR_PATH_ERROR_WINDOWS_H

#include "proactor/path_windows.h"

/* The error for what NtCreateFile() or the like has said of a path, which this uses up. */
int rp_path_error(const rp_path *path, NTSTATUS status);

#endif
