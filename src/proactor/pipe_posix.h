/*
 * pipe_posix.h - the system's pipes, FIFOs, terminals and the like: kernel.h says what each function does.
 */
#ifndef RP_PROACTOR_PIPE_POSIX_H
#define RP_PROACTOR_PIPE_POSIX_H

#include "base/socket.h"
#include "proactor/pipe.h"

/*
 * Opens a pipe, a FIFO or a terminal once more, as a description that does not block: a descriptor of the caller's.
 *   -ENOTSUP   it is something else, or the master of a pseudo-terminal
 */
int rp_pipe_posix_open_again(int fd, bool writes);

int rp_pipe_posix_open(rp_pipe *pipe, rp_fd fd, bool writes);
int64_t rp_pipe_posix_read(rp_pipe *pipe, void *buffer, size_t length, bool *more);
int64_t rp_pipe_posix_write(rp_pipe *pipe, const struct iovec *vector, int count);
void rp_pipe_posix_close(const rp_pipe *pipe);

#endif
