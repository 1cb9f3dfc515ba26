/*
 * file_posix.h - the pieces of file operations that the Linux backends share: plain system calls on an op.
 */
#ifndef RP_PROACTOR_FILE_POSIX_H
#define RP_PROACTOR_FILE_POSIX_H

#include "proactor/op.h"

/* Whether a descriptor has no readiness to wait for: regular files, directories, disks. */
bool rp_file_is_always_ready(int fd);

/* Whether its readiness can change, so that it makes sense to wait: not for /dev/null, either. Slower to tell. */
bool rp_file_has_readiness(int fd);

/*
 * Reads without blocking what the page cache holds (RP_OP_READ, RP_OP_READV). Returns the result; or -EAGAIN if it
 * would block, if only a part is there, or at the end of a file, which cannot be told from an empty cache. The end of a
 * pipe or the like can: 0.
 */
int64_t rp_file_read_cached(const rp_op *op);

/* Whether a read or write is wrong, or of nothing, so that it does not block. */
bool rp_file_needs_no_wait(const rp_op *op);

/*
 * Reads or writes as much as it can without blocking. Returns the result, or -EAGAIN; -EOPNOTSUPP if the kernel has no
 * such way for this descriptor. Only for what has readiness: that has no page cache, so a 0 is the end.
 */
int64_t rp_file_attempt(const rp_op *op);

/* Does a file operation, blocking as long as it takes: its result. */
int64_t rp_file_perform(const rp_op *op);

#endif
