/*
 * file_copy_posix.c - copying from file to file by copy_file_range(), which shares blocks where the file system can.
 */
#include "proactor/file_copy.h"

#include <errno.h>
#include <unistd.h>

/* What one of the two file systems, the kernel or a filter of system calls says, who would let the bytes be read. */
static bool is_refusal(int error)
{
    return error == EXDEV || error == EINVAL || error == ENOSYS || error == EOPNOTSUPP || error == EPERM ||
           error == ETXTBSY;
}

int64_t rp_file_copy_piece(rp_fd from, rp_fd to, int64_t *offset, size_t length)
{
    off_t data = lseek(from, *offset, SEEK_DATA);
    ssize_t n;

    if (data < 0 && errno == ENXIO)
        return -ENXIO;
    if (data >= 0) /* else it knows of no holes */
        *offset = data;
    do {
        off_t in = *offset, out = *offset;

        n = copy_file_range(from, &in, to, &out, length, 0);
    } while (n < 0 && errno == EINTR);
    return n >= 0 ? n : is_refusal(errno) ? -ENOTSUP : -errno;
}
