/*
 * uring_move.h - the ring's move to another thread.
 */
#ifndef RP_PROACTOR_URING_MOVE_H
#define RP_PROACTOR_URING_MOVE_H

#include "proactor/uring_submit.h"

/* Whether the kernel has nothing that would be lost with the ring. *issued: whether it has any operations. */
bool uring_can_move(const uring *u, bool *issued);

/* What has come where another thread had the ring. */
int uring_collect_elsewhere(uring *u, rp_completion *completions, int capacity);

/* Binds the ring to this thread: what other threads have had of it is collected. RP_ETHREAD: the kernel has more. */
int uring_own(uring *u);

#endif
