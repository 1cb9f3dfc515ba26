/*
 * pipe_intake_windows.h - where the connections of a server of a named pipe come from.
 */
#ifndef RP_CONNECT_PIPE_INTAKE_WINDOWS_H
#define RP_CONNECT_PIPE_INTAKE_WINDOWS_H

#include "connect/intake.h"

/*
 * Makes the pipe of that name, and what a server is given to serve there: rp_server_set_intake(). *intake is NULL after
 * an error.
 *   -EADDRINUSE   somebody else has the name
 *   -EINVAL       it is no name of a pipe
 */
int rp_pipe_intake_new(rp_loop *loop, const char *path, rp_intake **intake);

#endif
