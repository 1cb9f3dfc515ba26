/*
 * command_line_windows.c - quotes arguments, so that the program that is started takes the line apart as it was.
 *
 * An argument is in quotes if it is empty, or has a blank or a quote. In quotes a '"' is written \", and backslashes
 * that stand before a quote, or before the end, are written twice. The first word is read by rules of its own: there is
 * no escape in it.
 */
#include "process/command_line_windows.h"

#include <string.h>

#include "base/memory.h"
#include "ringport/error.h"

enum { LONGEST = 4 * 32767 }; /* bytes of UTF-8; what that is in UTF-16 is checked where it is made */

static bool needs_quotes(const char *argument)
{
    return argument[0] == '\0' || strpbrk(argument, " \t\n\v\"") != NULL;
}

/* Appends `count` times the character. */
static char *repeat(char *end, char c, size_t count)
{
    memset(end, c, count);
    return end + count;
}

/* At most twice its length, and two quotes. */
static char *append_quoted(char *end, const char *argument)
{
    *end++ = '"';
    for (;;) {
        size_t slashes = strspn(argument, "\\");
        char next = argument[slashes];

        argument += slashes;
        end = repeat(end, '\\', next == '"' || next == '\0' ? 2 * slashes : slashes);
        if (next == '\0')
            break;
        if (next == '"')
            *end++ = '\\';
        *end++ = next;
        argument++;
    }
    *end++ = '"';
    return end;
}

static char *append(char *end, const char *argument)
{
    if (needs_quotes(argument))
        return append_quoted(end, argument);
    size_t length = strlen(argument);
    memcpy(end, argument, length);
    return end + length;
}

/* The first word ends at a blank, or else at the second quote. */
static char *append_program(char *end, const char *program)
{
    size_t length = strlen(program);
    bool quoted = length == 0 || strpbrk(program, " \t") != NULL;

    if (quoted)
        *end++ = '"';
    memcpy(end, program, length);
    end += length;
    if (quoted)
        *end++ = '"';
    return end;
}

int rp_command_line_make(const char *const *argv, char **line)
{
    size_t room = 1;
    char *end;

    if (!argv || !argv[0] || strchr(argv[0], '"'))
        return -EINVAL;
    for (size_t i = 0; argv[i]; i++) {
        size_t length = strlen(argv[i]);

        if (length > LONGEST)
            return -E2BIG;
        room += 2 * length + sizeof "\"\" ";
        if (room > 4 * (size_t)LONGEST)
            return -E2BIG;
    }
    end = *line = rp_malloc(room);
    if (!end)
        return -ENOMEM;
    end = append_program(end, argv[0]);
    for (size_t i = 1; argv[i]; i++) {
        *end++ = ' ';
        end = append(end, argv[i]);
    }
    *end = '\0';
    return 0;
}

bool rp_command_line_suits_batch(const char *const *argv)
{
    for (size_t i = 1; argv[i]; i++) {
        const char *argument = argv[i];
        size_t length = strlen(argument);

        if (strpbrk(argument, "\"%!^&|<>()\r\n") || (length > 0 && argument[length - 1] == '\\'))
            return false;
    }
    return true;
}
