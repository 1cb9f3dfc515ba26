/*
 * command_line_windows.h - arguments as the one line that a program of Windows is started with.
 */
#ifndef RP_PROCESS_COMMAND_LINE_WINDOWS_H
#define RP_PROCESS_COMMAND_LINE_WINDOWS_H

#include <stdbool.h>

/*
 * Makes the line from which a program gets these arguments back, by the rules of CommandLineToArgvW(), which those of
 * the C library are. `argv` ends with NULL. *line is UTF-8, and the caller's, who frees it by rp_free().
 * Errors:
 *   -EINVAL   there is no argv[0], or it has a '"': the program's own name cannot have one
 *   -E2BIG    it is longer than Windows takes
 *   -ENOMEM
 */
int rp_command_line_make(const char *const *argv, char **line);

/*
 * Whether these arguments come to a batch file as they are. cmd.exe reads its line by other rules, and by that may run
 * what an argument says.
 */
bool rp_command_line_suits_batch(const char *const *argv);

#endif
