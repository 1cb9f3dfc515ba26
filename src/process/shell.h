/*
 * shell.h - the shell that runs a command: each platform's.
 */
#ifndef RP_PROCESS_SHELL_H
#define RP_PROCESS_SHELL_H

#include "ringport/process.h"

/* What the options of a start name, for as long as that takes. */
typedef struct rp_shell {
    const char *argv[4];
    char *program;      /* on Windows */
    char *command_line; /* likewise */
} rp_shell;

/* Makes the options start the shell with this command: 0 or -ENOMEM. rp_shell_fini() is due after a 0. */
int rp_shell_init(rp_shell *shell, const char *command, rp_process_options *options);
void rp_shell_fini(rp_shell *shell);

#endif
