/*
 * process.h - what faces need of a process besides the public functions.
 */
#ifndef RP_PROCESS_PROCESS_H
#define RP_PROCESS_PROCESS_H

#include "process/spawn.h"

/* rp_process_spawn(), which says what it has failed at. */
int rp_process_start(rp_loop *loop, const rp_process_options *options, rp_process_exited *exited, void *arg,
                     rp_process **process, rp_spawn_step *step);

/* The same for a child that somebody else has started, without pipes. Its end is -ECHILD if others reap it. */
int rp_process_adopt(rp_loop *loop, int64_t pid, rp_process_exited *exited, void *arg, rp_process **process);

#endif
