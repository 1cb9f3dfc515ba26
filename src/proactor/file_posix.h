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
 * Does without blocking what can be done in memory: reads and writes of the page cache, statuses of files that are
 * known. Returns the result, or
 *   -EAGAIN       it would block, it is the end of a file, which cannot be told from an empty cache (that of a pipe or
 *                 the like can: 0), or it is nothing of the kind
 *   -EOPNOTSUPP   a thread is to do it: the kernel has no such way for this file; a part is done, and the outcome
 *                 says how much; or the owner wants it so (RP_READ_BY_THREAD)
 */
int64_t rp_file_try(rp_op *op);

/* Does the rest of what is done in part, at an offset, blocking as long as it takes: the result of all of it. */
int64_t rp_file_do_rest(const rp_op *op);

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
