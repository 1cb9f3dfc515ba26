/*
 * spawn_windows.c - starting a process on Windows, which is still to come.
 */
#include "process/spawn.h"

#include <errno.h>

int rp_spawn(const rp_process_options *options, rp_spawned *spawned, rp_spawn_step *step)
{
    *step = RP_SPAWN_PREPARE;
    return -ENOTSUP;
}

int rp_spawn_open(int64_t pid, rp_spawned *spawned)
{
    return -ENOTSUP;
}

void rp_spawn_reap(const rp_spawned *spawned)
{
}

int rp_spawn_signal(const rp_spawned *spawned, int signal)
{
    return -ENOTSUP;
}

int rp_spawn_returncode(int64_t status)
{
    return (int)(status >> 8);
}

void rp_spawn_close(rp_fd fd)
{
}
