/*
 * report.c - reads what test programs print (harness.c): "ok", "FAILED" or "skipped" and a name, the output below it
 * marked by a '|', and last "# N passed, N failed, N skipped".
 */
#include "windows/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOTHING_RAN = 77 }; /* the exit status of a program whose tests were all skipped */

static const char *after(const char *line, const char *prefix)
{
    size_t length = strlen(prefix);

    return strncmp(line, prefix, length) == 0 ? line + length : NULL;
}

/* One line, of formatted text; it is cut off where a line of output would be. */
__attribute__((format(printf, 2, 3))) static void add_line(report_text *section, const char *format, ...)
{
    char line[4096];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    size_t length = strcspn(line, "\r\n");
    section->text = realloc(section->text, section->length + length + 2);
    if (!section->text)
        abort();
    memcpy(section->text + section->length, line, length);
    section->length += length;
    strcpy(section->text + section->length++, "\n");
}

void report_line(report *all, report_program *program, const char *line)
{
    const char *output = after(line, "    | "), *text;

    if (output && program->failing)
        add_line(&all->failures, "      %s", output);
    if (output && (text = after(output, "# ")))
        add_line(&all->findings, "  %s: %s", program->name, text);
    if (output)
        return;
    program->failing = (text = after(line, "FAILED ")) != NULL;
    if (text)
        add_line(&all->failures, "  %s: %s", program->name, text);
    if ((text = after(line, "skipped ")))
        add_line(&all->skips, "  %s: %s", program->name, text);
    if (sscanf(line, "# %d passed, %d failed, %d skipped", &program->passed, &program->failed,
               &program->skipped) == 3)
        program->ended = 1;
}

void report_exit(report *all, report_program *program, int status)
{
    int expected = program->failed > 0 ? 1 : program->passed > 0 ? 0 : NOTHING_RAN;

    if (!program->ended || status != expected) {
        add_line(&all->failures, "  %s: %s, exit status 0x%x", program->name,
                 program->ended ? "after its tests" : "ended amid its tests", (unsigned)status);
        program->failed++;
    }
    all->passed += program->passed;
    all->failed += program->failed;
    all->skipped += program->skipped;
}

static void add_section(report_text *whole, const char *title, report_text *section)
{
    const char *line = section->text ? section->text : "  nothing\n";

    add_line(whole, "%s", "");
    add_line(whole, "%s:", title);
    for (size_t length; *line; line += length + 1) {
        length = strcspn(line, "\n");
        add_line(whole, "%.*s", (int)length, line);
    }
    free(section->text);
}

char *report_end(report *all, int *status)
{
    report_text whole = {0};

    add_section(&whole, "Found", &all->findings);
    add_section(&whole, "Skipped", &all->skips);
    add_section(&whole, "Failed", &all->failures);
    add_line(&whole, "%s", "");
    add_line(&whole, "%d passed, %d failed, %d skipped", all->passed, all->failed, all->skipped);
    *status = all->failed > 0 || all->passed == 0;
    return whole.text;
}
