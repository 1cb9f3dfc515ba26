/*
 * file_copy_windows.c - copying from file to file: Windows copies by paths only, and all at once.
 */
#include "proactor/file_copy.h"

#include <errno.h>

int64_t rp_file_copy_piece(rp_fd from, rp_fd to, int64_t *offset, size_t length)
{
    (void)from;
    (void)to;
    (void)offset;
    (void)length;
    return -ENOTSUP;
}
