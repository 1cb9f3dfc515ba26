/*
 * spawn_clone_posix.h - making a child that executes a program.
 */
#ifndef RP_PROCESS_SPAWN_CLONE_POSIX_H
#define RP_PROCESS_SPAWN_CLONE_POSIX_H

#include <sys/types.h>

#include "process/spawn_child_posix.h"

/*
 * Makes a child that follows the plan, and waits until it has executed the program or failed to.
 * *process gets a pidfd, or -1 if others have reaped the child already.
 * Returns 0, or an error, when there is no child any more; plan->step says what the child has failed at.
 */
int rp_spawn_clone(rp_spawn_plan *plan, pid_t *pid, int *process);

/* Reaps a child, if nobody else does: when it has ended, or, with WNOHANG, only if it has. */
void rp_spawn_await(pid_t pid, int process, int flags);

/* Moves a descriptor of ours away from the numbers 0 to 2, which the parent has closed, if that can be done. */
int rp_spawn_above_stdio(int fd);

#endif
