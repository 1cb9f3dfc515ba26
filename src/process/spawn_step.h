/*
 * spawn_step.h - what the start of a process has failed at: for whoever names the file in a message.
 */
#ifndef RP_PROCESS_SPAWN_STEP_H
#define RP_PROCESS_SPAWN_STEP_H

typedef enum rp_spawn_step {
    RP_SPAWN_PREPARE, /* anything else */
    RP_SPAWN_CHDIR,   /* entering the directory */
    RP_SPAWN_EXECUTE, /* executing the program */
} rp_spawn_step;

#endif
