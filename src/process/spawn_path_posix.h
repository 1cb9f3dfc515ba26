/*
 * spawn_path_posix.h - where a program may be.
 */
#ifndef RP_PROCESS_SPAWN_PATH_POSIX_H
#define RP_PROCESS_SPAWN_PATH_POSIX_H

/*
 * The paths at which a program is looked for, in order; NULL ends them. All of it is one block, freed by rp_free().
 * `env` is the child's environment, or NULL: the parent's. Returns NULL if there is no memory.
 */
char **rp_spawn_paths(const char *program, const char *const *env);

#endif
