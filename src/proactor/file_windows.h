/*
 * file_windows.h - openat() and statx() as Windows can have them. They block.
 */
#ifndef RP_PROACTOR_FILE_WINDOWS_H
#define RP_PROACTOR_FILE_WINDOWS_H

#include "ringport/base.h"
#include "ringport/posix.h"

/*
 * Opens a file for overlapped operations: the handle, not inherited, or an error. flags are O_RDONLY, O_WRONLY,
 * O_RDWR, O_APPEND, O_CREAT, O_EXCL, O_TRUNC; of the mode only counts whether the owner may write. Windows does not
 * take O_TRUNC without O_CREAT if the file is opened for reading or appending alone: -EINVAL.
 */
int64_t rp_file_open(rp_fd directory, const char *path, int flags, uint32_t mode);

/* What is known of a file: 0 or an error. flags are AT_EMPTY_PATH and AT_SYMLINK_NOFOLLOW. */
int rp_file_status(rp_fd directory, const char *path, int flags, struct statx *result);

#endif
