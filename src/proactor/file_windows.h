/*
 * file_windows.h - openat() and statx() as Windows can have them. They block.
 */
#ifndef RP_PROACTOR_FILE_WINDOWS_H
#define RP_PROACTOR_FILE_WINDOWS_H

#include "ringport/base.h"
#include "ringport/posix.h"

/*
 * Opens a file for overlapped operations: the handle, not inherited, or an error. flags are O_RDONLY, O_WRONLY,
 * O_RDWR, O_APPEND, O_CREAT, O_EXCL, O_TRUNC, O_DIRECTORY, O_NOFOLLOW. Of the mode only counts whether the owner may
 * write. Errors are those of Linux:
 *   -ENOENT         the path is empty, or something is missing; or no file of Windows can have such a name
 *   -ENOTDIR        something amid the path, or `directory`, is no directory
 *   -EISDIR         a directory was to be written to
 *   -ELOOP          a link with O_NOFOLLOW, or links that lead around
 *   -ENAMETOOLONG   a name of more than 255 UTF-16 units, or a path of more than 32,767
 *   -EILSEQ         the path is no UTF-8
 *   -ENXIO          the file of a Unix socket
 *   -EBUSY          somebody has it open, and does not share it
 */
int64_t rp_file_open(rp_fd directory, const char *path, int flags, uint32_t mode);

/* What is known of a file: 0 or an error. flags are AT_EMPTY_PATH and AT_SYMLINK_NOFOLLOW. */
int rp_file_status(rp_fd directory, const char *path, int flags, struct statx *result);

#endif
