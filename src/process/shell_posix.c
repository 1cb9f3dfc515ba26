/*
 * shell_posix.c - the shell of POSIX: /bin/sh -c, as subprocess and system() have it.
 */
#include "process/shell.h"

int rp_shell_init(rp_shell *shell, const char *command, rp_process_options *options)
{
    *shell = (rp_shell){.argv = {"/bin/sh", "-c", command, NULL}};
    options->program = NULL;
    options->argv = shell->argv;
    return 0;
}

void rp_shell_fini(rp_shell *shell)
{
}
