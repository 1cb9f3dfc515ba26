/*
 * pipe_handle_windows.h - handles of pipes: what one is, and opening named pipes at either end.
 */
#ifndef RP_PROACTOR_PIPE_HANDLE_WINDOWS_H
#define RP_PROACTOR_PIPE_HANDLE_WINDOWS_H

#include "proactor/kernel.h"

/*
 * Whether a handle can be one end of a pipe's transport: 0; -EBADF if it is none, or not open for that direction;
 * -EINVAL if it is something that has positions. *is_socket: it is a socket. *watches: of an end that writes, it can be
 * read, too, at the same time.
 */
int rp_pipe_handle_check(const rp_kernel *kernel, rp_fd fd, bool writes, bool *is_socket, bool *watches);

/* Connects to a named pipe: 0; -EAGAIN if no instance is free; -EINVAL if that is no pipe; or another error. */
int rp_pipe_handle_connect(const wchar_t *path, rp_fd *fd);

/* Makes an instance of a named pipe. The first one is refused if there are others. */
int rp_pipe_handle_make(const wchar_t *path, bool is_first, rp_fd *fd);

#endif
