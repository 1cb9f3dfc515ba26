/*
 * shell_windows.c - the shell of Windows: %ComSpec% /d /s /c "command".
 *
 * With /s it takes the first and the last quote away, and nothing else: so any command stands between them. With /d
 * nobody's AutoRun comes before it.
 */
#include "process/shell.h"

#include <string.h>

#include <windows.h>

#include "base/memory.h"
#include "process/environment_windows.h"
#include "ringport/error.h"

/* The path of cmd.exe, in UTF-8; NULL if it is to be looked for. 0 or -ENOMEM. */
static int find_interpreter(char **program)
{
    const wchar_t *value;
    wchar_t *memory;
    int length = 0;

    *program = NULL;
    RP_TRY(rp_environment_get(NULL, L"ComSpec", &value, &memory));
    if (value)
        length = WideCharToMultiByte(CP_UTF8, 0, value, -1, NULL, 0, NULL, NULL);
    if (length > 1)
        *program = rp_malloc((size_t)length);
    if (*program)
        WideCharToMultiByte(CP_UTF8, 0, value, -1, *program, length, NULL, NULL);
    rp_free(memory);
    return length > 1 && !*program ? -ENOMEM : 0;
}

static char *make_line(const char *command)
{
    static const char before[] = "cmd.exe /d /s /c \"";
    size_t length = strlen(command);
    char *line = rp_malloc(sizeof before + length + 1);

    if (!line)
        return NULL;
    memcpy(line, before, sizeof before - 1);
    memcpy(line + sizeof before - 1, command, length);
    memcpy(line + sizeof before - 1 + length, "\"", 2);
    return line;
}

int rp_shell_init(rp_shell *shell, const char *command, rp_process_options *options)
{
    *shell = (rp_shell){.argv = {"cmd.exe", NULL}};
    RP_TRY(find_interpreter(&shell->program));
    shell->command_line = make_line(command);
    if (!shell->command_line) {
        rp_free(shell->program);
        return -ENOMEM;
    }
    options->program = shell->program ? shell->program : "cmd.exe";
    options->argv = shell->argv;
    options->command_line = shell->command_line;
    return 0;
}

void rp_shell_fini(rp_shell *shell)
{
    rp_free(shell->program);
    rp_free(shell->command_line);
}
