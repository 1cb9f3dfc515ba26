/*
 * pipe_pair_windows.h - the pipe between a child and its parent.
 */
#ifndef RP_PROCESS_PIPE_PAIR_WINDOWS_H
#define RP_PROCESS_PIPE_PAIR_WINDOWS_H

#include <stdbool.h>

/*
 * Makes a pipe. `ours` is for overlapped operations, and not inherited. `theirs` is for those that block, as programs
 * expect it, and is inherited. The child reads from it if `child_reads`, else writes to it. Both are HANDLEs, and the
 * caller's. If the child reads, ours can be read, too: that ends when the child closes its end.
 * 0 or an error, after which there is none of them.
 */
int rp_pipe_pair_open(bool child_reads, void **ours, void **theirs);

#endif
