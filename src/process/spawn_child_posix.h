/*
 * spawn_child_posix.h - what a child does from its birth until it executes the program.
 */
#ifndef RP_PROCESS_SPAWN_CHILD_POSIX_H
#define RP_PROCESS_SPAWN_CHILD_POSIX_H

#include "process/spawn_step.h"
#include "ringport/process.h"

/* What becomes a descriptor of the child, if it is no descriptor of the parent. */
enum { RP_SOURCE_INHERIT = -1, RP_SOURCE_NULL = -2, RP_SOURCE_STDOUT = -3 };

/* All that the child is to do. The last two are what it tells. */
typedef struct rp_spawn_plan {
    const rp_process_options *options;
    char *const *paths; /* of the program, which are tried in this order */
    char *const *env;
    const void *mask;   /* the signals that the child is to block, a sigset_t */
    int sources[3];     /* of its descriptors 0 to 2 */
    int report;         /* where it writes what it tells, if it does not share the parent's memory; else -1 */
    volatile int error; /* why the program was not executed; 0: it was */
    volatile rp_spawn_step step;
} rp_spawn_plan;

/* Executes the program, or tells why not, and ends. The plan is shared with the parent, or a copy. */
_Noreturn void rp_spawn_child(rp_spawn_plan *plan);

#endif
