/*
 * spawn.h - starting a process, and what is done to one besides waiting for it: each platform's.
 */
#ifndef RP_PROCESS_SPAWN_H
#define RP_PROCESS_SPAWN_H

#include "process/spawn_step.h"
#include "ringport/process.h"

typedef struct rp_spawned {
    int64_t pid;
    rp_fd process;  /* a descriptor of it; -1: it is no more */
    rp_fd pipes[3]; /* the parent's ends; -1: none */
} rp_spawned;

/* Starts a process: 0; or an error with the step that it comes from, and no descriptors. Any thread. */
int rp_spawn(const rp_process_options *options, rp_spawned *spawned, rp_spawn_step *step);

/* Describes a child that somebody else has started: 0 or an error. One that is no more has no descriptor. */
int rp_spawn_open(int64_t pid, rp_spawned *spawned);

/* Reaps a process if it has ended and nobody has waited for it: so it is no zombie for as long as the parent lives. */
void rp_spawn_reap(const rp_spawned *spawned);

/* 0 or an error: -ESRCH if it has been reaped. It has a descriptor. */
int rp_spawn_signal(const rp_spawned *spawned, int signal);

/* The exit code, or the negative number of a signal, of a wait status. */
int rp_spawn_returncode(int64_t status);

/* -1 is ignored. */
void rp_spawn_close(rp_fd fd);

#endif
