/*
 * file_copy.h - copying from file to file without looking at the bytes.
 */
#ifndef RP_PROACTOR_FILE_COPY_H
#define RP_PROACTOR_FILE_COPY_H

#include "ringport/base.h"

/*
 * Copies a piece from the first data at or behind *offset, which becomes where that begins, to the same place of the
 * other file, and blocks. Any thread. Returns how many bytes, or
 *   0 or -ENOTSUP   it is to be done by reading and writing: this system or these files cannot, or it is the end
 *   -ENXIO          nothing but a hole follows
 *   an error
 * Only for files that have a size. `from`'s position is moved.
 */
int64_t rp_file_copy_piece(rp_fd from, rp_fd to, int64_t *offset, size_t length);

#endif
